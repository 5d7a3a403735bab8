package server

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/proxy"
)

// Proxies says which proxies stand in front of the server, and how they tell whose connections they pass on.
// The zero value believes nobody: the other end of each connection is the client. What is told counts for
// [Limits] and is [PeerData]; of the PROXY protocol also the RemoteAddr of a plain HTTP request.
//
// The proxies' own addresses are not limited. So a client of which a proxy says nothing that can be read, is
// not either, but for the limits in all.
type Proxies struct {
	// Networks lists the proxies: networks as 10.0.0.0/8 and fd00::/8, and addresses. Everybody else is
	// a client, whatever its requests say.
	Networks []string

	// Field is the one in which the proxies write their clients' addresses. It is read from the right as
	// far as those who wrote it are listed.
	Field ForwardedField

	// Protocol says that each connection of a listed proxy begins with a PROXY protocol header, of
	// version 1 or 2. One that does not is closed, and so is one whose header does not come within
	// HandshakeTimeout. Connections of others have none: the protocol must not be guessed. If the header
	// names a client that is listed itself, the Field counts behind it.
	Protocol bool

	// Only resets connections that do not come from a listed proxy.
	Only bool
}

// A ForwardedField is a header field in which proxies write whom they speak for.
type ForwardedField uint8

const (
	XForwardedFor ForwardedField = iota // the field of that name
	Forwarded                           // RFC 7239
	NoField                             // none is believed: the PROXY protocol alone
)

func (p *Proxies) compile() (proxy.Trusted, error) {
	switch {
	case p.Field > NoField:
		return proxy.Trusted{}, fmt.Errorf("server: Config.Proxies.Field is %d: want XForwardedFor, Forwarded or NoField", p.Field)
	case len(p.Networks) == 0 && (p.Protocol || p.Only || p.Field != XForwardedFor):
		return proxy.Trusted{}, errors.New("server: Config.Proxies has no Networks: without them nobody is believed")
	}
	t, err := proxy.ParseTrusted(p.Networks)
	if err != nil {
		return t, fmt.Errorf("server: Config.Proxies.Networks: %w", err)
	}
	return t, nil
}

// clientOf returns whose request it is that the proxy peer has sent. The port is known only of the peer.
func (g *gate) clientOf(peer netip.AddrPort, h *head) netip.AddrPort {
	var client netip.Addr
	switch g.proxies.Field {
	case XForwardedFor:
		client = g.trusted.ClientAddr(peer.Addr(), h.lines("x-forwarded-for"))
	case Forwarded:
		client = g.trusted.Forwarded(peer.Addr(), h.lines("forwarded"))
	case NoField:
		return peer
	}
	if client == peer.Addr() {
		return peer
	}
	return netip.AddrPortFrom(client, 0)
}

// lines returns the values of all lines of a name, which is in lower case.
func (h *head) lines(name string) (values []string) {
	for i := range h.fields {
		if equalFold(h.fields[i].name, name) {
			values = append(values, h.fields[i].value)
		}
	}
	return values
}

// A proxyReader is the first handler of a connection that begins with a PROXY protocol header.
type proxyReader struct {
	guest *guest
	buf   []byte // of a header that is cut: less than proxy.MaxSize
}

// errProxyHeader ends a connection whose header cannot be read, as the specification demands ("abort the
// connection", section 2.1).
var errProxyHeader = errors.New("server: no PROXY protocol header from a listed proxy")

// OnData implements poller.Handler.
func (p *proxyReader) OnData(c poller.Conn, data []byte) int {
	kept, whole := len(p.buf), data
	if kept > 0 {
		p.buf = append(p.buf, data...)
		whole = p.buf
	}
	header, n, err := proxy.Parse(whole)
	switch {
	case err == proxy.ErrMore && kept == 0:
		p.buf = append([]byte(nil), data...)
		return len(data)
	case err == proxy.ErrMore:
		return len(data)
	case err != nil:
		p.fail(c)
		return len(data)
	}
	p.guest.introduce(&header)
	shared := p.guest.gate.srv.shared
	c.SetHandler(shared)
	if n -= kept; n == len(data) {
		return n
	}
	return n + shared.OnData(c, data[n:])
}

func (p *proxyReader) fail(c poller.Conn) {
	p.guest.gate.proxyFaults.Add(1)
	c.Abort(errProxyHeader)
}

// OnTimeout implements poller.Handler.
func (p *proxyReader) OnTimeout(c poller.Conn) { p.fail(c) }

// OnClose implements poller.Handler.
func (p *proxyReader) OnClose(poller.Conn, error) {}

// introduce counts the connection for whom the header names. Without a name (a health check of the proxy
// itself, section 2.2) it is the proxy's.
func (v *guest) introduce(h *proxy.Header) {
	if client, ok := h.Client(); ok {
		v.peer, v.client = client, client
	}
	if !v.gate.trusted.Contains(v.peer.Addr()) {
		v.enter(v.peer.Addr())
	}
}
