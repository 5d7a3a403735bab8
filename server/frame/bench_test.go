package frame_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

const heartbeat = `[null,"7","phoenix","heartbeat",{}]`

// Promise 8.
func TestAllocations(t *testing.T) {
	var d frame.Decoder
	var m frame.Message
	dst := make([]byte, 0, 1<<12)
	text := []byte(strings.Repeat(heartbeat, 10))
	for _, row := range []struct {
		name string
		wire []byte
	}{
		{"text", clients("fin text", heartbeat)},
		{"empty", clients("fin binary", "")},
		{"ping", clients("fin ping", "are you there")},
		{"close", clients("fin close", "\x03\xe8bye")},
		{"not masked", []byte{0x81, 0x00}},
		{"fragments", clients("text", "in ", "cont", "three ", "fin cont", "frames")},
	} {
		buf := make([]byte, len(row.wire))
		if n := testing.AllocsPerRun(100, func() { decode(&d, &m, buf, row.wire) }); n != 0 {
			t.Errorf("decoding %s: %v allocations", row.name, n)
		}
	}
	for name, f := range map[string]func(){
		"server frame":  func() { frame.AppendServer(dst, ws.OpText, text) },
		"client frame":  func() { frame.AppendClient(dst, ws.OpText, key, text) },
		"header":        func() { frame.AppendHeader(dst, ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 20}) },
		"pong":          func() { frame.AppendPong(dst, text[:9]) },
		"close frame":   func() { frame.AppendClose(dst, 1002, frame.ErrNotMasked.Reason()) },
		"close payload": func() { _, _, _ = frame.ParseClose(text[:1]) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// decode is a turn of an owner: buf, into which a read has put wire, is taken apart.
func decode(d *frame.Decoder, m *frame.Message, buf, wire []byte) int {
	n := 0
	d.Push(buf[:copy(buf, wire)])
	for {
		p, ok, err := d.Next()
		if err != nil {
			d.Reset()
			return n
		}
		if !ok {
			return n
		}
		if p.Header.OpCode == ws.OpClose {
			if _, _, err := frame.ParseClose(p.Payload); err != nil {
				return n
			}
		} else if p.Header.OpCode.IsData() {
			if whole, err := m.Add(p); whole && err == nil {
				n += len(m.Payload())
				m.Reset()
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, payload := range map[string]string{"35B": heartbeat, "64KiB": strings.Repeat("x", 64<<10)} {
		wire := clients("fin text", payload)
		b.Run(name, func(b *testing.B) {
			var d frame.Decoder
			var m frame.Message
			buf := make([]byte, len(wire))
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if decode(&d, &m, buf, wire) != len(payload) {
					b.Fatal("no message")
				}
			}
		})
		// The same work with gobwas/ws, which reads from an io.Reader.
		b.Run(name+"/gobwas", func(b *testing.B) {
			r := bytes.NewReader(nil)
			buf := make([]byte, len(wire))
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				r.Reset(wire)
				h, err := ws.ReadHeader(r)
				if err != nil || ws.CheckHeader(h, ws.StateServerSide) != nil {
					b.Fatal(err)
				}
				p := buf[:h.Length]
				if _, err := io.ReadFull(r, p); err != nil {
					b.Fatal(err)
				}
				ws.Cipher(p, h.Mask, 0)
				if !utf8.Valid(p) {
					b.Fatal("not UTF-8")
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	payload := []byte(heartbeat)
	dst := make([]byte, 0, 256)
	b.Run("server", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame.AppendServer(dst, ws.OpText, payload)
		}
	})
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame.AppendClient(dst, ws.OpText, key, payload)
		}
	})
	b.Run("close", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame.AppendClose(dst, 1000, "bye")
		}
	})
}

func BenchmarkUTF8(b *testing.B) {
	for name, unit := range map[string]string{"ascii": "plain ASCII text", "mixed": "ASCII, κόσμε, 😀 "} {
		p := []byte(strings.Repeat(unit, 4096/len(unit)))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				var u frame.UTF8
				if !u.Push(p) || !u.Complete() {
					b.Fatal("not UTF-8")
				}
			}
		})
		b.Run(name+"/utf8.Valid", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if !utf8.Valid(p) {
					b.Fatal("not UTF-8")
				}
			}
		})
	}
}

func BenchmarkDeflate(b *testing.B) {
	payload := []byte(strings.Repeat(heartbeat, 12))
	wire := frame.AppendDeflated(nil, ws.OpText, payload)
	b.Run("append", func(b *testing.B) {
		dst := make([]byte, 0, 1024)
		b.ReportAllocs()
		b.SetBytes(int64(len(payload)))
		for b.Loop() {
			frame.AppendDeflated(dst, ws.OpText, payload)
		}
	})
	b.Run("inflate", func(b *testing.B) {
		d := frame.Decoder{Client: true, Deflate: true}
		var m frame.Message
		buf := make([]byte, len(wire))
		b.ReportAllocs()
		b.SetBytes(int64(len(payload)))
		for b.Loop() {
			if decode(&d, &m, buf, wire) != len(payload) {
				b.Fatal("no message")
			}
		}
	})
}
