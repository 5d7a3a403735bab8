package poller_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// Everything that may be done is done at the same time, up to Shutdown.
func TestMemoryChaos(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		seed, source := seeded(t)
		var mu sync.Mutex
		shared := source(0)
		random := func() int { mu.Lock(); defer mu.Unlock(); return shared.IntN(1 << 20) }
		var total atomic.Int64
		e := start(poller.Config{
			Accept:      func(poller.Conn) poller.Handler { return &chaos{t: t, rnd: random, total: &total} },
			OutboxLimit: 64 << 10, MailboxLimit: 2, ReadBuffer: 512, GoroutineBuffer: 512, Workers: 4, MaxConns: 64,
			WriteTimeout: 20 * time.Millisecond, LingerTimeout: 20 * time.Millisecond,
		})
		var stop atomic.Bool
		var wg sync.WaitGroup
		for g := range 3 {
			wg.Go(func() { memoryPeers(source(uint64(1+g)), e, &stop) })
		}
		for g := range 3 {
			rnd := source(uint64(10 + g))
			wg.Go(func() {
				for ; !stop.Load(); runtime.Gosched() {
					e.Each(func(c poller.Conn, _ poller.Handler) bool { disturb(rnd, c); return rnd.IntN(4) != 0 })
				}
			})
		}
		eventually(t, "two thousand closes", func() bool { return total.Load() >= 2000 })
		within := patience
		if seed%2 == 0 {
			within = time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		err := e.Shutdown(ctx)
		if s := e.Stats(); s.Open != 0 {
			t.Errorf("Shutdown: %v; %+v", err, s)
		}
		stop.Store(true)
		wg.Wait()
		eventually(t, "every OnClose", func() bool { s := e.Stats(); return s.Accepted == s.Closed })
	})
}

// memoryPeers connects, sends and ends in the ways that a peer can, or leaves the end to others.
func memoryPeers(rnd *rand.Rand, e *poller.Memory, stop *atomic.Bool) {
	for ; !stop.Load(); runtime.Gosched() {
		k := &peer{limit: -1, closed: make(chan struct{})}
		if rnd.IntN(2) == 0 {
			k.limit = rnd.IntN(4096)
		}
		link, err := e.Connect(k)
		if err != nil {
			continue
		}
		var wg sync.WaitGroup
		for range rnd.IntN(8) {
			data := make([]byte, rnd.IntN(2000))
			wg.Go(func() { link.Feed(data) })
			link.Ready()
		}
		if rnd.IntN(2) == 0 {
			link.Finish()
		}
		wg.Wait()
	}
}
