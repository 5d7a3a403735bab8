package hub_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/dormouse-ws/dormouse/hub"
)

// ear counts what it hears, and does more if it is told to. It is for one publisher at a time.
type ear struct {
	hub.Subscription
	heard int
	also  func(m *hub.Message)
}

func (e *ear) Deliver(m *hub.Message) {
	e.heard++
	if e.also != nil {
		e.also(m)
	}
}

// newHub returns a hub that is checked, at rest, when the test ends.
func newHub(t testing.TB) *hub.Hub {
	h := hub.New()
	t.Cleanup(func() { check(t, h) })
	return h
}

func check(t testing.TB, h *hub.Hub) {
	t.Helper()
	if err := hub.Check(h, true); err != nil {
		t.Error(err)
	}
}

// join puts n new ears on the topic.
func join(h *hub.Hub, topic string, n int) []*ear {
	ears := make([]*ear, n)
	for i := range ears {
		ears[i] = &ear{}
		h.Subscribe(topic, ears[i])
	}
	return ears
}

func wantHeard(t *testing.T, want int, ears ...*ear) {
	t.Helper()
	for i, e := range ears {
		if e.heard != want {
			t.Errorf("ear %d of %d heard %d messages, want %d", i, len(ears), e.heard, want)
			return
		}
	}
}

// sizes are around every edge of a topic: the record's own slot, few slots, the first page, whole pages.
var sizes = []int{0, 1, 2, 3, 15, 16, 17, 18, hub.PageSlots, hub.PageSlots + 1, hub.PageSlots + 2,
	2*hub.PageSlots + 1, 2*hub.PageSlots + 2, 5*hub.PageSlots + 7}

func TestBroadcast(t *testing.T) {
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHub(t)
			ears, others := join(h, "room:1", n), join(h, "room:2", 3)
			if got := h.Broadcast(&hub.Message{Topic: "room:1"}); got != n {
				t.Errorf("delivered to %d, want %d", got, n)
			}
			wantHeard(t, 1, ears...)
			wantHeard(t, 0, others...)
			if got := h.Subscribers("room:1"); got != n {
				t.Errorf("%d subscribers, want %d", got, n)
			}
			check(t, h)
		})
	}
}

func TestBroadcastFrom(t *testing.T) {
	for _, n := range sizes[1:] {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			h := newHub(t)
			ears := join(h, "room:1", n)
			for _, from := range []int{0, n / 2, n - 1} {
				before := ears[from].heard
				if got := h.BroadcastFrom(ears[from], &hub.Message{Topic: "room:1"}); got != n-1 {
					t.Errorf("from %d: delivered to %d, want %d", from, got, n-1)
				}
				if ears[from].heard != before {
					t.Errorf("%d heard itself", from)
				}
				h.Broadcast(&hub.Message{Topic: "room:1"})
			}
			if got, want := int(h.Stats().Deliveries), 3*(n-1)+3*n; got != want {
				t.Errorf("%d deliveries, want %d", got, want)
			}
		})
	}
}

func TestBroadcastFromOutside(t *testing.T) {
	h := newHub(t)
	ears := join(h, "room:1", 3)
	elsewhere, left := join(h, "room:2", 1)[0], join(h, "room:1", 1)[0]
	h.Unsubscribe(left)
	for _, from := range []*ear{elsewhere, left, {}} {
		if got := h.BroadcastFrom(from, &hub.Message{Topic: "room:1"}); got != 3 {
			t.Errorf("delivered to %d, want 3", got)
		}
	}
	wantHeard(t, 3, ears...)
}

func TestUnsubscribe(t *testing.T) {
	orders := map[string]func(i, n int) int{
		"first to last": func(i, n int) int { return i },
		"last to first": func(i, n int) int { return n - 1 - i },
		"strewn":        func(i, n int) int { return i * 7919 % n }, // a prime that divides no size
	}
	for name, order := range orders {
		for _, n := range sizes[1:] {
			t.Run(fmt.Sprintf("%s of %d", name, n), func(t *testing.T) {
				h := newHub(t)
				ears := join(h, "room:1", n)
				for i := range n {
					e := ears[order(i, n)]
					if !h.Unsubscribe(e) || h.Unsubscribe(e) {
						t.Fatalf("ear %d: not off the topic exactly once", order(i, n))
					}
					check(t, h)
					if got := h.Subscribers("room:1"); got != n-1-i {
						t.Fatalf("%d subscribers, want %d", got, n-1-i)
					}
				}
				if st := h.Stats(); st != (hub.Stats{}) {
					t.Errorf("left behind: %+v", st)
				}
			})
		}
	}
}

func TestUnsubscribeNobody(t *testing.T) {
	h := newHub(t)
	if h.Unsubscribe(&ear{}) {
		t.Error("took off what never was on a topic")
	}
}

func TestUnsubscribeTogether(t *testing.T) {
	h := newHub(t)
	for _, e := range join(h, "room:1", 300) {
		var wg sync.WaitGroup
		var did [4]bool
		for i := range did {
			wg.Go(func() { did[i] = h.Unsubscribe(e) })
		}
		wg.Wait()
		if n := strings.Count(fmt.Sprint(did), "true"); n != 1 {
			t.Fatalf("%d of %d say that they took it off", n, len(did))
		}
	}
}

func TestTopicName(t *testing.T) {
	h := newHub(t)
	e, other := &ear{}, &ear{}
	if e.Topic() != "" {
		t.Errorf("the name before all: %q", e.Topic())
	}
	buf := []byte("room:1")
	h.Subscribe(unsafe.String(&buf[0], len(buf)), e)
	h.Subscribe("room:1", other)
	copy(buf, "XXXXXX")
	if e.Topic() != "room:1" || h.Subscribers("room:1") != 2 {
		t.Errorf("the name is %q after its buffer was used again", e.Topic())
	}
	if unsafe.StringData(e.Topic()) != unsafe.StringData(other.Topic()) {
		t.Error("two copies of one topic's name")
	}
	h.Unsubscribe(e)
	h.Unsubscribe(other)
	if e.Topic() != "room:1" {
		t.Errorf("the name after Unsubscribe: %q", e.Topic())
	}
	h.Subscribe("room:2", e)
	if e.Topic() != "room:2" {
		t.Errorf("the name after another Subscribe: %q", e.Topic())
	}
}

func TestSubscribeTwice(t *testing.T) {
	h := newHub(t)
	e := join(h, "room:1", 1)[0]
	for _, topic := range []string{"room:1", "room:2"} {
		func() {
			defer func() {
				if r, want := recover(), "hub: already subscribed, to room:1"; r != want {
					t.Errorf("%s: panic %v, want %s", topic, r, want)
				}
			}()
			h.Subscribe(topic, e)
		}()
	}
	if st := h.Stats(); st.Topics != 1 || st.Subscriptions != 1 {
		t.Errorf("%+v, want the first subscription only", st)
	}
}

func TestStats(t *testing.T) {
	h := newHub(t)
	ears := join(h, "room:1", 1000)
	join(h, "room:2", 5)
	h.Broadcast(&hub.Message{Topic: "room:1"})
	h.BroadcastFrom(ears[0], &hub.Message{Topic: "room:2"})
	h.Broadcast(&hub.Message{Topic: "room:3"})
	h.Unsubscribe(ears[0])
	want := hub.Stats{Topics: 2, Subscriptions: 1004, Broadcasts: 3, Deliveries: 1005}
	if got := h.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestManyTopics(t *testing.T) {
	h := newHub(t)
	const n = 20_000
	ears := make([]*ear, n)
	for i := range ears {
		ears[i] = &ear{}
		h.Subscribe(fmt.Sprint("user:", i), ears[i])
	}
	check(t, h)
	for i := range ears {
		h.Broadcast(&hub.Message{Topic: fmt.Sprint("user:", i)})
	}
	wantHeard(t, 1, ears...)
	for i, e := range ears {
		h.Unsubscribe(e)
		if i%1000 == 0 {
			check(t, h)
		}
	}
	if got := h.Stats().Topics; got != 0 {
		t.Errorf("%d topics left", got)
	}
}
