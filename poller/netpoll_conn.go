package poller

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// A netpollConn is a connection of the netpoll engine. Its descriptor is registered with the library
// but never the library's to close.
type netpollConn struct {
	core
	e    *Netpoll
	fd   int32 // its number may belong to another socket once closed is set
	slot int32
	ops  pendingOps
	wake chan struct{} // tells a task that waits that ops were served
	rest []byte        // what the library had read and not handed over; set before opLeft

	turn sync.Mutex // held while the handler is called, by a task or runOps; protects the following
	off  bool       // the library has left
	lost bool       // a reset, not a FIN, made it leave

	// Guarded by the core's lock.
	registered bool     // the library has the descriptor
	closed     bool     // the descriptor is closed
	waiter     *os.File // the descriptor's duplicate on which awaitWritable waits
	relay      *relay   // what Detach has returned
}

func (c *netpollConn) Write(p []byte) error           { return c.send(c, &c.e.base, p, false) }
func (c *netpollConn) Send(p []byte) error            { return c.send(c, &c.e.base, p, true) }
func (c *netpollConn) Do(t Task) (bool, error)        { return c.do(c, &c.e.base, t) }
func (c *netpollConn) SetHandler(h Handler)           { c.setHandler(h) }
func (c *netpollConn) Pause()                         { c.pause() }
func (c *netpollConn) Resume()                        { c.resume(c) }
func (c *netpollConn) Close()                         { c.close(c, &c.e.base, nil) }
func (c *netpollConn) CloseWith(last []byte)          { c.closeWith(c, &c.e.base, last, false) }
func (c *netpollConn) Truncate(last []byte)           { c.closeWith(c, &c.e.base, last, true) }
func (c *netpollConn) Abort(reason error)             { c.abort(c, &c.e.base, reason) }
func (c *netpollConn) Outbox() int                    { return c.outboxSize() }
func (c *netpollConn) SetDeadline(d time.Duration)    { c.setDeadline(c, &c.e.base, d, false) }
func (c *netpollConn) SetIdleTimeout(d time.Duration) { c.setDeadline(c, &c.e.base, d, true) }
func (c *netpollConn) RemoteAddr() netip.AddrPort     { return c.address(int(c.fd), unix.Getpeername) }
func (c *netpollConn) LocalAddr() netip.AddrPort      { return c.address(int(c.fd), unix.Getsockname) }

func (c *netpollConn) begin()                { c.e.workers.submit(c) }
func (c *netpollConn) run() bool             { return c.runTasks(c, &c.e.base) }
func (c *netpollConn) deadlines() *deadlines { return &c.e.table.at(int(c.slot)).deadlines }
func (c *netpollConn) finish()               { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) }

func (c *netpollConn) transmit(p []byte) (int, error) {
	n, err := unix.Write(int(c.fd), p)
	return written(n, broken(err))
}

func (c *netpollConn) transmitv(v [][]byte) (int, error) {
	n, err := unix.Writev(int(c.fd), v)
	return written(n, broken(err))
}

// broken is what a write was told, or what is made of it once the library has consumed that.
func broken(err error) error {
	if err == unix.EPIPE {
		return unix.ECONNRESET
	}
	return err
}

// awaitWritable flushes from a goroutine of its own, parked by the runtime's poller: the library waits
// for writability only while somebody blocks in its Flush, and not at all after the peer's FIN.
func (c *netpollConn) awaitWritable() {
	f, err := dupFile(int(c.fd))
	if err != nil {
		go c.Abort(err) // out of descriptors; the lock is held here
		return
	}
	c.waiter = f
	go func() {
		defer f.Close()
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Write(func(uintptr) bool { return !c.flush(c, &c.e.base) })
		}
		if err != nil && !errors.Is(err, os.ErrClosed) {
			c.Abort(err)
		}
	}()
}

func (c *netpollConn) signal(op op) {
	if c.ops.ask(op) {
		go c.runOps()
	}
}

// runOps does what other goroutines asked for, one at a time for a connection.
func (c *netpollConn) runOps() {
	for ops := c.ops.next(); ops != 0; ops = c.ops.next() {
		c.turn.Lock()
		if ops&(1<<opLeft) != 0 {
			c.departed()
		}
		if ops&(1<<opTimeout) != 0 {
			c.timeout(c, &c.e.base)
		}
		if ops&(1<<opDestroy) != 0 {
			c.destroy(nil)
		}
		if !c.is(stGone) {
			c.serve()
		}
		c.turn.Unlock()
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// onRequest is a task of the library. It may return only when nothing is left in the buffer: the
// library would call it again at once.
func (c *netpollConn) onRequest(_ context.Context, nc netpoll.Connection) error {
	for r := nc.Reader(); r.Len() > 0; {
		if !c.take(r) {
			c.park(nc)
		}
	}
	return nil
}

// take gives the handler what was held and then some of the library's buffer; false says that reading
// must wait.
func (c *netpollConn) take(r netpoll.Reader) bool {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.is(stGone) {
		c.drop(r)
		return true
	}
	if !c.giveHeld() {
		return false
	}
	if c.is(stGone) {
		return true
	}
	p, err := r.Next(min(r.Len(), c.e.cfg.ReadBuffer))
	if err != nil {
		return true // the library has closed it
	}
	c.give(c, &c.e.base, c.e.clock.now(), p, false)
	_ = r.Release()
	return true
}

// drop takes what nobody is to see, or passes it on to the owner of a detached connection.
func (c *netpollConn) drop(r netpoll.Reader) {
	p, err := r.Next(r.Len())
	c.mu.Lock()
	to := c.relay
	c.mu.Unlock()
	if err == nil && to != nil {
		to.pump(p, r)
	}
	_ = r.Release()
}

// giveHeld gives the handler what was held, and reports whether it can be given more.
func (c *netpollConn) giveHeld() bool {
	for !c.is(stPaused | stFull | stGone) {
		held := c.takeHeld()
		if held == nil {
			return true
		}
		if !c.give(c, &c.e.base, c.e.clock.now(), held, true) {
			return false
		}
	}
	return c.is(stGone)
}

// netpollLook is how often a task that waits looks at what it cannot be told: how much the library has
// read meanwhile, and whether the peer is still there.
const netpollLook = 5 * time.Millisecond

func (c *netpollConn) park(nc netpoll.Connection) {
	look := time.NewTimer(netpollLook)
	defer look.Stop()
	select {
	case <-c.wake:
	case <-look.C:
		if nc.Reader().Len() > netpollUnread {
			c.Abort(ErrMailboxFull)
		}
		if !nc.IsActive() && c.wasReset() { // the descriptor is open while this task runs
			c.Abort(unix.ECONNRESET)
		}
	}
}

// serve goes on with a connection that the library may have left. turn is held.
func (c *netpollConn) serve() {
	if !c.giveHeld() || c.is(stGone) {
		return
	}
	switch {
	case !c.off || c.is(stEOF):
	case c.lost:
		c.destroy(unix.ECONNRESET)
	default:
		c.close(c, &c.e.base, io.EOF)
	}
}

// departed notes that the library has left, because of the peer or because destroy made it. turn is held.
func (c *netpollConn) departed() {
	rest := c.rest
	c.rest, c.off = nil, true
	c.mu.Lock()
	c.registered = false
	gone, to := c.is(stGone), c.relay
	c.mu.Unlock()
	if gone {
		if to != nil {
			to.pump(rest, nil)
			to.out.Close()
		}
		c.closeDescriptor()
		return
	}
	if len(rest) > 0 {
		c.hold(rest)
	}
	c.lost = c.wasReset()
	if c.lost && c.is(stPaused|stFull) {
		c.destroy(unix.ECONNRESET) // nobody reads it now, so nobody else would see it
	}
}

// wasReset reports whether the connection is over in both directions although we did not finish ours.
func (c *netpollConn) wasReset() bool {
	const tcpClose = 7 // TCP_CLOSE of the kernel's net/tcp_states.h
	info, err := unix.GetsockoptTCPInfo(int(c.fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.State == tcpClose && !c.is(stFinSent)
}

// destroy gives up the connection. The descriptor is closed when the library has let go of it, and it
// does so by itself only when the socket comes to an end: so that is brought about. turn is held.
func (c *netpollConn) destroy(reason error) {
	c.mu.Lock()
	reset := c.is(stReset)
	first := c.releaseLocked(c, &c.e.base, reason)
	registered := c.registered
	c.mu.Unlock()
	if !first {
		return
	}
	c.leaveTable()
	if reset {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if !registered {
		c.closeDescriptor()
		return
	}
	how := unix.SHUT_RDWR
	if reset {
		how = unix.SHUT_RD // no FIN may come before the RST that close(2) sends
	}
	_ = unix.Shutdown(int(c.fd), how)
}

func (c *netpollConn) leaveTable() {
	c.e.table.at(int(c.slot)).clear()
	c.e.numbers.giveBack(c.slot)
}

// closeDescriptor closes it, and so wakes whoever waits to write. turn is held.
func (c *netpollConn) closeDescriptor() {
	c.mu.Lock()
	first, waiter, relay := !c.closed, c.waiter, c.relay
	c.closed, c.waiter = true, nil
	if first && relay == nil {
		c.e.leaves()
	}
	if first {
		unix.Close(int(c.fd))
	}
	c.mu.Unlock()
	if waiter != nil {
		waiter.Close()
	}
	if first && relay == nil {
		c.e.gone()
	}
}
