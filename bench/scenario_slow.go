package bench

import (
	"context"
	"sync/atomic"
)

// slow is a broadcast in which, after half of the time, a share of the readers stops reading.
type slow struct {
	broadcast
	deaf   atomic.Int64
	cutOff atomic.Int64 // of those: whose connection the target has ended
}

func (s *slow) traffic(ctx context.Context, c *crowd) {
	c.deliver.Store(atBaseline)
	s.send(ctx, c, c.cfg.Duration/2)
	if c.cfg.Part == 0 {
		c.settle(ctx, c.cfg.Settle)
	}
	c.deliver.Store(atDeliver)
	n := min(int(c.cfg.Slow*float64(len(c.users))+0.5), len(c.users)-1)
	for i := range n { // the last ones: the first is the sender
		c.users[len(c.users)-1-i].goDeaf(s)
	}
	s.send(ctx, c, c.cfg.Duration/2)
}

// deafBuffer is what the kernel takes for a reader who does not: little, so that its target is the one that
// has to keep messages, which is what is measured. Left alone the kernel takes megabytes.
const deafBuffer = 4 << 10

// goDeaf has u read nothing more, from its next bytes on. It leaves its room's account.
func (u *user) goDeaf(s *slow) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != joined {
		return
	}
	s.deaf.Add(1)
	u.flags |= deaf
	if b, ok := u.link.(interface{ SetReadBuffer(int) error }); ok {
		_ = b.SetReadBuffer(deafBuffer)
	}
	u.crowd.exitLocked(u, true)
	u.state = upgraded
}

func (s *slow) closed(u *user) {
	if u.flags&deaf != 0 {
		s.cutOff.Add(1)
	}
}

const figureDeaf = "readers that stopped reading"

func (s *slow) outcome(o *Outcome) {
	o.Figures = append(o.Figures,
		Figure{figureDeaf, float64(s.deaf.Load()), ""},
		Figure{"of those, cut off by the target meanwhile", float64(s.cutOff.Load()), ""})
}
