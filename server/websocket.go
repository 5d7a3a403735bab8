package server

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// A wsConn is what every upgraded connection has: 40 bytes. It is embedded in the handler of its mount's
// application.
type wsConn struct {
	conn    poller.Conn
	mount   *mount
	cut     *cut         // nil while the connection sleeps; owned by the reading goroutine
	deflate bool         // permessage-deflate was negotiated
	done    bool         // the client's Close frame or its violation was read; owned by the reading goroutine
	waiting atomic.Int32 // KiB of messages that wait for a worker
}

// A cut is a frame or message that is not complete, with room for answers that the loop gives in place.
type cut struct {
	dec frame.Decoder
	msg frame.Message
	out []byte

	piece *piece // nil while its message is small, or in one piece
}

var cuts = sync.Pool{New: func() any { return &cut{out: make([]byte, 0, 512)} }}

func (w *wsConn) base() *wsConn { return w }

// A receiver takes the data messages of a connection. Its message runs on the loop: what m's payload
// refers to is valid only until it returns. full says that no more shall be given now.
type receiver interface {
	message(cu *cut) (full bool)
}

// onData takes frames apart, answers control frames and gives messages to r.
func (w *wsConn) onData(data []byte, r receiver) int {
	if w.done {
		return len(data)
	}
	cu := w.cut
	if cu == nil {
		cu = cuts.Get().(*cut)
		cu.dec.LimitBytes = w.mount.options.MaxFrameSize
		cu.dec.Deflate = w.deflate
		cu.msg.LimitBytes = w.mount.options.MaxFrameSize
		cu.msg.DeferBytes = inflateOnLoop
	}
	rest, live := w.take(cu, data, r)
	w.flush(cu)
	if w.cut = cu; live && !(cu.dec.Idle() && cu.msg.Idle()) {
		w.keep(cu)
	} else {
		w.dropMessage()
	}
	return len(data) - rest
}

// inflateOnLoop is the longest compressed message that a loop inflates: at best (1032:1) 256 KiB come of
// it, in about a quarter of a millisecond. A worker inflates longer ones.
const inflateOnLoop = 256

// inflate does on a worker what the loop has left to it, and ends the connection if it cannot.
func (w *wsConn) inflate(binary bool, payload []byte) (*frame.Buffer, error) {
	b, err := frame.Inflate(opcode(binary), payload, w.mount.options.MaxFrameSize)
	if err != nil {
		fe := w.violation(err)
		w.close(fe.Code(), fe.Reason()) // at once: this task is in its turn, and those behind it are void
	}
	return b, err
}

func (cu *cut) release() {
	cu.dec.Reset()
	cu.msg.Reset()
	cu.out = cu.out[:0] // after a panic something may be left
	cuts.Put(cu)
}

// take gives everything in data to r, as far as r has room. live is false once the connection is at its
// end.
func (w *wsConn) take(cu *cut, data []byte, r receiver) (rest int, live bool) {
	cu.dec.Push(data)
	for {
		part, ok, err := cu.dec.Next()
		switch {
		case err != nil:
			w.fail(cu, err)
			return 0, false
		case !ok:
			return 0, true
		case part.Header.OpCode.IsControl():
			if !w.control(cu, part) {
				return 0, false
			}
			continue
		case part.Header.Length == 0 && !part.Header.Fin && w.floods(cu): // RFC 6455 allows any number in a message
			return 0, false
		}
		whole, err := cu.msg.Add(part)
		if err != nil {
			w.fail(cu, err)
			return 0, false
		}
		if !whole {
			continue
		}
		if w.floods(cu) {
			return 0, false
		}
		full := r.message(cu)
		cu.msg.Reset()
		w.ended(cu)
		if full {
			return len(cu.dec.Rest()), true
		}
	}
}

// control answers a control frame and reports whether the connection goes on.
func (w *wsConn) control(cu *cut, p frame.Part) bool {
	if p.Header.OpCode != ws.OpClose && w.floods(cu) {
		return false
	}
	switch p.Header.OpCode {
	case ws.OpPing:
		cu.out = frame.AppendPong(cu.out, p.Payload)
		w.answered(cu)
	case ws.OpClose:
		code, _, err := frame.ParseClose(p.Payload)
		reason := ""
		var fe frame.Error
		if errors.As(err, &fe) {
			reason = fe.Reason()
		}
		w.flush(cu)
		w.finish(code, reason)
		return false
	}
	return true
}

// answersBytes is how many bytes of answers are written at once. A read buffer holds thousands of pings or
// heartbeats; a write for each would hold up the loop for milliseconds.
const answersBytes = 2 << 10

// answered is called when an answer was put behind those in cu.out. They are written when it is enough, before
// anything else that was received is handled, and at the end of what was read.
func (w *wsConn) answered(cu *cut) {
	if len(cu.out) >= answersBytes {
		w.flush(cu)
	}
}

// flush writes the answers that wait in cu.out.
func (w *wsConn) flush(cu *cut) {
	if len(cu.out) > 0 {
		_ = w.write(cu.out)
		cu.out = cu.out[:0]
	}
}

// fail closes after a violation of RFC 6455, with its close code. OnData calls it.
func (w *wsConn) fail(cu *cut, err error) {
	w.flush(cu)
	fe := w.violation(err)
	w.finish(fe.Code(), fe.Reason())
}

// violation returns what package frame says is wrong.
func violation(err error) frame.Error {
	var fe frame.Error
	if !errors.As(err, &fe) {
		fe = frame.ErrReservedBits
	}
	return fe
}

// finish closes after what the client sent last: its Close frame, or a violation. The messages before
// that are handled and answered first, as its order demands; what follows is dropped. OnData calls it.
func (w *wsConn) finish(code ws.StatusCode, reason string) {
	w.done = true
	last := frame.AppendClose(nil, code, reason)
	if _, err := w.conn.Do(&closing{w, last}); err != nil {
		w.conn.CloseWith(last)
	}
}

// A closing is a Close frame behind the tasks of the messages that came before it.
type closing struct {
	conn *wsConn
	last []byte
}

// Run implements poller.Task. A client that has seen the frame and comes again finds its seat free.
func (c *closing) Run(pc poller.Conn) {
	c.conn.unseat()
	pc.CloseWith(c.last)
}

// close sends a Close frame and ends the connection at once: what was sent before goes out before it,
// and nothing after it.
func (w *wsConn) close(code ws.StatusCode, reason string) {
	w.conn.CloseWith(frame.AppendClose(nil, code, reason))
}

// write sends a frame that stays the caller's, by the slow-consumer policy.
func (w *wsConn) write(p []byte) error { return w.sent(w.conn.Write(p)) }

func (w *wsConn) sent(err error) error {
	if err != poller.ErrOutboxFull {
		return err
	}
	s := w.mount.srv
	if s.cfg.SlowConsumer == DropSlow {
		s.counters.slowDropped.Add(1)
		return nil
	}
	w.tooSlow()
	return err
}

// writeOrClose is write for what a client must not miss: if it does not fit, the connection is closed
// whatever the policy.
func (w *wsConn) writeOrClose(p []byte) error {
	err := w.conn.Write(p)
	if err == poller.ErrOutboxFull {
		w.tooSlow()
	}
	return err
}

// tooSlow is CloseSlow.
func (w *wsConn) tooSlow() {
	w.mount.srv.counters.slowClosed.Add(1)
	w.conn.Truncate(frame.AppendClose(nil, codeTryAgainLater, "slow consumer"))
}

// OnTimeout implements poller.Handler: nothing was received for the mount's Timeout.
func (w *wsConn) OnTimeout(poller.Conn) {
	w.mount.srv.bounds.idle.Add(1)
	w.close(codeProtocolError, "idle timeout")
}

// headRoom is the most bytes a server's frame header has (RFC 6455 section 5.2).
const headRoom = 10

// A sheet is a scratch buffer for one frame: its message is written behind room for the header.
type sheet struct{ b []byte }

var sheets = sync.Pool{New: func() any { return &sheet{make([]byte, headRoom, 1024)} }}

// keptSheet is the largest sheet that is kept for the next message.
const keptSheet = 64 << 10

func newSheet() *sheet { return sheets.Get().(*sheet) }

func (s *sheet) release() {
	if cap(s.b) <= keptSheet {
		s.b = s.b[:headRoom]
		sheets.Put(s)
	}
}

// frame puts the header before the message and returns the frame, which is part of the sheet.
func (s *sheet) frame(binary bool) []byte { return sealFrame(s.b, binary) }

// frame is the sheet's, compressed if that was negotiated and pays.
func (w *wsConn) frame(s *sheet, binary bool) []byte {
	if w.deflate && len(s.b)-headRoom >= frame.MinDeflateBytes {
		return deflateFrame(s.b, binary)
	}
	return s.frame(binary)
}

// deflateFrame returns the message b[headRoom:] as a compressed frame in memory of its own.
func deflateFrame(b []byte, binary bool) []byte {
	return frame.AppendDeflated(nil, opcode(binary), b[headRoom:])
}

func opcode(binary bool) ws.OpCode {
	if binary {
		return ws.OpBinary
	}
	return ws.OpText
}

// sealFrame writes the header of the message b[headRoom:] in front of it.
func sealFrame(b []byte, binary bool) []byte {
	var room [headRoom]byte
	head := frame.AppendHeader(room[:0], ws.Header{Fin: true, OpCode: opcode(binary), Length: int64(len(b) - headRoom)})
	start := headRoom - len(head)
	copy(b[start:], head)
	return b[start:]
}
