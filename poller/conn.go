package poller

import (
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A conn is a connection of the epoll engine: 64 bytes, one size class of the Go heap.
//
// Every connection is a heap object of its own and is not reused: whoever still holds one after its
// close holds something that refuses, never a stranger's connection.
type conn struct {
	core
	loop *loop
	fd   int32  // constant; its number may belong to another socket once stGone is set
	gen  uint32 // constant; tells this owner of fd from earlier ones in epoll's datum
}

// events is the one registration of a connection's life. The datum is its descriptor and generation.
func (c *conn) events() unix.EpollEvent {
	return unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     c.fd, Pad: int32(c.gen),
	}
}

func (c *conn) base() *base { return &c.loop.e.base }

func (c *conn) Write(p []byte) error           { return c.send(c, c.base(), p, false) }
func (c *conn) Send(p []byte) error            { return c.send(c, c.base(), p, true) }
func (c *conn) Do(t Task) (bool, error)        { return c.do(c, c.base(), t) }
func (c *conn) SetHandler(h Handler)           { c.setHandler(h) }
func (c *conn) Pause()                         { c.pause() }
func (c *conn) Resume()                        { c.resume(c) }
func (c *conn) Close()                         { c.close(c, c.base(), nil) }
func (c *conn) CloseWith(last []byte)          { c.closeWith(c, c.base(), last, false) }
func (c *conn) Truncate(last []byte)           { c.closeWith(c, c.base(), last, true) }
func (c *conn) Abort(reason error)             { c.abort(c, c.base(), reason) }
func (c *conn) Outbox() int                    { return c.outboxSize() }
func (c *conn) SetDeadline(d time.Duration)    { c.setDeadline(c, c.base(), d, false) }
func (c *conn) SetIdleTimeout(d time.Duration) { c.setDeadline(c, c.base(), d, true) }

// socket: what the core asks of the engine.

func (c *conn) run() bool { return c.runTasks(c, c.base()) }
func (c *conn) begin() {
	// Whoever it is that gives work to a connection while its OnData runs, the loop sees to it after.
	if !c.loop.serving.CompareAndSwap(c, c.loop.mark) {
		c.loop.e.workers.submit(c)
	}
}
func (c *conn) signal(op op)          { c.loop.post(c, op) }
func (c *conn) awaitWritable()        {} // EPOLLOUT is registered once and for all
func (c *conn) deadlines() *deadlines { return &c.loop.e.table.at(int(c.fd)).deadlines }
func (c *conn) finish()               { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) }

func (c *conn) transmit(p []byte) (int, error) {
	return written(unix.Write(int(c.fd), p))
}

func (c *conn) transmitv(v [][]byte) (int, error) {
	return written(unix.Writev(int(c.fd), v))
}

// Detach implements Conn.
func (c *conn) Detach() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.detachableLocked(); err != nil {
		return nil, err
	}
	nc, err := dupConn(int(c.fd))
	if err != nil {
		return nil, err
	}
	c.setLocked(stClosing | stSealed | stGone)
	e := c.loop.e
	_ = unix.EpollCtl(c.loop.epfd, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	e.table.at(int(c.fd)).clear()
	unix.Close(int(c.fd))
	e.gaveAway()
	return nc, nil
}

// SetReadBuffer sets how many bytes the kernel takes for the connection before they are read (SO_RCVBUF,
// socket(7), which doubles it), as net.TCPConn's does. Connections of this engine have it, for clients.
func (c *conn) SetReadBuffer(bytes int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(stGone) {
		return ErrClosed
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes))
}

// RemoteAddr implements Conn.
func (c *conn) RemoteAddr() netip.AddrPort { return c.address(int(c.fd), unix.Getpeername) }

// LocalAddr implements Conn.
func (c *conn) LocalAddr() netip.AddrPort { return c.address(int(c.fd), unix.Getsockname) }
