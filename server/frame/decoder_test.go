package frame_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// lengths are the boundaries of the three forms of a length, and of the 16-byte blocks of the cipher.
var lengths = []int{0, 1, 2, 15, 16, 17, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 1 << 17}

func TestDecoderLengths(t *testing.T) {
	for _, n := range lengths {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		wire := frame.AppendClient(nil, ws.OpBinary, key, payload)
		independent := bytes.NewReader(wire)
		h, err := ws.ReadHeader(independent)
		if err != nil || h.Length != int64(n) {
			t.Fatal(h, err)
		}
		read := make([]byte, n)
		_, _ = io.ReadFull(independent, read)
		ws.Cipher(read, h.Mask, 0)

		var d frame.Decoder
		d.Push(wire)
		part, ok, err := d.Next()
		if err != nil || !ok || !part.First || !part.Last {
			t.Fatalf("%d bytes: %v %v %+v", n, ok, err, part.Header)
		}
		if !bytes.Equal(part.Payload, payload) || !bytes.Equal(read, payload) {
			t.Fatalf("%d bytes: payload differs", n)
		}
		if n > 0 && &part.Payload[0] != &wire[len(wire)-n] {
			t.Fatalf("%d bytes: payload was copied", n)
		}
		if _, ok, _ := d.Next(); ok || !d.Idle() {
			t.Fatalf("%d bytes: not idle at the end", n)
		}
	}
}

// A frame that is cut comes in parts which carry its header and say which is the first and the last.
func TestDecoderParts(t *testing.T) {
	wire := clients("fin text", "Hello")
	var d frame.Decoder
	for i, row := range []struct {
		push        []byte
		payload     string
		first, last bool
	}{
		{wire[:7], "H", true, false}, // header and one byte
		{wire[7:10], "ell", false, false},
		{wire[10:], "o", false, true},
	} {
		d.Push(row.push)
		p, ok, err := d.Next()
		if !ok || err != nil || string(p.Payload) != row.payload || p.First != row.first || p.Last != row.last {
			t.Fatalf("part %d: %q first %v last %v, %v %v", i, p.Payload, p.First, p.Last, ok, err)
		}
		if p.Header.Length != 5 || p.Header.OpCode != ws.OpText || !p.Header.Fin {
			t.Fatalf("part %d: header %+v", i, p.Header)
		}
		if cap(p.Payload) != len(p.Payload) {
			t.Fatalf("part %d: an append to the payload would reach what follows it", i)
		}
		if _, ok, _ := d.Next(); ok || d.Idle() != p.Last {
			t.Fatalf("part %d: idle %v", i, d.Idle())
		}
	}
}

func TestDecoderIdle(t *testing.T) {
	for _, row := range []struct {
		name string
		wire []byte
		idle bool
	}{
		{"nothing", nil, true},
		{"one byte of a header", []byte{0x81}, false},
		{"a header", clients("fin text", "a")[:6], false},
		{"a cut ping", clients("fin ping", "abc")[:8], false},
		{"a ping", clients("fin ping", "abc"), true},
		{"a first fragment", clients("text", "abc"), false},
		{"a first fragment of nothing", clients("text", ""), false},
		{"a ping between fragments", clients("text", "abc", "fin ping", ""), false},
		{"all fragments", clients("text", "abc", "cont", "", "fin cont", "d"), true},
	} {
		var d frame.Decoder
		if err := drain(&d, row.wire); err != nil || d.Idle() != row.idle {
			t.Errorf("%s: idle %v, want %v (%v)", row.name, d.Idle(), row.idle, err)
		}
		if d.Reset(); !d.Idle() {
			t.Errorf("%s: not idle after Reset", row.name)
		}
	}
	d := frame.Decoder{Client: true, Deflate: true, LimitBytes: 7}
	if d.Reset(); !d.Client || !d.Deflate || d.LimitBytes != 7 {
		t.Error("Reset changed the options")
	}
}

func TestDecoderRest(t *testing.T) {
	wire := clients("fin text", "one", "fin text", "two")
	second := bytes.Clone(wire[9:])
	var d frame.Decoder
	d.Push(wire)
	if p, ok, _ := d.Next(); !ok || string(p.Payload) != "one" {
		t.Fatalf("got %q", p.Payload)
	}
	if d.Idle() {
		t.Error("idle with bytes left")
	}
	rest := d.Rest()
	if !bytes.Equal(rest, second) {
		t.Fatalf("rest %x, want the second frame as it came, %x", rest, second)
	}
	if !d.Idle() || d.Rest() != nil {
		t.Error("the rest was not forgotten")
	}
	d.Push(rest)
	if p, ok, _ := d.Next(); !ok || string(p.Payload) != "two" {
		t.Fatalf("got %q", p.Payload)
	}
}

func TestDecoderPushTooEarly(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Push over bytes that nobody took did not panic")
		}
	}()
	var d frame.Decoder
	d.Push([]byte{0x81})
	d.Push([]byte{0x80})
}

// The Decoder lives while a frame is cut or a message fragmented; a million of those should cost
// what is held and little more.
func TestDecoderSize(t *testing.T) {
	if n := unsafe.Sizeof(frame.Decoder{}); n > 208 {
		t.Errorf("a Decoder is %d bytes, the next size class begins at 209", n)
	}
}

func deflated(s string) string {
	p := frame.AppendDeflated(nil, ws.OpText, []byte(s))
	h, err := ws.ReadHeader(bytes.NewReader(p))
	if err != nil || !h.Rsv1() {
		panic("not compressed")
	}
	return string(p[ws.HeaderSize(h):])
}

// cutStreams are streams and what comes out of them, whatever the cuts.
func cutStreams() map[string][]byte {
	z := deflated(strings.Repeat("compressed ", 30))
	over := func(b []byte, more ...byte) []byte { return append(b, more...) }
	return map[string][]byte{
		"messages":            clients("fin text", "Hello", "fin binary", "", "fin text", "κόσμε", "fin binary", "\x00\xff"),
		"fragments and pings": clients("text", "Hel", "fin ping", "a ping", "cont", "", "cont", "lo \xe2", "fin pong", "", "fin cont", "\x82\xac", "fin close", "\x03\xe8bye"),
		"126 and more":        clients("fin text", strings.Repeat("é", 63), "fin ping", strings.Repeat("p", 125), "fin binary", strings.Repeat("x", 127)),
		"compressed":          clients("fin rsv1 text", z, "rsv1 text", z[:9], "fin ping", "", "fin cont", z[9:], "fin text", "plain"),
		"bad deflate":         clients("fin text", "ok", "fin rsv1 text", "\xff\xff\xff"),
		"bad text":            clients("fin text", "ok", "fin text", "not \xc3( utf-8"),
		"bad text, next bad":  over(clients("fin text", "\xff"), 0x83, 0xff),
		"text cut for ever":   clients("text", "a\xe2", "fin cont", "\x82"),
		"not masked":          over(clients("fin text", "ok"), 0x81, 0x01, 'a'),
		"opcode":              over(clients("text", "ok"), 0x83, 0xff),
		"long form":           over(clients("fin text", "ok"), 0x82, 0xff, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6),
		"too big":             over(clients("binary", "ok"), 0x80, 0xfe, 0x10, 0x00, 3, 4, 5, 6),
		"in the middle":       clients("text", "ok", "cont", "more")[:14],
		"zero key":            append(frame.AppendClient(nil, ws.OpText, [4]byte{}, []byte("zero key")), 0x88),
	}
}

func TestDecoderCuts(t *testing.T) {
	options := receiver{d: frame.Decoder{Deflate: true, LimitBytes: 4000}, m: frame.Message{LimitBytes: 4000}}
	for name, stream := range cutStreams() {
		t.Run(name, func(t *testing.T) {
			want := options.receive(stream)
			sameLog(t, "byte by byte", options.receive(stream, bytewise(stream)...), want)
			stopping := options
			stopping.stop = true
			sameLog(t, "stopping", stopping.receive(stream), want)
			for i := range len(stream) {
				sameLog(t, "one cut", options.receive(stream, i), want)
				if testing.Short() {
					continue
				}
				for j := i; j < len(stream); j += 1 + len(stream)/100 {
					sameLog(t, "two cuts", options.receive(stream, i, j), want)
				}
			}
		})
	}
}

// The mask of a piece depends on where in the frame it is, not on where it is in the push.
func TestDecoderLongFrameCuts(t *testing.T) {
	payload := make([]byte, 70_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range payload {
		payload[i] = byte(rng.Uint32())
	}
	wire := frame.AppendClient(nil, ws.OpBinary, key, payload)
	for range 50 {
		var d frame.Decoder
		var got []byte
		for rest := bytes.Clone(wire); len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(9000))
			d.Push(rest[:n])
			rest = rest[n:]
			for {
				p, ok, err := d.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				got = append(got, p.Payload...)
			}
		}
		if !bytes.Equal(got, payload) {
			t.Fatal("payload differs")
		}
	}
}
