package frame_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// key is a mask in which a wrong offset shows.
var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// A receiver decodes as an owner would and writes down what came out.
type receiver struct {
	d   frame.Decoder
	m   frame.Message
	log []string
	// stop makes it take Rest after each part and push it again.
	stop bool
}

// push hands over a copy of p, spoils it when the decoder is through with it, and reports whether
// the stream goes on.
func (r *receiver) push(p []byte) bool {
	lent := bytes.Clone(p)
	r.d.Push(lent)
	for {
		part, ok, err := r.d.Next()
		if err != nil {
			r.log = append(r.log, err.Error())
			return false
		}
		if !ok {
			break
		}
		if !r.part(part) {
			return false
		}
		if r.stop {
			rest := r.d.Rest()
			again := bytes.Clone(rest)
			spoil(rest)
			r.d.Push(again)
		}
	}
	spoil(lent)
	return true
}

func (r *receiver) part(p frame.Part) bool {
	if p.Header.OpCode.IsControl() {
		r.log = append(r.log, fmt.Sprintf("op %d %q", p.Header.OpCode, p.Payload))
		return true
	}
	whole, err := r.m.Add(p)
	if err != nil {
		r.log = append(r.log, err.Error())
		return false
	}
	if whole {
		r.log = append(r.log, fmt.Sprintf("op %d %q", r.m.OpCode(), r.m.Payload()))
		r.m.Reset()
	}
	return true
}

func spoil(p []byte) {
	for i := range p {
		p[i] = 0xa5
	}
}

// receive returns what a fresh copy of r makes of stream, cut at the given offsets.
func (r receiver) receive(stream []byte, cuts ...int) []string {
	from := 0
	for _, to := range append(slices.Clone(cuts), len(stream)) {
		if !r.push(stream[from:to]) {
			return r.log
		}
		from = to
	}
	r.log = append(r.log, fmt.Sprintf("idle %v %v", r.d.Idle(), r.m.Idle()))
	r.m.Reset()
	return r.log
}

// bytewise returns the cuts that make a push of every byte.
func bytewise(stream []byte) []int {
	var cuts []int
	for i := 1; i < len(stream); i++ {
		cuts = append(cuts, i)
	}
	return cuts
}

// client appends a client's frame to dst.
func client(dst []byte, h ws.Header, payload string) []byte {
	h.Masked, h.Mask, h.Length = true, key, int64(len(payload))
	dst = frame.AppendHeader(dst, h)
	at := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[at:], key, 0)
	return dst
}

// header makes a header as short as the tables want it: "fin text", "text", "cont", "fin cont", "fin rsv1 text".
func header(words string) ws.Header {
	var h ws.Header
	for w := range strings.FieldsSeq(words) {
		switch w {
		case "fin":
			h.Fin = true
		case "rsv1":
			h.Rsv |= ws.Rsv(true, false, false)
		case "text":
			h.OpCode = ws.OpText
		case "binary":
			h.OpCode = ws.OpBinary
		case "cont":
			h.OpCode = ws.OpContinuation
		case "ping":
			h.OpCode = ws.OpPing
		case "pong":
			h.OpCode = ws.OpPong
		case "close":
			h.OpCode = ws.OpClose
		default:
			panic("no such word: " + w)
		}
	}
	return h
}

// clients appends frames given as pairs of header words and payload.
func clients(pairs ...string) []byte {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		b = client(b, header(pairs[i]), pairs[i+1])
	}
	return b
}

func sameLog(t *testing.T, how string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\ngot  %.300q\nwant %.300q", how, got, want)
	}
}
