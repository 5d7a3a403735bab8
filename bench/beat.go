package bench

import (
	"context"
	"time"
)

// beatStep is how often the next few users have their heartbeat.
const beatStep = 10 * time.Millisecond

// beat gives every user a heartbeat in each period, spread evenly: one goroutine walks round all of them,
// so that none needs a timer. It returns when ctx ends.
func (c *crowd) beat(ctx context.Context) {
	period := c.cfg.Heartbeat
	if period <= 0 || c.cfg.Protocol != Phoenix {
		return
	}
	tick := time.NewTicker(beatStep)
	defer tick.Stop()
	start := time.Now()
	done := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		want := int(float64(len(c.users)) * float64(time.Since(start)) / float64(period))
		for ; done < want; done++ {
			if i := done % len(c.users); i < len(c.present()) {
				u := &c.users[i]
				u.mu.Lock()
				u.heartbeatLocked()
				u.mu.Unlock()
			}
		}
	}
}
