package bench

import (
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

func TestWatchDue(t *testing.T) {
	w := &watch{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, behind := range []time.Duration{-time.Second, 0, LateAfter, LateAfter + 1, 30 * time.Millisecond, 20 * time.Millisecond} {
				w.due(behind)
			}
		})
	}
	all.Wait()
	want := Health{Due: 24, Late: 12, LateMax: 30 * time.Millisecond}
	if got := w.health(sample.Process{}, time.Second, 1); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := w.health(sample.Process{}, time.Second, 1); got != (Health{}) {
		t.Errorf("the next second is %+v", got)
	}
}

// The probe on a clock that the test moves: each wait takes as long as it is to take, and some more.
func TestWatchProbe(t *testing.T) {
	w := &watch{}
	now := time.Now()
	late := []time.Duration{0, 3 * time.Millisecond, 700 * time.Millisecond, time.Millisecond, -time.Millisecond}
	w.probe(func() time.Time { return now }, func(d time.Duration) bool {
		if len(late) == 0 {
			return false
		}
		now = now.Add(d + late[0])
		late = late[1:]
		return true
	})
	if got := w.health(sample.Process{}, time.Second, 1).Lag; got != 700*time.Millisecond {
		t.Errorf("the lag is %v", got)
	}
}

func TestWatchProcessors(t *testing.T) {
	process := func(cpu, waited time.Duration) sample.Process { return sample.Process{CPU: cpu, Waited: waited} }
	for _, row := range []struct {
		name          string
		before, after sample.Process
		elapsed       time.Duration
		processors    float64
		cpu, waited   float64
	}{
		{"one of two", process(time.Second, time.Second), process(2*time.Second, 4*time.Second), time.Second, 2, 0.5, 3},
		{"all of half a one", process(0, 0), process(time.Second, 0), 2 * time.Second, 0.5, 1, 0},
		{"more than it may, for a moment", process(0, 0), process(time.Second, 0), time.Second, 0.5, 1, 0},
		{"threads have ended", process(0, time.Second), process(time.Second, time.Millisecond), time.Second, 4, 0.25, 0},
		{"no time has passed", process(0, 0), process(time.Second, 0), 0, 1, 0, 0},
	} {
		w := &watch{before: row.before}
		got := w.health(row.after, row.elapsed, row.processors)
		if got.CPU != row.cpu || got.Waited != row.waited {
			t.Errorf("%s: CPU %v, waited %v; want %v, %v", row.name, got.CPU, got.Waited, row.cpu, row.waited)
		}
	}
}

func TestWatch(t *testing.T) {
	w := newWatch()
	defer w.close()
	w.due(time.Second)
	h, self := w.second()
	if h.Due != 1 || h.Late != 1 || h.LateMax != time.Second || h.CPU < 0 || h.CPU > 1 {
		t.Errorf("got %+v", h)
	}
	if self.RSS <= 0 || self.FDs <= 0 || self.Go == nil || self.Go.HeapAlloc <= 0 {
		t.Errorf("got %+v", self)
	}
}

func BenchmarkDue(b *testing.B) {
	w := &watch{}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.due(time.Millisecond)
		}
	})
}

func BenchmarkSecond(b *testing.B) {
	w := newWatch()
	defer w.close()
	for b.Loop() {
		w.second()
	}
}
