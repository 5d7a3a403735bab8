// In-package: sizes, and a connection that is busy when it should be handed over.
package server

import (
	"net"
	"testing"
	"time"
	"unsafe"

	"github.com/dormouse-ws/dormouse/poller"
)

// What a session and a parked poll hold. The session's connection, 96 bytes with its slot, comes on top.
func TestPollSizes(t *testing.T) {
	for _, row := range []struct {
		name      string
		got, most uintptr
	}{
		{"exchange", unsafe.Sizeof(exchange{}), 48},
		{"pollSession", unsafe.Sizeof(pollSession{}), 80},
		{"pollSocket", unsafe.Sizeof(pollSocket{}), 80},
		{"pollConn", unsafe.Sizeof(pollConn{}), 24},
	} {
		if row.got > row.most {
			t.Errorf("%s is %d bytes, budget %d", row.name, row.got, row.most)
		}
	}
}

// A busyConn cannot be detached for a while.
type busyConn struct {
	fakeConn
	busy    int
	resumed chan bool
}

func (c *busyConn) Detach() (net.Conn, error) {
	if c.busy--; c.busy >= 0 {
		return nil, poller.ErrBusy
	}
	ours, theirs := net.Pipe()
	theirs.Close()
	return ours, nil
}

func (c *busyConn) Resume() { c.resumed <- true }

// A request for net/http may come while the task that has answered a poll on that connection is about to end.
// It waits for that, and loses no byte.
func TestHandOverWaits(t *testing.T) {
	const text = "GET /page HTTP/1.1\r\nHost: a\r\n\r\nthe rest"
	for _, cut := range []int{0, 1, 20, len(text) - 9, len(text) - 1} {
		s := &Server{handed: newHandover(1)} // nobody accepts
		s.shared = s.greeter()
		c := &busyConn{busy: 3, resumed: make(chan bool, 1)}
		c.handler = s.shared
		rest := []byte(text)[c.handler.OnData(c, []byte(text)[:cut]):]
		for {
			n := c.handler.OnData(c, rest)
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
			select {
			case <-c.resumed:
			case <-time.After(time.Minute):
				t.Fatal("it is paused for ever")
			}
		}
		nc := (<-s.handed.conns).(*handedConn)
		if string(nc.early) != text {
			t.Errorf("cut at %d: handed over with %q", cut, nc.early)
		}
		nc.Close()
	}
}

// A guest that is handed over late may be given back, and have its next connection, before the moment is over for
// which the first was paused: what is resumed then is the first.
func TestHandOverOfAGuestWaits(t *testing.T) {
	s := &Server{handed: newHandover(1)}
	s.shared = s.greeter()
	first := &busyConn{busy: 2, resumed: make(chan bool, 2)}
	next := &busyConn{resumed: make(chan bool, 2)}
	v := &guest{Conn: first, handler: s.shared}
	const text = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	n := s.handOverLater(v, []byte(text), 0)
	v.handler.OnData(v, []byte(text)[n:])
	v.returned(s.shared)
	v.of(next)
	for range 2 {
		select {
		case <-first.resumed:
		case <-next.resumed:
			t.Fatal("the next connection was resumed")
		case <-time.After(time.Minute):
			t.Fatal("none was resumed")
		}
	}
}
