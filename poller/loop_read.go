package poller

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// serve gives a connection's handler what was held, then what the kernel has.
//
// Events are edge-triggered, so it reads until the kernel has nothing more: a read(2) that does not
// fill the buffer says so as well (epoll(7), "Do I need to continuously read"), which saves the read
// that would return EAGAIN. toEnd forbids that short cut: a FIN or an error may stand behind the
// bytes whose edge is spent already.
func (l *loop) serve(c *conn, toEnd bool) {
	if c.is(stGone | stPaused | stFull) {
		return
	}
	if held := c.takeHeld(); held != nil && !l.give(c, held, true) {
		return
	}
	for range turnReads {
		if c.is(stGone | stPaused | stFull) {
			return
		}
		n, err := unix.Read(int(c.fd), l.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case err != nil:
			l.destroy(c, err)
			return
		case n == 0:
			c.close(c, &l.e.base, io.EOF)
			return
		}
		if !l.give(c, l.buf[:n], false) || n < len(l.buf) && !toEnd {
			return
		}
	}
	if !c.is(stGone) { // Detach: the number may be another's by now
		l.again(c)
	}
}

// give calls OnData and notes whether that began work.
func (l *loop) give(c *conn, data []byte, held bool) bool {
	l.serving.Store(c)
	on := c.give(c, &l.e.base, l.now, data, held)
	if l.serving.Swap(nil) == l.mark {
		l.runnable = append(l.runnable, c)
	}
	return on
}

// again makes the kernel report c in the next turn, although its edge is spent: others come first.
func (l *loop) again(c *conn) {
	ev := c.events()
	err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_MOD, int(c.fd), &ev)
	if err == unix.ENOENT {
		return // closed before it was registered, which will report what is there
	}
	if err != nil {
		l.destroy(c, os.NewSyscallError("epoll_ctl", err))
	}
}

// destroy closes the descriptor. Only the loop does, so that no other goroutine can be reading or
// registering it, and writers look at stGone under the lock.
func (l *loop) destroy(c *conn, reason error) {
	c.mu.Lock()
	reset := c.is(stReset)
	first := c.releaseLocked(c, &l.e.base, reason)
	c.mu.Unlock()
	if !first {
		return
	}
	if reset {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	l.e.table.at(int(c.fd)).clear() // before close(2): the next owner may come at once
	l.e.leaves()
	unix.Close(int(c.fd))
	l.e.gone()
}
