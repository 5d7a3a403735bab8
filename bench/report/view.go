package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/bench"
)

// title says what was run, as: broadcast: 15,000 connections.
func title(r *bench.Result) string {
	return fmt.Sprintf("%s: %s", r.Config.Scenario, plural(int64(r.Config.Connections), "connection"))
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	s = capital(strings.TrimSpace(s))
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?:") {
		s += "."
	}
	return s
}

// capital makes the first letter one, unless the first word is a name, as rooms:lobby.
func capital(s string) string {
	word, _, _ := strings.Cut(s, " ")
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 || strings.ContainsAny(word, ":/._0123456789") {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// verdict is how a Verdict is shown.
func verdict(v bench.Verdict) string {
	switch v {
	case bench.Valid:
		return "Valid"
	case "":
		return "Not judged"
	}
	return string(v)
}

func latencyGrid(r *bench.Result) grid {
	g := grid{Title: "Latency", Head: []string{"", "count", "p50", "p90", "p99", "p99.9", "max"}, Align: "lrrrrrr"}
	for _, name := range latencies(r) {
		if inSlowGrid(r, name) {
			continue
		}
		q := r.Latency[name].Summary()
		g.add(name, count(q.Count), duration(q.P50), duration(q.P90), duration(q.P99), duration(q.P999), duration(q.Max))
	}
	return g
}

// A pair is a name and what it has.
type pair struct{ Name, Value string }

// counts are the counters of a run that moved.
func counts(r *bench.Result) []pair {
	c := r.Counts
	list := []pair{
		{"users", count(c.Users)},
		{"connected, most", count(most(r, connected))},
		{"joined, most", count(most(r, joined))},
		{"leaves", count(c.Leaves)},
		{"heartbeats", count(c.Heartbeats)},
		{"sent", count(c.Sent)},
	}
	list = append(list, speed("answered", r, answered)...)
	list = append(list, speed("delivered", r, delivered)...)
	list = append(list,
		pair{"bytes in", byteCount(float64(c.BytesIn))},
		pair{"bytes out", byteCount(float64(c.BytesOut))},
		pair{"connections lost", count(c.Lost)})
	moved := slices.DeleteFunc(list, func(p pair) bool { return p.Value == "0" || p.Value == "0 B" })
	return append(moved, pair{"errors", count(c.Errors)})
}

// speed is a counter with its growth.
func speed(name string, r *bench.Result, counter func(bench.Counts) int64) []pair {
	mean, highest := rates(r.Points, counter)
	list := []pair{{name, count(counter(r.Counts))}}
	if mean > 0 {
		list = append(list, pair{name + ", mean", inUnit(mean, unitRate)}, pair{name + ", peak", inUnit(highest, unitRate)})
	}
	return list
}

func scenarioFigures(r *bench.Result) []pair {
	var list []pair
	for _, f := range r.Figures {
		list = append(list, pair{f.Name, inUnit(f.Value, f.Unit)})
	}
	if r.Target.PeakRSS > 0 {
		list = append(list, pair{"target, peak resident", byteCount(float64(r.Target.PeakRSS))})
	}
	return list
}

func ledgerGrid(l *bench.Ledger) grid {
	g := grid{Title: "Memory of each connection", Head: []string{"", "", "bytes", ""}, Align: "llrl"}
	if l == nil {
		return g
	}
	g.Note = fmt.Sprintf("The slope from %s to %s connections: what a process or a host holds without them does not count.",
		count(l.FromConns), count(l.ToConns))
	if l.BothEnds {
		g.Note += " Target and generator share the kernel, so its part is halved."
	}
	if l.Note != "" {
		g.Note += " " + sentence(l.Note)
	}
	largest := 0.0
	for _, p := range l.Parts {
		largest = max(largest, p.Bytes)
	}
	where := ""
	for _, p := range l.Parts {
		first := ""
		if p.Where != where {
			first, where = p.Where, p.Where
		}
		name := "  " + p.Name
		if p.Total {
			name = p.Name
		}
		cells := []string{first, name, count(int64(math.Round(p.Bytes))) + " B", ""}
		bar := 0.0
		if p.Why != "" {
			cells[2], cells[3] = "unknown", p.Why
		} else if largest > 0 {
			bar = max(0, p.Bytes/largest)
		}
		g.Rows = append(g.Rows, row{Cells: cells, Total: p.Total, Bar: bar})
	}
	return g
}

// account says in a sentence how what was sent and what came compare, and lists what is missing. The
// sentence is empty if there was nothing to account for.
func account(a bench.Account) (said string, g grid) {
	if a.Messages > 0 {
		said = fmt.Sprintf("%s, %s expected, %s received: ", plural(a.Messages, "message"),
			deliveries(a.Expected), count(a.Received))
		switch {
		case a.Missing == 0 && a.Extra == 0:
			said += "nothing is missing."
		case a.Extra == 0:
			said += count(a.Missing) + " missing."
		default:
			said += fmt.Sprintf("%s missing, %s too many.", count(a.Missing), count(a.Extra))
		}
	}
	if a.Requests > 0 {
		s := fmt.Sprintf("%s, all answered.", plural(a.Requests, "request"))
		if a.Unanswered > 0 {
			s = fmt.Sprintf("%s, %s unanswered.", plural(a.Requests, "request"), count(a.Unanswered))
		}
		said = strings.TrimSpace(said + " " + s)
	}
	g = grid{Title: "Messages that miss most", Align: "lrrrrr",
		Head: []string{"topic", "message", "expected", "received", "missing", "extra"}}
	for _, s := range a.Worst {
		g.add(shorten(s.Topic, 60), count(int64(s.Seq)), count(s.Expected), count(s.Received),
			count(s.Expected-s.Received), count(s.Extra))
	}
	return said, g
}

func deliveries(n int64) string {
	if n == 1 {
		return "1 delivery"
	}
	return count(n) + " deliveries"
}

// generatorGrid is empty for one local generator, of which all else in the report speaks already.
func generatorGrid(r *bench.Result) grid {
	g := grid{Title: "Generators", Align: "lrrrrr", Head: []string{"", "users", "errors", "resident", "peak", "clock off by"}}
	if len(r.Generators) == 1 && r.Generators[0].Lost == "" {
		return g
	}
	for _, x := range r.Generators {
		clock := duration(x.ClockOffset)
		if x.ClockError > 0 {
			clock += " ± " + duration(x.ClockError)
		}
		g.add(x.Name, count(x.Counts.Users), count(x.Counts.Errors), byteCount(float64(x.Self.RSS)),
			byteCount(float64(x.Self.PeakRSS)), clock)
		if x.Lost != "" {
			g.Note = strings.TrimSpace(g.Note + fmt.Sprintf(" %s was lost: %s", x.Name, sentence(x.Lost)))
		}
	}
	return g
}
