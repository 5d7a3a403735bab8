package server

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// An upgradeRequest is a request for a mount on its way through the checks of section 1.2.
type upgradeRequest struct {
	head    *head
	params  Params
	request connectRequest
	choice  subprotocolChoice

	serializer serializer // chosen by negotiate, for channels
	connected  *Connect   // made by connect, for channels
}

// upgrade runs the handshake, answers it, and returns the connection's next handler, or nil after a
// refusal. It runs on the loop, or on a worker while the connection is paused. raw is the head's text.
func (m *mount) upgrade(c poller.Conn, h *head, raw []byte) upgradedHandler {
	r := &upgradeRequest{head: h}
	if status, header, body := m.check(c, r); status != 0 {
		m.srv.refuseUpgrade(c, &httpError{status, body}, header)
		return nil
	}
	response, deflate, err := m.accept(r, raw)
	if err != nil {
		m.srv.refuseUpgrade(c, badRequest(err.Error()), "")
		return nil
	}
	next := m.app.open(m, c, r)
	w := next.base()
	w.deflate = deflate
	m.srv.counters.upgraded.Add(1)
	c.SetIdleTimeout(m.options.Timeout)
	if err := c.Write(response); err != nil {
		c.Abort(err)
	}
	return next
}

// check is steps 1 to 9 of section 1.2, in that order. A status other than 0 is the refusal.
func (m *mount) check(c poller.Conn, r *upgradeRequest) (status int, header, body string) {
	h := r.head
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
	if origin, present := h.header("origin"); !m.origin.allows(origin, present, url, m.srv.cfg.PublicHost) {
		return 403, "", ""
	}
	choice, herr := chooseSubprotocol(h, m.options.Subprotocols, m.authToken)
	if herr != nil {
		return herr.status, "", ""
	}
	r.params, r.choice = params, choice
	r.request = connectRequest{headers: h, peer: c.RemoteAddr(), url: url, path: h.path, query: h.query, choice: choice}
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
	status, body = m.options.ErrorHandler(err)
	if status < 400 || status > 599 {
		return 403, ""
	}
	return status, body
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
	case version != "13":
		return m.app.versionStatus(), "Sec-WebSocket-Version: 13\r\n", "'sec-websocket-version' header must equal '13'"
	case h.hasBody():
		body = "a WebSocket upgrade must not have a body"
	default:
		return 0, "", ""
	}
	return 400, "", body
}

// memory is the io.ReadWriter that ws.Upgrader reads the head from and writes the response to, so that
// it never waits for the socket.
type memory struct {
	bytes.Reader
	out []byte
}

func (m *memory) Write(p []byte) (int, error) {
	m.out = append(m.out, p...)
	return len(p), nil
}

// accept is step 10: the response, and whether permessage-deflate was agreed on.
func (m *mount) accept(r *upgradeRequest, raw []byte) (response []byte, deflate bool, err error) {
	var u ws.Upgrader
	if name := r.choice.name; name != "" {
		u.Protocol = func(offer []byte) bool { return string(offer) == name }
	}
	ext := wsflate.Extension{Parameters: wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}}
	if m.options.Compress {
		u.Negotiate = func(o httphead.Option) (httphead.Option, error) {
			if _, accepted := ext.Accepted(); accepted {
				return httphead.Option{}, nil // one is enough: the client's first
			}
			return ext.Negotiate(o)
		}
	}
	var rw memory
	rw.Reset(raw)
	if _, err := u.Upgrade(&rw); err != nil {
		return nil, false, err
	}
	_, deflate = ext.Accepted()
	return rw.out, deflate, nil
}
