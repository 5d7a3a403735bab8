package hub_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// TestReplace: a broadcast in the middle of which one subscriber is replaced reaches it or the other, once.
func TestReplace(t *testing.T) {
	for _, n := range []int{1, 2, 17, hub.PageSlots + 2, 3 * hub.PageSlots} {
		for _, row := range []struct{ during, replaced int }{{0, 0}, {0, n - 1}, {n - 1, 0}, {n / 2, n / 3}, {n / 3, n / 2}} {
			t.Run(fmt.Sprintf("%d, %v", n, row), func(t *testing.T) {
				h := newHub(t)
				ears, heir := join(h, "room:1", n), &ear{}
				old := ears[row.replaced]
				ears[row.during].also = func(*hub.Message) {
					if heir.Topic() == "" && !h.Replace(old, heir) {
						t.Error("Replace found nobody")
					}
				}
				if got := h.Broadcast(&hub.Message{Topic: "room:1"}); got != n || old.heard+heir.heard != 1 {
					t.Errorf("%d deliveries, want %d; the old one heard %d, the new one %d", got, n, old.heard, heir.heard)
				}
				heard := old.heard
				h.Broadcast(&hub.Message{Topic: "room:1"})
				if old.heard != heard || heir.heard != 2-heard || heir.Topic() != "room:1" || h.Subscribers("room:1") != n {
					t.Errorf("after it the old one heard %d, the new one %d of 2", old.heard, heir.heard)
				}
				if h.Unsubscribe(old) || h.Replace(old, &ear{}) || !h.Unsubscribe(heir) {
					t.Error("it is not the new one that is on the topic")
				}
			})
		}
	}
}

func TestReplaceRefuses(t *testing.T) {
	h := newHub(t)
	two := join(h, "room:1", 2)
	if h.Replace(&ear{}, &ear{}) {
		t.Error("one that was on no topic was replaced")
	}
	defer func() {
		if recover() == nil {
			t.Error("one that is on a topic has come in another's place")
		}
	}()
	h.Replace(two[0], two[1])
}

// A place is who stands in the same slot one after the other.
type place struct {
	hub.Subscription
	heard *atomic.Int64
}

func (p *place) Deliver(*hub.Message) { p.heard.Add(1) }

// TestReplaceRace: who is replaced again and again, while several broadcast, misses nothing.
func TestReplaceRace(t *testing.T) {
	const publishers, broadcasts = 3, 300
	for _, others := range []int{0, 3, 2 * hub.PageSlots} {
		h := newHub(t)
		crowd := make([]place, others)
		var rest, heard atomic.Int64
		for i := range crowd {
			crowd[i].heard = &rest
			h.Subscribe("room:1", &crowd[i])
		}
		at := &place{heard: &heard}
		h.Subscribe("room:1", at)
		var wg sync.WaitGroup
		var left atomic.Int32
		left.Store(publishers)
		for range publishers {
			wg.Go(func() {
				for range broadcasts {
					h.Broadcast(&hub.Message{Topic: "room:1"})
				}
				left.Add(-1)
			})
		}
		for left.Load() > 0 {
			next := &place{heard: &heard}
			if !h.Replace(at, next) {
				t.Fatal("the last one to come is not on the topic")
			}
			at = next
		}
		wg.Wait()
		if got := heard.Load(); got != publishers*broadcasts {
			t.Errorf("with %d others: heard %d of %d", others, got, publishers*broadcasts)
		}
	}
}
