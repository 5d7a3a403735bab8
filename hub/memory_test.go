package hub_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// heap returns the bytes in use after a collection.
func heap() int {
	var ms runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first has only marked as free to sweep
	runtime.ReadMemStats(&ms)
	return int(ms.HeapAlloc)
}

// fill puts each subscriber on the topic that name says and returns the bytes that this took, beyond
// the subscribers themselves, and after everyone has left again.
func fill(subscribers []deaf, name func(i int) string) (filled, emptied int) {
	h := hub.New()
	before := heap()
	for i := range subscribers {
		h.Subscribe(name(i), &subscribers[i])
	}
	filled = heap() - before
	for i := range subscribers {
		h.Unsubscribe(&subscribers[i])
	}
	clear(subscribers) // they hold on to their topics' names
	emptied = heap() - before
	runtime.KeepAlive(h)
	runtime.KeepAlive(subscribers)
	return filled, emptied
}

func oneTopic(int) string     { return "room:lobby" }
func ownTopic(i int) string   { return fmt.Sprintf("user:%07d", i) }
func topicOfTwo(i int) string { return fmt.Sprintf("chat:%07d", i/2) }
func topicOfTen(i int) string { return fmt.Sprintf("team:%07d", i/10) }
func topicOf100(i int) string { return fmt.Sprintf("town:%07d", i/100) }

var shapes = []struct {
	name  string
	n     int
	topic func(i int) string
	limit int // bytes for a subscription
}{
	{"1k on one topic", 1000, oneTopic, 20},
	{"10k on one topic", 10_000, oneTopic, 18},
	{"100k on one topic", 100_000, oneTopic, 17},
	{"1M on one topic", 1_000_000, oneTopic, 17},
	{"1M by hundreds", 1_000_000, topicOf100, 24},
	{"1M by tens", 1_000_000, topicOfTen, 34},
	{"1M by twos", 1_000_000, topicOfTwo, 80},
	{"1M alone", 1_000_000, ownTopic, 90},
}

// stray is for what the runtime allocates meanwhile, a thread's record for instance.
const stray = 32 << 10

// TestMemory bounds what a subscription takes, and what is left when all are gone. The limits are
// those that BenchmarkMemory shows, with some room.
func TestMemory(t *testing.T) {
	for _, s := range shapes {
		n := min(s.n, 100_000)
		filled, emptied := fill(make([]deaf, n), s.topic)
		if filled > n*s.limit+stray {
			t.Errorf("%s: %.1f bytes for a subscription, want up to %d", s.name, float64(filled)/float64(n), s.limit)
		}
		if emptied > stray {
			t.Errorf("%s: %d bytes left behind", s.name, emptied)
		}
	}
}

// BenchmarkMemory shows bytes for a subscription, without the 16 in the subscriber.
func BenchmarkMemory(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			subscribers := make([]deaf, s.n)
			var filled int
			for b.Loop() {
				filled, _ = fill(subscribers, s.topic)
			}
			b.ReportMetric(float64(filled)/float64(s.n), "B/sub")
		})
	}
}

// BenchmarkMemoryMap is what the table of topics is compared with: a map per shard of as many topics
// alone, with the same names and records of 48 bytes.
func BenchmarkMemoryMap(b *testing.B) {
	const n = 1_000_000
	var grown int
	for b.Loop() {
		before := heap()
		var maps [hub.ShardCount]map[string]*[6]*int
		for i := range maps {
			maps[i] = map[string]*[6]*int{}
		}
		for i := range n {
			maps[i%len(maps)][ownTopic(i)] = new([6]*int)
		}
		grown = heap() - before
		runtime.KeepAlive(&maps)
	}
	b.ReportMetric(float64(grown)/n, "B/sub")
}

func TestSizes(t *testing.T) {
	for name, size := range hub.Sizes() {
		if size[0] != size[1] {
			t.Errorf("%s takes %d bytes, want %d", name, size[0], size[1])
		}
	}
}
