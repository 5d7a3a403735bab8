package frame

import (
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// A Message puts together the parts of a data message, RFC 6455 section 5.4. Its zero value is ready
// and, like one that was Reset, holds no memory.
type Message struct {
	// LimitBytes bounds the message: what its frames announce, and what it inflates to. 0 means
	// DefaultLimitBytes.
	LimitBytes int64
	// DeferBytes, if not 0, leaves compressed messages of more than so many bytes compressed: see
	// Deferred. For an owner that must not take the time to inflate where it calls Add.
	DeferBytes int

	buf        *Buffer // what was collected; nil while nothing was
	payload    []byte  // of a whole message: in buf, or in the only part it had
	announced  int64   // payload bytes of the frames that have begun
	op         ws.OpCode
	text       UTF8
	begun      bool
	compressed bool
	deferred   bool
	whole      bool
}

// Add takes the next part of a data frame, in the order in which a [Decoder] gave them, and reports
// whether the message is whole with it. A message that comes in one part stays where that part is;
// of others the bytes are copied. Adding to a whole message begins the next one.
//
// The part that completes a compressed message makes Add inflate it, up to LimitBytes at about 1 ms
// per megabyte: an owner that cannot spare the time calls Add where it can.
//
// The error is an [Error]: ErrMessageTooBig as soon as a frame announces too much, ErrNotUTF8 as
// soon as a text cannot be UTF-8 any more, though its frame goes on; for a compressed text when it
// is whole. After an error the Message holds no memory, and the connection is to be closed.
func (m *Message) Add(p Part) (bool, error) {
	if m.whole {
		m.Reset()
	}
	if err := m.add(p); err != 0 {
		m.Reset()
		return false, err
	}
	return m.whole, nil
}

// OpCode returns ws.OpText or ws.OpBinary, for a message that has begun.
func (m *Message) OpCode() ws.OpCode { return m.op }

// Deferred reports that the payload of a whole message is still compressed: it is to be given to
// [Inflate].
func (m *Message) Deferred() bool {
	return m.deferred
}

// Payload returns the payload of a whole message, inflated, and nil before. It is valid until the
// next Add, Reset or Take, and no longer than the bytes that were pushed.
func (m *Message) Payload() []byte { return m.payload }

// Take returns the payload of a whole message in memory that is the caller's, who frees it, and
// resets m. It copies only what lies in the bytes that were pushed.
func (m *Message) Take() *Buffer {
	b := m.buf
	m.buf = nil
	if b == nil {
		b = newBuffer(len(m.payload))
		b.B = append(b.B, m.payload...)
	}
	m.Reset()
	return b
}

// Reset forgets the message and gives its memory back. LimitBytes and DeferBytes stay.
func (m *Message) Reset() {
	if m.buf != nil {
		m.buf.Free()
	}
	*m = Message{LimitBytes: m.LimitBytes, DeferBytes: m.DeferBytes}
}

// Held returns how many bytes of memory m has taken for what it collects.
func (m *Message) Held() int {
	if m.buf == nil {
		return 0
	}
	return cap(m.buf.B)
}

// Idle reports whether m is empty: no message has begun since the last Reset or Take.
func (m *Message) Idle() bool { return !m.begun }

func (m *Message) add(p Part) Error {
	if !m.begun {
		m.begun, m.op, m.compressed = true, p.Header.OpCode, p.Header.Rsv1()
	}
	if p.First {
		if p.Header.Length > m.limit()-m.announced {
			return ErrMessageTooBig
		}
		m.announced += p.Header.Length
	}
	if m.op == ws.OpText && !m.compressed && !m.text.Push(p.Payload) {
		return ErrNotUTF8
	}
	m.whole = p.Last && p.Header.Fin
	switch {
	case m.buf == nil && m.whole:
		m.payload = p.Payload
	case len(p.Payload) > 0:
		m.collect(p.Payload)
	}
	if m.whole {
		return m.finish()
	}
	return 0
}

func (m *Message) collect(p []byte) {
	if m.buf == nil {
		m.buf = newBuffer(len(p))
	}
	m.buf = m.buf.grown(len(p))
	m.buf.B = append(m.buf.B, p...)
}

// finish turns what has been put together into the payload.
func (m *Message) finish() Error {
	if m.buf != nil {
		m.payload = m.buf.B
	}
	if !m.compressed {
		if !m.text.Complete() {
			return ErrNotUTF8
		}
		return 0
	}
	if m.DeferBytes > 0 && len(m.payload) > m.DeferBytes {
		m.deferred = true
		return 0
	}
	b, err := inflateMessage(m.op, m.payload, m.limit())
	if err != 0 {
		return err
	}
	if m.buf != nil {
		m.buf.Free()
	}
	m.buf, m.payload = b, b.B
	return 0
}

// Inflate returns the payload of a message that Deferred left compressed, in memory that is the
// caller's, who frees it. limitBytes is as Message.LimitBytes. The error is an [Error], as of Add.
func Inflate(op ws.OpCode, payload []byte, limitBytes int64) (*Buffer, error) {
	m := Message{LimitBytes: limitBytes}
	b, err := inflateMessage(op, payload, m.limit())
	if err != 0 {
		return nil, err
	}
	return b, nil
}

func inflateMessage(op ws.OpCode, payload []byte, limit int64) (*Buffer, Error) {
	b, err := inflate(payload, limit)
	if err != 0 {
		return nil, err
	}
	if op == ws.OpText && !utf8.Valid(b.B) {
		b.Free()
		return nil, ErrNotUTF8
	}
	return b, 0
}

func (m *Message) limit() int64 {
	if m.LimitBytes <= 0 {
		return DefaultLimitBytes
	}
	return m.LimitBytes
}
