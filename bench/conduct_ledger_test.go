package bench_test

import (
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
