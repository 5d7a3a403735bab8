package server

import (
	"encoding/json"

	"github.com/dormouse-ws/dormouse/hub"
)

// A client that leaves a topic and joins it again on the same connection has missed what was broadcast in between. If
// phoenix.js has a channel of the topic for the next join already, that keeps the diffs of the old one that are still
// on their way, and applies them to the first presence_state that it gets (section 4.7). An entry that came in them and
// went in between would be shown for ever: with a channel that tracks itself, its own, whenever join, leave and join
// follow each other at once. So with PresenceConfig.Resync such a join has a second presence_state, between two diffs.
// (A join that displaces another has missed nothing, see displace.)

// remember notes that the client may have missed diffs of the topic, which have been none while nobody has tracked.
func (s *socket) remember(topic string) {
	if srv := s.server(); !srv.cfg.Presence.Resync || srv.presences.made.Load() == nil {
		return
	}
	if s.ident == nil {
		s.ident = &identity{}
	}
	s.ident.missed |= topicBit(topic)
}

// returns reports whether the client may have missed diffs of the topic, on this connection. One in 64 topics passes
// for one that was left, for each that was: its list is sent twice.
func (s *socket) returns(topic string) bool {
	return s.ident != nil && s.ident.missed&topicBit(topic) != 0
}

// topicBit is one of 64 bits, by FNV-1a.
func topicBit(topic string) uint64 {
	h := uint32(2166136261)
	for i := range len(topic) {
		h = (h ^ uint32(topic[i])) * 16777619
	}
	return 1 << ((h ^ h>>16) % 64)
}

// part takes a channel off the socket and out of the hub, and the client may come back.
func (s *socket) part(ch *channel) {
	s.drop(ch)
	s.remember(ch.Topic())
}

// replaced ends a displaced channel's place in the hub, if nobody has taken it.
func (s *socket) replaced(ch *channel) {
	if s.server().hub.Unsubscribe(ch) {
		s.remember(ch.Topic())
	}
}

// pushState pushes presence_state, and once more if the join is a return.
func (ch *channel) pushState() error {
	s, topic := ch.socket, ch.Topic()
	presences := &s.server().presences
	push := func(state json.RawMessage) error {
		return s.push(ch.joinRef(), topic, hub.EventPresenceState, Raw(state))
	}
	err := push(presences.snapshot(topic))
	if h := presences.made.Load(); h != nil && err == nil && ch.state.Load()&channelReturned != 0 {
		h.Resync(topic, s, func(state json.RawMessage) {
			if ch.live() {
				_ = push(state)
			}
		})
	}
	return err
}
