package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// respond writes the answer to a request of the long-poll transport (section 5.1) and makes the connection
// wait for the next one; false if it ends. The caller is OnData, OnTimeout, or a task of a paused connection.
func (s *Server) respond(c poller.Conn, last bool, body []byte) bool {
	return s.respondWith(c, last, http.StatusOK,
		"Content-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n", body)
}

func (s *Server) respondWith(c poller.Conn, last bool, status int, header string, body []byte) bool {
	b := make([]byte, 0, 256+len(header)+len(body))
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), http.StatusText(status)...)
	b = append(b, "\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\nAccess-Control-Allow-Origin: *\r\n"...)
	b = append(b, header...)
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(append(b, "\r\n\r\n"...), body...)
	if last {
		c.CloseWith(b)
		return false
	}
	_ = c.Write(b) // it fails only if the end has begun; then OnClose is to come
	c.SetHandler(s.shared)
	c.SetDeadline(httpTimeout)
	return true
}

// A pollTask is a request of a mount whose hooks run code of the user, and must not do so on the loop. The
// connection is paused.
type pollTask struct {
	mount *mount
	raw   []byte
}

// Run implements poller.Task.
func (t *pollTask) Run(c poller.Conn) {
	r := newUpgradeRequest(c)
	defer r.release()
	if err := r.head.parse(t.raw); err != nil {
		refuse(c, err)
		return
	}
	if next := t.mount.servePoll(r, true); next != nil {
		if _, waits := next.(*exchange); !waits {
			c.Resume()
		}
	}
}

// routePoll takes the head of a request for a long-poll mount and returns how much of data was taken.
func (s *Server) routePoll(c poller.Conn, m *mount, r *upgradeRequest, data []byte, start, end int) int {
	c.SetDeadline(httpTimeout)
	if m.blocks() {
		c.Pause()
		if _, err := c.Do(&pollTask{m, append([]byte(nil), data[start:end]...)}); err != nil {
			c.Abort(err)
			return len(data)
		}
		return end
	}
	next := m.servePoll(r, false)
	if next == nil {
		return len(data)
	}
	if _, waits := next.(*exchange); waits || end == len(data) {
		return end // what follows is kept until the answer is out
	}
	return end + next.OnData(c, data[end:])
}

// A pollBody is the handler of a connection while the body of a POST comes.
type pollBody struct {
	session *pollSession
	ndjson  bool
	last    bool
	need    int
	buf     []byte
}

// OnData implements poller.Handler.
func (b *pollBody) OnData(c poller.Conn, data []byte) int {
	n := min(len(data), b.need-len(b.buf))
	srv := b.session.srv
	if srv.polls.bodies.Add(int64(n)) > maxPollBodies {
		srv.polls.bodies.Add(-int64(n))
		b.release()
		c.CloseWith(appendRefusal(nil, 503, "Retry-After: 1\r\n", "too many messages are being received\n"))
		return len(data)
	}
	b.buf = append(b.buf, data[:n]...)
	if len(b.buf) < b.need {
		return n
	}
	next := b.session.deliver(c, b)
	b.release()
	if next == nil {
		return len(data)
	}
	if _, waits := next.(*exchange); waits || n == len(data) {
		return n
	}
	return n + next.OnData(c, data[n:])
}

func (b *pollBody) release() {
	b.session.srv.polls.bodies.Add(-int64(len(b.buf)))
	b.buf = nil
}

// OnTimeout implements poller.Handler.
func (b *pollBody) OnTimeout(c poller.Conn) {
	refuse(c, &httpError{408, "the request body did not come in time"})
}

// OnClose implements poller.Handler.
func (b *pollBody) OnClose(poller.Conn, error) { b.release() }
