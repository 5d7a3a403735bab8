package poller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Goroutine is the engine without hibernation: a goroutine and a read buffer of Config.GoroutineBuffer
// for every connection, on package net. It is what the others are measured against.
//
// A reset of the peer is noticed by reading and writing alone: while a connection is paused and
// nothing is sent on it, nobody does either.
type Goroutine struct {
	base
	table   table[goConn]
	numbers numbers
}

// NewGoroutine starts an engine without listeners. Shutdown must be called to free it.
func NewGoroutine(cfg Config) (*Goroutine, error) {
	e := &Goroutine{}
	if err := e.init(cfg); err != nil {
		return nil, err
	}
	e.startSweep(func(now uint32) { sweepTable(&e.base, &e.table, now) })
	return e, nil
}

// Serve implements Engine. The connections that l accepts must be sockets of the kernel.
func (e *Goroutine) Serve(l net.Listener) error {
	if _, ok := l.(syscall.Conn); !ok {
		l.Close()
		return fmt.Errorf("%w: %T", ErrNoSocket, l)
	}
	if err := e.listen(l); err != nil {
		return err
	}
	defer e.unlisten(l)
	return e.serve(func() (int, error) {
		nc, err := l.Accept()
		if err != nil {
			return 0, err
		}
		_ = e.add(nc, nil, nil)
		return 1, nil
	})
}

// Attach implements Engine.
func (e *Goroutine) Attach(nc net.Conn, h Handler, early []byte) error {
	if err := e.enter(); err != nil {
		nc.Close()
		return err
	}
	defer e.serving.Done()
	return e.add(nc, h, early)
}

// add makes nc a connection of the engine, which owns it from here on.
func (e *Goroutine) add(nc net.Conn, h Handler, early []byte) error {
	fd, raw, err := descriptor(nc)
	if err == nil {
		err = e.opened()
	}
	if err != nil {
		nc.Close()
		return err
	}
	_ = nc.SetDeadline(time.Time{}) // an attached one may have some
	c := &goConn{e: e, nc: nc, raw: raw, fd: int32(fd), slot: e.numbers.take(), wake: make(chan struct{}, 1)}
	s := e.table.grow(int(c.slot))
	if c.handler = h; h == nil {
		c.open(c, &e.base, e.cfg.Accept)
	}
	if len(early) > 0 {
		c.hold(early)
	}
	s.conn.Store(c)
	go c.read()
	return nil
}

// descriptor returns the number of nc's socket, which holds until nc is closed.
func descriptor(nc net.Conn) (fd int, raw syscall.RawConn, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, nil, fmt.Errorf("%w: %T", ErrNoSocket, nc)
	}
	if raw, err = sc.SyscallConn(); err != nil {
		return -1, nil, err
	}
	err = raw.Control(func(n uintptr) { fd = int(n) })
	return fd, raw, err
}

// Each implements Engine.
func (e *Goroutine) Each(f func(Conn, Handler) bool) {
	e.table.each(func(_ *slot[goConn], c *goConn) bool { return f(c, c.current()) })
}

// Shutdown implements Engine.
func (e *Goroutine) Shutdown(ctx context.Context) error { return e.shutdown(ctx, e.Each) }

// A goConn is a connection of the goroutine engine.
type goConn struct {
	core
	e    *Goroutine
	nc   net.Conn
	raw  syscall.RawConn // of nc
	fd   int32           // of nc; its number may belong to another socket once stGone is set
	slot int32
	ops  atomic.Uint32 // a bit for each op that was asked for
	wake chan struct{} // told after ops has changed
}

func (c *goConn) Write(p []byte) error           { return c.send(c, &c.e.base, p, false) }
func (c *goConn) Send(p []byte) error            { return c.send(c, &c.e.base, p, true) }
func (c *goConn) Do(t Task) (bool, error)        { return c.do(c, &c.e.base, t) }
func (c *goConn) SetHandler(h Handler)           { c.setHandler(h) }
func (c *goConn) Pause()                         { c.pause() }
func (c *goConn) Resume()                        { c.resume(c) }
func (c *goConn) Close()                         { c.close(c, &c.e.base, nil) }
func (c *goConn) CloseWith(last []byte)          { c.closeWith(c, &c.e.base, last, false) }
func (c *goConn) Truncate(last []byte)           { c.closeWith(c, &c.e.base, last, true) }
func (c *goConn) Abort(reason error)             { c.abort(c, &c.e.base, reason) }
func (c *goConn) Outbox() int                    { return c.outboxSize() }
func (c *goConn) SetDeadline(d time.Duration)    { c.setDeadline(c, &c.e.base, d, false) }
func (c *goConn) SetIdleTimeout(d time.Duration) { c.setDeadline(c, &c.e.base, d, true) }
func (c *goConn) RemoteAddr() netip.AddrPort     { return c.address(int(c.fd), unix.Getpeername) }
func (c *goConn) LocalAddr() netip.AddrPort      { return c.address(int(c.fd), unix.Getsockname) }

func (c *goConn) begin()                { c.e.workers.submit(c) }
func (c *goConn) run() bool             { return c.runTasks(c, &c.e.base) }
func (c *goConn) deadlines() *deadlines { return &c.e.table.at(int(c.slot)).deadlines }
func (c *goConn) finish()               { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) }

// transmit does not go through nc: its Write would wait for a slow reader, and RawConn.Write for the
// goroutine of awaitWritable. fd is nc's while the lock is held and stGone is not set.
func (c *goConn) transmit(p []byte) (int, error) { return written(unix.Write(int(c.fd), p)) }

func (c *goConn) transmitv(v [][]byte) (int, error) { return written(unix.Writev(int(c.fd), v)) }

// awaitWritable flushes from a goroutine of its own, which the runtime's poller parks until the outbox
// is empty or the connection gone.
func (c *goConn) awaitWritable() {
	go func() { _ = c.raw.Write(func(uintptr) bool { return !c.flush(c, &c.e.base) }) }()
}

// aLongTimeAgo is a read deadline that wakes a blocked Read.
var aLongTimeAgo = time.Unix(1, 0)

func (c *goConn) signal(op op) {
	c.ops.Or(1 << op)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	_ = c.nc.SetReadDeadline(aLongTimeAgo)
}

// read is the connection's goroutine.
func (c *goConn) read() {
	buf := make([]byte, c.e.cfg.GoroutineBuffer)
	for {
		c.runOps()
		if c.is(stGone) {
			return // nc is closed, or another's
		}
		if c.is(stPaused | stFull | stEOF) {
			<-c.wake
			continue
		}
		if held := c.takeHeld(); held != nil {
			if !c.give(c, &c.e.base, c.e.clock.now(), held, true) {
				<-c.wake
			}
			continue
		}
		n, err := c.nc.Read(buf)
		if n > 0 && !c.give(c, &c.e.base, c.e.clock.now(), buf[:n], false) {
			<-c.wake
			continue
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.rearm()
		case errors.Is(err, io.EOF):
			c.close(c, &c.e.base, io.EOF)
		default:
			c.destroy(cause(err))
		}
	}
}

// rearm takes back the deadline that woke Read. An op of which it took the deadline has its bit set
// already, and ops is looked at before the next Read.
func (c *goConn) rearm() { _ = c.nc.SetReadDeadline(time.Time{}) }

func (c *goConn) runOps() {
	ops := c.ops.Swap(0)
	if ops&(1<<opTimeout) != 0 {
		c.timeout(c, &c.e.base)
	}
	if ops&(1<<opDestroy) != 0 {
		c.destroy(nil)
	}
}

// cause strips what package net wraps around the kernel's error: addresses that are gone by now.
func cause(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// destroy closes the socket; the read goroutine alone does.
func (c *goConn) destroy(reason error) {
	c.mu.Lock()
	reset := c.is(stReset)
	first := c.releaseLocked(c, &c.e.base, reason)
	c.mu.Unlock()
	if !first {
		return
	}
	if reset {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	c.leaveTable()
	c.e.leaves()
	c.nc.Close()
	c.e.gone()
}

func (c *goConn) leaveTable() {
	c.e.table.at(int(c.slot)).clear()
	c.e.numbers.giveBack(c.slot)
}

// Detach implements Conn. The net.Conn is the one that was accepted or attached.
func (c *goConn) Detach() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.detachableLocked(); err != nil {
		return nil, err
	}
	c.setLocked(stClosing | stSealed | stGone)
	_ = c.nc.SetReadDeadline(time.Time{}) // signal may just have set one, and sets none any more
	c.leaveTable()
	c.e.gaveAway()
	return c.nc, nil
}
