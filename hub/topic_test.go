package hub

import (
	"math/rand/v2"
	"testing"
)

type slotted struct{ Subscription }

func (*slotted) Deliver(*Message) {}

// TestTopicSettles is inside the package to stop the filling of holes wherever it may be interrupted,
// and to go on from there with comings, goings, and another fan-out.
func TestTopicSettles(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		tp := &topic{name: "room:1"}
		var on []*slotted
		join := func() {
			on = append(on, &slotted{})
			on[len(on)-1].topic.Store(tp)
			tp.add(on[len(on)-1])
		}
		leave := func(i int) {
			tp.remove(on[i].at - 1)
			on[i] = on[len(on)-1]
			on = on[:len(on)-1]
		}
		for range 20 {
			tp.fanouts = uint32(r.IntN(3))
			for range r.IntN(4 * pageSlots) {
				join()
			}
			// From a random place, or the last to join first, which makes holes at the end.
			for left, last := r.IntN(len(on)+1), r.IntN(2) == 0; left > 1; left-- {
				if last {
					leave(len(on) - 1)
				} else {
					leave(r.IntN(len(on)))
				}
			}
			for tp.fanouts == 0 && r.IntN(4) > 0 && tp.settle(1+r.IntN(50)) {
				if len(on) > 1 && r.IntN(2) == 0 {
					leave(r.IntN(len(on)))
				}
				if r.IntN(3) == 0 {
					join()
				}
			}
			if err := tp.check(false); err != nil || tp.count() != len(on) {
				t.Fatalf("seed %d: %v; %d subscribers, want %d", seed, err, tp.count(), len(on))
			}
		}
		for tp.fanouts = 0; tp.settle(100); {
		}
		if err := tp.check(true); err != nil && len(on) > 0 {
			t.Fatalf("seed %d, at rest: %v", seed, err)
		}
	}
}
