package poller

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// Netpoll is the engine on github.com/cloudwego/netpoll: its pollers read into its buffers, and its
// task goroutines call the handlers. Its pollers are the library's and the process's, not an engine's:
// Config.Loops is not looked at, Shutdown leaves them running, and what the library has to say it logs
// to standard error (netpoll.Configure changes either, before the first engine is made).
//
// Accepting, writing and closing are done here, on the descriptor, for the library's ways do not meet
// the contract: its accept loop retries for ever after EMFILE, its Flush waits for a slow reader, and
// it closes a connection whose peer has finished sending, with the answers unsent. It gives up the
// descriptor at the peer's FIN and at a reset alike, without saying which.
//
// Where the library does not allow what the contract promises:
//
//   - It reads on while a connection is paused or its mailbox is full, so the peer is not slowed down
//     by TCP. Once the bytes are more than netpollUnread the connection is reset with ErrMailboxFull.
//     Bytes that wait hold a goroutine, the library's task.
//   - Whatever broke a connection is reported as ECONNRESET, for the library consumes the kernel's
//     error. On a Unix socket it is io.EOF.
//   - Detach returns a net.Conn that reads by way of the library, from its own memory, and writes to
//     the socket. It is no syscall.Conn.
type Netpoll struct {
	base
	table   table[netpollConn]
	numbers numbers
}

// netpollUnread bounds what a paused connection's peer can make the library hold: two of the largest
// reads that it does at once (8 MiB). It is looked at once in netpollLook.
const netpollUnread = 16 << 20

// NewNetpoll starts an engine without listeners. Shutdown must be called to free it.
func NewNetpoll(cfg Config) (*Netpoll, error) {
	e := &Netpoll{}
	if err := e.init(cfg); err != nil {
		return nil, err
	}
	e.startSweep(func(now uint32) { sweepTable(&e.base, &e.table, now) })
	return e, nil
}

// Serve implements Engine.
func (e *Netpoll) Serve(l net.Listener) error {
	return e.serveSocket(l, func(fd int) error { return e.add(fd, nil, nil) })
}

// Attach implements Engine.
func (e *Netpoll) Attach(nc net.Conn, h Handler, early []byte) error {
	return e.attachSocket(nc, func(fd int) error { return e.add(fd, h, early) })
}

// Each implements Engine.
func (e *Netpoll) Each(f func(Conn, Handler) bool) {
	e.table.each(func(_ *slot[netpollConn], c *netpollConn) bool { return f(c, c.current()) })
}

// Shutdown implements Engine.
func (e *Netpoll) Shutdown(ctx context.Context) error { return e.shutdown(ctx, e.Each) }

// add makes fd a connection of the engine, which owns it from here on. After an error h is not called.
func (e *Netpoll) add(fd int, h Handler, early []byte) error {
	if err := e.opened(); err != nil {
		unix.Close(fd)
		return err
	}
	c := &netpollConn{e: e, fd: int32(fd), slot: e.numbers.take(), wake: make(chan struct{}, 1)}
	s := e.table.grow(int(c.slot))
	if c.handler = h; h == nil {
		c.open(c, &e.base, e.cfg.Accept)
	}
	if len(early) > 0 {
		c.hold(early)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(stGone) {
		return ErrClosed // Accept ended it: fd may be another's by now
	}
	s.conn.Store(c)
	if !c.registerLocked() {
		return nil
	}
	if len(early) > 0 {
		c.signal(opRead)
	}
	return nil
}

// registerLocked hands the descriptor to the library. If that does not take it, the connection is at its end.
func (c *netpollConn) registerLocked() (ok bool) {
	nc, err := netpoll.NewFDConnection(int(c.fd))
	if err != nil {
		c.releaseLocked(c, &c.e.base, err) // the library has closed the descriptor
		c.closed = true
		c.leaveTable()
		c.e.leaves()
		c.e.gone()
		return false
	}
	c.registered = true
	_ = nc.AddCloseCallback(c.left)
	_ = nc.SetOnRequest(c.onRequest) // also starts a task if bytes have come in the meantime
	if !nc.IsActive() {
		nc.Close() // it left before it knew whom to tell, and left has not been called
	}
	return true
}

// left is the library's last word on a connection: it has the descriptor no longer, and its task has
// ended. It runs once, on a goroutine of the library or, in registerLocked, with the lock held.
func (c *netpollConn) left(nc netpoll.Connection) error {
	if n := nc.Reader().Len(); n > 0 {
		p, _ := nc.Reader().Next(n)
		c.rest = append([]byte(nil), p...)
	}
	// The library is about to close the descriptor, which is ours. Its Detach, here, does nothing but
	// say that it shall not.
	_ = nc.(interface{ Detach() error }).Detach()
	c.signal(opLeft)
	return nil
}

// opLeft is the netpoll engine's own op: the library has given up the descriptor.
const opLeft op = opDestroy + 1

// opsServed marks in netpollConn.ops that a goroutine serves them.
const opsServed = 1 << 31

// A pendingOps is a set of ops, each asked for at least once, that one goroutine at a time serves.
type pendingOps struct{ bits atomic.Uint32 }

// ask notes op; start reports that the caller must see to it that a goroutine serves.
func (p *pendingOps) ask(op op) (start bool) {
	return p.bits.Or(1<<op|opsServed)&opsServed == 0
}

// next returns the ops to serve; 0 ends the goroutine's turn.
func (p *pendingOps) next() uint32 {
	for {
		if ops := p.bits.Swap(opsServed) &^ opsServed; ops != 0 {
			return ops
		}
		if p.bits.CompareAndSwap(opsServed, 0) {
			return 0
		}
	}
}
