package hub_test

import (
	"encoding/json"
	"fmt"

	"github.com/dormouse-ws/dormouse/hub"
)

// member is a subscriber that is also an owner of presences, as a channel is.
type member struct {
	hub.Subscription
	name string
}

func (m *member) Deliver(msg *hub.Message) { fmt.Println(m.name, "hears", msg.Event) }

// A joiner subscribes, takes the snapshot, pushes it and then tracks itself; at its end it unsubscribes
// before it untracks.
func ExamplePresence() {
	h := hub.New()
	p := hub.NewPresence(hub.PresenceConfig{Broadcast: func(m *hub.Message) { h.Broadcast(m) }})

	ann, bob := &member{name: "ann"}, &member{name: "bob"}
	for _, m := range []*member{ann, bob} {
		h.Subscribe("room:1", m)
		state := p.Snapshot("room:1")
		fmt.Println(m.name, "is sent", hub.EventPresenceState, "of", len(state) > len("{}"))
		if _, err := p.Track("room:1", m.name, json.RawMessage(`{"status":"here"}`), m); err != nil {
			fmt.Println(err)
		}
	}
	h.Unsubscribe(bob)
	p.UntrackAll(bob)
	fmt.Println(p.Count("room:1"), "left")

	// Output:
	// ann is sent presence_state of false
	// ann hears presence_diff
	// bob is sent presence_state of true
	// ann hears presence_diff
	// bob hears presence_diff
	// ann hears presence_diff
	// 1 left
}
