package bench

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// It looks at reconcile, which Conduct shows only through generators.

// outcome is one generator with rooms, and requests if it has no room.
func outcome(rooms ...Room) *Outcome { return &Outcome{Rooms: rooms} }

// got is a message of which so many of the expected came.
func got(seq uint32, expected, received int64) Message {
	return Message{Seq: seq, Expected: expected, Received: received}
}

func sentBy(m Message) Message {
	m.Sender = true
	return m
}

func onItsWay(m Message) Message {
	m.Open = true
	return m
}

func TestReconcile(t *testing.T) {
	for _, row := range []struct {
		name     string
		outcomes []*Outcome
		stopped  bool
		want     Account
		short    map[string]int64
	}{
		{"nothing", nil, false, Account{}, nil},
		{"all came", []*Outcome{outcome(Room{Topic: "t", Members: 3, Messages: []Message{sentBy(got(0, 3, 3)), sentBy(got(1, 3, 3))}})}, false,
			Account{Messages: 2, Expected: 6, Received: 6}, nil},
		{"one is missing", []*Outcome{outcome(Room{Topic: "t", Members: 3, Messages: []Message{sentBy(got(0, 3, 3)), sentBy(got(1, 3, 2))}})}, false,
			Account{Messages: 2, Expected: 6, Received: 5, Missing: 1, Worst: []Shortfall{{"t", 1, 3, 2, 0}}}, map[string]int64{"t": 1}},
		{"one came twice", []*Outcome{outcome(Room{Topic: "t", Members: 3, Messages: []Message{{Seq: 0, Sender: true, Expected: 3, Received: 3, Extra: 1}}})}, false,
			Account{Messages: 1, Expected: 3, Received: 3, Extra: 1, Worst: []Shortfall{{"t", 0, 3, 3, 1}}}, nil},
		{"one was never sent", []*Outcome{outcome(Room{Topic: "t", Members: 3, Forged: 2})}, false, Account{Extra: 2}, nil},
		{"who came later does not make up for who is missing", []*Outcome{
			outcome(Room{Topic: "t", Members: 3, Messages: []Message{sentBy(got(0, 3, 2))}}), outcome(Room{Topic: "t", Members: 3, Messages: []Message{got(0, 3, 4)}})}, false,
			Account{Messages: 1, Expected: 6, Received: 6, Missing: 1, Worst: []Shortfall{{"t", 0, 6, 6, 0}}}, map[string]int64{"t": 1}},
		{"another generator knows nothing of it", []*Outcome{
			outcome(Room{Topic: "t", Members: 3, Messages: []Message{sentBy(got(0, 3, 3)), sentBy(got(1, 3, 3))}}), outcome(Room{Topic: "t", Members: 5, Messages: []Message{got(1, 5, 5)}})}, false,
			Account{Messages: 2, Expected: 16, Received: 11, Missing: 5, Worst: []Shortfall{{"t", 0, 8, 3, 0}}}, map[string]int64{"t": 5}},
		{"another generator has nobody there", []*Outcome{
			outcome(Room{Topic: "t", Members: 3, Messages: []Message{sentBy(got(0, 3, 3))}}), outcome(Room{Topic: "t", Members: 0, Messages: nil})}, false,
			Account{Messages: 1, Expected: 3, Received: 3}, nil},
		{"topics are apart", []*Outcome{
			outcome(Room{Topic: "a", Members: 1, Messages: []Message{sentBy(got(0, 1, 0))}}), outcome(Room{Topic: "b", Members: 2, Messages: []Message{sentBy(got(0, 2, 0))}})}, false,
			Account{Messages: 2, Expected: 3, Missing: 3, Worst: []Shortfall{{"b", 0, 2, 0, 0}, {"a", 0, 1, 0, 0}}}, map[string]int64{"a": 1, "b": 2}},
		{"a message that was not sent after all", []*Outcome{
			outcome(Room{Topic: "t", Members: 3, Messages: []Message{got(0, 0, 0)}}), outcome(Room{Topic: "t", Members: 3, Messages: nil})}, false, Account{}, nil},
		{"its sender was lost", []*Outcome{outcome(Room{Topic: "t", Members: 3, Messages: []Message{got(0, 3, 3)}})}, false,
			Account{Messages: 1, Expected: 3, Received: 3}, nil},
		{"in no order", []*Outcome{outcome(Room{Topic: "t", Members: 1, Messages: []Message{got(1, 1, 1), got(0, 1, 1)}}), outcome(Room{Topic: "t", Members: 1, Messages: []Message{got(0, 1, 1), got(1, 1, 1)}})}, false,
			Account{Messages: 2, Expected: 4, Received: 4}, nil},
		{"stopped with two on their way", []*Outcome{outcome(Room{Topic: "t", Members: 3, Messages: []Message{
			sentBy(got(0, 3, 2)), sentBy(got(1, 3, 3)), onItsWay(sentBy(got(2, 3, 1))), onItsWay(sentBy(got(3, 3, 0)))}})}, true,
			Account{Messages: 2, Expected: 6, Received: 5, Missing: 1, Worst: []Shortfall{{"t", 0, 3, 2, 0}}}, map[string]int64{"t": 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			tally := reconcile(&Config{Scenario: "broadcast"}, row.outcomes, row.stopped)
			if !reflect.DeepEqual(tally.Account, row.want) {
				t.Errorf("the account is %+v\n          want %+v", tally.Account, row.want)
			}
			if len(tally.short) != len(row.short) || len(row.short) > 0 && !reflect.DeepEqual(tally.short, row.short) {
				t.Errorf("missing are %v, want %v", tally.short, row.short)
			}
		})
	}
}

func TestReconcileRequests(t *testing.T) {
	for _, row := range []struct {
		scenario       string
		sent, answered int64
		stopped        bool
		requests, open int64
	}{
		{"echo", 100, 100, false, 100, 0},
		{"echo", 100, 97, false, 100, 3},
		{"echo", 100, 97, true, 97, 0},  // each of ten users may have had one open
		{"echo", 100, 85, true, 90, 5},  // but not two
		{"rooms", 100, 97, false, 0, 0}, // no requests at all
	} {
		o := &Outcome{Counts: Counts{Sent: row.sent, Answered: row.answered}}
		a := reconcile(&Config{Scenario: row.scenario, Active: 10}, []*Outcome{o}, row.stopped)
		if a.Requests != row.requests || a.Unanswered != row.open {
			t.Errorf("%+v: %d of %d unanswered", row, a.Unanswered, a.Requests)
		}
	}
}

// TestReconcileWorst holds that the list of the worst is short, and has the worst.
func TestReconcileWorst(t *testing.T) {
	var o Outcome
	for topic := range 10 {
		r := Room{Topic: fmt.Sprintf("t%d", topic), Members: 1000}
		for seq := range uint32(50) {
			r.Messages = append(r.Messages, sentBy(got(seq, 1000, 1000-int64(topic)*50-int64(seq)-1)))
		}
		o.Rooms = append(o.Rooms, r)
	}
	slices.Reverse(o.Rooms)
	a := reconcile(&Config{}, []*Outcome{&o}, false)
	if len(a.Worst) != maxShortfalls || a.Worst[0] != (Shortfall{"t9", 49, 1000, 500, 0}) || a.Worst[19] != (Shortfall{"t9", 30, 1000, 519, 0}) {
		t.Errorf("the worst are %+v", a.Worst)
	}
	if a.Missing != 500*501/2 {
		t.Errorf("%d are missing", a.Missing)
	}
}

// TestReconcileTimes holds that the first, the median and the last receiver are those of all generators.
func TestReconcileTimes(t *testing.T) {
	message := func(times ...time.Duration) Message {
		m := Message{Expected: int64(len(times)), Received: int64(len(times)), Sender: true}
		for _, d := range times {
			m.Spread.record(d)
		}
		if len(times) > 0 {
			m.First, m.Last = slices.Min(times), slices.Max(times)
		}
		return m
	}
	const ms = time.Millisecond
	a := outcome(Room{Topic: "t", Members: 3, Messages: []Message{message(4*ms, 8*ms, 9*ms)}})
	b := outcome(Room{Topic: "t", Members: 4, Messages: []Message{message(2*ms, 3*ms, 3*ms, 40*ms)}})
	none := outcome(Room{Topic: "t", Members: 0, Messages: []Message{message()}})
	var r Result
	reconcile(&Config{}, []*Outcome{none, a, b}, false).addTo(&r)
	for name, want := range map[string]time.Duration{LatencyFirst: 2 * ms, LatencyMedian: 4 * ms, LatencyLast: 40 * ms} {
		h := r.Latency[name]
		if off := (h.Max() - want).Abs(); h.Count() != 1 || off > want/8 {
			t.Errorf("%s: %d times, the last is %v, want %v", name, h.Count(), h.Max(), want)
		}
	}
}
