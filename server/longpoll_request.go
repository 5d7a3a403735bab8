package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// servePoll answers a request of the long-poll transport, or has it wait. It returns the connection's next
// handler, which is an *exchange if it waits, or nil if the connection ends. paused says that a task calls it,
// and the connection was paused by OnData.
func (m *mount) servePoll(r *upgradeRequest, paused bool) poller.Handler {
	h, c, s := &r.head, r.conn, m.srv
	last := h.minor == 0 || h.hasToken("connection", "close") || s.draining.Load()
	answered := func(ok bool) poller.Handler {
		if !ok {
			return nil
		}
		return s.shared
	}
	if h.method != "GET" && h.method != "POST" && h.method != "OPTIONS" || h.method != "POST" && h.hasBody() {
		return answered(s.respondWith(c, true, 400, "", nil))
	}
	params, herr := parseQuery(h.query)
	if herr == nil {
		herr = m.path.mergeVars(h.path, params)
	}
	if herr != nil {
		return answered(s.respondWith(c, true, herr.status, "", []byte(herr.reason)))
	}
	url := requestURLOf("http", h.host)
	switch {
	case !m.allowsOrigin(h, url):
		s.counters.refused.Add(1)
		return answered(s.respond(c, last || h.method == "POST", []byte(pollRefused)))
	case h.method == "OPTIONS":
		return answered(s.respondWith(c, last, 200, preflight(h), nil))
	}
	session := m.pollSession(h, params)
	switch {
	case h.method == "POST":
		return m.receivePost(r, session, last)
	case session != nil:
		return session.get(c, last, paused)
	case s.draining.Load():
		s.counters.refused.Add(1)
		return answered(s.respondWith(c, true, 503, "Retry-After: 1\r\n", nil))
	}
	r.params = params
	r.request = connectRequest{headers: h, url: url, path: h.path, query: h.query, choice: m.pollChoice(h)}
	status, body := m.openPoll(r)
	if status != 200 {
		return answered(s.respondWith(c, true, status, "Retry-After: 1\r\n", nil))
	}
	return answered(s.respond(c, last, body))
}

// preflight is section 5.7.
func preflight(h *head) string {
	wanted, _ := h.headerList("access-control-request-headers")
	return "Access-Control-Allow-Headers: " + wanted + "\r\nAccess-Control-Allow-Methods: get, post, options\r\n" +
		"Access-Control-Max-Age: 3600\r\n"
}

// pollSession returns the living session that a request names, or nil.
func (m *mount) pollSession(h *head, params Params) *pollSession {
	token, ok := h.header("x-phoenix-longpoll-token")
	if !ok {
		token = params.Get("token")
	}
	id, ok := m.srv.readPollToken(token, time.Now(), m.poll.TokenMaxAge)
	if !ok {
		return nil
	}
	p := m.srv.polls.find(id)
	if p == nil || p.mount != m {
		return nil
	}
	return p
}

// pollChoice is the auth token of the request that opens a session (section 1.5).
func (m *mount) pollChoice(h *head) (c subprotocolChoice) {
	if token, ok := h.header("x-phoenix-authtoken"); ok && m.authToken {
		token = string(append([]byte(nil), token...))
		c.token = &token
	}
	return c
}

// openPoll opens a session (section 5.2). A status other than 200 is that of HTTP.
func (m *mount) openPoll(r *upgradeRequest) (status int, body []byte) {
	s := m.srv
	if m.app.negotiate(r) != nil || m.app.connect(r) != nil {
		s.counters.refused.Add(1)
		return 200, []byte(pollRefused)
	}
	p := &pollSession{srv: s, mount: m, id: newPollID(), opened: time.Now().Unix()}
	s.polls.add(p)
	link, err := s.polls.engine.ConnectTo(p, func(c poller.Conn) poller.Handler {
		p.sock = m.app.(*socketApp).openPoll(p, c, r)
		return p.sock
	})
	if err != nil {
		s.polls.forget(p.id)
		s.counters.refused.Add(1)
		return 503, nil
	}
	p.mu.Lock()
	p.link = link
	p.mu.Unlock()
	p.sock.polled.Store(time.Now().UnixNano())
	p.sock.conn.SetDeadline(p.sock.lifetime())
	p.sock.opened(r)
	s.counters.polled.Add(1)
	if s.draining.Load() {
		p.sock.close(codeServiceRestart, "") // Shutdown may have passed by before
	}
	return 200, append(append([]byte(`{"status":410,"token":"`), s.pollToken(p.id, p.opened)...), `","messages":[]}`...)
}

// get is section 5.3.
func (p *pollSession) get(c poller.Conn, last, paused bool) poller.Handler {
	x := &exchange{conn: c, session: p, last: last}
	p.srv.polls.waits.Add(1)
	c.SetHandler(x)
	c.SetDeadline(p.mount.poll.Window)
	if !paused {
		c.Pause()
	}
	messages, parked := p.park(x)
	if parked || !x.claim() { // the window may be over, or another poll have come
		return x
	}
	x.ended()
	if !p.srv.respond(c, last, p.appendMessages(nil, messages)) {
		return nil
	}
	if !paused {
		c.Resume()
	}
	return p.srv.shared
}

// receivePost looks at the head of a POST (section 5.4).
func (m *mount) receivePost(r *upgradeRequest, p *pollSession, last bool) poller.Handler {
	h, c, s := &r.head, r.conn, m.srv
	size, status := bodySize(h, m.poll.MaxBodyBytes)
	switch {
	case status != 0:
		_ = s.respondWith(c, true, status, "", nil)
		return nil
	case p == nil && size == 0:
		if s.respond(c, last, []byte(pollGone)) {
			return s.shared
		}
		return nil
	case p == nil:
		_ = s.respond(c, true, []byte(pollGone)) // its body is not read
		return nil
	}
	kind, _ := h.header("content-type")
	b := &pollBody{session: p, ndjson: kind == "application/x-ndjson", last: last, need: size}
	if h.hasToken("expect", "100-continue") {
		_ = c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	c.SetHandler(b)
	return b
}

// bodySize is what Content-Length says; a status other than 0 refuses the request.
func bodySize(h *head, most int) (size, status int) {
	if _, chunked := h.header("transfer-encoding"); chunked {
		return 0, 411 // RFC 9110 section 15.5.12: a browser tells the length of a string
	}
	length, ok := h.header("content-length")
	n, err := strconv.ParseUint(length, 10, 63)
	switch {
	case !ok:
		return 0, 411
	case err != nil || h.repeats("content-length") || n > uint64(most):
		return 0, 400
	}
	return int(n), 0
}

// deliver hands the messages of a POST to the session, and answers, or waits until they are handled.
func (p *pollSession) deliver(c poller.Conn, b *pollBody) poller.Handler {
	s := p.srv
	now := func(body string) poller.Handler {
		if s.respond(c, b.last, []byte(body)) {
			return s.shared
		}
		return nil
	}
	records, err := appendPost(nil, b.buf, b.ndjson)
	if err != nil {
		_ = s.respondWith(c, true, 500, "", nil) // parity; the session is unharmed
		return nil
	}
	x := &exchange{conn: c, session: p, post: true, last: b.last}
	key, ok := p.expect(x)
	if !ok {
		return now(pollGone)
	}
	c.SetHandler(x)
	c.SetDeadline(p.mount.poll.Window)
	c.Pause()
	if err := p.offer(appendMark(records, key)); err != nil {
		p.ack(key)
		if x.claim() {
			defer c.Resume()
			if errors.Is(err, poller.ErrUnread) {
				return now(pollNotTaken)
			}
			return now(pollGone)
		}
	}
	return x
}

func (p *pollSession) offer(records []byte) error {
	p.mu.Lock()
	link := p.link
	p.mu.Unlock()
	return link.Offer(records)
}

// appendPost appends the messages of a body as records.
func appendPost(dst, body []byte, ndjson bool) ([]byte, error) {
	if !ndjson {
		return appendRecord(dst, recordText, body), nil
	}
	for i := 0; i < maxPollLines; i++ {
		line, rest, more := bytes.Cut(body, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > 0 && line[0] == '[' {
			dst = appendRecord(dst, recordText, line)
		} else {
			data, err := base64.StdEncoding.DecodeString(string(line))
			if err != nil {
				return dst, err
			}
			dst = appendRecord(dst, recordBinary, data)
		}
		if !more {
			break
		}
		body = rest
	}
	return dst, nil
}
