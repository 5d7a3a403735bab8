// In-package: an envelope is nothing that the API shows.
package server

import (
	"bytes"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// What is put into an envelope comes out of it; anything else is refused, and nothing panics.
func FuzzEnvelope(f *testing.F) {
	for _, m := range []*hub.Message{
		{}, {Topic: "room:1", Event: "news", Payload: []byte(`{"n":1}`)}, {Event: "chunk", Payload: []byte{0, 255}, Binary: true},
	} {
		f.Add(appendEnvelope(nil, m))
	}
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0})
	f.Add([]byte{1, 3, 2, 'a', 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		topic, event, p, ok := openEnvelope(b)
		if !ok {
			return
		}
		m := &hub.Message{Topic: topic, Event: event, Payload: p.data, Binary: p.binary, Packed: p.packed}
		again := appendEnvelope(nil, m)
		t2, e2, p2, ok := openEnvelope(again)
		if !ok || t2 != topic || e2 != event || p2.binary != p.binary || p2.packed != p.packed || !bytes.Equal(p2.data, p.data) {
			t.Errorf("%q: %q %q %v became %q %q %v", b, topic, event, p, t2, e2, p2)
		}
		if len(again) > len(b) {
			t.Errorf("%q came of %q, which is shorter", again, b)
		}
	})
}
