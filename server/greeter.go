package server

import (
	"github.com/dormouse-ws/dormouse/poller"
)

// A greeter is the first handler of a connection: it waits for the request head and decides who goes
// on. One without a part of a head is shared by all connections that have not sent a byte.
type greeter struct {
	srv  *Server
	scan headScanner
	buf  []byte // what came so far; nil in the shared greeter
}

func (s *Server) greeter() *greeter { return &greeter{srv: s} }

// accept is the engine's Accept.
func (s *Server) accept(c poller.Conn) poller.Handler {
	c.SetDeadline(s.cfg.HandshakeTimeout)
	if s.gate != nil {
		return s.gate.accept(c)
	}
	return s.shared
}

// OnData implements poller.Handler. A head that comes whole is taken from the loop's buffer; one that
// is cut is collected, up to the limit.
func (g *greeter) OnData(c poller.Conn, data []byte) int {
	if g.buf == nil {
		var scan headScanner
		end, err := scan.scan(data, g.srv.limits())
		switch {
		case err != nil:
			refuse(c, err)
		case end > 0:
			return g.srv.route(c, data, scan.start, end)
		default:
			c.SetHandler(&greeter{srv: g.srv, scan: scan, buf: append([]byte(nil), data...)})
		}
		return len(data)
	}
	before := len(g.buf)
	g.buf = append(g.buf, data...)
	end, err := g.scan.scan(g.buf, g.srv.limits())
	switch {
	case err != nil:
		refuse(c, err)
	case end > 0:
		return g.srv.route(c, g.buf, g.scan.start, end) - before
	}
	return len(data)
}

// OnTimeout implements poller.Handler.
func (g *greeter) OnTimeout(c poller.Conn) {
	g.srv.bounds.handshakes.Add(1)
	if g.buf == nil {
		c.Close() // it has said nothing, and is owed nothing
		return
	}
	// A task may have the guest, so this is not refuse.
	c.CloseWith(appendRefusal(nil, 408, "", "the request head did not come in time\n"))
}

// OnClose implements poller.Handler.
func (g *greeter) OnClose(poller.Conn, error) {}

func (s *Server) limits() headLimits {
	return headLimits{bytes: s.cfg.MaxHeadBytes, fields: s.cfg.MaxHeadFields}
}

// route looks at the head in data[start:end] and returns how much of data was taken.
func (s *Server) route(c poller.Conn, data []byte, start, end int) int {
	r := newUpgradeRequest(c)
	defer r.release()
	if err := r.head.parse(data[start:end]); err != nil {
		refuse(c, err)
		return len(data)
	}
	m := s.mountOf(r.head.path)
	if v, ok := c.(*guest); ok && !v.admit(m, &r.head) {
		return len(data)
	}
	switch {
	case m == nil:
		if s.handOver(c, data[start:]) {
			return len(data)
		}
		return s.handOverLater(c, data, start)
	case m.poll != nil:
		return s.routePoll(c, m, r, data, start, end)
	case s.draining.Load():
		s.refuseUpgrade(c, &httpError{503, "the server is shutting down"}, "Retry-After: 1\r\n")
		return len(data)
	case m.blocks():
		// The hook may take its time: bytes that come meanwhile wait, and the deadline goes on.
		c.Pause()
		if _, err := c.Do(&greeting{m, append([]byte(nil), data[start:end]...)}); err != nil {
			c.Abort(err)
			return len(data)
		}
		return end
	}
	next := m.upgrade(r)
	if next == nil {
		return len(data)
	}
	if end == len(data) {
		return end
	}
	return end + next.OnData(c, data[end:])
}

// A greeting is the handshake of a mount whose hook runs code of the user.
type greeting struct {
	mount *mount
	raw   []byte
}

func (g *greeting) Run(c poller.Conn) {
	r := newUpgradeRequest(c)
	defer r.release()
	if err := r.head.parse(g.raw); err != nil {
		refuse(c, err)
		return
	}
	if next := g.mount.upgrade(r); next != nil {
		c.Resume()
	}
}

// handOver gives a connection that speaks plain HTTP to net/http, with what was read of it. It reports false if
// that has to wait: the last request was of the long-poll transport, and its answer is still under way.
func (s *Server) handOver(c poller.Conn, data []byte) (done bool) {
	if !s.handed.reserve() {
		// By the engine, which does not wait for a client that has left its socket full of answers.
		s.bounds.httpConns.Add(1)
		c.CloseWith(appendRefusal(nil, 503, retryLater(), "too many HTTP connections\n"))
		return true
	}
	s.handed.moving.Add(1) // before the engine lets go, for which its Shutdown waits
	defer s.handed.moving.Done()
	nc, err := c.Detach()
	if err != nil {
		s.handed.cancel()
		if err == poller.ErrBusy {
			return false
		}
		c.Abort(err)
		return true
	}
	v, _ := c.(*guest)
	s.handed.give(nc, append([]byte(nil), data...), v)
	return true
}
