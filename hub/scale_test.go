package hub_test

import (
	"fmt"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// TestOthersGoOn: while a fan-out stands still in the middle, everything else goes on: on topics of the same shard and
// of another, and on its own.
func TestOthersGoOn(t *testing.T) {
	const n = 10 * hub.PageSlots
	for _, helpers := range []int{-1, 3} {
		for _, at := range []int{0, n / 2, n - 1} {
			t.Run(fmt.Sprintf("helpers %d, at %d", helpers, at), func(t *testing.T) {
				h := spreadHub(t, helpers)
				ears := join(h, "room:1", n)
				standing, goOn, done := make(chan struct{}), make(chan struct{}), make(chan int)
				ears[at].also = func(m *hub.Message) {
					if m.Event == "slow" {
						close(standing)
						<-goOn
					}
				}
				go func() { done <- h.Broadcast(&hub.Message{Topic: "room:1", Event: "slow"}) }()
				<-standing
				for _, same := range []bool{true, false} {
					topic := topicIn(h, same)
					few := join(h, topic, 10)
					if got := h.Broadcast(&hub.Message{Topic: topic}); got != len(few) {
						t.Errorf("same shard %v: delivered to %d", same, got)
					}
					for _, e := range few {
						h.Unsubscribe(e)
					}
				}
				late := &deaf{}
				h.Subscribe("room:1", late)
				if got := h.Subscribers("room:1"); got != n+1 {
					t.Errorf("%d subscribers when one has joined, want %d", got, n+1)
				}
				h.Unsubscribe(late)
				close(goOn)
				if got := <-done; got != n {
					t.Errorf("delivered to %d, want %d", got, n)
				}
				wantHeard(t, 1, ears...)
				idle(t, h)
			})
		}
	}
}
