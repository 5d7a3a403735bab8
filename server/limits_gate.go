package server

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/limit"
	"github.com/dormouse-ws/dormouse/server/proxy"
)

// A gate stands between the accept and the greeter of a server that has limits or proxies.
type gate struct {
	srv        *Server
	conns      *limit.Connections
	joins      limit.Rate // of one connection
	messages   limit.Rate // of one connection
	handshakes int64      // at most; 0: no limit
	seats      bool       // connections have something to count after their handshake
	proxies    Proxies
	trusted    proxy.Trusted
	now        func() time.Duration

	handshaking atomic.Int64
	proxyFaults atomic.Int64
}

// newGate returns nil when there is nothing to look at.
func newGate(s *Server) (*gate, error) {
	l, p := &s.cfg.Limits, s.cfg.Proxies
	trusted, err := p.compile()
	if err != nil {
		return nil, err
	}
	conns, joins, messages, err := l.compile()
	if err != nil || !l.any() && len(p.Networks) == 0 {
		return nil, err
	}
	g := &gate{srv: s, conns: conns, joins: joins, messages: messages, handshakes: int64(l.Handshakes),
		seats: l.any(), proxies: p, trusted: trusted, now: l.clock}
	if g.now == nil {
		start := time.Now()
		g.now = func() time.Duration { return time.Since(start) }
	}
	return g, nil
}

// errNoProxy ends connections that do not come from a proxy where all have to.
var errNoProxy = errors.New("server: not from a listed proxy")

// refusedTime is how long one that is refused may take for its request before it is answered without one:
// enough for a round trip and a first retransmission (RFC 6298 section 2: 1 s).
const refusedTime = 2 * time.Second

// accept is the engine's Accept: it begins to count.
func (g *gate) accept(c poller.Conn) poller.Handler {
	peer := c.RemoteAddr()
	proxied := g.trusted.Contains(peer.Addr())
	if g.proxies.Only && !proxied {
		g.proxyFaults.Add(1)
		c.Abort(errNoProxy)
		return g.srv.shared
	}
	if n := g.handshaking.Add(1); g.handshakes > 0 && n > g.handshakes {
		g.handshaking.Add(-1)
		g.conns.Counters().Add(limit.HandshakeCount)
		status, header, body := refusalResponse(limit.Refusal{Name: limit.HandshakeCount})
		c.CloseWith(appendRefusal(nil, status, header, body))
		return g.srv.shared
	}
	v := &guest{Conn: c, gate: g, handler: g.srv.shared, peer: peer, client: peer, greeting: true}
	switch {
	case proxied && g.proxies.Protocol:
		v.handler = &proxyReader{guest: v}
	case !proxied:
		v.enter(peer.Addr())
	}
	return v
}

// refusalResponse is what answers a refusal over HTTP.
func refusalResponse(r limit.Refusal) (status int, header, body string) {
	return r.Status(), retryAfter(r), r.Name.Reason() + "\n"
}

// retryAfter is a header line (RFC 9110 section 10.2.3). A crowd is spread over ten seconds.
func retryAfter(r limit.Refusal) string {
	return "Retry-After: " + strconv.Itoa(r.RetryAfter(rand.Uint32())) + "\r\n"
}

// retryLater is that of what has room for nobody now.
func retryLater() string { return retryAfter(limit.Refusal{Name: limit.ConnectionCount}) }

// counted returns the address that a client is counted by: none for a proxy, which speaks for many.
func (g *gate) counted(client netip.Addr) netip.Addr {
	if g.trusted.Contains(client) {
		return netip.Addr{}
	}
	return client
}

// join asks whether a connection may join once more now.
func (g *gate) join(t *seat) limit.Refusal {
	now := g.now()
	if wait, ok := t.joins.Allow(&g.joins, now); !ok {
		g.conns.Counters().Add(limit.JoinRate)
		return limit.Refusal{Name: limit.JoinRate, Wait: wait}
	}
	return g.conns.Join(t.slot, now)
}

// message asks whether a connection may send once more now.
func (g *gate) message(t *seat) bool {
	if _, ok := t.messages.Allow(&g.messages, g.now()); ok {
		return true
	}
	g.conns.Counters().Add(limit.MessageRate)
	return false
}
