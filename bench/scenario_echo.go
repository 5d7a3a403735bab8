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
	next := 0
	c.pace(ctx, steady{int(rate*c.cfg.Duration.Seconds() + 0.5), rate}, func(_ int, due int64) (waited time.Duration, on bool) {
		for began := c.now(); ; waited = time.Duration(c.now() - began) {
			for range active {
				u := &c.users[next]
				next = (next + 1) % active
				if c.request(u, due) == sent {
					return waited, true
				}
			}
			if c.counts.joined.Load() == 0 {
				return waited, false
			}
			e.full++
			if !e.wait(ctx) {
				return waited, false
			}
		}
	})
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
	if e.full > 0 {
		o.Notes = append(o.Notes, "At times every active user waited for an answer, so that requests began late: "+
			"the target does not keep up with the rate, or --active is too small for it.")
	}
}
