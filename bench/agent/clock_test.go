package agent

import (
	"testing"
	"time"
)

func TestEstimate(t *testing.T) {
	const ms = int64(time.Millisecond)
	for _, row := range []struct {
		name              string
		all               []exchange
		offset, precision time.Duration
	}{
		{"in step", []exchange{{1000 * ms, 1001 * ms, 2 * time.Millisecond}}, 0, time.Millisecond},
		{"ahead", []exchange{{1000 * ms, 1501 * ms, 2 * time.Millisecond}}, 500 * time.Millisecond, time.Millisecond},
		{"behind", []exchange{{1000 * ms, 501 * ms, 2 * time.Millisecond}}, -500 * time.Millisecond, time.Millisecond},
		{"all of the way there", []exchange{{1000 * ms, 1010 * ms, 10 * time.Millisecond}}, 5 * time.Millisecond, 5 * time.Millisecond},
		{"all of the way back", []exchange{{1000 * ms, 1000 * ms, 10 * time.Millisecond}}, -5 * time.Millisecond, 5 * time.Millisecond},
		{"the shortest of three", []exchange{
			{1000 * ms, 1050 * ms, 60 * time.Millisecond}, {2000 * ms, 2011 * ms, 2 * time.Millisecond}, {3000 * ms, 3100 * ms, 200 * time.Millisecond}},
			10 * time.Millisecond, time.Millisecond},
		{"an odd nanosecond", []exchange{{0, 0, 3}}, -1, 2},
	} {
		if offset, precision := estimate(row.all); offset != row.offset || precision != row.precision {
			t.Errorf("%s: %v within %v, want %v within %v", row.name, offset, precision, row.offset, row.precision)
		}
	}
}

// TestEstimateHolds holds that the truth lies within the precision, however the way there and back divide.
func TestEstimateHolds(t *testing.T) {
	for _, truth := range []time.Duration{-time.Hour, -1, 0, 1, time.Second} {
		for there := time.Duration(0); there <= 20; there++ {
			for back := time.Duration(0); back <= 20; back++ {
				offset, precision := estimate([]exchange{{asked: 1e18, theirs: 1e18 + int64(truth+there), took: there + back}})
				if off := (offset - truth).Abs(); off > precision {
					t.Fatalf("%v ahead, %d ns there, %d back: %v within %v", truth, there, back, offset, precision)
				}
			}
		}
	}
}
