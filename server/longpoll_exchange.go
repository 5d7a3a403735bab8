package server

import (
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/poller"
)

// An exchange is a request of the long-poll transport whose answer is not there yet. Meanwhile it is the
// handler of its connection, which is paused: 56 bytes, and nothing else, are what a parked poll costs beside
// its connection and its session.
type exchange struct {
	conn     poller.Conn
	session  *pollSession
	post     bool
	last     bool        // the connection ends with the answer
	handled  atomic.Bool // of a POST: its messages have been
	answered atomic.Bool // or about to be: by a message, the window, or the session's end
}

// claim makes the answer the caller's, once.
func (x *exchange) claim() bool { return x.answered.CompareAndSwap(false, true) }

// settle answers with what there is.
func (x *exchange) settle() {
	if x.claim() {
		_, _ = x.conn.Do(x) // it fails when the client is gone
	}
}

// Run implements poller.Task. The connection is paused, so no OnData runs beside it.
func (x *exchange) Run(poller.Conn) { x.answer() }

// OnTimeout implements poller.Handler: the window is over.
func (x *exchange) OnTimeout(poller.Conn) {
	if x.claim() {
		x.answer()
	}
}

// OnData implements poller.Handler. It is not called: the connection is paused.
func (x *exchange) OnData(poller.Conn, []byte) int { return 0 }

// OnClose implements poller.Handler.
func (x *exchange) OnClose(poller.Conn, error) {
	if x.claim() {
		x.ended()
	}
	x.session.unpark(x)
}

// ended counts a poll that waits no more.
func (x *exchange) ended() {
	if !x.post {
		x.session.srv.polls.waits.Add(-1)
	}
}

// answer writes the answer that was claimed, and lets the connection read its next request.
func (x *exchange) answer() {
	x.ended()
	var body []byte
	switch {
	case !x.post:
		body = x.session.appendMessages(nil, x.session.take(x))
	case x.handled.Load():
		body = append(body, pollOK...)
	default:
		body = append(body, pollNotTaken...)
	}
	if x.session.srv.respond(x.conn, x.last, body) {
		x.conn.Resume()
	}
}

// The bodies that are always the same (section 5.4). Never changed.
const (
	pollOK       = `{"status":200}`
	pollRefused  = `{"status":403}`
	pollNotTaken = `{"status":408}`
	pollGone     = `{"status":410}`
)

// appendMessages appends the answer of a poll: its messages, or that there are none.
func (p *pollSession) appendMessages(dst []byte, messages [][]byte) []byte {
	status := "204"
	if len(messages) > 0 {
		status = "200"
	}
	dst = append(append(append(dst, `{"status":`...), status...), `,"token":"`...)
	dst = append(dst, p.srv.pollToken(p.id, p.opened)...)
	dst = append(dst, `","messages":[`...)
	for i, m := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, string(m))
	}
	return append(dst, "]}"...)
}
