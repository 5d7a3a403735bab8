package poller

// In-package: the kernel is made to refuse the registration of a connection.

import (
	"context"
	"errors"
	"net"
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	epfd := e.loops[0].epfd
	e.loops[0].epfd = -1
	h := make(closeHandler, 2)
	attached := e.Attach(nc, h, nil)
	e.loops[0].epfd = epfd
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if len(h) != 1 || attached != nil {
		t.Fatalf("Attach: %v; OnClose came %d times", attached, len(h))
	}
	if why := <-h; !errors.Is(why, unix.EBADF) {
		t.Errorf("OnClose(%v)", why)
	}
}
