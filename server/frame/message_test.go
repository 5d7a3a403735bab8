package frame_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// parts decodes wire, cut at the given offsets; payloads are copies.
func parts(t *testing.T, d frame.Decoder, wire []byte, cuts ...int) []frame.Part {
	t.Helper()
	var all []frame.Part
	from := 0
	for _, to := range append(cuts, len(wire)) {
		d.Push(bytes.Clone(wire[from:to]))
		from = to
		for {
			p, ok, err := d.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			p.Payload = bytes.Clone(p.Payload)
			all = append(all, p)
		}
	}
	return all
}

func TestMessageInPlace(t *testing.T) {
	for _, wire := range [][]byte{
		clients("fin text", "Hello"),
		clients("text", "", "cont", "", "fin cont", "Hello"), // empty fragments bring nothing to keep
	} {
		var d frame.Decoder
		var m frame.Message
		d.Push(wire)
		for {
			p, ok, err := d.Next()
			if !ok || err != nil {
				t.Fatal("no message")
			}
			if whole, err := m.Add(p); err != nil {
				t.Fatal(err)
			} else if whole {
				break
			}
		}
		if string(m.Payload()) != "Hello" || m.OpCode() != ws.OpText {
			t.Fatalf("got %d %q", m.OpCode(), m.Payload())
		}
		if &m.Payload()[0] != &wire[len(wire)-5] {
			t.Error("the payload was copied")
		}
		if m.Idle() {
			t.Error("idle while whole")
		}
		if m.Reset(); !m.Idle() || m.Payload() != nil {
			t.Error("not empty after Reset")
		}
	}
}

func TestMessageCollects(t *testing.T) {
	wire := clients("binary", "one ", "cont", "two ", "fin cont", "three", "fin text", "next")
	m := frame.Message{LimitBytes: 13}
	var got []string
	for _, p := range parts(t, frame.Decoder{}, wire, 8, 20) {
		if m.Payload() != nil && len(got) == 0 {
			t.Fatal("a payload before the message is whole")
		}
		whole, err := m.Add(p)
		if err != nil {
			t.Fatal(err)
		}
		if whole { // and no Reset: the next Add begins a new message
			got = append(got, fmt.Sprintf("%d %s", m.OpCode(), m.Payload()))
		}
	}
	sameLog(t, "messages", got, []string{"2 one two three", "1 next"})
}

func TestMessageTake(t *testing.T) {
	for _, wire := range [][]byte{clients("fin text", "Hello"), clients("text", "Hel", "fin cont", "lo")} {
		var m frame.Message
		ps := parts(t, frame.Decoder{}, wire)
		for _, p := range ps {
			if _, err := m.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		b := m.Take()
		if !m.Idle() || m.Payload() != nil {
			t.Error("not empty after Take")
		}
		for _, p := range ps {
			spoil(p.Payload)
		}
		if string(b.B) != "Hello" {
			t.Errorf("got %q", b.B)
		}
		b.Free()
	}
}

// Each row is a clause about the message; the error must come with the given part, counted from 0.
func TestMessageClauses(t *testing.T) {
	long := strings.Repeat("z", 1000)
	for _, row := range []struct {
		name  string
		limit int64
		wire  []byte
		cuts  []int
		at    int
		want  error
	}{
		{"8.1 text", 0, clients("fin text", "\xff"), nil, 0, frame.ErrNotUTF8},
		{"8.1 binary is not looked at", 0, clients("fin binary", "\xff"), nil, 1, nil},
		{"8.1 at once, the frame goes on", 0, clients("fin text", "a\xff"+long), []int{8}, 0, frame.ErrNotUTF8},
		{"8.1 at once, across a cut", 0, clients("fin text", "\xe2\x28"+long), []int{9, 10}, 1, frame.ErrNotUTF8},
		{"8.1 at once, in a fragment", 0, clients("text", "\xe2", "cont", "\x28", "fin cont", ""), nil, 1, frame.ErrNotUTF8},
		{"8.1 fragments may cut characters", 0, clients("text", "\xe2", "cont", "\x82", "fin cont", "\xac"), nil, 3, nil},
		{"8.1 the end may not", 0, clients("text", "\xe2", "fin cont", "\x82"), nil, 1, frame.ErrNotUTF8},
		{"8.1 the end may not, one frame", 0, clients("fin text", "abc\xe2\x82"), nil, 0, frame.ErrNotUTF8},
		{"8.1 each text begins anew", 0, clients("fin text", "é", "fin binary", "\xc3", "fin text", "é"), nil, 3, nil},
		{"8.1 compressed text", 0, clients("fin rsv1 text", deflated(long+"\xff")), nil, 0, frame.ErrNotUTF8},
		{"8.1 compressed binary", 0, clients("fin rsv1 binary", deflated(long+"\xff")), nil, 1, nil},
		{"10.4 announced", 4, clients("fin binary", "12345"), []int{7}, 0, frame.ErrMessageTooBig},
		{"10.4 met", 5, clients("fin binary", "12345"), nil, 1, nil},
		{"10.4 over fragments", 5, clients("binary", "123", "fin cont", "456"), nil, 1, frame.ErrMessageTooBig},
		{"10.4 over three fragments", 5, clients("binary", "12", "cont", "34", "fin cont", "56"), nil, 2, frame.ErrMessageTooBig},
		{"10.4 met over fragments", 6, clients("binary", "123", "fin cont", "456"), nil, 2, nil},
		{"10.4 inflated", 999, clients("fin rsv1 binary", deflated(long)), nil, 0, frame.ErrInflatedTooBig},
		{"10.4 inflated, met", 1000, clients("fin rsv1 binary", deflated(long)), nil, 1, nil},
		{"7692 7.2.2 no deflate", 0, clients("fin rsv1 text", "\xff\xff"), nil, 0, frame.ErrBadDeflate},
		{"7692 7.2.2 cut", 0, clients("fin rsv1 text", deflated(long)[:5]), nil, 0, frame.ErrBadDeflate},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := frame.Message{LimitBytes: row.limit}
			for i, p := range parts(t, frame.Decoder{Deflate: true}, row.wire, row.cuts...) {
				_, err := m.Add(p)
				if i == row.at && err != row.want || i < row.at && err != nil {
					t.Fatalf("part %d: got %v, want %v at part %d", i, err, row.want, row.at)
				}
				if err != nil {
					if !m.Idle() || m.Payload() != nil {
						t.Error("not empty after an error")
					}
					return
				}
			}
			if row.want != nil {
				t.Fatalf("no error, want %v", row.want)
			}
			m.Reset()
		})
	}
}

// A header is a promise of the peer. What it makes us spend must be what came.
func TestMessageSpendsWhatArrived(t *testing.T) {
	var d frame.Decoder
	wire := frame.AppendHeader(nil, ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: key, Length: 9_000_000})
	d.Push(append(wire, 1))
	p, ok, err := d.Next()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var m frame.Message
	if _, err := m.Add(p); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
		t.Errorf("%d bytes for one that came", n)
	}
	m.Reset()
}

// Messages of every class of buffer, and beyond, come out as they went in; memory from the pools
// that still serves another message would show.
func TestMessageSizes(t *testing.T) {
	for size := 1; size <= 3<<20; size = size*3 + 1 {
		payload := bytes.Repeat([]byte{byte(size), 0xfe, 3}, size/3+1)[:size]
		half := size / 2
		wire := client(nil, header("binary"), string(payload[:half]))
		wire = client(wire, header("fin cont"), string(payload[half:]))
		var a, b frame.Message
		for _, p := range parts(t, frame.Decoder{}, wire, len(wire)/3, len(wire)/3*2) {
			if _, err := a.Add(p); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		kept := b.Take()
		if !bytes.Equal(a.Payload(), payload) {
			t.Fatalf("%d bytes: payload differs", size)
		}
		a.Reset()
		if !bytes.Equal(kept.B, payload) {
			t.Fatalf("%d bytes: what was taken differs", size)
		}
		kept.Free()
	}
}
