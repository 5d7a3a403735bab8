package bench

import (
	"context"
	"slices"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

const (
	// tickLimit is how long after its end a second waits for the ticks of those who are late.
	tickLimit = 3 * time.Second

	// maxPoints bounds a Result: ten hours.
	maxPoints = 36_000
)

// A timeline puts the members' ticks and the samples of each second together. A second closes, in order,
// when every living member and the sampler have given theirs, or tickLimit after its end. What comes later
// counts in the next second that closes.
type timeline struct {
	started time.Time // when StageStart opened
	next    int       // the second that closes next, from 1
	seconds map[int]*second
	points  []Point
	dropped int // points beyond maxPoints
}

// A second is what has come of one.
type second struct {
	ticks   map[*member]Tick
	sampled bool
	target  *sample.Process
	kernel  *sample.Kernel
}

// second is the number of the second that goes on at t.
func (l *timeline) second(t time.Time) int { return int(t.Sub(l.started)/time.Second) + 1 }

// at returns what has come of second n, or of the next one to close if n is closed.
func (l *timeline) at(n int) *second {
	n = max(n, l.next)
	if l.seconds[n] == nil {
		l.seconds[n] = &second{ticks: map[*member]Tick{}}
	}
	return l.seconds[n]
}

// start begins the timeline.
func (r *run) start() {
	r.started = time.Now()
	for _, m := range r.members {
		m.heard = r.started
	}
	r.helpers.Go(r.sampleSeconds)
}

// sampleSeconds samples the target and this kernel each second until the run is over.
func (r *run) sampleSeconds() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.over:
			return
		}
		n := int(time.Since(r.started) / time.Second)
		var target *sample.Process
		var err error
		if r.Target != nil {
			target, err = r.Target.Glance(context.Background()) // in at most a second
		}
		kernel := r.kernel()
		r.call(func() {
			s := r.at(n)
			s.sampled, s.target, s.kernel = true, target, &kernel
			r.noteTarget(target, err)
			r.closeFull()
		})
	}
}

// kernel is that of the target's host, if it can be asked, else of this one.
func (r *run) kernel() sample.Kernel {
	if r.Target != nil {
		return r.Target.Kernel()
	}
	return sample.ReadKernel()
}

// noteTarget remembers the target's peak, and why it could not be sampled.
func (r *run) noteTarget(p *sample.Process, err error) {
	if p != nil {
		r.TargetInfo.PeakRSS = max(r.TargetInfo.PeakRSS, p.PeakRSS)
	}
	if err != nil && r.unsampled == nil {
		r.unsampled = err
	}
}

// enter enters a member's tick.
func (r *run) enter(m *member, t Tick) {
	s := r.at(t.Second)
	if late, two := s.ticks[m]; two {
		t.Latency = mergeLatency(mergeLatency(nil, late.Latency), t.Latency)
		t.Health = worseHealth(late.Health, t.Health)
	}
	s.ticks[m] = t
	r.closeFull()
}

// closeFull closes the seconds of which everything has come.
func (r *run) closeFull() {
	for r.seconds[r.next] != nil && r.full(r.seconds[r.next]) {
		r.closeNext()
	}
}

func (r *run) full(s *second) bool {
	missing := func(m *member) bool { _, here := s.ticks[m]; return !here }
	return s.sampled && !slices.ContainsFunc(r.living(), missing)
}

// closeOverdue closes the seconds that have waited long enough.
func (r *run) closeOverdue(now time.Time) {
	for now.Sub(r.started) >= time.Duration(r.next)*time.Second+tickLimit {
		r.closeNext()
	}
	r.closeFull()
}

// closeRest closes what has come at the end of the run.
func (r *run) closeRest() {
	for len(r.seconds) > 0 {
		r.closeNext()
	}
}

// closeNext makes a point of the next second.
func (r *run) closeNext() {
	s := r.at(r.next)
	delete(r.seconds, r.next)
	p := Point{Second: r.next, Stage: Stages()[r.opened], Latency: map[string]Quantiles{}, Target: s.target, Kernel: s.kernel}
	var latency map[string]*Histogram
	for _, m := range r.members {
		t, here := s.ticks[m]
		if !here {
			t.Counts, t.Self = m.counts(), m.last.Self
		}
		p.Counts = p.Counts.plus(t.Counts)
		p.Generator = plusProcess(p.Generator, t.Self)
		p.Health = worseHealth(p.Health, t.Health)
		latency = mergeLatency(latency, t.Latency)
	}
	for name, h := range latency {
		p.Latency[name] = h.Summary()
		h.free()
	}
	for _, t := range s.ticks {
		for _, h := range t.Latency {
			h.free()
		}
	}
	r.next++
	if r.Progress != nil {
		r.Progress(p)
	}
	if len(r.points) == maxPoints {
		r.dropped++
		return
	}
	r.points = append(r.points, p)
}
