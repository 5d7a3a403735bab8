package frame

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// AppendHeader appends a frame's header, with the length in its shortest form: for a payload that is
// shared and goes out behind it. h.Length must not be negative; a header with h.Masked promises that
// the payload has been masked with h.Mask.
func AppendHeader(dst []byte, h ws.Header) []byte {
	b0 := h.Rsv<<4 | byte(h.OpCode)
	if h.Fin {
		b0 |= bitFin
	}
	var mask byte
	if h.Masked {
		mask = bitMask
	}
	switch {
	case h.Length <= maxControl:
		dst = append(dst, b0, mask|byte(h.Length))
	case h.Length <= maxLength16:
		dst = append(dst, b0, mask|length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(h.Length))
	default:
		dst = append(dst, b0, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = append(dst, h.Mask[:]...)
	}
	return dst
}

// AppendServer appends a whole frame as a server sends it: FIN set, not masked. It panics if op is a
// control frame's and payload is longer than 125 bytes.
func AppendServer(dst []byte, op ws.OpCode, payload []byte) []byte {
	checkControl(op, payload)
	dst = AppendHeader(dst, ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))})
	return append(dst, payload...)
}

// AppendClient appends a whole frame as a client sends it: FIN set, masked with mask, which should
// be unpredictable (RFC 6455 section 5.3) and fresh for each frame. payload stays as it is. It
// panics if op is a control frame's and payload is longer than 125 bytes.
func AppendClient(dst []byte, op ws.OpCode, mask [4]byte, payload []byte) []byte {
	checkControl(op, payload)
	dst = AppendHeader(dst, ws.Header{Fin: true, OpCode: op, Masked: true, Mask: mask, Length: int64(len(payload))})
	at := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[at:], mask, 0)
	return dst
}

// AppendPing appends a server's Ping frame, RFC 6455 section 5.5.2. It panics if payload is longer
// than 125 bytes.
func AppendPing(dst, payload []byte) []byte { return AppendServer(dst, ws.OpPing, payload) }

// AppendPong appends a server's Pong frame: payload is that of the Ping it answers, RFC 6455 section
// 5.5.3. It panics if payload is longer than 125 bytes.
func AppendPong(dst, payload []byte) []byte { return AppendServer(dst, ws.OpPong, payload) }

// AppendClose appends a server's Close frame; code and reason are treated as by AppendClosePayload.
func AppendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	dst = append(dst, bitFin|byte(ws.OpClose), 0)
	at := len(dst)
	dst = AppendClosePayload(dst, code, reason)
	dst[at-1] = byte(len(dst) - at)
	return dst
}

func checkControl(op ws.OpCode, payload []byte) {
	if op.IsControl() && len(payload) > maxControl {
		panic("frame: control payload over 125 bytes")
	}
}
