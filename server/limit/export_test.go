package limit

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"
	"unsafe"
)

const (
	EntrySize  = unsafe.Sizeof(entry{})
	ShardSize  = unsafe.Sizeof(shard{})
	SketchSize = unsafe.Sizeof([rows][columns]int64{})
	SketchSaid = sketchSize
	Shards     = shards
	ChunkBytes = chunkBytes
)

// Ticks is an interval and a window as a SmallMeter has them, and the length of a tick.
func (r *Rate) Ticks() (interval, window uint32, tick time.Duration) {
	return r.interval32, r.window32, 1 << r.shift
}

// KeyOf is keys.of.
func KeyOf(v4Bits, v6Bits int, addr netip.Addr) (uint64, error) {
	k, err := newKeys(v4Bits, v6Bits, 32, 64)
	return k.of(addr), err
}

// A Sketch is a sketch.
type Sketch struct{ s *sketch }

func NewSketch(n Network) (Sketch, error) { s, err := newSketch(n); return Sketch{s}, err }

func (s Sketch) Allow(addr netip.Addr, now time.Duration) (time.Duration, bool) {
	return s.s.allow(addr, now)
}

// Seed makes the table hash with s: a fuzzer compares what is covered by runs of one input. Nothing may be open.
func (c *Connections) Seed(s maphash.Seed) { c.seed = s }

// Check looks at the whole table for what must always be so, and returns the connections of each key.
// Nobody else may be calling.
func (c *Connections) Check() (map[uint64]int, error) {
	open := map[uint64]int{}
	for n := range c.shards {
		if err := c.shards[n].check(&c.bounds, c.seed, uint64(n), open); err != nil {
			return nil, fmt.Errorf("shard %d: %w", n, err)
		}
	}
	return open, nil
}

func (s *shard) check(b *bounds, seed maphash.Seed, n uint64, open map[uint64]int) error {
	live, idle := 0, 0
	for at, i := range s.buckets {
		for ; i != 0; i = s.entry(i).chain {
			e := s.entry(i)
			h := maphash.Comparable(seed, e.key)
			if h%shards != n || s.bucket(h) != &s.buckets[at] {
				return fmt.Errorf("key %#x is in the wrong place", e.key)
			}
			if live++; e.open == 0 {
				idle++
			} else {
				open[e.key] += int(e.open)
			}
		}
	}
	listed, before := 0, uint32(0)
	for i := s.oldest; i != 0; i = s.entry(i).newer {
		if e := s.entry(i); e.open != 0 || e.older != before {
			return fmt.Errorf("entry %d in the list of the idle has %d open, and %d before it, not %d", i, e.open, e.older, before)
		}
		listed, before = listed+1, i
	}
	free := 0
	for i := s.free; i != 0; i = s.entry(i).chain {
		free++
	}
	switch {
	case live != s.live || idle != s.idle || listed != idle || s.newest != before:
		return fmt.Errorf("%d live, %d idle, %d listed, newest %d; counted as %d, %d, newest %d", live, idle, listed, before, s.live, s.idle, s.newest)
	case idle > b.idle && live > b.live:
		return fmt.Errorf("%d idle of %d, and %d live of %d", idle, b.idle, live, b.live)
	case s.used != 0 && int(s.used) != 1+live+free:
		return fmt.Errorf("%d entries handed out, %d live, %d free", s.used-1, live, free)
	}
	return nil
}
