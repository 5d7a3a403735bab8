package poller

// In-package: a write is made to fall between the moment in which the kernel has told the reading goroutine what
// broke a connection and that in which this says so.

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds a failing test.
const patience = time.Minute

// A brokenReader has the peer reset the connection and takes the kernel's word for it; then it does with write what
// another goroutine may do in this moment.
type brokenReader struct {
	peer   *net.TCPConn
	write  func(Conn)
	then   func(c Conn, told error) // what the reading goroutine does next
	closed chan error
}

func (h *brokenReader) OnData(c Conn, data []byte) int {
	h.peer.SetLinger(0)
	h.peer.Close()
	fd := descriptorOf(c)
	hup := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLHUP}}
	for n := 0; n == 0; n, _ = unix.Poll(hup, int(patience/time.Millisecond)) {
	}
	_, err := unix.Read(fd, make([]byte, 1))
	h.write(c)
	h.then(c, err)
	return len(data)
}

func (h *brokenReader) OnTimeout(Conn)            {}
func (h *brokenReader) OnClose(_ Conn, why error) { h.closed <- why }

func descriptorOf(c Conn) int {
	switch c := c.(type) {
	case *conn:
		return int(c.fd)
	case *goConn:
		return int(c.fd)
	}
	return int(c.(*netpollConn).fd)
}

// destroyed is what a reading goroutine does that was told err. The library that reads for the netpoll engine
// does not pass it on.
func destroyed(c Conn, err error) {
	switch c := c.(type) {
	case *conn:
		c.loop.destroy(c, err)
	case *goConn:
		c.destroy(err)
	}
}

// A reset is told once: to whoever reads, here. A write that comes in between must not be what OnClose hears of.
func TestWriteBehindTheReset(t *testing.T) {
	for _, name := range Names() {
		for what, write := range map[string]func(Conn){
			"Write":           func(c Conn) { c.Write([]byte("x")) },
			"Write and Close": func(c Conn) { c.Write([]byte("x")); c.Close() },
			"Write and Abort": func(c Conn) { c.Write([]byte("x")); c.Abort(ErrBusy) },
			"CloseWith":       func(c Conn) { c.CloseWith([]byte("x")) },
			"Truncate":        func(c Conn) { c.Truncate([]byte("x")) },
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				if why := breakConn(t, name, write, destroyed); !errors.Is(why, unix.ECONNRESET) {
					t.Errorf("OnClose(%v), want ECONNRESET", why)
				}
			})
		}
	}
}

// If nobody says more, OnClose hears of the write.
func TestWriteToTheBroken(t *testing.T) {
	want := map[string]error{"epoll": unix.EPIPE, "goroutine": unix.EPIPE, "netpoll": unix.ECONNRESET}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			why := breakConn(t, name, func(c Conn) {
				if err := c.Write([]byte("x")); err != ErrClosed {
					t.Errorf("Write: %v, want ErrClosed", err)
				}
				if _, err := c.Do(nil); err != ErrClosed {
					t.Errorf("Do: %v, want ErrClosed", err)
				}
			}, func(Conn, error) {})
			if !errors.Is(why, want[name]) {
				t.Errorf("OnClose(%v), want %v", why, want[name])
			}
		})
	}
}

// breakConn returns what OnClose of a connection hears of which a brokenReader is the handler.
func breakConn(t *testing.T, engine string, write func(Conn), then func(Conn, error)) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h := &brokenReader{peer: peer.(*net.TCPConn), write: write, then: then, closed: make(chan error, 2)}
	e, err := New(engine, Config{Accept: func(Conn) Handler { return h }})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(l) }()
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	var why error
	select {
	case why = <-h.closed:
	case <-time.After(patience):
		t.Fatal("no OnClose")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil || len(h.closed) != 0 {
		t.Errorf("Shutdown: %v; OnClose came %d times more", err, len(h.closed))
	}
	<-served
	return why
}
