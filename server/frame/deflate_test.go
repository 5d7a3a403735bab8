package frame_test

import (
	"bytes"
	"compress/flate"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// inflated decodes a server's or client's frames as one message.
func inflated(d frame.Decoder, limit int64, wire []byte) ([]byte, error) {
	d.Deflate = true
	d.Push(wire)
	m := frame.Message{LimitBytes: limit}
	for {
		p, ok, err := d.Next()
		if !ok || err != nil {
			return nil, err
		}
		if whole, err := m.Add(p); err != nil {
			return nil, err
		} else if whole {
			return m.Take().B, nil
		}
	}
}

func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

func TestAppendDeflated(t *testing.T) {
	text := strings.Repeat(`[null,null,"room:lobby","new_msg",{"body":"hello"}]`, 3000)
	for _, row := range []struct {
		name       string
		payload    []byte
		compressed bool
	}{
		{"nothing", nil, false},
		{"too small to try", []byte(text[:frame.MinDeflateBytes-1]), false},
		{"smallest to try", []byte(text[:frame.MinDeflateBytes]), true},
		{"header shrinks from 16 bits", []byte(text[:300]), true},
		{"header shrinks from 64 bits", []byte(text), true},
		{"does not shrink", noise(1000), false},
		{"does not shrink, large", noise(100_000), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			wire := frame.AppendDeflated([]byte("before"), ws.OpBinary, row.payload)
			if string(wire[:6]) != "before" {
				t.Fatal("what was there before is gone")
			}
			wire = wire[6:]
			h, err := ws.ReadHeader(bytes.NewReader(wire))
			if err != nil || h.Rsv1() != row.compressed {
				t.Fatalf("header %+v, %v", h, err)
			}
			if int(h.Length) != len(wire)-ws.HeaderSize(h) {
				t.Fatalf("length %d, %d follow", h.Length, len(wire)-ws.HeaderSize(h))
			}
			if h.Length > int64(len(row.payload)) {
				t.Errorf("%d bytes became %d", len(row.payload), h.Length)
			}
			if row.compressed {
				got, err := wsflate.DefaultHelper.Decompress(wire[ws.HeaderSize(h):])
				if err != nil || !bytes.Equal(got, row.payload) {
					t.Errorf("gobwas/ws cannot inflate it: %v", err)
				}
			}
			got, err := inflated(frame.Decoder{Client: true}, 0, wire)
			if err != nil || !bytes.Equal(got, row.payload) {
				t.Errorf("did not come back: %v", err)
			}
		})
	}
}

// RFC 7692 section 7.2.3, the examples: all are "Hello".
func TestInflateExamples(t *testing.T) {
	for _, row := range []struct {
		name string
		wire []byte
		err  error
	}{
		{"7.2.3.1 one block", clients("fin rsv1 text", "\xf2\x48\xcd\xc9\xc9\x07\x00"), nil},
		{"7.2.3.1 two fragments", clients("rsv1 text", "\xf2\x48\xcd", "fin cont", "\xc9\xc9\x07\x00"), nil},
		{"7.2.3.3 block without compression", clients("fin rsv1 text", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), nil},
		{"7.2.3.4 block with BFINAL", clients("fin rsv1 text", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), nil},
		{"7.2.3.5 two blocks", clients("fin rsv1 text", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), nil},
		{"7.2.3.4 more behind BFINAL", clients("fin rsv1 text", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00hidden"), frame.ErrBadDeflate},
		{"7.2.3.4 another byte behind BFINAL", clients("fin rsv1 text", "\xf3\x48\xcd\xc9\xc9\x07\x00\x01"), frame.ErrBadDeflate},
		{"7.2.2 block of a type that does not exist", clients("fin rsv1 text", "\x06"), frame.ErrBadDeflate},
		{"7.2.2 length of a stored block is wrong", clients("fin rsv1 text", "\x00\x05\x00\xfa\xfeHello\x00"), frame.ErrBadDeflate},
		{"7.2.2 distance before the beginning", clients("fin rsv1 text", "\x02\x03\x02\x00"), frame.ErrBadDeflate},
	} {
		got, err := inflated(frame.Decoder{}, 0, row.wire)
		if err != row.err || err == nil && string(got) != "Hello" {
			t.Errorf("%s: got %q, %v", row.name, got, err)
		}
	}
	// 7.2.3.6: an empty message is one byte.
	if got, err := inflated(frame.Decoder{}, 0, clients("fin rsv1 text", "\x00")); err != nil || len(got) != 0 {
		t.Errorf("empty message: %q, %v", got, err)
	}
}

// No context is taken over: what a message looks like does not depend on those before it.
func TestDeflateHasNoContext(t *testing.T) {
	p := []byte(strings.Repeat("the same words ", 30))
	first := frame.AppendDeflated(nil, ws.OpText, p)
	frame.AppendDeflated(nil, ws.OpText, []byte(strings.Repeat("other words ", 300)))
	if again := frame.AppendDeflated(nil, ws.OpText, p); !bytes.Equal(first, again) {
		t.Error("a second time the frame differs")
	}
}

// A bomb: 16 MiB in 16 KiB. The limit must hold while it is being inflated.
func TestInflateBomb(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 16 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	wire := client(nil, header("fin rsv1 binary"), b.String())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := inflated(frame.Decoder{}, 1<<20, wire); err != frame.ErrInflatedTooBig {
		t.Fatalf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 6<<20 {
		t.Errorf("%d bytes allocated for a limit of 1 MiB", n)
	}
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(strings.Repeat("ab", 200)))
	f.Add(noise(300))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00hidden"))
	f.Fuzz(func(t *testing.T, p []byte) {
		p = bytes.Repeat(p, 3)
		got, err := inflated(frame.Decoder{Client: true}, 0, frame.AppendDeflated(nil, ws.OpBinary, p))
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("%d bytes came back as %d, %v", len(p), len(got), err)
		}
		// As compressed data p is anything; it must be refused or stay within the limit.
		got, err = inflated(frame.Decoder{}, 4096, client(nil, header("fin rsv1 binary"), string(p)))
		if _, ours := err.(frame.Error); err != nil && !ours || len(got) > 4096 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	})
}

// Above DeferBytes a message stays compressed, for Inflate; up to it, it is as ever.
func TestDeferredInflate(t *testing.T) {
	for _, size := range []int{10, 100_000} {
		text := bytes.Repeat([]byte("sleep "), size/6+1)
		wire := frame.AppendDeflated(nil, ws.OpText, text)
		d := frame.Decoder{Client: true, Deflate: true}
		m := frame.Message{DeferBytes: 64}
		d.Push(wire)
		part, _, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		if whole, err := m.Add(part); !whole || err != nil {
			t.Fatalf("size %d: whole %v, %v", size, whole, err)
		}
		if want := len(wire) > 70; m.Deferred() != want {
			t.Fatalf("size %d, %d on the wire: deferred %v, want %v", size, len(wire), m.Deferred(), want)
		}
		got := m.Payload()
		if m.Deferred() {
			b, err := frame.Inflate(ws.OpText, got, 0)
			if err != nil {
				t.Fatal(err)
			}
			got = b.B
			if _, err := frame.Inflate(ws.OpText, m.Payload(), 1000); err != frame.ErrInflatedTooBig {
				t.Errorf("over the limit: %v", err)
			}
		}
		if !bytes.Equal(got, text) {
			t.Errorf("size %d: the payload differs", size)
		}
	}
}
