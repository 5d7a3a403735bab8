package bench

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Histogram is a distribution of times: an HdrHistogram of microseconds, from 1 µs to 10 minutes with
// three significant digits. Merging two loses nothing. In JSON it is the base64 of HdrHistogram's V2
// compressed encoding, which its tools in other languages read. Its zero value is empty.
type Histogram struct{ h *hdrhistogram.Histogram }

const (
	lowestMicros      = 1
	highestMicros     = int64(10 * time.Minute / time.Microsecond)
	significantDigits = 3
)

// hdrs keeps the 170 kB of a histogram for the next second's: as garbage they would be measured as what the
// simulated users cost.
var hdrs = sync.Pool{New: func() any {
	return hdrhistogram.New(lowestMicros, highestMicros, significantDigits)
}}

func newHDR() *hdrhistogram.Histogram { return hdrs.Get().(*hdrhistogram.Histogram) }

// free empties h and gives its memory to others.
func (h *Histogram) free() {
	if h != nil && h.h != nil {
		h.h.Reset()
		hdrs.Put(h.h)
		h.h = nil
	}
}

// Record adds one time; those out of bounds count as the nearest bound.
func (h *Histogram) Record(d time.Duration) { h.RecordN(d, 1) }

// RecordN adds a time n times.
func (h *Histogram) RecordN(d time.Duration, n int64) {
	if h.h == nil {
		h.h = newHDR()
	}
	us := min(max(d.Microseconds(), lowestMicros), highestMicros)
	_ = h.h.RecordValues(us, n) // it fails only out of bounds
}

// Merge adds what o holds.
func (h *Histogram) Merge(o *Histogram) {
	if o == nil || o.h == nil {
		return
	}
	if h.h == nil {
		h.h = newHDR()
	}
	h.h.Merge(o.h)
}

// Reset empties h, which keeps its memory.
func (h *Histogram) Reset() {
	if h.h != nil {
		h.h.Reset()
	}
}

// Clone returns a copy.
func (h *Histogram) Clone() *Histogram {
	c := &Histogram{}
	c.Merge(h)
	return c
}

// Count returns how many times were recorded.
func (h *Histogram) Count() int64 {
	if h == nil || h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Quantile returns the time that the share q, of 0 to 1, does not exceed; 0 if h is empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.ValueAtQuantile(100*q)) * time.Microsecond
}

// Min, Mean and Max are 0 if h is empty.
func (h *Histogram) Min() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.Min()) * time.Microsecond
}

// Mean returns the arithmetic mean.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.Mean() * float64(time.Microsecond))
}

// Max returns the longest time.
func (h *Histogram) Max() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.Max()) * time.Microsecond
}

// Summary returns the quantiles that are printed.
func (h *Histogram) Summary() Quantiles {
	return Quantiles{
		Count: h.Count(), Min: h.Min(), Mean: h.Mean(), P50: h.Quantile(0.5), P90: h.Quantile(0.9),
		P99: h.Quantile(0.99), P999: h.Quantile(0.999), Max: h.Max(),
	}
}

// MarshalJSON implements json.Marshaler.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	if h.Count() == 0 {
		return []byte(`""`), nil
	}
	b, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(b)) // it is base64 already
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	h.h = nil
	if text == "" {
		return nil
	}
	hdr, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return fmt.Errorf("bench: a histogram that cannot be read: %w", err)
	}
	h.h = newHDR()
	h.h.Merge(hdr)
	return nil
}

// Quantiles sum up a [Histogram]. Times are in nanoseconds in JSON.
type Quantiles struct {
	Count int64         `json:"count"`
	Min   time.Duration `json:"min"`
	Mean  time.Duration `json:"mean"`
	P50   time.Duration `json:"p50"`
	P90   time.Duration `json:"p90"`
	P99   time.Duration `json:"p99"`
	P999  time.Duration `json:"p999"`
	Max   time.Duration `json:"max"`
}
