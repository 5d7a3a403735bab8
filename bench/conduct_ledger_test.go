package bench_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// TestLedgerSizes holds that memory is read at the plateau and when all have arrived, with everybody waiting.
func TestLedgerSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held atomic.Int64
		p := player{
			passed: func(s bench.Stage, after time.Duration) {
				switch s {
				case bench.StagePlateau:
					held.Store(100)
				case bench.StageArrived:
					if after < 7*time.Second {
						t.Errorf("all stages were passed after %v: nobody waited for memory to be read", after)
					}
				}
			},
			change: func(t *bench.Tick) bool {
				t.Counts.Connected = max(10, held.Load())
				return true
			},
		}
		c := conductor(p)
		c.Config.Plateau = 10
		c.Target, c.TargetInfo.PID = &sample.Target{PID: os.Getpid()}, os.Getpid()
		r := conduct(t, c)
		if r.Ledger == nil || r.Ledger.FromConns != 10 || r.Ledger.ToConns != 100 {
			t.Fatalf("the ledger is %+v", r.Ledger)
		}
		if r.Points[0].Target == nil || r.Points[0].Target.RSS == 0 || r.Target.PeakRSS == 0 {
			t.Errorf("the target was not sampled: %+v, %+v", r.Points[0], r.Target)
		}
	})
}

// TestTargetGone holds that a target that ends does not end the run.
func TestTargetGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := conductor(player{})
		c.Config.Plateau = 10
		c.Target = &sample.Target{PID: 1 << 22} // above the highest that the kernel gives out
		r := conduct(t, c)
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "could not be sampled") {
			t.Errorf("notes are %q", r.Notes)
		}
	})
}

// A clocked generator has another clock.
type clocked struct {
	player
	offset, drift, precision time.Duration
	err                      error
	asked                    *int
}

func (c clocked) Clock(context.Context) (offset, precision time.Duration, err error) {
	*c.asked++
	if *c.asked > 1 {
		c.offset += c.drift
	}
	return c.offset, c.precision, c.err
}

func TestClock(t *testing.T) {
	for _, row := range []struct {
		name      string
		clock     clocked
		precision time.Duration // as it is found to be
		reason    string        // that the run is worth nothing
	}{
		{"in step", clocked{offset: time.Hour, precision: time.Millisecond}, time.Millisecond, ""},
		{"drifts", clocked{offset: -time.Hour, precision: time.Millisecond, drift: -6 * time.Millisecond}, 7 * time.Millisecond,
			"The clock of b is known to within 7ms only"},
		{"unsure", clocked{precision: 10 * time.Millisecond}, 10 * time.Millisecond, "The clock of b is known to within 10ms only"},
		{"none", clocked{err: errors.New("no clock")}, 0, "b was lost: no clock"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				row.clock.asked = new(int)
				row.clock.begin = func(cfg bench.Config) {
					if cfg.ClockOffset != row.clock.offset {
						t.Errorf("the generator was told the offset %v, want %v", cfg.ClockOffset, row.clock.offset)
					}
				}
				c := conductor(player{end: func(o *bench.Outcome) (*bench.Outcome, error) {
					h := &bench.Histogram{}
					h.Record(5 * time.Millisecond)
					o.Latency[bench.LatencyDeliver] = h
					return o, nil
				}}, row.clock)
				c.Config.Scenario = "broadcast"
				r := conduct(t, c)
				g := r.Generators[1]
				if g.ClockOffset != row.clock.offset || g.ClockError != row.precision {
					t.Errorf("the clock is %v within %v", g.ClockOffset, g.ClockError)
				}
				if got := strings.Join(r.Reasons, " "); (r.Verdict == bench.Valid) != (row.reason == "") || !strings.Contains(got, row.reason) {
					t.Errorf("%s: %q, want %q", r.Verdict, got, row.reason)
				}
			})
		})
	}
}
