package bench_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

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
			"The clock of beta is known to within 7 ms only"},
		{"unsure", clocked{precision: 10 * time.Millisecond}, 10 * time.Millisecond, "The clock of beta is known to within 10 ms only"},
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
