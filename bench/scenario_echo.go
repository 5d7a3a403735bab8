package bench

import (
	"context"
	"time"
)

// echo is requests and answers: of some users, each with one request open at most, while all the others
// are idle. When nobody is free the next request waits, and its time counts from when it was due.
type echo struct {
	still
	free chan struct{} // told when a request was answered while one waits
	full int           // how often nobody was free
}

func newEcho() *echo { return &echo{free: make(chan struct{}, 1)} }

func (e *echo) answered(*user) {
	select {
	case e.free <- struct{}{}:
	default:
	}
}

func (e *echo) closed(u *user) { e.answered(u) }

func (e *echo) traffic(ctx context.Context, c *crowd) {
	active := min(c.cfg.Active, len(c.users))
	rate := c.cfg.Rate * c.cfg.Share
	n := events(rate, c.cfg.Duration)
	over := c.now() + int64(c.cfg.Duration+c.cfg.Timeout)
	next, begun := 0, 0
	c.pace(ctx, steady{n, rate}, func(_ int, due int64) (waited time.Duration, on bool) {
		for began := c.now(); c.now() < over; waited = time.Duration(c.now() - began) {
			there := false
			for range active {
				u := &c.users[next]
				next = (next + 1) % active
				switch c.request(u, due) {
				case sent:
					begun++
					return waited, true
				case busy:
					there = true
				case refused:
					return waited, true
				}
			}
			if e.full++; !there || !e.wait(ctx) {
				break
			}
		}
		return waited, false
	})
	if ctx.Err() == nil { // it is the target that kept us from them
		c.unsent = int64(n - begun)
	}
}

// echoPatience is how often a request that waits looks again, whatever it was told.
const echoPatience = 100 * time.Millisecond

func (e *echo) wait(ctx context.Context) bool {
	t := time.NewTimer(echoPatience)
	defer t.Stop()
	select {
	case <-e.free:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

func (e *echo) outcome(o *Outcome) {
	if e.full > 0 && o.Unsent == 0 {
		o.Notes = append(o.Notes, "At times every active user waited for an answer, so that requests began late: "+
			"the target does not keep up with the rate, it was held up, or --active is too small.")
	}
}
