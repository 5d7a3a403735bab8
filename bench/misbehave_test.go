package bench

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
)

// What a hostile server does wrong.

// spoilUpgrade answers a request for an upgrade as nobody should. The connection ends behind it.
func (s *session) spoilUpgrade() {
	h := s.hostile
	switch h.intN(6) {
	case 0: // nothing
	case 1:
		s.reset()
	case 2:
		fmt.Fprint(s.conn, "HTTP/1.1 503 no\r\n\r\n")
	case 3:
		fmt.Fprint(s.conn, "no HTTP at all\r\n")
	case 4: // as slowly as can be
		for range 20 {
			if _, err := fmt.Fprint(s.conn, "H"); err != nil || !h.pause(20*time.Millisecond) {
				return
			}
		}
	case 5: // silence, until the user gives up
		io.Copy(io.Discard, s.conn)
	}
}

// spoilClose leaves a Close frame unanswered. The connection ends behind it.
func (s *session) spoilClose() {
	if s.hostile.intN(4) == 0 { // it costs the run all of closePatience
		io.Copy(io.Discard, s.conn)
		return
	}
	s.hostile.pause(10 * time.Millisecond)
}

// spoilMessage does something wrong before m is handled; false: the connection is to end.
func (s *session) spoilMessage(m *message) bool {
	h := s.hostile
	switch h.intN(14) {
	case 0:
		return false
	case 1:
		s.reset()
		return false
	case 2:
		h.pause(time.Duration(h.intN(30)) * time.Millisecond)
	case 3:
		s.sendBytes([]byte("\xff\xff\xff\xff\xff"))
	case 4:
		s.sendText("no JSON")
	case 5:
		s.sendText(`[%q,%q,%q,"phx_error",{}]`, m.joinRef, m.ref, m.topic)
	case 6:
		s.sendText(`[%q,%q,%q,"phx_close",{}]`, m.joinRef, m.ref, m.topic)
	case 7: // answered three times
		s.reply(m, "ok", "{}")
		s.reply(m, "ok", "{}")
	case 8:
		code := ws.StatusCode(1000 + h.intN(15)) // some of them never go over the wire: RFC 6455 section 7.4.1
		s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(code, fmt.Sprint(h.intN(1e6)))))
	case 9:
		for range 50 {
			s.send(ws.NewPingFrame([]byte("xx")))
		}
	case 10: // half a header
		s.conn.Write([]byte{0x81, 0x7e, 0x10})
		h.pause(5 * time.Millisecond)
		return false
	case 11: // a reason of its own for each
		s.reply(m, "error", fmt.Sprintf(`{"reason":"no %d"}`, h.intN(1e9)))
	case 12: // a message begins and another comes
		s.send(ws.NewFrame(ws.OpText, false, []byte(`[null,nu`)))
	case 13: // longer than Timeout, now and then
		h.pause(time.Duration(h.intN(300)) * time.Millisecond)
	}
	return true
}

// reset has the connection end by a RST.
func (s *session) reset() {
	if c, ok := s.raw.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	s.raw.Close()
}
