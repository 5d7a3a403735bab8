package server

import (
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/poller"
)

// An exchange is a request of the long-poll transport whose answer is not there yet, and the handler of its
// connection until the next request: 48 bytes, and nothing else, are what a parked poll costs beside its
// connection and its session.
//
// While a poll is parked, its connection is read: a client that goes away takes no message with it. Bytes of
// the next request make it wait until the answer is out. While a POST is handled, it is paused.
type exchange struct {
	conn     poller.Conn
	session  *pollSession
	claimed  atomic.Bool // the answer is somebody's to give: of a message, the window, or the session's end
	answered atomic.Bool
	pausing  atomic.Bool // the connection is paused until the answer is out; who takes this back resumes it
	waits    atomic.Bool // it is one of Stats.PollsWaiting
	status   uint16      // of the answer of a POST; whoever has claimed it says it
	post     bool
	last     bool // the connection ends with the answer
}

// await makes an exchange the handler of a connection. A task that calls it has it paused; OnData pauses it for
// a POST.
func (p *pollSession) await(c poller.Conn, post, last, paused bool) *exchange {
	x := &exchange{conn: c, session: p, post: post, last: last}
	x.pausing.Store(post)
	if !post {
		x.waits.Store(true)
		p.server().polls.waits.Add(1)
	}
	c.SetHandler(x)
	c.SetDeadline(p.mount.poll.Window)
	if post && !paused {
		c.Pause()
	}
	return x
}

// claim makes the answer the caller's, once.
func (x *exchange) claim() bool { return x.claimed.CompareAndSwap(false, true) }

// settle answers with what there is; status is that of a POST.
func (x *exchange) settle(status uint16) {
	if x.claim() {
		x.status = status
		_, _ = x.conn.Do(x) // it fails when the client is gone
	}
}

// Run implements poller.Task.
func (x *exchange) Run(poller.Conn) { x.answer() }

// OnTimeout implements poller.Handler: the window is over, or no other request has come behind the answer.
func (x *exchange) OnTimeout(c poller.Conn) {
	switch {
	case x.answered.Load():
		x.session.server().shared.OnTimeout(c)
	case x.claim():
		x.status = http.StatusRequestTimeout
		x.answer()
	}
}

// OnData implements poller.Handler.
func (x *exchange) OnData(c poller.Conn, data []byte) int {
	if !x.answered.Load() {
		c.Pause()
		x.pausing.Store(true)
		if x.answered.Load() {
			x.resume() // answer has passed by before
		}
		return 0
	}
	shared := x.session.server().shared
	c.SetHandler(shared)
	return shared.OnData(c, data)
}

// OnClose implements poller.Handler.
func (x *exchange) OnClose(poller.Conn, error) {
	x.claim()
	x.session.unpark(x)
	x.waitsNoMore()
}

func (x *exchange) waitsNoMore() {
	if x.waits.CompareAndSwap(true, false) {
		x.session.server().polls.waits.Add(-1)
	}
}

// answer writes the answer that was claimed, and lets the connection read its next request.
func (x *exchange) answer() {
	x.waitsNoMore()
	p, s := x.session, x.session.server()
	goesOn := false
	switch {
	case !x.post:
		goesOn = s.respond(x.conn, x.last, p.appendMessages(nil, p.take(x)))
	case x.status == http.StatusInternalServerError:
		s.respondWith(x.conn, true, int(x.status), "", nil)
	default:
		goesOn = s.respond(x.conn, x.last, pollStatus(int(x.status)))
	}
	x.answered.Store(true)
	if goesOn {
		x.resume()
	}
}

// resume undoes the exchange's own pause. That of the next request, which may come as soon as there is an answer, is
// not undone: what follows that request would be answered before it.
func (x *exchange) resume() {
	if x.pausing.CompareAndSwap(true, false) {
		x.conn.Resume()
	}
}

// pollStatus is the answer that is a status alone (section 5.4).
func pollStatus(status int) []byte {
	return append(strconv.AppendInt([]byte(`{"status":`), int64(status), 10), '}')
}

// appendMessages appends the answer of a poll: its messages, or that there are none.
func (p *pollSession) appendMessages(dst []byte, messages []string) []byte {
	status := "204"
	if len(messages) > 0 {
		status = "200"
	}
	dst = append(append(append(dst, `{"status":`...), status...), `,"token":"`...)
	dst = append(dst, p.server().pollToken(p.id, p.opened)...)
	dst = append(dst, `","messages":[`...)
	for i, m := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m)
	}
	return append(dst, "]}"...)
}
