package bench

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramJSON(t *testing.T) {
	for _, times := range [][]time.Duration{
		nil,
		{time.Microsecond},
		{0, time.Millisecond, 3 * time.Millisecond, time.Hour},
	} {
		h := &Histogram{}
		for _, d := range times {
			h.Record(d)
		}
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back Histogram
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if back.Summary() != h.Summary() {
			t.Errorf("%v came back as %v", h.Summary(), back.Summary())
		}
	}
	var h Histogram
	for _, bad := range []string{`"x"`, `1`, `"AAAA"`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &h); err == nil {
			t.Errorf("%s was read as a histogram", bad)
		}
	}
}

// TestHistogramMerge checks the promise that merging loses nothing.
func TestHistogramMerge(t *testing.T) {
	var parts [3]Histogram
	var whole, merged Histogram
	for i := range 3000 {
		d := time.Duration(rand.ExpFloat64() * float64(5*time.Millisecond))
		parts[i%3].Record(d)
		whole.Record(d)
	}
	for i := range parts {
		merged.Merge(&parts[i])
	}
	if merged.Summary() != whole.Summary() {
		t.Errorf("merged: %v, in one: %v", merged.Summary(), whole.Summary())
	}
}

func TestSpread(t *testing.T) {
	last := -1
	for _, us := range []int64{0, 1, 7, 8, 15, 16, 17, 18, 31, 32, 1000, 1 << 20, 1<<27 - 1, 1 << 27, 1 << 40} {
		b := spreadBucket(time.Duration(us) * time.Microsecond)
		if b < last || b >= spreadBuckets {
			t.Errorf("%d us are in bucket %d, behind %d of fewer", us, b, last)
		}
		last = b
		mid := spreadTime(b).Microseconds()
		if us < 1<<27 && (mid-us > us/8+1 || us-mid > us/8+1) {
			t.Errorf("bucket %d of %d us stands for %d us", b, us, mid)
		}
	}
}

// TestSpreadMedian compares with the median of the sorted times, to the width of a bucket.
func TestSpreadMedian(t *testing.T) {
	var s, half Spread
	var times []time.Duration
	for i := range 999 {
		d := time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond))
		times = append(times, d)
		if i%2 == 0 {
			s.record(d)
		} else {
			half.record(d)
		}
	}
	b, err := json.Marshal(half)
	if err != nil {
		t.Fatal(err)
	}
	var back Spread
	if err := json.Unmarshal(b, &back); err != nil || back != half {
		t.Fatalf("a spread came back otherwise: %v", err)
	}
	s.Merge(&back)
	slices.Sort(times)
	want, got := times[len(times)/2], s.Median()
	if got < want-want/8-2*time.Microsecond || got > want+want/8+2*time.Microsecond {
		t.Errorf("the median is %v, want about %v", got, want)
	}
}
