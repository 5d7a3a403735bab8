package bench

import (
	"context"
	"time"
)

// beatStep is how often the next few users have their heartbeat.
const beatStep = 10 * time.Millisecond

// beatStall is how long this process must have stood still for heartbeats to be put off.
const beatStall = time.Second

// beat gives every user a heartbeat in each period, spread evenly: one goroutine walks round all of them,
// so that none needs a timer. It returns when ctx ends.
func (c *crowd) beat(ctx context.Context) {
	period := c.cfg.Heartbeat
	if period <= 0 || c.cfg.Protocol != Phoenix {
		return
	}
	tick := time.NewTicker(beatStep)
	defer tick.Stop()
	start, at := time.Now(), time.Duration(0)
	done := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if behind := time.Since(start) - at; behind > beatStall {
			start = start.Add(behind) // or a user would have two heartbeats at once, and fail to answer the first
		}
		at = time.Since(start)
		want := int(float64(len(c.users)) * float64(at) / float64(period))
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
