package hub_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// BenchmarkTrack shows a coming and going in a topic of so many entries that nobody hears of: what
// presence costs beside the fan-out. The state is for one that joins as well.
func BenchmarkTrack(b *testing.B) {
	for _, n := range []int{0, 1000, 10_000, 100_000, 1_000_000} {
		p := unlimited(silent)
		owners := make([]deaf, n+1)
		for i := range n {
			if _, err := p.Track("room:1", fmt.Sprintf("u%07d", i), presenceMeta, &owners[i]); err != nil {
				b.Fatal(err)
			}
		}
		last := &owners[n]
		b.Run(fmt.Sprintf("join and leave/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = p.Track("room:1", "somebody", presenceMeta, last)
				p.UntrackAll(last)
			}
		})
		b.Run(fmt.Sprintf("join, state and leave/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = p.Track("room:1", "somebody", presenceMeta, last)
				b.SetBytes(int64(len(p.Snapshot("room:1"))))
				p.UntrackAll(last)
			}
		})
		b.Run(fmt.Sprintf("state while calm/%d", n), func(b *testing.B) {
			for b.Loop() {
				p.Snapshot("room:1")
			}
		})
	}
}

func BenchmarkUntrackAllOfNothing(b *testing.B) {
	p := unlimited(silent)
	owner := &deaf{}
	b.ReportAllocs()
	for b.Loop() {
		p.UntrackAll(owner)
	}
}

// BenchmarkBurst lets 100,000 join one topic from eight goroutines, while the fan-out takes as long as
// so many joins do: it is paced by counting, not by the clock. It shows how many diffs that makes, and
// what of them each subscriber gets.
func BenchmarkBurst(b *testing.B) {
	const joins, goroutines = 100_000, 8
	for _, slow := range []int{0, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("fan-out lasts %d joins", slow), func(b *testing.B) {
			var st hub.PresenceStats
			for b.Loop() {
				st = burst(joins, goroutines, slow)
			}
			b.ReportMetric(float64(st.Diffs), "diffs")
			b.ReportMetric(float64(st.DiffBytes)/joins, "B/join/subscriber")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/joins, "ns/join")
		})
	}
}

// burst returns the counters when all have joined and all is said.
func burst(joins, goroutines, slow int) hub.PresenceStats {
	var (
		p      *hub.Presence
		mu     sync.Mutex // protects the following
		cond   = sync.NewCond(&mu)
		done   int
		active = goroutines // one of them is in the fan-out, and cannot join meanwhile
	)
	p = unlimited(func(*hub.Message) {
		mu.Lock()
		defer mu.Unlock()
		for until := done + slow; done < until && active > 1; {
			cond.Wait()
		}
	})
	var (
		wg     sync.WaitGroup
		next   atomic.Int64
		owners = make([]deaf, joins)
	)
	for range goroutines {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(joins); i = next.Add(1) - 1 {
				if _, err := p.Track("room:1", fmt.Sprintf("u%07d", i), presenceMeta, &owners[i]); err != nil {
					panic(err)
				}
				mu.Lock()
				done++
				cond.Signal()
				mu.Unlock()
			}
			mu.Lock()
			active--
			cond.Signal()
			mu.Unlock()
		})
	}
	wg.Wait()
	return p.Stats()
}

// BenchmarkMerge shows a delta of 100 joins merged into a state of so many entries, and its leaves.
func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		a, s := newState("a", 1), newState("b", 1)
		s.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
		for i := range n {
			a.Join("room:1", fmt.Sprint(i), string(presenceMeta))
		}
		_, _, _ = s.Merge(a.Delta())
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				var come []*hub.PresenceEntry
				for range 100 {
					come = append(come, a.Join("room:1", "k", string(presenceMeta)))
				}
				_, _, _ = s.Merge(a.Delta())
				for _, e := range come {
					a.Leave(e)
				}
				if _, leaves, _ := s.Merge(a.Delta()); len(leaves) != 100 {
					b.Fatal(len(leaves))
				}
			}
		})
	}
}
