package conformance_test

import (
	"testing"
)

// A violation is what no client may send, and the code that the server must close with.
type violation struct {
	clause string
	sent   []byte
	code   int
}

var framing = []violation{
	{"5.1 unmasked text", plain(fin|opText, 2, 'h', 'i'), 1002},
	{"5.1 unmasked empty text", plain(fin|opText, 0), 1002},
	{"5.1 unmasked ping", plain(fin|opPing, 0), 1002},
	{"5.1 unmasked close", plain(fin|opClose, 2, 3, 232), 1002},
	{"5.1 unmasked continuation of a masked frame", join(part(opText, "a"), plain(fin|opCont, 1, 'b')), 1002},
	{"5.2 RSV1 without extension", wire(fin|rsv1|opText, []byte("x")), 1002},
	{"5.2 RSV2", wire(fin|rsv2|opText, []byte("x")), 1002},
	{"5.2 RSV3", wire(fin|rsv3|opBinary, []byte("x")), 1002},
	{"5.2 RSV1, 2 and 3", wire(fin|rsv1|rsv2|rsv3|opText, nil), 1002},
	{"5.2 RSV1 on a ping", wire(fin|rsv1|opPing, nil), 1002},
	{"5.2 RSV2 on a close", wire(fin|rsv2|opClose, nil), 1002},
	{"5.2 RSV3 on a continuation", join(part(opText, "a"), wire(fin|rsv3|opCont, []byte("b"))), 1002},
	{"5.2 16-bit length of 0", header(fin|opText, 2, 0), 1002},
	{"5.2 16-bit length of 125", append(header(fin|opText, 2, 125), masked(repeat('x', 125))...), 1002},
	{"5.2 64-bit length of 0", header(fin|opBinary, 8, 0), 1002},
	{"5.2 64-bit length of 126", header(fin|opBinary, 8, 126), 1002},
	{"5.2 64-bit length of 65535", append(header(fin|opBinary, 8, 65535), masked(repeat('x', 65535))...), 1002},
	{"5.2 64-bit length with its top bit", header(fin|opBinary, 8, 1<<63|5), 1002},
	{"5.2 64-bit length of all ones", header(fin|opBinary, 8, 1<<64-1), 1002},
	{"5.4 continuation without a beginning", part(fin|opCont, "x"), 1002},
	{"5.4 continuation without a beginning or an end", part(opCont, "x"), 1002},
	{"5.4 continuation after a whole message", join(text("a"), part(fin|opCont, "b")), 1002},
	{"5.4 text inside a fragmented message", join(part(opText, "a"), text("b")), 1002},
	{"5.4 binary inside a fragmented text", join(part(opText, "a"), part(opBinary, "b")), 1002},
	{"5.4 text inside a fragmented message after a ping", join(part(opText, "a"), text("b")), 1002},
	{"5.5 ping of 126 bytes", wire(fin|opPing, repeat('x', 126)), 1002},
	{"5.5 pong of 126 bytes", wire(fin|opPong, repeat('x', 126)), 1002},
	{"5.5 close of 126 bytes", closing(append(closePayload(1000, ""), repeat('x', 124)...)), 1002},
	{"5.5 ping of 65536 bytes", header(fin|opPing, 8, 65536), 1002},
	{"5.5 ping with a 16-bit length of 5", header(fin|opPing, 2, 5), 1002},
	{"5.5 fragmented ping", part(opPing, "x"), 1002},
	{"5.5 fragmented pong", part(opPong, ""), 1002},
	{"5.5 fragmented close", wire(opClose, closePayload(1000, "")), 1002},
	{"5.5 fragmented ping inside a message", join(part(opText, "a"), part(opPing, "x")), 1002},
	{"10.4 frame over the limit, at its header", header(fin|opBinary, 8, 64<<20+1), 1009},
	{"10.4 frame of 2^62 bytes, at its header", header(fin|opText, 8, 1<<62), 1009},
	{"10.4 fragments over the limit, at the header", join(part(opBinary, "x"), header(fin|opCont, 8, 64<<20)), 1009},
	{"10.4 fragments that would overflow", join(part(opBinary, "x"), header(opCont, 8, 1<<63-1)), 1009},
}

func reservedOpcodes() (rows []violation) {
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		rows = append(rows,
			violation{"5.2 reserved opcode " + hex(op), wire(fin|op, []byte("x")), 1002},
			violation{"5.2 reserved opcode " + hex(op) + " inside a message", join(part(opText, "a"), wire(fin|op, nil)), 1002})
	}
	return rows
}

func hex(b byte) string { return string("0123456789abcdef"[b]) }

// TestViolations: section 7.1.7. The client always learns why, whatever it sends behind its mistake.
func TestViolations(t *testing.T) {
	rows := append(append(framing, reservedOpcodes()...), append(badText(), badCloses...)...)
	onEngines(t, func(t *testing.T, engine string) {
		p := startEcho(t, engine)
		for _, row := range rows {
			t.Run(row.clause, func(t *testing.T) { violate(t, p.addr, row) })
		}
	})
}

// violate sends a violation in every way that changes how the server comes to read it.
func violate(t *testing.T, addr string, row violation) {
	before := []byte("before it")
	t.Run("whole", func(t *testing.T) {
		p := dial(t, addr, "/")
		p.send(row.sent)
		p.skipEchoes(row)
		p.wantClose(row.code)
	})
	t.Run("byte by byte", func(t *testing.T) {
		if len(row.sent) > 1000 {
			t.Skip("too long")
		}
		p := dial(t, addr, "/")
		// The server may be done before the last byte; a write after its FIN is no failure.
		for i := range row.sent {
			if _, err := p.c.Write(row.sent[i : i+1]); err != nil {
				t.Fatalf("write of byte %d: %v", i, err)
			}
		}
		p.skipEchoes(row)
		p.wantClose(row.code)
	})
	t.Run("behind a message", func(t *testing.T) {
		p := dial(t, addr, "/")
		p.send(text(string(before)), row.sent)
		p.want(opText, before)
		p.skipEchoes(row)
		p.wantClose(row.code)
	})
	t.Run("before a megabyte", func(t *testing.T) {
		p := dial(t, addr, "/")
		junk := append(append([]byte(nil), row.sent...), repeat(0xff, 1<<20)...)
		written := make(chan error, 1)
		go func() {
			_, err := p.c.Write(junk)
			written <- err
		}()
		p.skipEchoes(row)
		p.wantClose(row.code)
		if err := <-written; err != nil {
			t.Errorf("the server did not read on while it closed: %v", err)
		}
	})
}

// skipEchoes takes the answer to a whole message that the row's bytes begin with.
func (p *peer) skipEchoes(row violation) {
	p.t.Helper()
	if whole := text("a"); len(row.sent) > len(whole) && string(row.sent[:len(whole)]) == string(whole) {
		p.want(opText, []byte("a"))
	}
}
