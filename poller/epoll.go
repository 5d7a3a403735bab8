package poller

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

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
	nextLoop  atomic.Uint32
	nextGen   atomic.Uint32
}

// NewEpoll starts an engine without listeners. Shutdown must be called to free it.
func NewEpoll(cfg Config) (*Epoll, error) {
	e := &Epoll{}
	if err := e.init(cfg); err != nil {
		return nil, err
	}
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
		go l.run()
	}
	e.startSweep(func(now uint32) { sweepTable(&e.base, &e.table, now) })
	return e, nil
}

// Serve implements Engine.
func (e *Epoll) Serve(l net.Listener) error {
	fd, err := dupSocket(l)
	l.Close() // the duplicate listens on; package net would not let us call accept4(2) ourselves
	if err != nil {
		return err
	}
	// Accepted sockets inherit it, which saves a system call for each. It fails on a Unix socket.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	f := os.NewFile(uintptr(fd), "listener")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return err
	}
	if err := e.listen(f); err != nil {
		return err
	}
	defer e.unlisten(f)
	return e.serve(func() error { return e.acceptBatch(raw) })
}

// acceptBatch waits for connections and accepts until none is left in the queue.
func (e *Epoll) acceptBatch(raw syscall.RawConn) error {
	var failed error
	err := raw.Read(func(listener uintptr) bool {
		for {
			fd, _, err := unix.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err == unix.EAGAIN {
				return false
			}
			if err != nil {
				failed = os.NewSyscallError("accept4", err)
				return true
			}
			_ = e.add(fd, nil, nil)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}

// add makes fd a connection of the engine, which owns it from here on.
func (e *Epoll) add(fd int, h Handler, early []byte) error {
	if !e.opened() {
		unix.Close(fd)
		return ErrShutdown
	}
	l := e.loops[e.nextLoop.Add(1)%uint32(len(e.loops))]
	c := &conn{loop: l, fd: int32(fd), gen: e.nextGen.Add(1)}
	s := e.table.grow(fd)
	if c.handler = h; h == nil {
		c.handler = e.cfg.Accept(c)
	}
	s.conn.Store(c)
	ev := c.events()
	if early != nil {
		c.hold(early)
		l.post(c, opRead)
	}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		err = os.NewSyscallError("epoll_ctl", err) // ENOSPC: fs.epoll.max_user_watches
		c.abort(c, &e.base, err)
		return err
	}
	if e.isDown() {
		c.Close() // Shutdown may have walked the table before c was in it
	}
	return nil
}

// Attach implements Engine.
func (e *Epoll) Attach(nc net.Conn, h Handler, early []byte) error {
	fd, err := dupSocket(nc)
	nc.Close()
	if err != nil {
		return err
	}
	return e.add(fd, h, early)
}

// dupSocket returns a descriptor of our own for the socket of a net.Conn or net.Listener.
func dupSocket(s any) (int, error) {
	sc, ok := s.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("%w: %T", ErrNoSocket, s)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && dupErr != nil {
		err = os.NewSyscallError("fcntl", dupErr)
	}
	return fd, err
}

// Each implements Engine.
func (e *Epoll) Each(f func(Conn, Handler) bool) {
	e.table.each(func(_ *slot[conn], c *conn) bool {
		return f(c, c.current())
	})
}

// Shutdown implements Engine.
func (e *Epoll) Shutdown(ctx context.Context) error {
	err := e.shutdown(ctx, e.Each)
	if err == ErrShutdown {
		return err
	}
	for _, l := range e.loops {
		l.end()
	}
	e.loopsDone.Wait()
	return err
}
