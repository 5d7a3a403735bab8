// In-package: sockets are driven without an engine, to count what they allocate and hold.
package server

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// A fakeConn is a connection whose peer is the test. Nothing of it is safe for concurrent use.
type fakeConn struct {
	handler poller.Handler
	queued  []poller.Task // run by work, or at once if inline
	inline  bool
	full    bool // the outbox takes no more
	sends   int
	bytes   int
	first   string // what was sent first and last, if keep
	last    []byte
	keep    bool
	closed  []byte // what CloseWith or Truncate sent
	paused  int
	aborted error
	onSend  func() // called before each
	onEnd   func() // called before CloseWith and Truncate
}

func (c *fakeConn) Write(p []byte) error { return c.send(p) }
func (c *fakeConn) Send(p []byte) error  { return c.send(p) }

func (c *fakeConn) send(p []byte) error {
	if c.onSend != nil {
		c.onSend()
	}
	switch {
	case c.closed != nil:
		return poller.ErrClosed
	case c.full:
		return poller.ErrOutboxFull
	}
	c.sends++
	c.bytes += len(p)
	if c.keep && c.first == "" {
		c.first = string(p)
	}
	if c.keep {
		c.last = append(c.last[:0], p...)
	}
	return nil
}

func (c *fakeConn) CloseWith(last []byte) {
	if c.onEnd != nil {
		c.onEnd()
	}
	c.closed = last
}

func (c *fakeConn) Do(t poller.Task) (bool, error) {
	if c.closed != nil {
		return false, poller.ErrClosed
	}
	if c.inline {
		t.Run(c)
		return false, nil
	}
	c.queued = append(c.queued, t)
	return len(c.queued) >= 64, nil
}

// work runs what is queued.
func (c *fakeConn) work() {
	for len(c.queued) > 0 {
		t := c.queued[0]
		c.queued = c.queued[1:]
		t.Run(c)
	}
}

func (c *fakeConn) SetHandler(h poller.Handler)     { c.handler = h }
func (c *fakeConn) Pause()                          { c.paused++ }
func (c *fakeConn) Resume()                         { c.paused = 0 }
func (c *fakeConn) SetDeadline(time.Duration)       {}
func (c *fakeConn) SetIdleTimeout(time.Duration)    {}
func (c *fakeConn) Close()                          { c.CloseWith([]byte{}) }
func (c *fakeConn) Truncate(last []byte)            { c.CloseWith(last) }
func (c *fakeConn) Abort(reason error)              { c.aborted = reason }
func (c *fakeConn) Detach() (net.Conn, error)       { return nil, poller.ErrBusy }
func (c *fakeConn) Outbox() int                     { return 0 }
func (c *fakeConn) RemoteAddr() (a netip.AddrPort)  { return a }
func (c *fakeConn) LocalAddr() (a netip.AddrPort)   { return a }
func (c *fakeConn) closeCode() (code ws.StatusCode) { return closeCode(c.closed) }
func closeCode(f []byte) (code ws.StatusCode) {
	if len(f) < 4 {
		return 0
	}
	return ws.StatusCode(f[2])<<8 | ws.StatusCode(f[3])
}

// quiet is a channel that does nothing.
type quiet struct{}

func (quiet) Join(*Context, Payload) error             { return nil }
func (quiet) HandleIn(*Context, string, Payload) error { return nil }
func (quiet) Leave(*Context, error)                    {}

// A failing channel pushes and stops at each event.
type failing struct{ quiet }

func (failing) HandleIn(c *Context, event string, _ Payload) error {
	if err := c.Push("pushed", nil); err != nil {
		panic(err) // DropSlow tells nobody
	}
	return ErrStop
}

// newFakeServer serves quiet at quiet:* and failing at failing:*. Its engine has no listener.
func newFakeServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Sockets = []*Socket{{Path: "/socket", Routes: []Route{
		{Topic: "quiet:*", Channel: func() Channel { return quiet{} }},
		{Topic: "failing:*", Channel: func() Channel { return failing{} }},
	}}}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return s
}

// fakeSocket returns a socket on a connection of the test.
func fakeSocket(s *Server, v2 bool) (*socket, *fakeConn) {
	c := &fakeConn{inline: true}
	k := &socket{wsConn: wsConn{conn: c, mount: s.routes[0]}, v2: v2}
	c.handler = k
	return k, c
}

// fakeJoin joins as a client does.
func fakeJoin(s *socket, topic string) {
	s.join(&message{joinRef: `"1"`, ref: `"1"`, topic: topic, event: eventJoin})
}

// masked is a frame as a client sends it.
func masked(op ws.OpCode, text string) []byte {
	return frame.AppendClient(nil, op, [4]byte{1, 2, 3, 4}, []byte(text))
}

// receive gives a frame to the socket, which unmasks it in place; buf is used again.
func (s *socket) receive(f, buf []byte) int { return s.OnData(s.conn, append(buf[:0], f...)) }

// deliverTo is a broadcast from outside.
func deliverTo(s *Server, topic string) int {
	return s.hub.Broadcast(&hub.Message{Topic: topic, Event: "news", Payload: []byte(`{"n":1}`)})
}
