package conformance_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// The first byte of a frame, RFC 6455 section 5.2: FIN, RSV1 to RSV3, opcode.
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10

	opCont   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xa
)

// mask is every frame's masking key: no two of its bytes are alike, so that an offset shows.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// A client's frames. wire is any frame; the others are whole ones with FIN.
func wire(b0 byte, payload []byte) []byte {
	n := len(payload)
	form := 0
	switch {
	case n > 65535:
		form = 8
	case n > 125:
		form = 2
	}
	return append(header(b0, form, uint64(n)), masked(payload)...)
}

func text(s string) []byte                   { return wire(fin|opText, []byte(s)) }
func binaryOf(b []byte) []byte               { return wire(fin|opBinary, b) }
func ping(s string) []byte                   { return wire(fin|opPing, []byte(s)) }
func pong(s string) []byte                   { return wire(fin|opPong, []byte(s)) }
func part(b0 byte, s string) []byte          { return wire(b0, []byte(s)) }
func join(frames ...[]byte) []byte           { return bytes.Join(frames, nil) }
func closing(payload []byte) []byte          { return wire(fin|opClose, payload) }
func closeCode(code int) []byte              { return closing(closePayload(code, "")) }
func repeat(b byte, n int) []byte            { return bytes.Repeat([]byte{b}, n) }
func plain(b0, b1 byte, more ...byte) []byte { return append([]byte{b0, b1}, more...) }

// header is a masked header with its length in a form of 0, 2 or 8 bytes, whether it fits or not.
func header(b0 byte, form int, length uint64) []byte {
	h := []byte{b0, 0x80 | byte(length)}
	switch form {
	case 2:
		h = binary.BigEndian.AppendUint16([]byte{b0, 0x80 | 126}, uint16(length))
	case 8:
		h = binary.BigEndian.AppendUint64([]byte{b0, 0x80 | 127}, length)
	}
	return append(h, mask[:]...)
}

func masked(payload []byte) []byte {
	out := make([]byte, len(payload))
	for i, c := range payload {
		out[i] = c ^ mask[i&3]
	}
	return out
}

func closePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// A frame is one that the server sent.
type frame struct {
	b0      byte
	payload []byte
}

func (f frame) op() byte { return f.b0 & 0xf }

func (f frame) String() string {
	names := map[byte]string{opCont: "continuation", opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}
	if f.op() == opClose && len(f.payload) >= 2 {
		return fmt.Sprintf("close %d %q", binary.BigEndian.Uint16(f.payload), f.payload[2:])
	}
	return fmt.Sprintf("%s b0=%#02x %d bytes %s", names[f.op()], f.b0, len(f.payload), short(f.payload))
}

// short shows the beginning of b.
func short(b []byte) string {
	n := min(len(b), 48)
	tail := ""
	if n < len(b) {
		tail = fmt.Sprintf("… (%d bytes)", len(b))
	}
	if utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 {
		return fmt.Sprintf("%q%s", b[:n], tail)
	}
	return fmt.Sprintf("% x%s", b[:n], tail)
}
