package server

import (
	"encoding/binary"
	"errors"
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

// A record is its kind, the length of the rest in four bytes, and the rest.
const (
	recordText byte = iota
	recordBinary
	recordMark

	recordHead = 5
)

func appendRecord(dst []byte, kind byte, data []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	return append(dst, data...)
}

func appendMark(dst []byte, key uint64) []byte {
	return appendRecord(dst, recordMark, binary.BigEndian.AppendUint64(nil, key))
}

// OnData implements poller.Handler. Records come whole.
func (s *pollSocket) OnData(_ poller.Conn, data []byte) int {
	took := 0
	for len(data)-took >= recordHead {
		kind, size := data[took], int(binary.BigEndian.Uint32(data[took+1:]))
		body := data[took+recordHead:][:size]
		took += recordHead + size
		if kind == recordMark {
			m := &pollMark{s.session, binary.BigEndian.Uint64(body)}
			if _, err := s.conn.Do(m); err != nil {
				m.session.settle(m.key, false) // the session is at its end
			}
			continue
		}
		in := inbounds.Get().(*inbound)
		in.socket, in.binary = &s.socket, kind == recordBinary
		in.data = append([]byte(nil), body...)
		full, err := s.queue(in, size)
		if errors.Is(err, poller.ErrMailboxFull) {
			s.close(codeTryAgainLater, "mailbox full")
		}
		if full {
			break
		}
	}
	return took
}

// A pollMark stands behind the messages of a POST: when its turn comes they have been handled.
type pollMark struct {
	session *pollSession
	key     uint64
}

func (m *pollMark) Run(poller.Conn) { m.session.settle(m.key, !m.session.sock.broken) }

// OnTimeout implements poller.Handler: section 5.5.
func (s *pollSocket) OnTimeout(c poller.Conn) {
	limit := s.lifetime()
	if quiet := time.Since(time.Unix(0, s.polled.Load())); quiet < limit {
		c.SetDeadline(limit)
		return
	}
	c.Abort(errNotPolled) // nobody waits for a Close frame
}

// errNotPolled ends a session whose client has gone without a word.
var errNotPolled = errors.New("server: the session was not polled for one and a half windows")

func (s *pollSocket) lifetime() time.Duration { return s.mount.poll.Window * 3 / 2 }
