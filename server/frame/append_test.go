package frame_test

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// RFC 6455 section 5.7, the examples.
func TestAppendExamples(t *testing.T) {
	hello := []byte("Hello")
	for _, row := range []struct {
		name string
		got  []byte
		want []byte
	}{
		//                                                    FIN+op MASK+len  key                     payload
		{"unmasked text", frame.AppendServer(nil, ws.OpText, hello), []byte{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
		{"masked text", frame.AppendClient(nil, ws.OpText, key, hello), []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}},
		{"ping", frame.AppendPing(nil, hello), []byte{0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
		{"pong", frame.AppendPong(nil, hello), []byte{0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}},
		{"masked pong", frame.AppendClient(nil, ws.OpPong, key, hello), []byte{0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}},
		{"256 bytes", frame.AppendHeader(nil, ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 256}), []byte{0x82, 0x7e, 0x01, 0x00}},
		{"64 KiB", frame.AppendHeader(nil, ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 65536}), []byte{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}},
		{"first fragment", frame.AppendHeader(nil, ws.Header{OpCode: ws.OpText, Length: 3}), []byte{0x01, 0x03}},
		{"last fragment", frame.AppendHeader(nil, ws.Header{Fin: true, Length: 2}), []byte{0x80, 0x02}},
	} {
		if !bytes.Equal(row.got, row.want) {
			t.Errorf("%s: got %x, want %x", row.name, row.got, row.want)
		}
	}
	if string(hello) != "Hello" {
		t.Errorf("the payload is %q now", hello)
	}
}

// gobwas/ws writes the same bytes.
func TestAppendAgainstGobwas(t *testing.T) {
	for _, n := range lengths {
		payload := bytes.Repeat([]byte{0xa7}, n)
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary, ws.OpContinuation} {
			plain := ws.NewFrame(op, true, payload)
			masked := ws.MaskFrameWith(plain, key)
			for name, row := range map[string]struct {
				got  []byte
				want ws.Frame
			}{
				"server": {frame.AppendServer([]byte{1, 2}, op, payload), plain},
				"client": {frame.AppendClient([]byte{1, 2}, op, key, payload), masked},
			} {
				want, err := ws.CompileFrame(row.want)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(row.got, append([]byte{1, 2}, want...)) {
					t.Errorf("%s frame of %d bytes differs", name, n)
				}
			}
		}
	}
}

func TestAppendControlTooLong(t *testing.T) {
	big := make([]byte, 126)
	for name, f := range map[string]func(){
		"ping":   func() { frame.AppendPing(nil, big) },
		"pong":   func() { frame.AppendPong(nil, big) },
		"client": func() { frame.AppendClient(nil, ws.OpClose, key, big) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a control frame of 126 bytes was written", name)
				}
			}()
			f()
		}()
	}
	if got := frame.AppendPong(nil, big[:125]); len(got) != 127 {
		t.Errorf("a pong of 125 bytes became %d", len(got))
	}
}
