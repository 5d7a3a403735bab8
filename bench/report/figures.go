package report

import (
	"maps"
	"slices"

	"github.com/dormouse-ws/dormouse/bench"
)

// latencyOrder is that in which a connection meets them.
func latencyOrder() []string {
	return []string{
		bench.LatencyConnect, bench.LatencyJoin, bench.LatencyHeartbeat, bench.LatencyEcho,
		bench.LatencyBaseline, bench.LatencyDeliver, bench.LatencyAfter, bench.LatencyFirst, bench.LatencyMedian,
		bench.LatencyLast, bench.LatencyRejoin, bench.LatencyCut, bench.LatencyHeard,
	}
}

// latencyMeaning says what a latency of bench counts.
func latencyMeaning(name string) string {
	return map[string]string{
		bench.LatencyConnect:   "from when a user was due to the end of its upgrade",
		bench.LatencyJoin:      "from the upgrade to the join's reply",
		bench.LatencyHeartbeat: "a heartbeat's round trip",
		bench.LatencyEcho:      "from when a request was due to its reply",
		bench.LatencyBaseline:  "from when a message was due to each of its receivers, before some stopped reading",
		bench.LatencyDeliver:   "from when a message was due to each of its receivers",
		bench.LatencyAfter:     "from when a message was due to each of its receivers, once all read again",
		bench.LatencyCut:       "from when a reader stopped reading until it saw that the target had cut it off",
		bench.LatencyHeard:     "from when a reader stopped reading to when the last message was due that still reached it",
		bench.LatencyFirst:     "from when a message was due to its first receiver",
		bench.LatencyMedian:    "from when a message was due to the receiver by which half of them have it",
		bench.LatencyLast:      "from when a message was due to its last receiver",
		bench.LatencyRejoin:    "from a connection's end to its topic joined again",
	}[name]
}

// latencies are the names of those of which something was recorded, in latencyOrder.
func latencies(r *bench.Result) []string {
	var names []string
	for name, h := range r.Latency {
		if h.Count() > 0 {
			names = append(names, name)
		}
	}
	return inLatencyOrder(names)
}

func inLatencyOrder(names []string) []string {
	rank := func(name string) int {
		if i := slices.Index(latencyOrder(), name); i >= 0 {
			return i
		}
		return len(latencyOrder())
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return slices.Compact(names)
}

// most is the highest that a level of Counts was at any second, or is at the end.
func most(r *bench.Result, level func(bench.Counts) int64) int64 {
	n := level(r.Counts)
	for i := range r.Points {
		n = max(n, level(r.Points[i].Counts))
	}
	return n
}

func connected(c bench.Counts) int64 { return c.Connected }
func joined(c bench.Counts) int64    { return c.Joined }
func sent(c bench.Counts) int64      { return c.Sent }
func answered(c bench.Counts) int64  { return c.Answered }
func delivered(c bench.Counts) int64 { return c.Delivered }
func arrived(c bench.Counts) int64   { return c.Users }

// rates returns by how much a counter grew each second: the most, and on average from the first second in
// which it did to the last. These two are left out of the average, as it hardly begins and ends on a second.
func rates(points []bench.Point, counter func(bench.Counts) int64) (mean, peak float64) {
	var grown []int // points in which it has
	at := func(i int) (n float64, second int) {
		if i < 0 {
			return 0, 0
		}
		return float64(counter(points[i].Counts)), points[i].Second
	}
	for i := range points {
		before, from := at(i - 1)
		if now, to := at(i); now > before && to > from {
			grown = append(grown, i)
			peak = max(peak, (now-before)/float64(to-from))
		}
	}
	if len(grown) == 0 {
		return 0, 0
	}
	first, last := grown[0]-1, grown[len(grown)-1]
	if len(grown) > 2 {
		first, last = first+1, last-1
	}
	before, from := at(first)
	now, to := at(last)
	return (now - before) / float64(to-from), peak
}

// cost is the total of a ledger's where; ok is false if it has none. Less than nothing is none: something
// else has given back memory meanwhile.
func cost(l *bench.Ledger, where string) (bytes float64, ok bool) {
	if l == nil {
		return 0, false
	}
	for _, p := range l.Parts {
		if p.Where == where && p.Total && p.Why == "" && p.Bytes > 0 {
			return p.Bytes, true
		}
	}
	return 0, false
}

// A figure is a number of a run by which it is compared with another.
type figure struct {
	Name  string
	Value float64
	Unit  string
	Good  int // 1: more is better, -1: less is, 0: neither
}

// figures are those of a run, in the order of its report.
func figures(r *bench.Result) []figure {
	var f []figure
	add := func(name string, v float64, unit string, good int) {
		f = append(f, figure{name, v, unit, good})
	}
	add("connected, most at once", float64(most(r, connected)), unitNone, 1)
	if n := most(r, joined); n > 0 {
		add("joined, most at once", float64(n), unitNone, 1)
	}
	for _, rate := range []struct {
		name string
		of   func(bench.Counts) int64
	}{{"arrivals", arrived}, {"sent", sent}, {"answered", answered}, {"delivered", delivered}} {
		if mean, _ := rates(r.Points, rate.of); mean > 0 {
			add(rate.name, mean, unitRate, 1)
		}
	}
	for _, name := range latencies(r) {
		q := r.Latency[name].Summary()
		add(name+" p50", q.P50.Seconds(), unitSeconds, -1)
		add(name+" p99", q.P99.Seconds(), unitSeconds, -1)
		add(name+" max", q.Max.Seconds(), unitSeconds, 0) // of a single one
	}
	for _, where := range []string{"target", "kernel", "generator"} {
		if bytes, ok := cost(r.Ledger, where); ok {
			add(where+", each connection", bytes, unitBytes, -1)
		}
	}
	if r.Target.PeakRSS > 0 {
		add("target, peak resident", float64(r.Target.PeakRSS), unitBytes, -1)
	}
	for _, x := range r.Figures {
		add(x.Name, x.Value, x.Unit, 0)
	}
	if r.Account.Messages > 0 {
		add("deliveries missing", float64(r.Account.Missing), unitNone, -1)
	}
	if r.Account.Requests > 0 {
		add("requests unanswered", float64(r.Account.Unanswered), unitNone, -1)
	}
	add("errors", float64(r.Counts.Errors), unitNone, -1)
	return f
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
