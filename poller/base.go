package poller

import (
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// base is what the engines share: settings, workers, the sweep, the count of what still lives.
type base struct {
	cfg      Config
	clock    clock
	workers  *workers
	counters counters

	fds      sync.WaitGroup // open descriptors
	live     atomic.Int64   // open descriptors, plus connections whose OnClose has not returned
	drained  chan struct{}  // told when live has come to 0
	shortest atomic.Uint32  // the shortest timeout ever set, in milliseconds: the period of the sweep
	faster   chan struct{}  // tells the sweep that shortest has become shorter
	quit     chan struct{}  // closed when Shutdown begins
	stop     chan struct{}  // closed to end the sweep
	swept    sync.WaitGroup

	endLoops func() // ends what runs on workers for as long as the engine lives; nil: nothing

	mu        sync.Mutex // protects the following
	down      bool       // Shutdown was called
	listeners map[io.Closer]struct{}
	serving   sync.WaitGroup // calls that may add connections; none begins once down is set
}

func (b *base) init(cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	w, err := newWorkers(cfg.Workers, cfg.Loops)
	if err != nil {
		return err
	}
	b.cfg, b.workers = cfg, w
	b.clock = clock{start: time.Now()}
	b.drained = make(chan struct{}, 1)
	b.faster = make(chan struct{}, 1)
	b.quit = make(chan struct{})
	b.stop = make(chan struct{})
	b.listeners = make(map[io.Closer]struct{})
	return nil
}

// deadline returns the clock time d from now and sees to it that the sweep comes by often enough.
func (b *base) deadline(d time.Duration) uint32 {
	ms := millis(d)
	for {
		s := b.shortest.Load()
		if s != 0 && s <= ms {
			break
		}
		if b.shortest.CompareAndSwap(s, ms) {
			select {
			case b.faster <- struct{}{}:
			default:
			}
			break
		}
	}
	return later(b.clock.now(), ms)
}

// opened counts a new connection; an error says that it must be closed at once.
func (b *base) opened() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return ErrShutdown
	}
	if b.cfg.MaxConns > 0 && b.counters.open.Load() >= int64(b.cfg.MaxConns) {
		b.counters.overLimit.Add(1)
		return ErrMaxConns
	}
	b.counters.accepted.Add(1)
	b.counters.open.Add(1)
	b.live.Add(2)
	b.fds.Add(1)
	return nil
}

// leaves takes a connection out of those that are open, before its peer can see the end of it: a peer that
// comes back at once is not refused because of itself. gone counts a descriptor that was then closed or
// detached, closed an OnClose that has returned.
func (b *base) leaves() { b.counters.open.Add(-1) }

func (b *base) gone() {
	b.fds.Done()
	b.dead(1)
}

// gaveAway counts a connection that was detached.
func (b *base) gaveAway() {
	b.counters.detached.Add(1)
	b.leaves()
	b.gone()
	b.dead(1)
}

func (b *base) closed(reason error) {
	b.counters.closed(reason)
	b.dead(1)
}

func (b *base) dead(n int64) {
	if b.live.Add(-n) == 0 {
		select {
		case b.drained <- struct{}{}:
		default:
		}
	}
}

// attachSocket is Attach for an engine that owns descriptors.
func (b *base) attachSocket(nc net.Conn, add func(fd int) error) error {
	if err := b.enter(); err != nil {
		nc.Close()
		return err
	}
	defer b.serving.Done()
	fd, err := dupSocket(nc)
	nc.Close()
	if err != nil {
		return err
	}
	return add(fd)
}

// enter begins a call that may add connections, which ends with serving.Done: Shutdown waits for it
// before it looks for connections to close.
func (b *base) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return ErrShutdown
	}
	b.serving.Add(1)
	return nil
}

// listen notes l, so that Shutdown closes it.
func (b *base) listen(l io.Closer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		l.Close()
		return ErrShutdown
	}
	b.listeners[l] = struct{}{}
	b.serving.Add(1)
	return nil
}

func (b *base) unlisten(l io.Closer) {
	b.mu.Lock()
	delete(b.listeners, l)
	b.mu.Unlock()
	l.Close()
	b.serving.Done()
}

func (b *base) isDown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.down
}

// shutdown is Shutdown; each calls its argument for every open connection.
func (b *base) shutdown(ctx context.Context, each func(func(Conn, Handler) bool)) error {
	b.mu.Lock()
	again := b.down
	b.down = true
	open := slices.Collect(maps.Keys(b.listeners))
	b.mu.Unlock()
	if again {
		return ErrShutdown
	}
	for _, l := range open {
		l.Close() // waits for an accept that is under way, which needs the lock
	}
	close(b.quit)
	b.serving.Wait()
	each(func(c Conn, _ Handler) bool { c.Close(); return true })
	err := b.drain(ctx)
	if err != nil {
		each(func(c Conn, _ Handler) bool { c.Abort(ErrShutdown); return true })
		b.fds.Wait()
	}
	if b.endLoops != nil {
		b.endLoops()
	}
	if rerr := b.workers.release(ctx); err == nil {
		err = rerr
	}
	close(b.stop)
	b.swept.Wait()
	return err
}

// drain waits until nothing lives.
func (b *base) drain(ctx context.Context) error {
	for b.live.Load() != 0 {
		select {
		case <-b.drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
