package hub_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/hub"
)

// FuzzTrack: whatever key and meta are taken, clients can read the diff, and find both in it; and the list is as long
// as the limit of a topic says.
func FuzzTrack(f *testing.F) {
	f.Add("ann", `{"name":"A"}`)
	f.Add("", `{}`)
	f.Add("\"\\\n\x00\u2028", ` { "phx_ref" : [ 1e3, null ] } `)
	f.Add("__proto__", `{"a":"\ud800"}`)
	f.Fuzz(func(t *testing.T, key, meta string) {
		var diff phxDiff
		p := hub.NewPresence(hub.PresenceConfig{Broadcast: func(m *hub.Message) {
			if !utf8.Valid(m.Payload) {
				t.Fatalf("no UTF-8: %q", m.Payload)
			}
			if err := json.Unmarshal(m.Payload, &diff); err != nil {
				t.Fatalf("%s: %v", m.Payload, err)
			}
		}})
		ref, err := p.Track("t", key, json.RawMessage(meta), &deaf{})
		if err != nil {
			return
		}
		list := p.List("t")
		for spare, want := range map[int]error{0: nil, -2: hub.ErrTopicBytes} { // -1 is one of an empty meta
			tight := hub.NewPresence(hub.PresenceConfig{Broadcast: silent, TopicBytes: len(list) + 1 + spare})
			if _, err := tight.Track("t", key, json.RawMessage(meta), &deaf{}); err != want {
				t.Fatalf("key %q, meta %q, a list of %d, may be %d: %v", key, meta, len(list), len(list)+1+spare, err)
			}
		}
		var want phxMeta
		if err := json.Unmarshal([]byte(meta), &want); err != nil {
			t.Fatalf("%q was taken: %v", meta, err)
		}
		want["phx_ref"] = ref
		e, ok := diff.Joins[key]
		if !ok || len(diff.Joins) != 1 || len(diff.Leaves) != 0 || len(e.Metas) != 1 || !reflect.DeepEqual(e.Metas[0], want) {
			t.Fatalf("key %q, meta %q: %v", key, meta, diff)
		}
	})
}
