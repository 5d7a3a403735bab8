package server

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A fullConn has a socket that takes nothing more.
type fullConn struct {
	poller.Conn
	handler  poller.Handler
	detached int
	last     string
}

func (c *fullConn) SetHandler(h poller.Handler)         { c.handler = h }
func (c *fullConn) Detach() (net.Conn, error)           { c.detached++; return nil, poller.ErrBusy }
func (c *fullConn) CloseWith(last []byte)               { c.last = string(last) }
func (c *fullConn) Pause()                              {}
func (c *fullConn) Resume()                             {}
func (c *fullConn) SetDeadline(time.Duration)           {}
func (c *fullConn) Write([]byte) error                  { return poller.ErrOutboxFull }
func (c *fullConn) Do(poller.Task) (bool, error)        { return false, nil }
func (c *fullConn) OnData(text string) (took int)       { return c.handler.OnData(c, []byte(text)) }
func newFullConn(s *Server, h poller.Handler) *fullConn { return &fullConn{handler: h} }

// One HTTP connection too many is refused by the engine: on a socket that is full of unread answers a write to the
// detached connection would hold up the event loop for as long as its client likes.
func TestTooManyHTTPConnectionsAreRefusedByTheEngine(t *testing.T) {
	s := &Server{handed: newHandover(0)}
	s.shared = s.greeter()
	c := newFullConn(s, s.shared)
	const text = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	if n := c.OnData(text); n != len(text) || !strings.HasPrefix(c.last, "HTTP/1.1 503 ") || c.detached > 0 {
		t.Errorf("took %d of %d, detached %d times, sent %q; want 503 and no Detach", n, len(text), c.detached, c.last)
	}
	if refused, open := s.bounds.httpConns.Load(), s.handed.open.Load(); refused != 1 || open != 0 {
		t.Errorf("counted %d refused, %d open", refused, open)
	}
}

// A connection that cannot be handed over is tried less and less often, and takes no place of those that can.
func TestHandOverIsTriedRarely(t *testing.T) {
	s := &Server{handed: newHandover(1)}
	s.shared = s.greeter()
	c := newFullConn(s, s.shared)
	const text = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
	rest := text[c.OnData(text):]
	late, ok := c.handler.(*lateHandOver)
	if !ok {
		t.Fatalf("the handler is %T", c.handler)
	}
	total := late.wait
	for range 100 {
		if n := c.OnData(rest); n != 0 {
			t.Fatalf("took %d", n)
		}
		total += late.wait
	}
	if total < 90*handOverRarely || late.wait != handOverRarely {
		t.Errorf("100 tries in %v, the next after %v", total, late.wait)
	}
	if c.detached != 101 || s.handed.open.Load() != 0 {
		t.Errorf("tried %d times, %d places taken", c.detached, s.handed.open.Load())
	}
}

// Long bodies that are being received keep other long ones away, and no short one.
func TestShortBodiesAreAlwaysReceived(t *testing.T) {
	s, err := New(Config{Sockets: []*Socket{{Path: "/socket", LongPoll: &LongPollOptions{}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	m := s.mountOf("/socket/longpoll")
	s.polls.bodies.Store(maxPollBodies)
	for size, received := range map[int]bool{1: true, alwaysReceived: true, alwaysReceived + 1: false} {
		c := newFullConn(s, nil)
		b := &pollBody{session: &pollSession{mount: m}, need: 2 * alwaysReceived}
		took := b.OnData(c, make([]byte, size))
		if took != size || (c.last == "") != received {
			t.Errorf("%d bytes: sent %q, received %v", size, c.last, received)
		}
		b.OnClose(c, nil)
		if n := s.polls.bodies.Load(); n != maxPollBodies {
			t.Errorf("%d bytes: %d are counted afterwards", size, n-maxPollBodies)
		}
	}
}

// An origin that no browser sends is refused before it costs anything, and not shown to the application.
func TestLongOriginsAreRefused(t *testing.T) {
	shown := 0
	for name, p := range map[string]OriginPolicy{
		"list": AllowOrigins("//*.example.com"), "public host": AllowPublicHost(),
		"func": AllowOriginFunc(func(*url.URL) bool { shown++; return true }),
	} {
		if err := p.compile(); err != nil {
			t.Fatal(err)
		}
		const scheme, domain = "https://", ".example.com"
		for size, allowed := range map[int]bool{maxOriginBytes: true, maxOriginBytes + 1: false} {
			header := scheme + strings.Repeat("a", size-len(scheme)-len(domain)) + domain
			if got := p.allows(header, true, requestURL{}, ""); got != allowed {
				t.Errorf("%s, %d bytes: allowed %v", name, size, got)
			}
		}
	}
	if shown != 1 {
		t.Errorf("the application was shown %d of them", shown)
	}
}
