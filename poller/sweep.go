package poller

import "time"

// The sweep comes by once in an eighth of the shortest timeout in use, within these bounds. A pass
// over a million slots takes a few milliseconds.
const (
	minSweep = 5 * time.Millisecond
	maxSweep = time.Second
)

// startSweep calls pass with the clock's time again and again until the engine stops.
func (b *base) startSweep(pass func(now uint32)) {
	b.swept.Add(1)
	go func() {
		defer b.swept.Done()
		timer := time.NewTimer(b.sweepPeriod())
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
				pass(b.clock.now())
			case <-b.faster:
			case <-b.stop:
				return
			}
			timer.Reset(b.sweepPeriod())
		}
	}()
}

func (b *base) sweepPeriod() time.Duration {
	s := b.shortest.Load()
	if s == 0 {
		return time.Hour // no deadline was ever set; the first one says so on faster
	}
	return min(max(time.Duration(s)*time.Millisecond/8, minSweep), maxSweep)
}

// A sweepable is what the sweep needs of a connection: itself as a socket, and its core.
type sweepable[T any] interface {
	*T
	socket
	kernel() *core
}

// sweepTable looks at every deadline of a table once.
func sweepTable[T any, P sweepable[T]](b *base, t *table[T], now uint32) {
	t.each(func(s *slot[T], c *T) bool {
		if due(s.write.Load(), now) || due(s.read.Load(), now) {
			P(c).kernel().expire(P(c), b, now)
		}
		return true
	})
}
