package server

import (
	"time"

	"github.com/dormouse-ws/dormouse/hub"
)

// A stage is a subscriber whose Deliver is the test's: it can hold up a fan-out.
type stage struct {
	hub.Subscription
	deliver func()
}

func (s *stage) Deliver(*hub.Message) { s.deliver() }

// Stage subscribes deliver to a topic until remove is called.
func (s *Server) Stage(topic string, deliver func()) (remove func()) {
	st := &stage{deliver: deliver}
	s.hub.Subscribe(topic, st)
	return func() { s.hub.Unsubscribe(st) }
}

// PauseDrains has after, not the clock, end the pauses of a drain.
func (s *Server) PauseDrains(after func(time.Duration) <-chan time.Time) { s.drainer.after = after }

// UnderRace reports whether the race detector is on.
const UnderRace = underRace
