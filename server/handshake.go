package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// An upgradeRequest is a request for a mount on its way through the checks of section 1.2.
// It comes from a pool: what outlives the handshake must not refer to it.
type upgradeRequest struct {
	head    head
	conn    poller.Conn
	params  Params
	request connectRequest
	choice  subprotocolChoice

	serializer serializer // chosen by negotiate, for channels
	connected  *Connect   // what the hook of a Socket has accepted; nil without one
	seat       *seat      // of a long-poll session; nil without limits

	poll *LongPollOptions // of a request that opens a long-poll session; nil for WebSocket

	plain memory // what ws.Upgrader reads and writes
}

var upgradeRequests = sync.Pool{New: func() any { return new(upgradeRequest) }}

func newUpgradeRequest(c poller.Conn) *upgradeRequest {
	r := upgradeRequests.Get().(*upgradeRequest)
	r.conn = c
	return r
}

func (r *upgradeRequest) release() {
	r.head.Reset()
	*r = upgradeRequest{head: r.head, plain: memory{in: r.plain.in[:0], out: r.plain.out[:0]}}
	upgradeRequests.Put(r)
}

// upgrade runs the handshake, answers it, and gives the connection its next handler, which it returns,
// or nil after a refusal. It runs on the loop, or on a worker while the connection is paused.
func (m *mount) upgrade(r *upgradeRequest) upgradedHandler {
	c := r.conn
	if status, header, body := m.check(r); status != 0 {
		m.srv.refuseUpgrade(c, &httpError{status, body}, header)
		return nil
	}
	response, deflate, err := m.accept(r)
	if err != nil {
		m.srv.refuseUpgrade(c, badRequest(err.Error()), "")
		return nil
	}
	c = m.seated(c)
	next := m.app.open(m, c, r)
	next.base().deflate = deflate
	m.srv.counters.upgraded.Add(1)
	c.SetIdleTimeout(m.options.Timeout)
	_ = c.Write(response) // it fails only if the end has begun; then OnClose is to come
	c.SetHandler(next)
	next.opened()
	if m.srv.draining.Load() {
		next.base().close(codeServiceRestart, "") // Shutdown may have passed by before SetHandler
	}
	return next
}

// check is steps 1 to 9 of section 1.2, in that order. A status other than 0 is the refusal.
func (m *mount) check(r *upgradeRequest) (status int, header, body string) {
	h := &r.head
	if h.method != "GET" {
		return 400, "", ""
	}
	params, herr := parseQuery(h.query)
	if herr == nil {
		herr = m.path.mergeVars(h.path, params)
	}
	if herr != nil {
		return herr.status, "", herr.reason
	}
	url := requestURLOf("http", h.host)
	if !m.allowsOrigin(h, url) {
		return 403, "", ""
	}
	choice, herr := chooseSubprotocol(h, m.options.Subprotocols, m.authToken)
	if herr != nil {
		return herr.status, "", ""
	}
	r.params, r.choice = params, choice
	r.request = connectRequest{headers: h, url: url, path: h.path, query: h.query, choice: choice}
	if herr := m.app.negotiate(r); herr != nil {
		return herr.status, "", ""
	}
	if err := m.app.connect(r); err != nil {
		status, body := m.refusal(err)
		return status, "", body
	}
	return m.validate(h)
}

// refusal turns the error of a connect into a response.
func (m *mount) refusal(err error) (status int, body string) {
	if m.options.ErrorHandler == nil || errors.Is(err, ErrRefused) {
		return 403, ""
	}
	status, body = m.askErrorHandler(err)
	if status < 400 || status > 599 {
		return 403, ""
	}
	return status, body
}

// allowsOrigin and askErrorHandler may run code of the user; when that panics the request is refused.
func (m *mount) allowsOrigin(h *head, url requestURL) (ok bool) {
	var panicked error
	defer m.srv.recovered("CheckOrigin of "+m.pattern, &panicked)
	origin, present := h.header("origin")
	return m.origin.allows(origin, present, url, m.srv.cfg.PublicHost)
}

func (m *mount) askErrorHandler(reason error) (status int, body string) {
	var panicked error
	defer m.srv.recovered("ErrorHandler of "+m.pattern, &panicked)
	return m.options.ErrorHandler(reason)
}

// validate is step 9: the demands of RFC 6455 section 4.2.1.
func (m *mount) validate(h *head) (status int, header, body string) {
	key, _ := h.header("sec-websocket-key")
	nonce, err := base64.StdEncoding.DecodeString(key)
	switch version, _ := h.header("sec-websocket-version"); {
	case h.minor != 1:
		body = "a WebSocket upgrade needs HTTP/1.1"
	case h.host == "":
		body = "'host' header must be present"
	case !h.hasToken("connection", "upgrade"):
		body = "'connection' header must contain 'upgrade'"
	case !h.hasToken("upgrade", "websocket"):
		body = "'upgrade' header must contain 'websocket'"
	case key == "":
		body = "'sec-websocket-key' header must be present"
	case err != nil || len(nonce) != 16:
		body = "'sec-websocket-key' header must be 16 bytes in base64"
	case h.repeats("sec-websocket-key"): // section 11.3.1
		body = "'sec-websocket-key' header must be present once"
	case h.repeats("sec-websocket-version"): // section 11.3.5
		body = "'sec-websocket-version' header must be present once"
	case version != "13":
		return m.app.versionStatus(), "Sec-WebSocket-Version: 13\r\n", "'sec-websocket-version' header must equal '13'"
	case h.hasBody():
		body = "a WebSocket upgrade must not have a body"
	default:
		return 0, "", ""
	}
	return 400, "", body
}

// plainHead is what ws.Upgrader is given of a request that validate has accepted, in the one form that
// it understands: it refuses a list in Upgrade, and Connection or extensions in several lines.
func (r *upgradeRequest) plainHead(dst []byte) []byte {
	key, _ := r.head.header("sec-websocket-key")
	b := append(dst, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	b = append(b, key...)
	if name := r.choice.name; name != "" {
		b = append(append(b, "\r\nSec-WebSocket-Protocol: "...), name...)
	}
	if offers, ok := r.head.headerList("sec-websocket-extensions"); ok {
		b = append(append(b, "\r\nSec-WebSocket-Extensions: "...), offers...)
	}
	return append(b, "\r\n\r\n"...)
}

// memory is the io.ReadWriter that ws.Upgrader reads the head from and writes the response to, so that
// it never waits for the socket.
type memory struct {
	bytes.Reader
	in, out []byte
}

func (m *memory) Write(p []byte) (int, error) {
	m.out = append(m.out, p...)
	return len(p), nil
}

// accept is step 10: the response, which is r's, and whether permessage-deflate was agreed on.
func (m *mount) accept(r *upgradeRequest) (response []byte, deflate bool, err error) {
	var u ws.Upgrader
	if name := r.choice.name; name != "" {
		u.Protocol = func(offer []byte) bool { return string(offer) == name }
	}
	if m.options.Compress {
		u.Negotiate = negotiateDeflate(&deflate)
	}
	r.plain.in = r.plainHead(r.plain.in[:0])
	r.plain.Reset(r.plain.in)
	if _, err := u.Upgrade(&r.plain); err != nil {
		return nil, false, err
	}
	return r.plain.out, deflate, nil
}

// negotiateDeflate accepts the first offer of permessage-deflate, without context takeover on either
// side, and says so in accepted.
func negotiateDeflate(accepted *bool) func(httphead.Option) (httphead.Option, error) {
	ext := wsflate.Extension{Parameters: wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}}
	return func(o httphead.Option) (httphead.Option, error) {
		if *accepted {
			return httphead.Option{}, nil // one is enough: the client's first
		}
		answer, err := ext.Negotiate(o)
		if err != nil {
			// Parameters that RFC 7692 does not know: declined, not refused (section 7.1).
			return httphead.Option{}, nil
		}
		_, *accepted = ext.Accepted()
		return answer, nil
	}
}
