package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"

	"github.com/dormouse-ws/dormouse/poller"
)

// A pollBody is the handler of a connection while the body of a POST comes.
type pollBody struct {
	session *pollSession
	ndjson  bool
	last    bool
	need    int // how long the body is; chunked: its end will say
	chunks  chunkDecoder
	buf     []byte
}

// alwaysReceived is the most of a body that is received however much others have on their way: as much as a head
// may have. A few clients that send long bodies slowly keep no other's messages away.
const alwaysReceived = defaultHeadBytes

// chunked is the size of a body in the chunked transfer coding, which only its end tells.
const chunked = -1

// OnData implements poller.Handler.
func (b *pollBody) OnData(c poller.Conn, data []byte) int {
	before := len(b.buf)
	n, done, herr := b.take(data)
	if herr == nil && b.session.server().polls.bodies.Add(int64(len(b.buf)-before)) > maxPollBodies &&
		len(b.buf) > alwaysReceived {
		before = len(b.buf)
		herr = &httpError{503, "too many messages are being received"}
	}
	if herr != nil {
		b.buf = b.buf[:before] // what has been counted
		b.release()
		header := ""
		if herr.status == 503 {
			header = "Retry-After: 1\r\n"
		}
		b.session.server().respondWith(c, true, herr.status, header, nil)
		return len(data)
	}
	if !done {
		return n
	}
	x := b.session.post(c, b, false)
	if n == len(data) {
		return n
	}
	return n + x.OnData(c, data[n:])
}

// take adds what data has of the body and reports how much that was and whether the body is whole.
func (b *pollBody) take(data []byte) (n int, done bool, herr *httpError) {
	if b.need != chunked {
		n = min(len(data), b.need-len(b.buf))
		b.buf = append(b.buf, data[:n]...)
		return n, len(b.buf) == b.need, nil
	}
	for n < len(data) && !b.chunks.done() {
		took, piece, herr := b.chunks.next(data[n:])
		if herr != nil {
			return n, false, herr
		}
		n += took
		if len(b.buf)+len(piece) > b.session.mount.poll.MaxBodyBytes {
			return n, false, badRequest("the body is too long")
		}
		b.buf = append(b.buf, piece...)
	}
	return n, b.chunks.done(), nil
}

func (b *pollBody) release() {
	b.session.server().polls.bodies.Add(-int64(len(b.buf)))
	b.buf = nil
}

// OnTimeout implements poller.Handler.
func (b *pollBody) OnTimeout(c poller.Conn) {
	refuse(c, &httpError{408, "the request body did not come in time"})
}

// OnClose implements poller.Handler.
func (b *pollBody) OnClose(poller.Conn, error) { b.release() }

// bodySize is how long the body of a request is (RFC 9112 section 6.3), or chunked; a status other than 0
// refuses the request.
func bodySize(h *head, most int) (size, status int) {
	length, told := h.header("content-length")
	if coding, coded := h.headerList("transfer-encoding"); coded {
		switch {
		case told || h.minor == 0:
			return 0, 400 // two answers to where the body ends
		case !equalFold(coding, "chunked"):
			return 0, 501
		}
		return chunked, 0
	}
	if !told {
		return 0, 0
	}
	n, err := strconv.ParseUint(length, 10, 63)
	if err != nil || h.repeats("content-length") || n > uint64(most) {
		return 0, 400
	}
	return int(n), 0
}

// deliverOnLoop is the longest body that an event loop takes apart: about ten microseconds of its time. A
// worker takes longer ones.
const deliverOnLoop = 4 << 10

// A delivery is the body of a POST on its way to its session.
type delivery struct {
	x    *exchange
	body *pollBody
}

// post hands the messages of a whole body to the session, and has the connection wait for the answer.
func (p *pollSession) post(c poller.Conn, b *pollBody, paused bool) *exchange {
	d := &delivery{p.await(c, true, b.last, paused), b}
	if len(b.buf) <= deliverOnLoop {
		d.Run(c)
	} else if _, err := c.Do(d); err != nil {
		b.release() // the connection is at its end
	}
	return d.x
}

// Run implements poller.Task. Lines before one that is not base64 are taken, as by Phoenix; the session is
// unharmed.
func (d *delivery) Run(poller.Conn) {
	defer d.body.release()
	p, x := d.x.session, d.x
	records, err := appendPost(nil, d.body.buf, d.body.ndjson)
	if err != nil {
		_ = p.offer(records)
		x.settle(http.StatusInternalServerError)
		return
	}
	mark, ok := p.expect(x)
	if !ok {
		x.settle(http.StatusGone)
		return
	}
	kind := recordTaken
	if p.sock.decides(records) {
		kind = recordHandled
	}
	switch err := p.offer(appendMark(records, kind, mark)); {
	case errors.Is(err, poller.ErrUnread):
		p.settle(mark, http.StatusRequestTimeout)
	case err != nil:
		p.settle(mark, http.StatusGone)
	}
}

// offer has OnData called with some records, now or when it takes more.
func (p *pollSession) offer(records []byte) error {
	if len(records) == 0 {
		return nil
	}
	p.mu.Lock()
	link := p.link
	if p.gone {
		p.mu.Unlock()
		return poller.ErrClosed
	}
	all := p.untakenLocked(len(records))
	p.mu.Unlock()
	err := poller.ErrUnread
	if all <= p.server().cfg.MessageMemory || len(records) <= crowdedWaiting<<10 {
		err = link.Offer(records)
	} else {
		p.server().bounds.waiting.Add(1)
	}
	if err != nil {
		p.took(len(records))
	}
	return err
}

// took notes that so many bytes of what was offered are not waiting for OnData any more.
func (p *pollSession) took(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone { // else Closed has
		p.untakenLocked(-bytes)
		p.dropWorkLocked()
	}
}

// untakenLocked notes that so many bytes more wait for OnData, or fewer, and returns how many wait for it, and for
// workers, in all.
func (p *pollSession) untakenLocked(bytes int) (all int64) {
	w := p.workLocked()
	was := w.untaken
	w.untaken += bytes
	return p.server().waiting.Add(int64(w.untaken>>10-was>>10)) << 10
}

// appendPost appends the messages of a body as records (section 5.4).
func appendPost(dst, body []byte, ndjson bool) ([]byte, error) {
	if !ndjson {
		return appendRecord(dst, recordText, body), nil
	}
	for range maxPollLines {
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
