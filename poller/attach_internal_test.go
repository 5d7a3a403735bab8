package poller

// In-package: the kernel is made to refuse the registration of a connection.

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

type closeHandler chan error

func (h closeHandler) OnData(_ Conn, data []byte) int { return len(data) }
func (h closeHandler) OnTimeout(Conn)                 {}
func (h closeHandler) OnClose(_ Conn, why error)      { h <- why }

// An error of Attach says that nothing follows: who has the handler may end what it counts then. So a connection that
// the kernel does not let be watched was attached, and is closed for that.
func TestAttachUnwatched(t *testing.T) {
	e, err := NewEpoll(Config{Loops: 1, Accept: func(Conn) Handler { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if err := unix.EpollCtl(e.loops[0].epfd, unix.EPOLL_CTL_ADD, fds[0], &unix.EpollEvent{}); err != nil {
		t.Fatal(err) // it is to be there already
	}
	h := make(closeHandler, 2)
	attached := e.add(fds[0], h, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if len(h) != 1 || attached != nil {
		t.Fatalf("add: %v; OnClose came %d times", attached, len(h))
	}
	if why := <-h; !errors.Is(why, unix.EEXIST) {
		t.Errorf("OnClose(%v)", why)
	}
}
