package server

import (
	"fmt"
	"math/rand/v2"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/limit"
	"github.com/gobwas/ws"
)

// A seat is the connection of a client that is counted, after its handshake: 32 bytes, which nobody has in a
// server without limits.
type seat struct {
	poller.Conn
	slot     limit.Slot
	joins    limit.SmallMeter // owned by the connection's tasks
	messages limit.SmallMeter // owned by the reading goroutine
}

// seat returns the connection's, or nil.
func (w *wsConn) seat() *seat {
	if w.mount.srv.gate == nil {
		return nil
	}
	c := w.conn
	if p, ok := c.(pollConn); ok {
		c = p.Conn
	}
	t, _ := c.(*seat)
	return t
}

// unseat ends what the connection counts, once. OnClose calls it, or a task behind which the client is read no more.
func (w *wsConn) unseat() {
	if t := w.seat(); t != nil {
		w.mount.srv.gate.vacate(t)
	}
}

func (g *gate) vacate(t *seat) { g.conns.Close(&t.slot, g.now()) }

// The end of a connection whose client sends too much.
const (
	codePolicyViolation = ws.StatusPolicyViolation // 1008, RFC 6455 section 7.4.1
	reasonFlood         = "too many messages"
)

// floods counts a message, or a ping, and reports whether that was one too many: then the connection is at its
// end, behind the answers to what came before. The reading goroutine calls it.
func (w *wsConn) floods(cu *cut) bool {
	if !w.overRate() {
		return false
	}
	w.flush(cu)
	w.finish(codePolicyViolation, reasonFlood)
	return true
}

func (w *wsConn) overRate() bool {
	g := w.mount.srv.gate
	if g == nil || g.messages.Unlimited() {
		return false
	}
	t := w.seat()
	return t != nil && !g.message(t)
}

// refusesJoin counts a join, and answers one above the limits. What the client has joined stays as it is.
func (s *socket) refusesJoin(m *message) bool {
	t := s.seat()
	if t == nil || m.rawTopic != "" {
		return false
	}
	r := s.server().gate.join(t)
	if r.Name == limit.None {
		return false
	}
	payload := fmt.Appendf(nil, `{"reason":"rate limited","retry_after":%d}`, r.RetryAfter(rand.Uint32()))
	_ = s.reply(m.joinRef, m.ref, m.topic, statusError, Raw(payload))
	return true
}

// pollSeat counts a session of the long-poll transport that the request of c opens. Without a gate there is
// no seat.
func (s *Server) pollSeat(c poller.Conn) (*seat, limit.Refusal) {
	if s.gate == nil || !s.gate.seats {
		return nil, limit.Refusal{}
	}
	slot, r := s.gate.conns.Open(s.gate.counted(c.RemoteAddr().Addr()), s.gate.now())
	return &seat{slot: slot}, r
}

// takeSeat gives a session's seat its connection and returns it; without a seat it is c.
func (r *upgradeRequest) takeSeat(c poller.Conn) poller.Conn {
	t := r.seat
	if t == nil {
		return c
	}
	r.seat, t.Conn = nil, c
	return t
}

// leaveSeat ends what pollSeat has counted, unless a session has taken it: also when a hook ends its goroutine.
func (r *upgradeRequest) leaveSeat(g *gate) {
	if t := r.seat; t != nil {
		r.seat = nil
		g.vacate(t)
	}
}
