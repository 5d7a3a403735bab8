package limit_test

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/dormouse-ws/dormouse/server/limit"
)

func rate(tb testing.TB, perSecond float64, burst int) limit.Rate {
	tb.Helper()
	r, err := limit.NewRate(perSecond, burst)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// An allower is a meter of either kind.
type allower interface {
	Allow(*limit.Rate, time.Duration) (time.Duration, bool)
}

func meters() map[string]func() allower {
	return map[string]func() allower{
		"Meter":      func() allower { return new(limit.Meter) },
		"SmallMeter": func() allower { return new(limit.SmallMeter) },
	}
}

func TestMeterSizes(t *testing.T) {
	if n := unsafe.Sizeof(limit.Meter{}); n != 8 {
		t.Errorf("Meter has %d bytes, want 8", n)
	}
	if n := unsafe.Sizeof(limit.SmallMeter(0)); n != 4 {
		t.Errorf("SmallMeter has %d bytes, want 4", n)
	}
	if n := unsafe.Sizeof(limit.Slot(0)); n != 4 {
		t.Errorf("Slot has %d bytes, want 4", n)
	}
}

func TestNewRate(t *testing.T) {
	for _, row := range []struct {
		name      string
		perSecond float64
		burst     int
		err       string // "" for none
	}{
		{"no limit", 0, 0, ""},
		{"no limit, burst without meaning", 0, -5, ""},
		{"one a day", 1.0 / 86400, 1, ""},
		{"less than one a day", 0.99 / 86400, 1, "longer than 24h"},
		{"burst of a day", 1, 86400, ""},
		{"burst of more than a day", 1, 86401, "longer than 24h"},
		{"largest rate", 1e6, 1, ""},
		{"too large a rate", 1e6 + 1, 1, "not between 0 and 1000000"},
		{"negative rate", -1, 1, "not between"},
		{"no number", math.NaN(), 1, "not between"},
		{"infinity", math.Inf(1), 1, "not between"},
		{"smallest burst", 10, 1, ""},
		{"no burst", 10, 0, "burst of 0"},
		{"largest burst", 1000, 1 << 20, ""},
		{"too large a burst", 1000, 1<<20 + 1, "burst of 1048577"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := limit.NewRate(row.perSecond, row.burst)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Fatalf("error %v, want one with %q", err, row.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Unlimited(); got != (row.perSecond == 0) {
				t.Errorf("Unlimited = %v", got)
			}
			checkTicks(t, &r, row.burst)
		})
	}
}

// checkTicks holds what the comment of SmallMeter says of its arithmetic.
func checkTicks(t *testing.T, r *limit.Rate, burst int) {
	t.Helper()
	if r.Unlimited() {
		return
	}
	interval, window, tick := r.Ticks()
	if interval < 256 || interval > 512 || window != interval*uint32(burst) || window > 1<<29 {
		t.Errorf("%d ticks an interval, %d a window", interval, window)
	}
	exact := float64(r.Window()) / float64(burst)
	if off := math.Abs(float64(interval)*float64(tick)/exact - 1); off > 0.002 {
		t.Errorf("an interval in ticks is off by %v", off)
	}
}

func TestBurstThenRate(t *testing.T) {
	for name, newMeter := range meters() {
		for _, burst := range []int{1, 2, 5, 100} {
			r := rate(t, 10, burst)
			m, now := newMeter(), 3*time.Second
			for i := range burst {
				if wait, ok := m.Allow(&r, now); !ok || wait != 0 {
					t.Fatalf("%s: event %d of a burst of %d: %v, %v", name, i+1, burst, wait, ok)
				}
			}
			wait, ok := m.Allow(&r, now)
			if ok || wait < 99*time.Millisecond || wait > 101*time.Millisecond {
				t.Fatalf("%s: event %d: wait %v, %v; want 100 ms and false", name, burst+1, wait, ok)
			}
			if again, ok := m.Allow(&r, now+wait-wait/100); ok || again > 2*time.Millisecond {
				t.Errorf("%s: 1 %% before its time: %v, %v", name, again, ok)
			}
			if _, ok := m.Allow(&r, now+wait); !ok {
				t.Errorf("%s: not allowed after the wait that it asked for", name)
			}
			if _, ok := m.Allow(&r, now+wait); ok {
				t.Errorf("%s: two allowed in the place of one", name)
			}
		}
	}
}

func TestBurstComesBack(t *testing.T) {
	for name, newMeter := range meters() {
		r := rate(t, 100, 20)
		m := newMeter()
		for round := range 5 {
			// 1 % more than the window: a SmallMeter's may be 0.2 % longer.
			now := time.Duration(round) * (r.Window() + r.Window()/100)
			for i := range 20 {
				if _, ok := m.Allow(&r, now); !ok {
					t.Fatalf("%s: round %d, event %d refused", name, round, i)
				}
			}
			if _, ok := m.Allow(&r, now); ok {
				t.Fatalf("%s: round %d: the burst is larger than 20", name, round)
			}
		}
	}
}

func TestUnlimited(t *testing.T) {
	for name, newMeter := range meters() {
		m := newMeter()
		for range 1000 {
			if wait, ok := m.Allow(&limit.Rate{}, 0); !ok || wait != 0 {
				t.Fatalf("%s: %v, %v", name, wait, ok)
			}
		}
	}
}

// A new connection has its burst at every moment of the circle.
func TestSmallMeterIsFullWhenNew(t *testing.T) {
	r := rate(t, 100, 4)
	_, window, tick := r.Ticks()
	circle := tick << 32
	for ticks := -2 * int64(window); ticks <= 2*int64(window); ticks++ {
		var m limit.SmallMeter
		now := circle + time.Duration(ticks)*tick
		for i := range 4 {
			if _, ok := m.Allow(&r, now); !ok {
				t.Fatalf("%d ticks from the turn of the circle, event %d refused", ticks, i)
			}
		}
		if _, ok := m.Allow(&r, now); ok {
			t.Fatalf("%d ticks from the turn of the circle, 5 at once", ticks)
		}
	}
}

// What was used a circle ago may count again, as the comment says, and for no longer than that.
func TestSmallMeterAfterACircle(t *testing.T) {
	r := rate(t, 100, 4)
	_, window, tick := r.Ticks()
	circle, span := tick<<32, time.Duration(window)*tick
	for _, row := range []struct {
		after time.Duration
		free  bool
	}{
		{span, true}, {circle / 2, true}, {circle - span - tick, true}, {circle - span, false},
		{circle - 1, false}, {circle + span, true}, {2*circle - span - tick, true},
	} {
		var m limit.SmallMeter
		for range 4 {
			m.Allow(&r, 0)
		}
		wait, ok := m.Allow(&r, row.after)
		if ok != row.free {
			t.Errorf("after %v of %v: %v", row.after, circle, ok)
		}
		if wait > span+span/4 {
			t.Errorf("after %v: wait %v, more than a window of %v and an interval", row.after, wait, span)
		}
	}
}

func TestMeterIsExactWithManyGoroutines(t *testing.T) {
	const goroutines, burst = 8, 500
	r := rate(t, 1, burst)
	var m limit.Meter
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range burst {
				if _, ok := m.Allow(&r, time.Second); ok {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != burst {
		t.Errorf("%d allowed of a burst of %d", n, burst)
	}
}

// FuzzMeters drives both meters over times that only go forward. In no span may there be more than the
// burst and what the rate gives, and the wait that is asked for must be enough.
func FuzzMeters(f *testing.F) {
	f.Add(10.0, 3, uint64(0), []byte{0, 0, 0, 0, 50, 200, 0, 1})
	f.Add(1e6, 1<<20, uint64(1)<<62, []byte{255, 255, 0, 0})
	f.Add(1.0/86400, 1, uint64(1)<<40, []byte{0, 255, 255})
	f.Add(999.0, 100, uint64(0xffffffff)<<11, []byte("over the turn of the circle"))
	f.Fuzz(func(t *testing.T, perSecond float64, burst int, start uint64, steps []byte) {
		r, err := limit.NewRate(perSecond, burst)
		if err != nil || r.Unlimited() {
			return
		}
		checkTicks(t, &r, burst)
		for name, newMeter := range meters() {
			m := newMeter()
			begin := time.Duration(start >> 2)
			now, taken := begin, 0
			for _, step := range steps {
				now += r.Window() / time.Duration(burst) * time.Duration(step) / 64
				wait, ok := m.Allow(&r, now)
				if ok {
					taken++
					most := float64(burst) + 1 + 1.002*float64(now-begin)/float64(r.Window())*float64(burst)
					if float64(taken) > most {
						t.Fatalf("%s: %d taken in %v, at most %v", name, taken, now-begin, most)
					}
					continue
				}
				if wait <= 0 || wait > r.Window()+r.Window()/100 {
					t.Fatalf("%s: wait %v with a window of %v", name, wait, r.Window())
				}
				now += wait
				if _, ok := m.Allow(&r, now); !ok {
					t.Fatalf("%s: %v was not enough", name, wait)
				}
				taken++
			}
		}
	})
}
