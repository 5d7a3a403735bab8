package bench

import (
	"encoding/json"
	"math/bits"
	"time"
)

// A Spread is a small distribution: of the times at which one message came to its receivers, of which a
// run has thousands. A bucket is at most an eighth wider than its lower bound. Its zero value is empty.
type Spread struct{ n [spreadBuckets]uint32 }

// Eight buckets for each power of two from 8 µs to 2^27 µs, 134 s; below that a bucket each microsecond.
const (
	spreadBits    = 3
	spreadOctaves = 24
	spreadBuckets = (spreadOctaves + 1) << spreadBits
)

func (s *Spread) record(d time.Duration) { s.n[spreadBucket(d)]++ }

func spreadBucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	octave := max(bits.Len64(us)-spreadBits-1, 0)
	if octave >= spreadOctaves {
		return spreadBuckets - 1
	}
	// The first octave has its own buckets and those of the numbers too small for it.
	if octave == 0 {
		return int(us)
	}
	return octave<<spreadBits + int(us>>octave)
}

// spreadTime is the middle of a bucket.
func spreadTime(b int) time.Duration {
	if b < 2<<spreadBits {
		return time.Duration(b) * time.Microsecond
	}
	octave := b>>spreadBits - 1
	low := uint64(b&(1<<spreadBits-1)|1<<spreadBits) << octave
	return time.Duration(low+1<<octave/2) * time.Microsecond
}

// Merge adds what o holds.
func (s *Spread) Merge(o *Spread) {
	for i, n := range o.n {
		s.n[i] += n
	}
}

// Median returns the time by which half of the receivers have it, 0 if there are none.
func (s *Spread) Median() time.Duration {
	var total, seen uint64
	for _, n := range s.n {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	for i, n := range s.n {
		if seen += uint64(n); 2*seen >= total {
			return spreadTime(i)
		}
	}
	return 0
}

// MarshalJSON writes pairs of a bucket's number and its count, those that are not 0.
func (s Spread) MarshalJSON() ([]byte, error) {
	pairs := []uint32{}
	for i, n := range s.n {
		if n > 0 {
			pairs = append(pairs, uint32(i), n)
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Spread) UnmarshalJSON(b []byte) error {
	var pairs []uint32
	if err := json.Unmarshal(b, &pairs); err != nil {
		return err
	}
	*s = Spread{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if k := pairs[i]; k < spreadBuckets {
			s.n[k] = pairs[i+1]
		}
	}
	return nil
}
