package bench

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A schedule says when each of a number of events is due, from the start of its pace.
type schedule interface {
	// due returns when event i is due; false: there is none any more.
	due(i int) (time.Duration, bool)
}

// A steady schedule has n events at rate each second.
type steady struct {
	n    int
	rate float64
}

func (s steady) due(i int) (time.Duration, bool) {
	return time.Duration(float64(i) / s.rate * float64(time.Second)), i < s.n
}

// phased is the schedule of arrivals in phases.
type phased []Phase

func (p phased) due(i int) (time.Duration, bool) {
	var before time.Duration
	at := float64(i)
	for _, ph := range p {
		n := ph.Rate * ph.Duration.Seconds()
		if at < n {
			return before + time.Duration(at/ph.Rate*float64(time.Second)), true
		}
		at -= n
		before += ph.Duration
	}
	return 0, false
}

// pace calls do with the number of each event and the time at which it was due, in nanoseconds since the
// crowd's start, as near to that as it can; an event that is late is not skipped. It returns when there is
// no event any more, do returns false, or ctx ends.
//
// do returns how long it had to wait for the target, which is not counted as the generator's lateness.
func (c *crowd) pace(ctx context.Context, s schedule, do func(i int, due int64) (waited time.Duration, on bool)) {
	// A timer of the runtime may be a millisecond late when nothing else is to be done, since
	// epoll_wait(2) counts in milliseconds; a thread in clock_nanosleep(2) is late by its timer slack.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // 0: the default again

	start := c.now()
	var excused int64 // before it, the target held us up
	for i := 0; ; i++ {
		after, ok := s.due(i)
		if !ok || !c.sleepUntil(ctx, start+int64(after)) {
			return
		}
		due := start + int64(after)
		c.watch.due(time.Duration(c.now() - max(due, excused)))
		waited, on := do(i, due)
		if waited > 0 {
			excused = c.now()
		}
		if !on {
			return
		}
	}
}

// napMax bounds how long the end of a context goes unnoticed.
const napMax = 50 * time.Millisecond

// sleepUntil waits for a time of the crowd's clock; false if ctx has ended.
func (c *crowd) sleepUntil(ctx context.Context, at int64) bool {
	for {
		if ctx.Err() != nil {
			return false
		}
		left := min(time.Duration(at-c.now()), napMax)
		if left <= 0 {
			return true
		}
		ts := unix.NsecToTimespec(int64(left))
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil) // EINTR: look again
	}
}
