package limit

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
)

// The bounds of a rate. Within them no sum of a meter overflows.
const (
	maxPerSecond = 1e6            // an interval of 1,000 ns, so that rounding it to 1 ns is 0.05 % at most
	maxBurst     = 1 << 20        // times the 512 ticks of an interval at most: 2^29, an eighth of a SmallMeter's circle
	maxWindow    = 24 * time.Hour // longer than any client waits
)

// tickBits is how many bits the interval has when it is counted in ticks: 256 to 512 of them, so that
// rounding an interval to ticks changes a rate by 0.2 % at most.
const tickBits = 9

// A Rate is how many events a second are allowed on average, and how many at once. The zero value
// allows all. It is the generic cell rate algorithm (ITU-T I.371, annex A, as a virtual schedule): of
// whoever is limited, one number is kept, the time at which all of his burst is there again.
type Rate struct {
	interval int64 // ns between two events at the average rate; 0: no limit
	window   int64 // ns in which an exhausted burst comes back whole

	// The same in ticks of 2^shift ns, for a SmallMeter.
	interval32 uint32
	window32   uint32
	shift      uint8
}

// NewRate returns the rate of perSecond events a second, burst of which may come at once. perSecond is
// at most 1,000,000, burst at least 1 and at most 1,048,576, and the burst must come back within 24
// hours. A perSecond of 0 is no limit, whatever the burst.
func NewRate(perSecond float64, burst int) (Rate, error) {
	switch {
	case perSecond == 0:
		return Rate{}, nil
	case !(perSecond > 0 && perSecond <= maxPerSecond):
		return Rate{}, fmt.Errorf("limit: a rate of %v a second is not between 0 and %d", perSecond, int(maxPerSecond))
	case burst < 1 || burst > maxBurst:
		return Rate{}, fmt.Errorf("limit: a burst of %d is not between 1 and %d", burst, maxBurst)
	case float64(burst)/perSecond > maxWindow.Seconds():
		return Rate{}, fmt.Errorf("limit: a burst of %d at %v a second takes longer than %v to come back", burst, perSecond, maxWindow)
	}
	r := Rate{interval: int64(float64(time.Second)/perSecond + 0.5)}
	r.window = r.interval * int64(burst)
	r.shift = uint8(bits.Len64(uint64(r.interval)) - tickBits)     // at least 1, as the interval is 1,000 ns at least
	r.interval32 = uint32((r.interval + 1<<r.shift>>1) >> r.shift) // to the nearest tick
	r.window32 = r.interval32 * uint32(burst)
	return r, nil
}

// Unlimited reports whether r allows all.
func (r *Rate) Unlimited() bool { return r.interval == 0 }

// Window returns the time in which an exhausted burst comes back whole: after it, nothing need be
// remembered of whoever was limited.
func (r *Rate) Window() time.Duration { return time.Duration(r.window) }

// A Meter holds what somebody has used of a rate, in 8 bytes. The zero value has used nothing. It may
// be used from any goroutine, always with the same rate.
type Meter struct {
	full atomic.Int64 // when the whole burst is there again, in ns
}

// Allow counts an event at now and reports whether the rate allows it. If it does not, nothing is
// counted, and wait is how long until it would.
func (m *Meter) Allow(r *Rate, now time.Duration) (wait time.Duration, ok bool) {
	if r.Unlimited() {
		return 0, true
	}
	for {
		full := m.full.Load()
		from := max(full, int64(now))
		if over := from - int64(now) - (r.window - r.interval); over > 0 {
			return time.Duration(over), false
		}
		if m.full.CompareAndSwap(full, from+r.interval) {
			return 0, true
		}
	}
}

// A SmallMeter is a Meter in 4 bytes, for one goroutine at a time. The zero value has used nothing.
//
// Its time goes round in a circle of 2^32 ticks, of which an interval of the rate has 256 to 512: 2.4
// hours for 1,000 a second, 39 hours for 100, 104 days for one. After a silence of just one circle,
// less two windows at most, what was used before counts again, and it may refuse for up to one window
// what it should allow; never the other way round. The odds are twice the burst in 8 to 17 million.
type SmallMeter uint32

// Allow is Meter's. now must not be before that of an earlier call by more than a window of r: from
// there on, what was used is taken for long past.
func (m *SmallMeter) Allow(r *Rate, now time.Duration) (wait time.Duration, ok bool) {
	if wait, ok := m.peek(r, now); !ok {
		return wait, false
	}
	if !r.Unlimited() {
		m.add(r, now)
	}
	return 0, true
}

// peek is Allow without counting.
func (m *SmallMeter) peek(r *Rate, now time.Duration) (wait time.Duration, ok bool) {
	if r.Unlimited() {
		return 0, true
	}
	ahead, room := m.ahead(r, now), r.window32-r.interval32
	if ahead > room {
		return time.Duration(uint64(ahead-room) << r.shift), false
	}
	return 0, true
}

// add counts an event that peek has allowed.
func (m *SmallMeter) add(r *Rate, now time.Duration) {
	next := r.tick(now) + m.ahead(r, now) + r.interval32
	if next == 0 {
		next-- // 0 is a meter that has used nothing
	}
	*m = SmallMeter(next)
}

// ahead returns the ticks until the whole burst is there again. On the circle, what is further ahead
// than two windows is behind: one window is the most that can have been used, and the second is for a
// now that is a little old.
func (m SmallMeter) ahead(r *Rate, now time.Duration) uint32 {
	ahead := uint32(m) - r.tick(now)
	if m == 0 || ahead > 2*r.window32 {
		return 0
	}
	return ahead
}

func (r *Rate) tick(now time.Duration) uint32 { return uint32(uint64(now) >> r.shift) }
