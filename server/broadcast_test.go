package server

// In the package, for the encoded forms that the hub keeps.

import (
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/server/frame"
)

// Section 3.7, encoded once per serializer: every form of a broadcast holds the same message, and the compressed ones are.
func TestBroadcastForms(t *testing.T) {
	long := `{"body":"` + strings.Repeat("sleep ", 200) + `"}`
	m := &hub.Message{Topic: "room", Event: "msg", Payload: []byte(long)}
	want := [...]string{
		formatV1:     `{"topic":"room","event":"msg","payload":` + long + `,"ref":null}`,
		formatV2:     `[null,null,"room","msg",` + long + `]`,
		formatPacked: "\x95\xc0\xc0\xa4room\xa3msg\x81\xa4body\xda\x04\xb0" + strings.Repeat("sleep ", 200),
	}
	for f := range hub.Format(hub.Formats) {
		form := f % formatV1Deflate
		s := &socket{v2: form != formatV1, packed: form == formatPacked}
		s.deflate = f >= formatV1Deflate
		if s.format() != f {
			t.Errorf("v2 %v, packed %v, deflate %v: format %d, want %d", s.v2, s.packed, s.deflate, s.format(), f)
		}
		b, err := m.Encoded(f, encoders[f])
		if err != nil {
			t.Fatal(err)
		}
		if small := len(b) < len(long)/2; small != s.deflate {
			t.Errorf("format %d: %d bytes of %d", f, len(b), len(long))
		}
		d := frame.Decoder{Client: true, Deflate: s.deflate}
		d.Push(append([]byte(nil), b...))
		part, _, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		var got frame.Message
		if whole, err := got.Add(part); !whole || err != nil {
			t.Fatal(whole, err)
		}
		if string(got.Payload()) != want[form] {
			t.Errorf("format %d: %.80s, want %.80s", f, got.Payload(), want[form])
		}
	}
}
