package hub_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

var presenceMeta = json.RawMessage(`{"name":"Somebody","online_at":"1700000000"}`) // 44 bytes

func unlimited(broadcast func(*hub.Message)) *hub.Presence {
	const all = 1 << 30
	return hub.NewPresence(hub.PresenceConfig{Broadcast: broadcast, TopicEntries: all, TopicBytes: all, OwnerEntries: all})
}

func silent(*hub.Message) {}

// populate tracks each owner under a key of 8 bytes in the topic that name says, and returns the bytes
// that this took, and how many are left after all are gone again.
func populate(owners []deaf, name func(i int) string) (filled, emptied int) {
	p := unlimited(silent)
	before := heap()
	for i := range owners {
		if _, err := p.Track(name(i), fmt.Sprintf("u%07d", i), presenceMeta, &owners[i]); err != nil {
			panic(err)
		}
	}
	filled = heap() - before
	for i := range owners {
		p.UntrackAll(&owners[i])
	}
	emptied = heap() - before
	runtime.KeepAlive(p)
	runtime.KeepAlive(owners)
	return filled, emptied
}

var presenceShapes = []struct {
	name  string
	n     int
	topic func(i int) string
	limit int // bytes for an entry with a key of 8 and a meta of 44
}{
	{"1k in one topic", 1000, oneTopic, 210},
	{"100k in one topic", 100_000, oneTopic, 190},
	{"1M in one topic", 1_000_000, oneTopic, 190},
	{"1M by tens", 1_000_000, topicOfTen, 210},
	{"1M alone", 1_000_000, ownTopic, 330},
}

// TestPresenceMemory bounds what an entry takes, and what is left when all are gone: 64 shards with the
// least that Go's maps take.
func TestPresenceMemory(t *testing.T) {
	const left = stray + 64*1024
	for _, s := range presenceShapes {
		n := min(s.n, 50_000)
		filled, emptied := populate(make([]deaf, n), s.topic)
		if filled > n*s.limit+left {
			t.Errorf("%s: %.1f bytes for an entry, want up to %d", s.name, float64(filled)/float64(n), s.limit)
		}
		if emptied > left {
			t.Errorf("%s: %d bytes left behind", s.name, emptied)
		}
	}
}

// BenchmarkPresenceMemory shows bytes for an entry with its owner's place, of them 52 for key and meta.
func BenchmarkPresenceMemory(b *testing.B) {
	for _, s := range presenceShapes {
		b.Run(s.name, func(b *testing.B) {
			owners := make([]deaf, s.n)
			var filled int
			for b.Loop() {
				filled, _ = populate(owners, s.topic)
			}
			b.ReportMetric(float64(filled)/float64(s.n), "B/entry")
		})
	}
}

// BenchmarkPresenceMemoryRemote shows bytes for an entry of another replica.
func BenchmarkPresenceMemoryRemote(b *testing.B) {
	for name, topic := range map[string]func(int) string{"one topic": oneTopic, "alone": ownTopic} {
		b.Run(name, func(b *testing.B) {
			const n = 200_000
			from := newState("a", 1)
			for i := range n {
				from.Join(topic(i), fmt.Sprintf("u%07d", i), string(presenceMeta))
			}
			data, _ := from.Full().MarshalBinary()
			var filled int
			for b.Loop() {
				before := heap()
				s := newState("b", 1)
				s.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
				var d hub.PresenceDelta
				if err := d.UnmarshalBinary(data); err != nil {
					b.Fatal(err)
				}
				_, _, _ = s.Merge(d)
				d = hub.PresenceDelta{}
				filled = heap() - before
				runtime.KeepAlive(s)
			}
			b.ReportMetric(float64(filled)/n, "B/entry")
			b.ReportMetric(float64(len(data))/n, "wireB/entry")
		})
	}
}
