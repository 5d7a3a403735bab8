package bench

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// maxShortfalls bounds the list of the worst messages.
const maxShortfalls = 20

// A tally is the [Account] of all generators together, with what it yields beside.
type tally struct {
	Account
	short map[string]int64 // what is missing, by topic

	first, median, last Histogram // a time for each message that anybody has received
}

// A delivery is one message over all generators.
type delivery struct {
	topic                            string
	seq                              uint32
	known                            bool // it was sent: its sender says so, or somebody has it
	open                             bool // it may still have been on its way
	expected, received, missing, exc int64
	first, median, last              time.Duration
}

// reconcile sets what was sent against what came. Of a run that was stopped, what may still have been on
// its way does not count.
func reconcile(cfg *Config, outcomes []*Outcome, stopped bool) *tally {
	t := &tally{short: map[string]int64{}}
	topics := map[string][]*Room{}
	for _, o := range outcomes {
		for i := range o.Rooms {
			topics[o.Rooms[i].Topic] = append(topics[o.Rooms[i].Topic], &o.Rooms[i])
		}
		t.Unsent += o.Unsent
		if cfg.Scenario == "echo" {
			t.Requests += o.Counts.Sent
			t.Unanswered += max(0, o.Counts.Sent-o.Counts.Answered)
		}
	}
	if stopped { // a user has one request open at most
		open := min(int64(cfg.Active), t.Unanswered)
		t.Requests -= open
		t.Unanswered -= open
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		for _, r := range topics[topic] {
			t.Extra += r.Forged
		}
		deliveries := mergeRooms(topic, topics[topic])
		if stopped {
			deliveries = dropOpen(deliveries)
		}
		for i := range deliveries {
			t.count(&deliveries[i])
		}
		t.keepWorst()
	}
	return t
}

// mergeRooms merges what several generators know of the messages of one topic. Members who know nothing of
// a message that others know of are missing it, all of them. It puts the messages of rooms in order.
func mergeRooms(topic string, rooms []*Room) []delivery {
	left := make([][]Message, len(rooms))
	for i, r := range rooms {
		slices.SortFunc(r.Messages, func(a, b Message) int { return cmp.Compare(a.Seq, b.Seq) })
		left[i] = r.Messages
	}
	var deliveries []delivery
	for {
		seq, more := lowestSeq(left)
		if !more {
			return deliveries
		}
		d := delivery{topic: topic, seq: seq}
		var spread Spread
		for i, r := range rooms {
			if len(left[i]) == 0 || left[i][0].Seq != seq {
				d.expected += r.Members
				d.missing += r.Members
				continue
			}
			d.add(&left[i][0])
			spread.Merge(&left[i][0].Spread)
			left[i] = left[i][1:]
		}
		d.median = spread.Median()
		if d.known {
			deliveries = append(deliveries, d)
		}
	}
}

func lowestSeq(left [][]Message) (seq uint32, more bool) {
	for _, messages := range left {
		if len(messages) > 0 && (!more || messages[0].Seq < seq) {
			seq, more = messages[0].Seq, true
		}
	}
	return seq, more
}

// add adds what one generator knows.
func (d *delivery) add(m *Message) {
	if m.Received > 0 {
		if d.received == 0 || m.First < d.first {
			d.first = m.First
		}
		d.last = max(d.last, m.Last)
	}
	d.known = d.known || m.Sender || m.Received > 0
	d.expected += m.Expected
	d.received += m.Received
	d.missing += max(0, m.Expected-m.Received)
	d.exc += m.Extra
	d.open = d.open || m.Open
	if m.Sender { // who sends knows exactly who must get it
		d.exc += max(0, m.Received-m.Expected)
	}
}

// dropOpen leaves out the newest messages of a topic up to the first that everybody has. They come in
// order: behind that one nothing can have been on its way.
func dropOpen(deliveries []delivery) []delivery {
	n := len(deliveries)
	for n > 0 && deliveries[n-1].missing > 0 && deliveries[n-1].open {
		n--
	}
	return deliveries[:n]
}

func (t *tally) count(d *delivery) {
	t.Messages++
	t.Expected += d.expected
	t.Received += d.received
	t.Missing += d.missing
	t.Extra += d.exc
	if d.missing > 0 {
		t.short[d.topic] += d.missing
	}
	if d.missing > 0 || d.exc > 0 {
		t.Worst = append(t.Worst, Shortfall{Topic: d.topic, Seq: d.seq, Expected: d.expected, Received: d.received, Extra: d.exc})
	}
	if d.received > 0 {
		t.first.Record(d.first)
		t.median.Record(d.median)
		t.last.Record(d.last)
	}
}

// keepWorst cuts the list of shortfalls to the worst.
func (t *tally) keepWorst() {
	slices.SortFunc(t.Worst, func(a, b Shortfall) int {
		return cmp.Or(
			cmp.Compare(b.Expected-b.Received, a.Expected-a.Received), cmp.Compare(b.Extra, a.Extra),
			cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Seq, b.Seq))
	})
	t.Worst = t.Worst[:min(len(t.Worst), maxShortfalls)]
}

// addTo puts the account and the times of whole messages into a Result.
func (t *tally) addTo(r *Result) {
	r.Account = t.Account
	if t.first.Count() == 0 {
		return
	}
	r.Latency = mergeLatency(r.Latency, nil)
	r.Latency[LatencyFirst], r.Latency[LatencyMedian], r.Latency[LatencyLast] = &t.first, &t.median, &t.last
}
