package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestTable is inside the package to choose hashes: equal ones, clusters, and runs around the end.
func TestTable(t *testing.T) {
	hashes := map[string]func(i uint32) uint32{
		"one hash":         func(i uint32) uint32 { return 1 << 31 },
		"all at the end":   func(i uint32) uint32 { return ^uint32(0) - i%3 },
		"all at the start": func(i uint32) uint32 { return 1 + i%3 },
		"both ends":        func(i uint32) uint32 { return max(1, -(i % 2)) },
		"a few clusters":   func(i uint32) uint32 { return 1 + i%5<<29 },
		"spread":           func(i uint32) uint32 { return 1 + i*2654435761>>1 },
	}
	for name, hash := range hashes {
		for _, n := range []int{1, 7, 8, 9, 100, 300} {
			t.Run(fmt.Sprintf("%s, %d", name, n), func(t *testing.T) {
				var tb table
				topics := make([]*topic, n)
				for i := range topics {
					topics[i] = &topic{name: fmt.Sprint("room:", i), hash: hash(uint32(i))}
					if tb.find(topics[i].hash, topics[i].name) != nil {
						t.Fatalf("%s found before it was in", topics[i].name)
					}
					tb.insert(topics[i])
					checkTable(t, &tb, topics[:i+1], topics[i+1:])
				}
				rand.New(rand.NewPCG(1, uint64(n))).Shuffle(n, func(i, j int) {
					topics[i], topics[j] = topics[j], topics[i]
				})
				for i := range topics {
					tb.remove(topics[i])
					checkTable(t, &tb, topics[i+1:], topics[:i+1])
				}
				if tb.hashes != nil || tb.topics != nil {
					t.Errorf("an empty table of %d", len(tb.hashes))
				}
			})
		}
	}
}

func checkTable(t *testing.T, tb *table, in, out []*topic) {
	t.Helper()
	for _, tp := range in {
		if tb.find(tp.hash, tp.name) != tp {
			t.Fatalf("%s lost, with %d in", tp.name, len(in))
		}
	}
	for _, tp := range out {
		if tp != nil && tb.find(tp.hash, tp.name) != nil {
			t.Fatalf("%s found, with %d in", tp.name, len(in))
		}
	}
	if tb.n != len(in) || tb.n*tableFullDen > len(tb.hashes)*tableFullNum {
		t.Fatalf("%d in a table of %d, counted %d", len(in), len(tb.hashes), tb.n)
	}
}
