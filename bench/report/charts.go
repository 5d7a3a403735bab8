package report

import (
	"math"
	"slices"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// Colours of the charts, as report.css has them.
const (
	blue = iota
	orange
	green
	red
	violet
	brown
	teal
	pink
	olive
	colours
)

func counted(name string, colour int, k kind, of func(bench.Counts) int64) line {
	return line{name, colour, k, func(p *bench.Point) float64 { return float64(of(p.Counts)) }}
}

// loadCharts show what was asked of the target and what it did.
func loadCharts(t timeline) []chart {
	people := chart{ID: "users", Title: "Users"}
	people.draw(t,
		counted("arrived", brown, level, arrived),
		counted("connected", blue, level, connected),
		counted("joined", green, level, joined))
	arrivals := chart{ID: "arrivals", Title: "Arrivals", Unit: unitRate}
	arrivals.draw(t,
		counted("users", brown, rate, arrived),
		counted("upgrades", blue, rate, func(c bench.Counts) int64 { return c.Upgrades }),
		counted("joins", green, rate, func(c bench.Counts) int64 { return c.Joins }))
	out := chart{ID: "sent", Title: "Sent and answered", Unit: unitRate}
	out.draw(t,
		counted("sent", orange, rate, sent),
		counted("answered", green, rate, answered),
		counted("heartbeats", violet, rate, func(c bench.Counts) int64 { return c.Heartbeats }))
	in := chart{ID: "delivered", Title: "Delivered", Unit: unitRate}
	in.draw(t, counted("delivered", blue, rate, delivered))
	traffic := chart{ID: "traffic", Title: "Traffic of the generator", Unit: unitTraffic, Note: "Payload of TCP."}
	traffic.draw(t,
		counted("in", blue, rate, func(c bench.Counts) int64 { return c.BytesIn }),
		counted("out", orange, rate, func(c bench.Counts) int64 { return c.BytesOut }))
	wrong := chart{ID: "errors", Title: "Errors", Unit: unitRate}
	wrong.draw(t,
		counted("errors", red, rate, func(c bench.Counts) int64 { return c.Errors }),
		counted("connections lost", orange, rate, func(c bench.Counts) int64 { return c.Lost }))
	return drawn(people, arrivals, out, in, traffic, wrong)
}

// latencyCharts have one for each latency of which there was something in any second.
func latencyCharts(t timeline) []chart {
	var names []string
	for _, points := range t.runs {
		for _, p := range points {
			for name, q := range p.Latency {
				if q.Count > 0 && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	var charts []chart
	for _, name := range inLatencyOrder(names) {
		quantile := func(label string, colour int, of func(bench.Quantiles) time.Duration) line {
			return line{label, colour, peak, func(p *bench.Point) float64 {
				if q := p.Latency[name]; q.Count > 0 {
					return of(q).Seconds()
				}
				return math.NaN()
			}}
		}
		c := chart{ID: "latency-" + name, Title: "Latency: " + name, Unit: unitSeconds, Log: true, Note: sentence(latencyMeaning(name))}
		c.draw(t,
			quantile("p50", green, func(q bench.Quantiles) time.Duration { return q.P50 }),
			quantile("p90", blue, func(q bench.Quantiles) time.Duration { return q.P90 }),
			quantile("p99", orange, func(q bench.Quantiles) time.Duration { return q.P99 }),
			quantile("max", red, func(q bench.Quantiles) time.Duration { return q.Max }))
		charts = append(charts, c)
	}
	return drawn(charts...)
}

// tail is 1/(1-q) of the i-th share q at which a distribution is drawn: sixteen for each factor of ten.
func tail(i int) float64 { return math.Pow(10, float64(i)/16) }

// distributionChart shows all latencies of whole runs by percentile.
func distributionChart(runs ...*bench.Result) []chart {
	c := chart{ID: "distribution", Title: "Latency by percentile", Unit: unitSeconds, Log: true,
		Note: "The share of all that took no longer."}
	var names []string
	var most int64
	for _, r := range runs {
		for _, name := range latencies(r) {
			if name == bench.LatencyCut || name == bench.LatencyHeard {
				continue // they are no latencies, and would only stretch the scale
			}
			names = append(names, name)
			most = max(most, r.Latency[name].Count())
		}
	}
	for i := 0; i == 0 || tail(i-1) < float64(most); i++ {
		c.Tails = append(c.Tails, tail(i))
	}
	for i, name := range inLatencyOrder(names) {
		for run, r := range runs {
			s := series{Name: name, Colour: i % colours, Run: run, Values: unknowns(len(c.Tails))}
			h := r.Latency[name]
			for k, x := range c.Tails {
				if x >= float64(h.Count()) {
					s.Values[k] = h.Max().Seconds()
					break
				}
				s.Values[k] = h.Quantile(1 - 1/x).Seconds()
			}
			c.Series = append(c.Series, s)
		}
	}
	return drawn(c)
}

// about reads a value of a process that has told it: a 0 is one that cannot be read.
func about(name string, colour int, k kind, who func(*bench.Point) *sample.Process, of func(*sample.Process) float64) line {
	return line{name, colour, k, func(p *bench.Point) float64 {
		if s := who(p); s != nil {
			if v := of(s); v != 0 {
				return v
			}
		}
		return math.NaN()
	}}
}

// ofGo reads a value of a Go program that tells of itself.
func ofGo(of func(*sample.Go) float64) func(*sample.Process) float64 {
	return func(s *sample.Process) float64 {
		if s.Go == nil {
			return math.NaN()
		}
		return of(s.Go)
	}
}

func target(p *bench.Point) *sample.Process    { return p.Target }
func generator(p *bench.Point) *sample.Process { return &p.Generator }

func rss(s *sample.Process) float64 { return float64(s.RSS) }

func memoryCharts(t timeline) []chart {
	theirs := chart{ID: "target-memory", Title: "Memory of the target", Unit: unitBytes}
	theirs.draw(t, memoryLines(target)...)
	ours := chart{ID: "generator-memory", Title: "Memory of the generator", Unit: unitBytes}
	ours.draw(t, memoryLines(generator)...)
	return drawn(theirs, ours)
}

func memoryLines(who func(*bench.Point) *sample.Process) []line {
	return []line{
		about("resident", blue, level, who, rss),
		about("proportional", violet, level, who, func(s *sample.Process) float64 { return float64(s.PSS) }),
		about("Go heap", green, level, who, ofGo(func(g *sample.Go) float64 { return float64(g.HeapInuse) })),
		about("Go stacks", orange, level, who, ofGo(func(g *sample.Go) float64 { return float64(g.StackInuse) })),
	}
}

func processorCharts(t timeline) []chart {
	used := chart{ID: "cpu", Title: "Processors used", Unit: unitCPUs}
	cpu := func(s *sample.Process) float64 { return s.CPU.Seconds() }
	used.draw(t, about("target", blue, growth, target, cpu), about("generator", orange, growth, generator, cpu))

	health := func(name string, colour int, of func(bench.Health) float64) line {
		return line{name, colour, peak, func(p *bench.Point) float64 { return of(p.Health) }}
	}
	share := chart{ID: "generator-cpu", Title: "The generator's share of its processors", Unit: unitPercent}
	share.draw(t, health("used", orange, func(h bench.Health) float64 { return 100 * h.CPU }))
	lag := chart{ID: "lag", Title: "How far the generator was behind", Unit: unitSeconds}
	lag.draw(t,
		health("sends", orange, func(h bench.Health) float64 { return h.LateMax.Seconds() }),
		health("timers", violet, func(h bench.Health) float64 { return h.Lag.Seconds() }))

	pauses := chart{ID: "gc", Title: "Pauses of the Go collector", Unit: unitSeconds, Note: "Sum of the pauses in each second."}
	pause := ofGo(func(g *sample.Go) float64 { return g.GCPause.Seconds() })
	pauses.draw(t, about("target", blue, growth, target, pause), about("generator", orange, growth, generator, pause))
	routines := chart{ID: "goroutines", Title: "Goroutines"}
	number := ofGo(func(g *sample.Go) float64 { return float64(g.Goroutines) })
	routines.draw(t, about("target", blue, level, target, number), about("generator", orange, level, generator, number))
	files := chart{ID: "descriptors", Title: "Open descriptors"}
	open := func(s *sample.Process) float64 { return float64(s.FDs) }
	files.draw(t, about("target", blue, level, target, open), about("generator", orange, level, generator, open))
	return drawn(used, share, lag, pauses, routines, files)
}

// drawn leaves out the charts without a line.
func drawn(charts ...chart) []chart {
	return slices.DeleteFunc(charts, func(c chart) bool { return len(c.Series) == 0 })
}
