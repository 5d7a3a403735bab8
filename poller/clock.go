package poller

import "time"

// A clock counts milliseconds since the engine started in 32 bits, which wrap after 49 days; only
// differences are compared. Zero is no time, so that a zero deadline can mean none.
type clock struct{ start time.Time }

func (k clock) now() uint32 { return stamp(time.Since(k.start)) }

func stamp(d time.Duration) uint32 {
	if ms := uint32(d / time.Millisecond); ms != 0 {
		return ms
	}
	return 1
}

// later returns now+ms, avoiding zero.
func later(now, ms uint32) uint32 {
	if t := now + ms; t != 0 {
		return t
	}
	return 1
}

// millis converts a timeout, rounded up, at least 1 and at most maxTimeout.
func millis(d time.Duration) uint32 {
	d = min(max(d, time.Millisecond), maxTimeout)
	return uint32((d + time.Millisecond - 1) / time.Millisecond)
}

// due reports whether deadline has come at now.
func due(deadline, now uint32) bool { return deadline != 0 && int32(now-deadline) >= 0 }
