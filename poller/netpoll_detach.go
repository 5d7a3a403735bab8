package poller

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// A relay is what Detach of the netpoll engine returns: the library cannot be made to leave a socket
// while its task runs, and what it has read by then is in its memory. So the task goes on and passes
// everything on through a pipe, which has deadlines of its own.
type relay struct {
	net.Conn          // a duplicate of the descriptor: for writing
	in       net.Conn // the owner reads here what is written to out
	out      net.Conn
	c        *netpollConn
}

// Detach implements Conn; see Netpoll for what it returns.
func (c *netpollConn) Detach() (net.Conn, error) {
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
	in, out := net.Pipe()
	c.relay = &relay{Conn: nc, in: in, out: out, c: c}
	c.leaveTable()
	c.e.gaveAway()
	if c.off { // the library has left, and OnData has just been given the rest
		out.Close()
		c.closed = true
		unix.Close(int(c.fd))
	}
	return c.relay, nil
}

// pump passes p on; r, which may be nil, is what the library goes on reading into. It ends early when
// the owner closes, or leaves more unread than netpollUnread, which closes the connection to it.
func (r *relay) pump(p []byte, behind netpoll.Reader) {
	for len(p) > 0 {
		_ = r.out.SetWriteDeadline(time.Now().Add(netpollLook))
		n, err := r.out.Write(p)
		p = p[n:]
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if behind != nil && behind.Len() > netpollUnread {
			r.in.Close() // not out, which would read as the peer's orderly end
			return
		}
	}
}

func (r *relay) Read(p []byte) (int, error) { return r.in.Read(p) }

func (r *relay) SetReadDeadline(t time.Time) error { return r.in.SetReadDeadline(t) }

func (r *relay) SetDeadline(t time.Time) error {
	return errors.Join(r.in.SetReadDeadline(t), r.Conn.SetWriteDeadline(t))
}

// CloseWrite sends FIN, as that of *net.TCPConn.
func (r *relay) CloseWrite() error {
	return r.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Close ends both directions; the library then leaves the descriptor, and it is closed.
func (r *relay) Close() error {
	err := r.Conn.Close()
	r.in.Close()
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if !r.c.closed {
		_ = unix.Shutdown(int(r.c.fd), unix.SHUT_RDWR)
	}
	return err
}
