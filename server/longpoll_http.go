package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// respond writes the answer to a request of the long-poll transport (section 5.1) and reports whether the
// connection goes on.
func (s *Server) respond(c poller.Conn, last bool, body []byte) (goesOn bool) {
	return s.respondWith(c, last, http.StatusOK, pollHeader, body)
}

const pollHeader = "Content-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n"

func (s *Server) respondWith(c poller.Conn, last bool, status int, header string, body []byte) (goesOn bool) {
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
	c.SetDeadline(httpTimeout) // for the next request
	if c.Write(b) == poller.ErrOutboxFull {
		// It has sent requests without reading the answers, and one more may not be left out: the next
		// would be taken for it.
		c.Truncate(nil)
		return false
	}
	return true // should the end have begun, OnClose is to come
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
	next := t.mount.servePoll(r, true)
	if x, ok := next.(*exchange); next != nil && !(ok && x.post) {
		c.Resume()
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
	if end == len(data) {
		return end
	}
	return end + next.OnData(c, data[end:])
}

// handOverAgain is how long a connection waits that cannot be handed over yet. Each time it is tried in vain the
// wait is twice as long, up to handOverRarely: a client that leaves its answers unread, until WriteTimeout ends it,
// must not have the server look a thousand times a second.
const (
	handOverAgain  = time.Millisecond
	handOverRarely = 256 * time.Millisecond
)

// A lateHandOver is a connection whose next request is for net/http, while the task that has answered the last
// one is about to end, or the answer about to leave.
type lateHandOver struct {
	srv  *Server
	buf  []byte // of the request, but for a byte at least, so that there is something to be called with
	wait time.Duration
}

// handOverLater keeps data[start:] until the connection can be handed over, and returns how much of data was taken.
func (s *Server) handOverLater(c poller.Conn, data []byte, start int) int {
	last := len(data) - 1
	c.SetHandler(&lateHandOver{s, append([]byte(nil), data[start:last]...), handOverAgain})
	c.SetDeadline(httpTimeout)
	tryAgain(c, handOverAgain)
	return last
}

// tryAgain pauses the connection for a moment. When the moment is over net/http may have it already, and a guest
// be without a connection or with its next one: it is this one that is resumed.
func tryAgain(c poller.Conn, wait time.Duration) {
	if v, ok := c.(*guest); ok {
		c = v.Conn
	}
	c.Pause()
	time.AfterFunc(wait, c.Resume)
}

// OnData implements poller.Handler.
func (l *lateHandOver) OnData(c poller.Conn, data []byte) int {
	all := append(l.buf[:len(l.buf):len(l.buf)], data...)
	if l.srv.handOver(c, all) {
		return len(data)
	}
	l.wait = min(2*l.wait, handOverRarely)
	tryAgain(c, l.wait)
	return 0
}

// OnTimeout implements poller.Handler.
func (l *lateHandOver) OnTimeout(c poller.Conn) { c.Close() }

// OnClose implements poller.Handler.
func (l *lateHandOver) OnClose(poller.Conn, error) {}
