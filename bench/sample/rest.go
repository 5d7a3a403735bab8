package sample

import (
	"context"
	"time"
)

const (
	restLook = 250 * time.Millisecond

	// restCalm is for how many looks a value must not change: 2.5 s. A server that collects garbage when
	// its connections have come to rest does that up to two seconds later, as dormouse serve does.
	restCalm = 10

	// restLooks bounds the wait to 15 s.
	restLooks = 60

	// restPart and restBytes are by how much memory may move at rest, whichever is more: a thousandth,
	// or some pages.
	restPart  = 1000
	restBytes = 64 << 10
)

// Rest reads a number of bytes four times a second and returns it when it has not moved for 2.5 s. After
// 15 s it returns the last one all the same. The error is that of read, or of ctx.
//
// It is for resident memory: after many connections have come or gone that falls once more, when their
// garbage is collected.
func Rest(ctx context.Context, read func() (int64, error)) (int64, error) {
	tick := time.NewTicker(restLook)
	defer tick.Stop()
	return rest(ctx, read, tick.C)
}

func rest(ctx context.Context, read func() (int64, error), look <-chan time.Time) (int64, error) {
	anchor, err := read()
	if err != nil {
		return 0, err
	}
	last, calm := anchor, 0
	for range restLooks {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-look:
		}
		if last, err = read(); err != nil {
			return 0, err
		}
		if off := last - anchor; max(off, -off) > max(anchor/restPart, restBytes) {
			anchor, calm = last, 0
			continue
		}
		if calm++; calm == restCalm {
			break
		}
	}
	return last, nil
}
