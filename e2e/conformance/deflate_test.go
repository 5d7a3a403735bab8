package conformance_test

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// deflated is a payload as RFC 7692 section 7.2.1 has it: flushed, without 00 00 ff ff.
func deflated(s []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(s)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// inflated undoes it, section 7.2.2.
func inflated(p []byte) ([]byte, error) {
	tail := strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), tail)))
}

const offer = "Sec-WebSocket-Extensions: "

var offers = []struct {
	name   string
	offers []string
	agreed bool
}{
	{"none", nil, false},
	{"7.1 bare", []string{"permessage-deflate"}, true},
	{"7.1.1.1 server_no_context_takeover", []string{"permessage-deflate; server_no_context_takeover"}, true},
	{"7.1.1.2 client_no_context_takeover", []string{"permessage-deflate; client_no_context_takeover"}, true},
	{"7.1.2.2 client_max_window_bits, as browsers", []string{"permessage-deflate; client_max_window_bits"}, true},
	{"7.1.2.2 client_max_window_bits with a value", []string{"permessage-deflate; client_max_window_bits=10"}, true},
	{"7.1.2.1 server_max_window_bits that is not spoken", []string{"permessage-deflate; server_max_window_bits=9"}, false},
	{"5.1 the second offer after one not spoken", []string{"permessage-deflate; server_max_window_bits=9, permessage-deflate"}, true},
	{"5.1 the second header line", []string{"x-webkit-deflate-frame", "permessage-deflate"}, true},
	{"5.1 only one of two", []string{"permessage-deflate, permessage-deflate; client_max_window_bits"}, true},
	{"7 unknown extension", []string{"foo; bar=1"}, false},
	{"7.1 unknown parameter", []string{"permessage-deflate; foo"}, false},
	{"7.1 unknown parameter, then a good offer", []string{"permessage-deflate; foo=1, permessage-deflate"}, true},
	{"7.1.1.1 flag with a value", []string{"permessage-deflate; server_no_context_takeover=1"}, false},
	{"7.1.2.1 window bits of 7", []string{"permessage-deflate; server_max_window_bits=7"}, false},
	{"7.1.2.1 window bits of 16", []string{"permessage-deflate; client_max_window_bits=16"}, false},
	{"7.1.2.1 window bits without a value", []string{"permessage-deflate; server_max_window_bits"}, false},
	{"7.1.2.1 window bits that are no number", []string{"permessage-deflate; server_max_window_bits=x"}, false},
	{"7.1 parameter twice", []string{"permessage-deflate; client_max_window_bits=10; client_max_window_bits=10"}, false},
}

// TestDeflateOffers: sections 5.1 and 7.1 of RFC 7692. An offer that the server cannot or may not accept
// is declined, never a reason to refuse the handshake; the next one has its turn.
func TestDeflateOffers(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine, "-compress").addr
		for _, row := range offers {
			t.Run(row.name, func(t *testing.T) {
				var lines []string
				for _, o := range row.offers {
					lines = append(lines, offer+o)
				}
				p := connect(t, addr)
				p.send(upgradeHead("/", lines...))
				answer := p.upgraded().Values("Sec-WebSocket-Extensions")
				checkAgreement(t, answer, row.agreed)
				p.alive()
				if row.agreed {
					p.send(wire(fin|rsv1|opText, deflated([]byte("compressed"))))
					p.want(opText, []byte("compressed"))
					return
				}
				p.send(wire(fin|rsv1|opText, deflated([]byte("compressed"))))
				p.wantClose(1002)
			})
		}
	})
}

// checkAgreement: a sleeping connection keeps no window, so both contexts are declined.
func checkAgreement(t *testing.T, answer []string, agreed bool) {
	t.Helper()
	got := strings.Join(answer, ", ")
	if !agreed {
		if got != "" {
			t.Fatalf("want the offer declined, got %q", got)
		}
		return
	}
	for _, want := range []string{"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"} {
		if strings.Count(got, want) != 1 {
			t.Fatalf("want %s once in the answer, got %q", want, got)
		}
	}
	if strings.Contains(got, ",") || strings.Contains(got, "window_bits") {
		t.Fatalf("want one extension without window bits, got %q", got)
	}
}

// stored is a payload of up to 65,535 bytes that deflate does not make shorter.
func stored(s []byte) []byte {
	n := uint16(len(s))
	return append([]byte{0, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)}, append(s, 0)...)
}

var (
	hello  = deflated([]byte("Hello"))
	long   = strings.Repeat("0123456789", 20_000)
	packed = deflated([]byte(long))
	third  = len(packed) / 3

	// megabyte is a mebibyte of zeros that more may follow.
	megabyte = append(deflated(make([]byte, 1<<20)), 0x00, 0x00, 0xff, 0xff)
)

// compressed is what may be sent once permessage-deflate was agreed on, and what it is.
var compressed = []struct {
	name string
	sent []byte
	want string
}{
	{"7.2.3.1 one block", wire(fin|rsv1|opText, []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), "Hello"},
	{"7.2.3.3 no compression", wire(fin|rsv1|opText, []byte{0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0x00}), "Hello"},
	{"7.2.3.4 BFINAL", wire(fin|rsv1|opText, []byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}), "Hello"},
	{"7.2.3.5 two blocks", wire(fin|rsv1|opText, []byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}), "Hello"},
	{"7.2.3.6 empty", wire(fin|rsv1|opText, []byte{0}), ""},
	{"6.1 two fragments", join(wire(rsv1|opText, hello[:3]), wire(fin|opCont, hello[3:])), "Hello"},
	{"6.1 fragments, one empty, a ping between", join(wire(rsv1|opText, packed[:third]), part(opCont, ""), wire(opCont, packed[third:2*third]),
		pong(""), wire(fin|opCont, packed[2*third:])), long},
	{"6 not compressed", text("plain"), "plain"},
	{"6 not compressed, fragmented", join(part(opText, "pla"), part(fin|opCont, "in")), "plain"},
}

// badlyCompressed may not.
var badlyCompressed = []violation{
	{"6.1 RSV1 on a continuation", join(wire(rsv1|opText, hello[:3]), wire(fin|rsv1|opCont, hello[3:])), 1002},
	{"6.1 RSV1 on a continuation of what is not compressed", join(part(opText, "x"), wire(fin|rsv1|opCont, hello)), 1002},
	{"6.1 RSV1 on a ping", wire(fin|rsv1|opPing, nil), 1002},
	{"6.1 RSV1 on a close", wire(fin|rsv1|opClose, closePayload(1000, "")), 1002},
	{"5.2 RSV2 beside RSV1", wire(fin|rsv1|rsv2|opText, hello), 1002},
	{"7.2.2 no deflate", wire(fin|rsv1|opText, []byte("\xff\xff\xff\xffnot deflate")), 1007},
	{"7.2.2 no deflate, long, a message behind it", join(wire(fin|rsv1|opText, repeat(0xff, 5000)), text("late"), text("late")), 1007},
	{"8.1 inflates to what is not UTF-8, a violation behind it", join(wire(fin|rsv1|opText, stored(repeat(0xff, 5000))), plain(0xff, 0xff)), 1007},
	{"7.2.2 cut", wire(fin|rsv1|opText, packed[:third]), 1007},
	{"7.2.2 distance before the beginning", wire(fin|rsv1|opBinary, []byte{0x02, 0x13, 0x00, 0x00}), 1007},
	{"8.1 inflates to what is not UTF-8", wire(fin|rsv1|opText, deflated([]byte("\xed\xa0\x80"))), 1007},
	{"10.4 inflates to more than the limit", wire(fin|rsv1|opBinary, bytes.Repeat(megabyte, 65)), 1009},
	{"10.4 compressed frame over the limit", header(fin|rsv1|opBinary, 8, 64<<20+1), 1009},
}

// TestDeflateMessages: sections 6 and 7.2 of RFC 7692.
func TestDeflateMessages(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine, "-compress").addr
		p := dial(t, addr, "/", offer+"permessage-deflate")
		p.t = t
		for range 2 {
			for _, row := range compressed {
				p.send(row.sent)
				p.want(opText, []byte(row.want))
				if len(row.sent) < 1000 {
					p.dribble(row.sent)
					p.want(opText, []byte(row.want))
				}
			}
		}
		for _, row := range badlyCompressed {
			t.Run(row.clause, func(t *testing.T) {
				p := dial(t, addr, "/", offer+"permessage-deflate")
				p.send(row.sent)
				p.wantClose(row.code)
			})
		}
	})
}

// TestInflateBomb sends a gigabyte of zeros in one megabyte, several times. The limit is 64 MiB; a buffer
// that doubles until then, and the collector's slack, make that a multiple, and not what was announced.
func TestInflateBomb(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes much memory, or counts it")
	}
	bomb := wire(fin|rsv1|opBinary, bytes.Repeat(megabyte, 1024))
	const limitKB = 12 * 64 << 10
	onEngines(t, func(t *testing.T, engine string) {
		e := startEcho(t, engine, "-compress")
		for range 3 {
			p := dial(t, e.addr, "/", offer+"permessage-deflate")
			p.send(bomb)
			p.wantClose(1009)
		}
		if peak := e.memory("VmHWM"); peak > limitKB {
			t.Errorf("at its peak the server held %d kB; the bound is %d kB", peak, limitKB)
		}
		dial(t, e.addr, "/").alive()
	})
}

// TestDeflateAnswers: what the server sends is compressed where that pays, and never otherwise.
func TestDeflateAnswers(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine, "-compress").addr
		p := dial(t, addr, "/", offer+"permessage-deflate")
		noise := make([]byte, 4096)
		rand.NewChaCha8([32]byte{7}).Read(noise)
		for i, row := range []struct {
			op      byte
			payload []byte
			want    int // compressed answers so far
		}{
			{opText, []byte("short"), 0},
			{opText, bytes.Repeat([]byte("long enough to be worth it "), 100), 1},
			{opBinary, noise, 1},
			{opBinary, bytes.Repeat([]byte{1, 2, 3}, 1000), 2},
		} {
			p.send(wire(fin|row.op, row.payload))
			p.want(row.op, row.payload)
			if p.deflated != row.want {
				t.Errorf("message %d: %d answers were compressed, want %d", i, p.deflated, row.want)
			}
		}
		plain := dial(t, addr, "/")
		plain.send(wire(fin|opText, bytes.Repeat([]byte("x"), 1000)))
		plain.want(opText, bytes.Repeat([]byte("x"), 1000)) // reserved bits would fail it
	})
}
