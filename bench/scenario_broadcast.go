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
	c.pace(ctx, steady{int(c.cfg.Rate*d.Seconds() + 0.5), c.cfg.Rate}, func(_ int, due int64) (time.Duration, bool) {
		for range c.users {
			switch c.shout(&c.users[b.sender], due) {
			case sent:
				return 0, true
			case never:
				return 0, false
			}
			b.sender = (b.sender + 1) % len(c.users)
		}
		return 0, false // nobody is left
	})
}

// rooms is many topics; each message goes to one of them, from a member of it.
type rooms struct{ still }

func (rooms) traffic(ctx context.Context, c *crowd) {
	r := c.random()
	rate := c.cfg.Rate * c.cfg.Share
	c.pace(ctx, steady{int(rate*c.cfg.Duration.Seconds() + 0.5), rate}, func(_ int, due int64) (time.Duration, bool) {
		for range len(c.users) {
			switch c.shout(c.member(r, r.IntN(len(c.rooms))), due) {
			case sent:
				return 0, true
			case never:
				return 0, false
			}
		}
		return 0, false
	})
}

// member returns one of the users who began in a room.
func (c *crowd) member(r *rand.Rand, room int) *user {
	n := (len(c.users) - room + len(c.rooms) - 1) / len(c.rooms)
	if n <= 0 {
		return &c.users[r.IntN(len(c.users))]
	}
	return &c.users[room+len(c.rooms)*r.IntN(n)]
}
