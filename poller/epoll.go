package poller

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Epoll is the default engine: a few event loops, each an epoll instance and one read buffer for all
// its connections. A sleeping connection is a descriptor, a slot of 16 bytes and a record of 64; it
// holds no goroutine and no buffer.
type Epoll struct {
	base
	table     table[conn]
	loops     []*loop
	loopsDone sync.WaitGroup
	watch     watch
	nextLoop  atomic.Uint32
	nextGen   atomic.Uint32
}

// NewEpoll starts an engine without listeners. Shutdown must be called to free it.
func NewEpoll(cfg Config) (*Epoll, error) {
	e := &Epoll{}
	if err := e.init(cfg); err != nil {
		return nil, err
	}
	e.endLoops = e.stopLoops
	for range e.cfg.Loops {
		l, err := newLoop(e)
		if err != nil {
			for _, l := range e.loops {
				l.close()
			}
			_ = e.workers.release(context.Background())
			return nil, fmt.Errorf("poller: cannot start event loop %d of %d: %w", len(e.loops)+1, e.cfg.Loops, err)
		}
		e.loops = append(e.loops, l)
	}
	for _, l := range e.loops {
		e.loopsDone.Add(1)
		e.workers.lead(l)
	}
	e.watch.wake = make(chan struct{}, 1)
	e.swept.Add(1)
	go e.watchLoops()
	e.startSweep(func(now uint32) { sweepTable(&e.base, &e.table, now) })
	return e, nil
}

// Serve implements Engine.
func (e *Epoll) Serve(l net.Listener) error {
	return e.serveSocket(l, func(fd int) error { return e.add(fd, nil, nil) })
}

// add makes fd a connection of the engine, which owns it from here on. After an error h is not called.
func (e *Epoll) add(fd int, h Handler, early []byte) error {
	if err := e.opened(); err != nil {
		unix.Close(fd)
		return err
	}
	l := e.loops[e.nextLoop.Add(1)%uint32(len(e.loops))]
	c := &conn{loop: l, fd: int32(fd), gen: e.nextGen.Add(1)}
	s := e.table.grow(fd)
	if c.handler = h; h == nil {
		c.open(c, &e.base, e.cfg.Accept)
	}
	if len(early) > 0 {
		c.hold(early)
	}
	ev := c.events()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(stGone) {
		return ErrClosed // Accept ended it: fd may be another's by now
	}
	s.conn.Store(c)
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		c.abortLocked(c, &e.base, os.NewSyscallError("epoll_ctl", err)) // ENOSPC: fs.epoll.max_user_watches
		return nil
	}
	if len(early) > 0 {
		c.signal(opRead)
	}
	return nil
}

// Attach implements Engine.
func (e *Epoll) Attach(nc net.Conn, h Handler, early []byte) error {
	return e.attachSocket(nc, func(fd int) error { return e.add(fd, h, early) })
}

// Each implements Engine.
func (e *Epoll) Each(f func(Conn, Handler) bool) {
	e.table.each(func(_ *slot[conn], c *conn) bool {
		return f(c, c.current())
	})
}

// Shutdown implements Engine.
func (e *Epoll) Shutdown(ctx context.Context) error {
	return e.shutdown(ctx, e.Each)
}

func (e *Epoll) stopLoops() {
	for _, l := range e.loops {
		l.end()
	}
	e.loopsDone.Wait()
	for _, l := range e.loops {
		l.close()
	}
}
