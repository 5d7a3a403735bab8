package bench

import (
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

const (
	// LateAfter is how far behind a send or an arrival counts as late: more than a slice of the kernel's
	// scheduler and a preemption by Go's, which everybody on a busy machine has to wait for now and then.
	LateAfter = 10 * time.Millisecond

	// probePeriod is how often the lag of timers is looked at: at 200 times a second a processor spends
	// less than a hundredth of itself on it, and a stall of 20 ms is seen.
	probePeriod = 5 * time.Millisecond
)

// A watch is how a generator looks after itself. All but due are called by one goroutine.
type watch struct {
	begun, late  atomic.Int64
	lateMax, lag atomic.Int64 // nanoseconds

	before sample.Process // at the end of the second before
	at     time.Time

	over, ended chan struct{}
}

// newWatch starts a watch. It must be closed.
func newWatch() *watch {
	w := &watch{over: make(chan struct{}), ended: make(chan struct{})}
	w.before, w.at = readSelf(), time.Now()
	go func() {
		defer close(w.ended)
		t := time.NewTimer(0)
		defer t.Stop()
		w.probe(time.Now, func(d time.Duration) bool {
			t.Reset(d)
			select {
			case <-t.C:
				return true
			case <-w.over:
				return false
			}
		})
	}()
	return w
}

func (w *watch) close() {
	close(w.over)
	<-w.ended
}

// due counts something that was to be done now, or behind ago if the generator did not get to it. Any
// goroutine may call it.
func (w *watch) due(behind time.Duration) {
	w.begun.Add(1)
	if behind <= LateAfter {
		return
	}
	w.late.Add(1)
	raise(&w.lateMax, behind)
}

// probe keeps how much later a goroutine runs than the timer that it waits for, until wait returns false.
func (w *watch) probe(now func() time.Time, wait func(time.Duration) bool) {
	for {
		at := now().Add(probePeriod)
		if !wait(probePeriod) {
			return
		}
		raise(&w.lag, now().Sub(at))
	}
}

// raise makes d of v if it is more.
func raise(v *atomic.Int64, d time.Duration) {
	for old := v.Load(); int64(d) > old; old = v.Load() {
		if v.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// second closes a second: it returns what was seen since the last call, or since newWatch.
func (w *watch) second() (Health, sample.Process) {
	self, now := readSelf(), time.Now()
	h := w.health(self, now.Sub(w.at), processors())
	w.before, w.at = self, now
	return h, self
}

func (w *watch) health(self sample.Process, elapsed time.Duration, processors float64) Health {
	h := Health{
		Late: w.late.Swap(0), // before begun, so that it is not more than that
		Due:  w.begun.Swap(0), LateMax: time.Duration(w.lateMax.Swap(0)), Lag: time.Duration(w.lag.Swap(0)),
	}
	if elapsed <= 0 {
		return h
	}
	h.CPU = min(1, float64(self.CPU-w.before.CPU)/float64(elapsed)/processors)
	// What threads have waited that have ended is not in the sum any more.
	h.Waited = max(0, float64(self.Waited-w.before.Waited)/float64(elapsed))
	return h
}

// readSelf reads this process; where there is no /proc, only its runtime.
func readSelf() sample.Process {
	p, _ := sample.ReadProcess(0)
	p.Go = sample.ReadRuntime()
	return p
}
