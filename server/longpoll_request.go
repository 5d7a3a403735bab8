package server

import (
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/limit"
)

// servePoll answers a request of the long-poll transport, or has it wait. It returns the connection's next
// handler, or nil if the connection ends. paused says that a task calls it, and the connection was paused by
// OnData; it remains so if the handler is the exchange of a POST.
func (m *mount) servePoll(r *upgradeRequest, paused bool) poller.Handler {
	h, c, s := &r.head, r.conn, m.srv
	defer greeted(c) // also when a hook ends its goroutine
	last := h.minor == 0 || h.hasToken("connection", "close") || s.draining.Load()
	answerWith := func(last bool, status int, header string, body []byte) poller.Handler {
		greeted(c) // before the client can see the answer, and come again
		if !s.respondWith(c, last, status, header, body) {
			return nil
		}
		c.SetHandler(s.shared)
		return s.shared
	}
	answer := func(last bool, body []byte) poller.Handler { return answerWith(last, 200, pollHeader, body) }
	if h.method != "GET" && h.method != "POST" && h.method != "OPTIONS" || h.method != "POST" && h.hasBody() {
		return answerWith(true, 400, "", nil)
	}
	params, herr := parseQuery(h.query)
	if herr == nil {
		herr = m.path.mergeVars(h.path, params)
	}
	if herr != nil {
		return answerWith(true, herr.status, "", []byte(herr.reason))
	}
	url := requestURLOf("http", h.host)
	switch {
	case !m.allowsOrigin(h, url):
		s.counters.refused.Add(1)
		return answer(last || h.method == "POST", pollStatus(403))
	case h.method == "OPTIONS":
		return answerWith(last, 200, preflight(h), nil)
	}
	session := m.pollSession(h, params)
	if h.method == "POST" || session != nil {
		greeted(c) // no hook is called, and what follows may be on another goroutine
	}
	switch {
	case h.method == "POST":
		return m.receivePost(r, session, last, paused)
	case session != nil:
		x := session.await(c, false, last, paused)
		session.park(x)
		return x
	case s.draining.Load():
		s.counters.refused.Add(1)
		return answerWith(true, 503, "Retry-After: 1\r\n", nil)
	}
	r.params = params
	r.request = connectRequest{headers: h, url: url, path: h.path, query: h.query, choice: m.pollChoice(h)}
	seat, refusal := s.pollSeat(c)
	if refusal.Name != limit.None {
		s.counters.refused.Add(1)
		return answerWith(true, refusal.Status(), retryAfter(refusal), []byte(refusal.Name.Reason()+"\n"))
	}
	r.seat = seat
	defer r.leaveSeat(s.gate) // also when a hook ends its goroutine
	status, body := m.openPoll(r)
	r.leaveSeat(s.gate) // before the client can see that it is refused, and come again
	if status != 200 {
		return answerWith(true, status, "Retry-After: 1\r\n", nil)
	}
	return answer(last, body)
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
	r.poll = m.poll
	if m.app.negotiate(r) != nil || m.app.connect(r) != nil {
		s.counters.refused.Add(1)
		return 200, pollStatus(403)
	}
	p := &pollSession{mount: m, id: newPollID(), opened: time.Now().Unix()}
	s.polls.add(p)
	link, err := s.polls.engine.ConnectTo(p, func(c poller.Conn) poller.Handler {
		p.sock = m.app.(*socketApp).openPoll(p, c, r)
		p.sock.polled.Store(time.Now().UnixNano())
		p.sock.opened() // before it can be found: Shutdown may end it at once, and OnClose comes behind this
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
	p.sock.conn.SetDeadline(p.sock.lifetime())
	s.counters.polled.Add(1)
	if s.draining.Load() {
		p.sock.close(codeServiceRestart, "") // Shutdown may have passed by before
	}
	return 200, append(append([]byte(`{"status":410,"token":"`), s.pollToken(p.id, p.opened)...), `","messages":[]}`...)
}

// receivePost looks at the head of a POST (section 5.4).
func (m *mount) receivePost(r *upgradeRequest, p *pollSession, last, paused bool) poller.Handler {
	h, c, s := &r.head, r.conn, m.srv
	size, status := bodySize(h, m.poll.MaxBodyBytes)
	switch {
	case status != 0:
		_ = s.respondWith(c, true, status, "", nil)
		return nil
	case p == nil: // a body is not read
		if !s.respond(c, last || size != 0, pollStatus(410)) {
			return nil
		}
		c.SetHandler(s.shared)
		return s.shared
	}
	kind, _ := h.header("content-type")
	b := &pollBody{session: p, ndjson: kind == "application/x-ndjson", last: last, need: size}
	if size == 0 {
		return p.post(c, b, paused)
	}
	if h.minor == 1 && h.hasToken("expect", "100-continue") { // RFC 9110 section 10.1.1
		_ = c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	c.SetHandler(b)
	return b
}
