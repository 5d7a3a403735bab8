package hub_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// TestDeliverChangesTopic: from within Deliver subscribers join and leave, all over the topic, by one
// at a time and in droves, so that slots empty, fill and move around the fan-out. Who stays hears
// every message once.
func TestDeliverChangesTopic(t *testing.T) {
	const stay, restless = 3*hub.PageSlots + 10, 2000
	h := newHub(t)
	msg := &hub.Message{Topic: "room:1"}
	var flock []*ear
	turn := 0
	churn := func(*hub.Message) {
		for range 1 + turn%5*20 {
			turn++
			e := flock[turn*7919%len(flock)]
			if !h.Unsubscribe(e) {
				h.Subscribe("room:1", e)
			}
		}
		if err := hub.Check(h, false); err != nil {
			t.Fatal(err)
		}
	}
	var loyal []*ear
	for i := range stay {
		loyal = append(loyal, join(h, "room:1", 1)...)
		flock = append(flock, join(h, "room:1", restless/stay)...)
		if i%hub.PageSlots%100 == 5 {
			loyal[i].also = churn
		}
	}
	for i := range 20 {
		before := make([]int, len(flock))
		for j, e := range flock {
			before[j] = e.heard
		}
		h.Broadcast(msg)
		check(t, h)
		wantHeard(t, i+1, loyal...)
	}
}

// TestEveryoneLeaves: all leave while the first is being served, and the topic is gone at once.
func TestEveryoneLeaves(t *testing.T) {
	for _, n := range sizes[2:] {
		for _, again := range []int{0, 1, 700} {
			t.Run(fmt.Sprintf("%d, then %d join", n, again), func(t *testing.T) {
				h := newHub(t)
				var late []*ear
				ears := join(h, "room:1", n)
				ears[0].also = func(*hub.Message) {
					for _, e := range ears {
						h.Unsubscribe(e)
					}
					if got := h.Stats().Topics; got != 0 {
						t.Errorf("%d topics when all have left", got)
					}
					late = join(h, "room:1", again)
				}
				// Those of the first page, with slot 0, were picked before they left.
				if got, want := h.Broadcast(&hub.Message{Topic: "room:1"}), min(n, hub.PageSlots+1); got != want {
					t.Errorf("delivered to %d, want %d", got, want)
				}
				wantHeard(t, 0, late...)
				if got := h.Subscribers("room:1"); got != again {
					t.Errorf("%d subscribers, want %d", got, again)
				}
			})
		}
	}
}

// TestJoinersDoNotProlong: a broadcast ends though each delivery brings a new subscriber.
func TestJoinersDoNotProlong(t *testing.T) {
	h := newHub(t)
	const n = 1000
	for _, e := range join(h, "room:1", n) {
		e.also = func(*hub.Message) { join(h, "room:1", 1) }
	}
	if got := h.Broadcast(&hub.Message{Topic: "room:1"}); got != n {
		t.Errorf("delivered to %d, want %d", got, n)
	}
	if got := h.Subscribers("room:1"); got != 2*n {
		t.Errorf("%d subscribers, want %d", got, 2*n)
	}
}

// TestHolesAreFilled: under fan-outs that never end together a topic with comings and goings keeps its size.
func TestHolesAreFilled(t *testing.T) {
	h := newHub(t)
	ears := join(h, "room:1", 1000)
	ears[0].also = func(*hub.Message) {
		for i := range 50 * len(ears) {
			e := ears[1+i*7919%(len(ears)-1)]
			h.Unsubscribe(e)
			h.Subscribe("room:1", e)
		}
		if got := hub.Slots(h, "room:1"); got > len(ears) {
			t.Errorf("%d slots for %d subscribers", got, len(ears))
		}
	}
	h.Broadcast(&hub.Message{Topic: "room:1"})
}

func TestBroadcastWithinDeliver(t *testing.T) {
	h := newHub(t)
	ears := join(h, "room:1", 1000)
	inner := &hub.Message{Topic: "room:1", Event: "inner"}
	var events []string
	ears[len(ears)-1].also = func(m *hub.Message) { events = append(events, m.Event) }
	ears[300].also = func(m *hub.Message) {
		if m != inner {
			h.Broadcast(inner)
		}
	}
	h.Broadcast(&hub.Message{Topic: "room:1", Event: "outer"})
	wantHeard(t, 2, ears...)
	if got := fmt.Sprint(events); got != "[inner outer]" {
		t.Errorf("the last subscriber heard %s", got)
	}
}

func TestDeliverPanics(t *testing.T) {
	for _, n := range sizes[1:] {
		for _, at := range []int{0, n / 2, n - 1} {
			t.Run(fmt.Sprintf("%d of %d", at, n), func(t *testing.T) {
				h := newHub(t)
				ears := join(h, "room:1", n)
				ears[at].also = func(*hub.Message) {
					for _, e := range ears[:n/3] {
						h.Unsubscribe(e)
					}
					panic("ouch")
				}
				func() {
					defer func() {
						if r := recover(); r != "ouch" {
							t.Errorf("recovered %v", r)
						}
					}()
					h.Broadcast(&hub.Message{Topic: "room:1"})
				}()
				check(t, h)
				ears[at].also = nil
				if got, want := h.Broadcast(&hub.Message{Topic: "room:1"}), n-n/3; got != want {
					t.Errorf("afterwards delivered to %d, want %d", got, want)
				}
			})
		}
	}
}

// orderly fails when the messages of a publisher come out of order or not at all. The event's bytes
// are publisher and sequence number.
type orderly struct {
	hub.Subscription
	t    *testing.T
	last [4]atomic.Int32
}

func (o *orderly) Deliver(m *hub.Message) {
	publisher, seq := m.Payload[0], int32(m.Payload[1])
	if was := o.last[publisher].Swap(seq); was != seq-1 {
		o.t.Errorf("publisher %d: %d came after %d", publisher, seq, was)
	}
}

// deaf is a subscriber for any number of publishers.
type deaf struct{ hub.Subscription }

func (*deaf) Deliver(*hub.Message) {}

func TestOrderPerPublisher(t *testing.T) {
	for _, helpers := range []int{-1, 1, 3} {
		t.Run(fmt.Sprint("helpers ", helpers), func(t *testing.T) { orderPerPublisher(t, helpers) })
	}
}

func orderPerPublisher(t *testing.T, helpers int) {
	h := newHub(t)
	hub.SetHelpers(h, helpers, 1)
	ears := make([]*orderly, 2*hub.PageSlots+50)
	for i := range ears {
		ears[i] = &orderly{t: t}
		h.Subscribe("room:1", ears[i])
	}
	const messages = 100
	var publishers, movers sync.WaitGroup
	for p := range len(ears[0].last) {
		publishers.Go(func() {
			for i := range messages {
				h.Broadcast(&hub.Message{Topic: "room:1", Payload: []byte{byte(p), byte(i + 1)}})
			}
		})
	}
	stop := make(chan struct{})
	movers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				deaf := make([]deaf, i%400)
				for j := range deaf {
					h.Subscribe("room:1", &deaf[j])
				}
				for j := range deaf {
					h.Unsubscribe(&deaf[j])
				}
			}
		}
	})
	publishers.Wait()
	close(stop)
	movers.Wait()
	for _, e := range ears {
		for p := range e.last {
			if got := e.last[p].Load(); got != messages {
				t.Fatalf("publisher %d: the last message was %d, want %d", p, got, messages)
			}
		}
	}
}

// fewestAllocs is the least of several counts, for testing.AllocsPerRun counts what the whole process allocates.
func fewestAllocs(f func()) float64 {
	least := testing.AllocsPerRun(20, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(20, f))
	}
	return least
}

func TestBroadcastAllocates(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000, 10_000} {
		h := newHub(t)
		ears := join(h, "room:1", n)
		msg := &hub.Message{Topic: "room:1"}
		if got := fewestAllocs(func() { h.Broadcast(msg) }); got != 0 {
			t.Errorf("to %d subscribers: %v allocations, want 0", n, got)
		}
		if n == 0 {
			continue
		}
		if got := fewestAllocs(func() { h.BroadcastFrom(ears[0], msg) }); got != 0 {
			t.Errorf("from one of %d: %v allocations, want 0", n, got)
		}
	}
}
