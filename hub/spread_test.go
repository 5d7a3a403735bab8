package hub_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/hub"
)

// spreadHub returns a hub whose fan-outs have a helper for each page but one, up to so many.
func spreadHub(t testing.TB, helpers int) *hub.Hub {
	h := newHub(t)
	hub.SetHelpers(h, helpers, 1)
	return h
}

// idle checks that no helper is left.
func idle(t *testing.T, h *hub.Hub) {
	t.Helper()
	check(t, h)
	if n := hub.Helping(h); n != 0 {
		t.Errorf("%d helpers are left", n)
	}
}

func TestSpreadDelivers(t *testing.T) {
	for _, helpers := range []int{1, 2, 7} {
		for _, n := range []int{
			2*hub.PageSlots - 1, 2 * hub.PageSlots, 2*hub.PageSlots + 1, 2*hub.PageSlots + 2, 3 * hub.PageSlots, 3*hub.PageSlots + 1, 5000,
		} {
			h := spreadHub(t, helpers)
			ears := join(h, "room:1", n)
			for i := range 20 {
				if got := h.Broadcast(&hub.Message{Topic: "room:1"}); got != n {
					t.Errorf("%d helpers: delivered to %d of %d", helpers, got, n)
				}
				from := ears[i*(n-1)/19]
				if got := h.BroadcastFrom(from, &hub.Message{Topic: "room:1"}); got != n-1 {
					t.Errorf("%d helpers: from one of them, delivered to %d of %d", helpers, got, n)
				}
				from.heard++
			}
			wantHeard(t, 40, ears...)
			idle(t, h)
			if got, want := h.Stats().Deliveries, uint64(20*n+20*(n-1)); got != want {
				t.Errorf("%d helpers: counted %d deliveries, want %d", helpers, got, want)
			}
		}
	}
}

// TestSpreadIsParallel: with two helpers three subscribers are served at once, and never more.
func TestSpreadIsParallel(t *testing.T) {
	const goroutines = 3
	h := spreadHub(t, goroutines-1)
	var inside, most atomic.Int32
	deadline := time.Now().Add(time.Minute)
	for _, e := range join(h, "room:1", 10*hub.PageSlots) {
		e.also = func(*hub.Message) {
			now := inside.Add(1)
			most.Store(max(most.Load(), now))
			for most.Load() < goroutines && time.Now().Before(deadline) {
				runtime.Gosched() // only until all have met
			}
			if now > goroutines || hub.Helping(h) >= goroutines {
				t.Errorf("%d at once, %d helpers", now, hub.Helping(h))
			}
			inside.Add(-1)
		}
	}
	h.Broadcast(&hub.Message{Topic: "room:1"})
	if got := most.Load(); got != goroutines {
		t.Errorf("%d at once, want %d", got, goroutines)
	}
	idle(t, h)
}

// TestSpreadEnds: however a Deliver ends its goroutine, on whichever page, the caller's ends likewise, the fan-out with
// it, and the hub is whole.
func TestSpreadEnds(t *testing.T) {
	const n = 8 * hub.PageSlots
	for name, end := range map[string]func(){"panic": func() { panic("ouch") }, "Goexit": runtime.Goexit} {
		for _, at := range []int{0, 1, hub.PageSlots + 1, n / 2, n - 1} {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				h := spreadHub(t, 3)
				ears := join(h, "room:1", n)
				ears[at].also = func(*hub.Message) {
					for _, e := range ears[:n/3] {
						h.Unsubscribe(e)
					}
					end()
				}
				ended := make(chan any)
				go func() {
					returned := false
					defer func() {
						if returned {
							ended <- "returned"
						} else {
							ended <- recover()
						}
					}()
					h.Broadcast(&hub.Message{Topic: "room:1"})
					returned = true
				}()
				want := map[string]any{"panic": "ouch"}[name]
				if got := <-ended; got != want {
					t.Errorf("the caller ended with %v, want %v", got, want)
				}
				idle(t, h)
				ears[at].also = nil
				if got, want := h.Broadcast(&hub.Message{Topic: "room:1"}), n-n/3; got != want {
					t.Errorf("afterwards delivered to %d, want %d", got, want)
				}
			})
		}
	}
}

// TestSpreadAllPanic: when every Deliver panics, the caller sees one of the panics.
func TestSpreadAllPanic(t *testing.T) {
	h := spreadHub(t, 3)
	for _, e := range join(h, "room:1", 8*hub.PageSlots) {
		e.also = func(*hub.Message) { panic("ouch") }
	}
	for range 50 {
		func() {
			defer func() {
				if got := recover(); got != "ouch" {
					t.Errorf("recovered %v", got)
				}
			}()
			h.Broadcast(&hub.Message{Topic: "room:1"})
			t.Error("Broadcast returned")
		}()
		idle(t, h)
	}
}

// A repeater is an ear for any number of publishers.
type repeater struct {
	hub.Subscription
	also func(m *hub.Message)
}

func (r *repeater) Deliver(m *hub.Message) { r.also(m) }

// TestSpreadIsShared: fan-outs at the same time, and within each other, share the helpers of the hub, and those that
// find none go on alone.
func TestSpreadIsShared(t *testing.T) {
	const limit, rooms, n = 2, 4, 3 * hub.PageSlots
	h := spreadHub(t, limit)
	var heard atomic.Int64
	for i := range rooms {
		topic, inner := fmt.Sprint("room:", i), fmt.Sprint("room:", (i+1)%rooms)
		for j := range n {
			h.Subscribe(topic, &repeater{also: func(m *hub.Message) {
				heard.Add(1)
				if got := hub.Helping(h); got > limit {
					t.Errorf("%d helpers", got)
				}
				if j%hub.PageSlots == 7 && m.Event == "outer" {
					h.Broadcast(&hub.Message{Topic: inner, Event: "inner"})
				}
			}})
		}
	}
	var publishers sync.WaitGroup
	const each = 3
	for i := range rooms {
		publishers.Go(func() {
			for range each {
				h.Broadcast(&hub.Message{Topic: fmt.Sprint("room:", i), Event: "outer"})
			}
		})
	}
	publishers.Wait()
	if got, want := heard.Load(), int64(rooms*each*n*(1+3)); got != want {
		t.Errorf("heard %d times, want %d", got, want)
	}
	idle(t, h)
}

// TestSpreadUnderChurn: slots empty and fill while helpers copy them; who stays hears each message once.
func TestSpreadUnderChurn(t *testing.T) {
	h := spreadHub(t, 3)
	stay := join(h, "room:1", 4*hub.PageSlots)
	restless := make([]deaf, 3*hub.PageSlots)
	stop := make(chan struct{})
	var mover sync.WaitGroup
	mover.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			e := &restless[i*7919%len(restless)]
			if !h.Unsubscribe(e) {
				h.Subscribe("room:1", e)
			}
		}
	})
	const messages = 200
	for range messages {
		h.Broadcast(&hub.Message{Topic: "room:1"})
	}
	close(stop)
	mover.Wait()
	wantHeard(t, messages, stay...)
	idle(t, h)
}

// TestSpreadAllocates: helpers cost no allocation, but for goroutines that the runtime has not had so far.
func TestSpreadAllocates(t *testing.T) {
	h := spreadHub(t, 3)
	join(h, "room:1", 8*hub.PageSlots)
	m := &hub.Message{Topic: "room:1"}
	if got := fewestAllocs(func() { h.Broadcast(m) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// TestSpreadLeavesProcessors: a fan-out takes up to half of the processors.
func TestSpreadLeavesProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, row := range []struct{ processors, pages, helpers int }{
		{1, 1000, 0}, {2, 1000, 0}, {3, 1000, 0}, {4, 1000, 1}, {16, 1000, 7}, {64, 4000, 31},
		{16, 2*hub.SpreadPages - 1, 0}, {16, 2 * hub.SpreadPages, 1}, {16, 3 * hub.SpreadPages, 2},
	} {
		runtime.GOMAXPROCS(row.processors)
		if got := hub.Helpers(hub.New(), row.pages*hub.PageSlots); got != row.helpers {
			t.Errorf("%d processors, %d pages: %d helpers, want %d", row.processors, row.pages, got, row.helpers)
		}
	}
}
