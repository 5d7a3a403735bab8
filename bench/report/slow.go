package report

import (
	"slices"

	"github.com/dormouse-ws/dormouse/bench"
)

// slowParts are the parts of a slow run, by the latency in which the deliveries of each are.
func slowParts() []pair {
	return []pair{
		{"before", bench.LatencyBaseline},
		{"while some do not read", bench.LatencyDeliver},
		{"after, all read again", bench.LatencyAfter},
	}
}

// slowGrid sets what the other readers of a slow run saw, and the target's memory, before some stopped reading,
// while they did not read, and after, below each other. It is empty for other runs.
func slowGrid(r *bench.Result) grid {
	g := grid{Title: "Deliveries to those who read all the time", Align: "lrrrrrrr",
		Head: []string{"", "count", "p50", "p90", "p99", "p99.9", "max", "target"}}
	if r.Config.Scenario != "slow" {
		return g
	}
	for _, part := range slowParts() {
		h := r.Latency[part.Value]
		if h.Count() == 0 {
			continue
		}
		memory := ""
		if n := memoryIn(r, part.Value); n > 0 {
			memory = byteCount(float64(n))
			g.Note = "Target: its resident memory, the most in any second."
		}
		q := h.Summary()
		g.add(part.Name, count(q.Count), duration(q.P50), duration(q.P90), duration(q.P99), duration(q.P999), duration(q.Max), memory)
	}
	return g
}

// memoryIn is the most resident memory that the target had in a second in which a latency was seen.
func memoryIn(r *bench.Result, latency string) (most int64) {
	for i := range r.Points {
		if p := &r.Points[i]; p.Latency[latency].Count > 0 && p.Target != nil {
			most = max(most, p.Target.RSS)
		}
	}
	return most
}

// inSlowGrid reports whether slowGrid shows a latency.
func inSlowGrid(r *bench.Result, latency string) bool {
	return r.Config.Scenario == "slow" && slices.ContainsFunc(slowParts(), func(p pair) bool { return p.Value == latency })
}
