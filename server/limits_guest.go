package server

import (
	"net/netip"
	"sync"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/limit"
)

// A guest is a connection of a server with a gate, until it is upgraded. Towards the engine it is the
// handler of the connection, towards the handlers of requests the connection itself: all that a connection
// without a gate is given, passes through it.
type guest struct {
	poller.Conn // nil while net/http has it; then the next engine's
	gate        *gate

	mu      sync.Mutex     // protects the following
	handler poller.Handler // of requests

	// Owned by the reading goroutine, or by a task while it is paused; at the end by OnClose.
	peer     netip.AddrPort // the other end, or who the PROXY header says it is
	client   netip.AddrPort // of the request: the peer, or who a listed proxy says it is
	slot     limit.Slot
	refusal  limit.Refusal // answers the first request
	greeting bool          // it is among the handshakes in flight
}

// SetHandler implements poller.Conn.
func (v *guest) SetHandler(h poller.Handler) {
	v.mu.Lock()
	v.handler = h
	v.mu.Unlock()
}

// of takes c for the connection, after net/http had it, and returns the handler.
func (v *guest) of(c poller.Conn) poller.Handler {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Conn == nil {
		v.Conn = c
	}
	return v.handler
}

// RemoteAddr implements poller.Conn: it is the client's.
func (v *guest) RemoteAddr() netip.AddrPort { return v.client }

// returned is the first handler of a connection that net/http gives back: the guest, or h if there is none.
func (v *guest) returned(h poller.Handler) poller.Handler {
	if v == nil {
		return h
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Conn, v.handler = nil, h
	return v
}

// A guestTask is given the guest for the connection.
type guestTask struct {
	task  poller.Task
	guest *guest
}

func (t guestTask) Run(poller.Conn) { t.task.Run(t.guest) }

// Do implements poller.Conn.
func (v *guest) Do(t poller.Task) (full bool, err error) { return v.Conn.Do(guestTask{t, v}) }

// OnData implements poller.Handler.
func (v *guest) OnData(c poller.Conn, data []byte) int { return v.of(c).OnData(v, data) }

// OnTimeout implements poller.Handler.
func (v *guest) OnTimeout(c poller.Conn) {
	h := v.of(c)
	if v.refusal.Name != limit.None {
		v.refuse(nil)
		return
	}
	h.OnTimeout(v)
}

// OnClose implements poller.Handler. Nothing else of the connection runs any more.
func (v *guest) OnClose(c poller.Conn, reason error) {
	h := v.of(c)
	v.leave()
	h.OnClose(v, reason)
}

// enter counts the connection for an address, or notes the refusal for its first request. An address that is
// not valid counts in all.
func (v *guest) enter(addr netip.Addr) {
	v.slot, v.refusal = v.gate.conns.Open(addr, v.gate.now())
	if v.refusal.Name != limit.None {
		v.SetDeadline(min(v.gate.srv.cfg.HandshakeTimeout, refusedTime))
	}
}

// leave ends what enter and accept count. It may be called of a nil guest, and again.
func (v *guest) leave() {
	if v != nil {
		v.greeted()
		v.gate.conns.Close(&v.slot, v.gate.now())
	}
}

// unguest is leave for the guest's connection, if it is one: before it is sent its last answer, so that a client that
// comes again at once is not refused because of this one.
func unguest(c poller.Conn) {
	if v, ok := c.(*guest); ok {
		v.leave()
	}
}

// greeted ends the handshake in flight. It may be called of a nil guest, and again.
func (v *guest) greeted() {
	if v != nil && v.greeting {
		v.greeting = false
		v.gate.handshaking.Add(-1)
	}
}

// greeted is the guest's, if the connection is one.
func greeted(c poller.Conn) {
	if v, ok := c.(*guest); ok {
		v.greeted()
	}
}

// admit decides about a request for a mount, or for none if m is nil, and answers it if it is refused.
func (v *guest) admit(m *mount, h *head) bool {
	upgrade := m != nil && m.poll == nil
	addr := v.gate.counted(v.peer.Addr())
	if v.gate.trusted.Contains(v.peer.Addr()) {
		v.client = v.gate.clientOf(v.peer, h)
		if upgrade { // until now the connection was the proxy's, and maybe of many clients
			v.gate.conns.Close(&v.slot, v.gate.now())
			addr = v.gate.counted(v.client.Addr())
		}
	}
	if v.slot == 0 && v.refusal.Name == limit.None {
		v.enter(addr)
	}
	switch {
	case v.refusal.Name == limit.None:
	case m == nil && v.refusal.Status() == 503:
		v.gate.conns.Counters().Waive(v.refusal.Name) // see Limits
		v.refusal = limit.Refusal{}
	default:
		v.refuse(m)
		return false
	}
	if !upgrade && (m == nil || !m.blocks()) { // else servePoll says when
		v.greeted()
	}
	return true
}

// refuse answers with the refusal and ends the connection.
func (v *guest) refuse(m *mount) {
	v.greeted()
	status, header, body := refusalResponse(v.refusal)
	switch {
	case m == nil:
		v.CloseWith(appendRefusal(nil, status, header, body))
	case m.poll != nil:
		v.gate.srv.counters.refused.Add(1)
		v.gate.srv.respondWith(v, true, status, header, []byte(body)) // a page of any origin may read it
	default:
		v.gate.srv.refuseUpgrade(v, &httpError{status, body}, header)
	}
}

// seated returns the connection as it is after its handshake, without the guest.
func (m *mount) seated(c poller.Conn) poller.Conn {
	v, ok := c.(*guest)
	if !ok {
		return c
	}
	v.greeted()
	c = v.Conn
	if _, plain := m.app.(plainApp); plain && v.client != c.RemoteAddr() {
		c = &proxiedConn{c, v.client}
	}
	if v.gate.seats {
		c = &seat{Conn: c, slot: v.slot}
	} else {
		v.gate.conns.Close(&v.slot, v.gate.now())
	}
	v.slot = 0
	return c
}

// A proxiedConn is the connection of a [Conn] behind a proxy, whose application may ask who it is.
type proxiedConn struct {
	poller.Conn
	client netip.AddrPort
}

// RemoteAddr implements poller.Conn.
func (c *proxiedConn) RemoteAddr() netip.AddrPort { return c.client }
