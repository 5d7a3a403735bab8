package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// result puts together what the members have said, and judges it.
func (r *run) result() *Result {
	r.closeRest()
	res := &Result{
		Format: ResultFormat, Config: r.Config, Command: r.Command, Version: r.Version,
		Started: r.asked, Stopped: r.stopped, Points: r.points, Target: r.TargetInfo,
	}
	if r.opened >= 0 {
		res.Started = r.started
		res.Elapsed = time.Since(r.started)
	}
	var outcomes []*Outcome
	for _, m := range r.members {
		res.add(m)
		if m.outcome != nil {
			outcomes = append(outcomes, m.outcome)
		}
	}
	slices.SortFunc(res.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	res.addNote(res.toldOfSlow()...)
	res.addNote(r.notes()...)
	if len(r.sizes) == 2 {
		res.Ledger = newLedger(r.sizes[0], r.sizes[1], r.SameHost, len(r.Config.URLs))
	}
	t := reconcile(&res.Config, outcomes, res.Stopped)
	t.addTo(res)
	res.judge(t)
	res.Limit = limitOf(res)
	return res
}

// notes are what the conductor itself has to say.
func (r *run) notes() (notes []string) {
	if r.unsampled != nil {
		notes = append(notes, fmt.Sprintf("The target could not be sampled all the time: %v.", r.unsampled))
	}
	if h := hampered(r.points); h != "" {
		notes = append(notes, h)
	}
	if r.dropped > 0 {
		notes = append(notes, fmt.Sprintf("The last %d seconds have no points: a result holds %d.", r.dropped, maxPoints))
	}
	return notes
}

// add adds what a member has said. Of one that has no Outcome it is what its ticks have said.
func (r *Result) add(m *member) {
	g := GeneratorResult{
		Name: m.Name, Counts: m.counts(), Self: m.last.Self, Lost: m.lost,
		ClockOffset: m.clock.offset, ClockError: m.clock.precision,
	}
	if o := m.outcome; o != nil {
		g.Host = o.Host
		r.Target.Server = cmp.Or(r.Target.Server, o.Server)
		r.Latency = mergeLatency(r.Latency, o.Latency)
		r.Errors = mergeErrors(r.Errors, o.Errors)
		r.Figures = mergeFigures(r.Figures, o.Figures)
		r.addNote(o.Notes...)
		r.Stopped = r.Stopped || o.Stopped
	} else {
		r.Latency = mergeLatency(r.Latency, m.latency)
	}
	r.Counts = r.Counts.plus(g.Counts)
	r.Generators = append(r.Generators, g)
}

// addNote adds sentences that are not there yet.
func (r *Result) addNote(notes ...string) {
	for _, n := range notes {
		if !slices.Contains(r.Notes, n) {
			r.Notes = append(r.Notes, n)
		}
	}
}

// mergeLatency adds the distributions of from to those of into, which it makes if it is nil.
func mergeLatency(into, from map[string]*Histogram) map[string]*Histogram {
	if into == nil {
		into = map[string]*Histogram{}
	}
	for name, h := range from {
		if into[name] == nil {
			into[name] = &Histogram{}
		}
		into[name].Merge(h)
	}
	return into
}

// mergeErrors adds counts by kind. The first to name a kind gives the example.
func mergeErrors(into, from []ErrorCount) []ErrorCount {
	for _, e := range from {
		i := slices.IndexFunc(into, func(have ErrorCount) bool { return have.Kind == e.Kind })
		if i < 0 {
			into = append(into, e)
			continue
		}
		into[i].Count += e.Count
	}
	return into
}

// mergeFigures merges by name: a time is the longest of all generators, anything else adds up.
func mergeFigures(into, from []Figure) []Figure {
	for _, f := range from {
		i := slices.IndexFunc(into, func(have Figure) bool { return have.Name == f.Name && have.Unit == f.Unit })
		switch {
		case i < 0:
			into = append(into, f)
		case f.Unit == "s" || f.Unit == "ms":
			into[i].Value = max(into[i].Value, f.Value)
		default:
			into[i].Value += f.Value
		}
	}
	return into
}

func (c Counts) plus(o Counts) Counts {
	return Counts{
		Open: c.Open + o.Open, Connected: c.Connected + o.Connected, Joined: c.Joined + o.Joined,
		Users: c.Users + o.Users, Dials: c.Dials + o.Dials, Upgrades: c.Upgrades + o.Upgrades,
		Joins: c.Joins + o.Joins, Leaves: c.Leaves + o.Leaves,
		Closed: c.Closed + o.Closed, Lost: c.Lost + o.Lost, Heartbeats: c.Heartbeats + o.Heartbeats,
		Sent: c.Sent + o.Sent, Answered: c.Answered + o.Answered, Delivered: c.Delivered + o.Delivered,
		Errors: c.Errors + o.Errors, BytesIn: c.BytesIn + o.BytesIn, BytesOut: c.BytesOut + o.BytesOut,
	}
}

// worseHealth has the worse of each value. Due and Late are of the one with the larger share of Late: a
// generator that is behind is not excused by others who keep up.
func worseHealth(a, b Health) Health {
	w := a
	if share(b.Late, b.Due) > share(a.Late, a.Due) || a.Due == 0 {
		w.Due, w.Late = b.Due, b.Late
	}
	w.LateMax, w.Lag = max(a.LateMax, b.LateMax), max(a.Lag, b.Lag)
	w.CPU, w.Waited = max(a.CPU, b.CPU), max(a.Waited, b.Waited)
	return w
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// plusProcess adds up two processes. The sum has the PID of none, but for the sum with nothing.
func plusProcess(a, b sample.Process) sample.Process {
	switch (sample.Process{}) {
	case a:
		return b
	case b:
		return a
	}
	return sample.Process{
		RSS: a.RSS + b.RSS, PSS: a.PSS + b.PSS, PeakRSS: a.PeakRSS + b.PeakRSS,
		CPU: a.CPU + b.CPU, Waited: a.Waited + b.Waited,
		Threads: a.Threads + b.Threads, FDs: a.FDs + b.FDs, FDLimit: a.FDLimit + b.FDLimit,
		Go: plusGo(a.Go, b.Go),
	}
}

func plusGo(a, b *sample.Go) *sample.Go {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &sample.Go{
		HeapAlloc: a.HeapAlloc + b.HeapAlloc, HeapInuse: a.HeapInuse + b.HeapInuse,
		StackInuse: a.StackInuse + b.StackInuse, Sys: a.Sys + b.Sys, Goroutines: a.Goroutines + b.Goroutines,
		GCs: a.GCs + b.GCs, GCPause: a.GCPause + b.GCPause, GCPauseMax: max(a.GCPauseMax, b.GCPauseMax),
	}
}
