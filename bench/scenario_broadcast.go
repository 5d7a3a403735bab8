package bench

import (
	"context"
	"math/rand/v2"
	"time"
)

// broadcast is one topic with all users, in which one of them sends. Of several generators the first does.
type broadcast struct {
	still
	sender int // the user that sends, as long as it is there
}

func (b *broadcast) traffic(ctx context.Context, c *crowd) {
	b.send(ctx, c, c.cfg.Duration)
}

// send sends for a time.
func (b *broadcast) send(ctx context.Context, c *crowd, d time.Duration) {
	if c.cfg.Part != 0 {
		c.sleepUntil(ctx, c.now()+int64(d))
		return
	}
	c.shouts(ctx, events(c.cfg.Rate, d), c.cfg.Rate, func(due int64) shot {
		for range c.users {
			if s := c.shout(&c.users[b.sender], due); s != notNow {
				return s
			}
			b.sender = (b.sender + 1) % len(c.users)
		}
		return never // nobody is left
	})
}

// rooms is many topics; each message goes to one of them, from a member of it.
type rooms struct{ still }

func (rooms) traffic(ctx context.Context, c *crowd) {
	r := c.random()
	rate := c.cfg.Rate * c.cfg.Share
	c.shouts(ctx, events(rate, c.cfg.Duration), rate, func(due int64) shot {
		for range c.users {
			if s := c.shout(c.member(r, r.IntN(len(c.rooms))), due); s != notNow {
				return s
			}
		}
		return never
	})
}

// shouts has n messages sent at rate, and keeps count of those that were not.
func (c *crowd) shouts(ctx context.Context, n int, rate float64, send func(due int64) shot) {
	done := 0
	c.pace(ctx, steady{n, rate}, func(_ int, due int64) (time.Duration, bool) {
		s := send(due)
		if s == sent {
			done++
		}
		return 0, s != never
	})
	if ctx.Err() == nil {
		c.unsent += int64(n - done)
	}
}

// member returns one of the users who began in a room.
func (c *crowd) member(r *rand.Rand, room int) *user {
	n := (len(c.users) - room + len(c.rooms) - 1) / len(c.rooms)
	if n <= 0 {
		return &c.users[r.IntN(len(c.users))]
	}
	return &c.users[room+len(c.rooms)*r.IntN(n)]
}
