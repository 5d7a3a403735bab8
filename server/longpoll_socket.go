package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A pollSocket is the socket of a long-poll session. Its connection is one of the memory engine, on which the
// transport sends no frames but records: there is no masking to undo, and a record can be a mark that is
// answered when the messages before it have been handled.
type pollSocket struct {
	socket
	session *pollSession
	polled  atomic.Int64 // when the session was last polled, in nanoseconds of Unix time
}

// A pollConn is the connection of a pollSocket. It ends at once, and what no poll has fetched is lost, as
// with Phoenix (section 5.6): nobody would wait for the next poll to end a session.
type pollConn struct {
	poller.Conn
	session *pollSession
}

// CloseWith implements poller.Conn.
func (c pollConn) CloseWith(last []byte) { c.Truncate(last) }

// Truncate implements poller.Conn.
func (c pollConn) Truncate(last []byte) {
	c.Conn.Truncate(last)
	c.session.ready()
}

// Close implements poller.Conn.
func (c pollConn) Close() { c.Truncate(closeNormal) }

// closeNormal is a Close frame without a code. Never changed.
var closeNormal = []byte{0x88, 0}

// A record is its kind, the length of the rest in four bytes, and the rest: a message of a POST, or the mark
// behind the last of them.
const (
	recordText byte = iota
	recordBinary
	recordTaken   // the POST is answered when its messages are in the mailbox
	recordHandled // or when they have been handled

	recordHead = 5
)

// cutRecord returns the first of some records, and those that follow.
func cutRecord(b []byte) (kind byte, body, rest []byte) {
	end := recordHead + int(binary.BigEndian.Uint32(b[1:]))
	return b[0], b[recordHead:end], b[end:]
}

func appendRecord(dst []byte, kind byte, data []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	return append(dst, data...)
}

func appendMark(dst []byte, kind byte, mark uint64) []byte {
	return appendRecord(dst, kind, binary.BigEndian.AppendUint64(nil, mark))
}

// decides reports whether the answer of a POST depends on how its messages are handled: a join counts until its
// callback has returned, and one that cannot be decoded ends the session (section 5.4). It may be called from
// any goroutine.
func (s *pollSocket) decides(records []byte) bool {
	for len(records) > 0 {
		var kind byte
		var body []byte
		kind, body, records = cutRecord(records)
		m, err := s.serializer().decode(body, kind == recordBinary)
		if err != nil || m.event == eventJoin {
			return true
		}
	}
	return false
}

// OnData implements poller.Handler. Records come whole.
func (s *pollSocket) OnData(_ poller.Conn, data []byte) int {
	rest := data
	for len(rest) > 0 {
		var kind byte
		var body []byte
		kind, body, rest = cutRecord(rest)
		s.session.took(recordHead + len(body)) // the mailbox counts what it gets
		if kind >= recordTaken {
			s.mark(kind, binary.BigEndian.Uint64(body))
			continue
		}
		if s.overRate() {
			s.close(codePolicyViolation, reasonFlood)
			return len(data)
		}
		if s.answersHeartbeat(body, kind == recordBinary) {
			continue
		}
		in := inbounds.Get().(*inbound)
		in.socket, in.binary = &s.socket, kind == recordBinary
		in.data = append([]byte(nil), body...) // the application may keep it
		full, err := s.queue(in, len(body))
		if errors.Is(err, poller.ErrMailboxFull) {
			s.close(codeTryAgainLater, "mailbox full") // of tasks that did not come from this client
		}
		if full {
			break
		}
	}
	return len(data) - len(rest)
}

// answersHeartbeat answers a heartbeat in place, as on a WebSocket: phoenix.js sends none here, others may.
func (s *pollSocket) answersHeartbeat(body []byte, binary bool) bool {
	if len(body) > oddHeartbeat || !bytes.Contains(body, []byte(eventHeartbeat)) {
		return false
	}
	m, err := s.serializer().decode(body, binary)
	if err != nil || !m.isHeartbeat() {
		return false
	}
	s.answerHeartbeat(&m)
	return true
}

// mark answers a POST, or does so when its turn has come. The end of the session answers those that it finds.
func (s *pollSocket) mark(kind byte, mark uint64) {
	if kind == recordTaken {
		s.session.settle(mark, http.StatusOK)
		return
	}
	if _, err := s.conn.Do(&pollMark{s.session, mark}); errors.Is(err, poller.ErrMailboxFull) {
		s.session.settle(mark, http.StatusRequestTimeout)
	}
}

// A pollMark stands behind the messages of a POST: when its turn comes they have been handled.
type pollMark struct {
	session *pollSession
	mark    uint64
}

// Run implements poller.Task.
func (m *pollMark) Run(poller.Conn) {
	if !m.session.sock.broken { // else the session is at its end
		m.session.settle(m.mark, http.StatusOK)
	}
}

// OnTimeout implements poller.Handler: section 5.5.
func (s *pollSocket) OnTimeout(c poller.Conn) {
	limit := s.lifetime()
	if quiet := time.Since(time.Unix(0, s.polled.Load())); quiet < limit {
		c.SetDeadline(limit)
		return
	}
	s.server().bounds.idle.Add(1)
	c.Abort(errNotPolled) // nobody waits for a Close frame
}

// errNotPolled ends a session whose client has gone without a word.
var errNotPolled = errors.New("server: the session was not polled for one and a half windows")

func (s *pollSocket) lifetime() time.Duration { return s.mount.poll.Window * 3 / 2 }
