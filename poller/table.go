package poller

import (
	"sync"
	"sync/atomic"
)

// chunkSlots is the number of slots that are allocated at once: 16 KiB, two pages of the Go heap, so
// that a small server does not pay for a large one.
const chunkSlots = 1024

// A slot is what the engine looks at without touching the connection itself: the sweep walks millions
// of deadlines in memory order. 16 bytes.
type slot[T any] struct {
	conn atomic.Pointer[T]
	deadlines
}

// deadlines are what is swept, in clock milliseconds.
type deadlines struct {
	read  atomic.Uint32 // when OnTimeout is due; 0: never
	write atomic.Uint32 // when the outbox must have moved; 0: nothing waits
}

// clear makes the slot free for the next owner of its number.
func (s *slot[T]) clear() {
	s.conn.Store(nil)
	s.read.Store(0)
	s.write.Store(0)
}

type chunk[T any] [chunkSlots]slot[T]

// A table maps small integers (descriptors) to connections. Chunks are never moved or freed, so a
// *slot stays valid; the kernel gives out the lowest free descriptor, so the table stays dense.
// Lookups take no lock.
type table[T any] struct {
	chunks atomic.Pointer[[]*chunk[T]]
	mu     sync.Mutex // serializes growth
}

// at returns the slot of i, or nil when nothing was ever put near it.
func (t *table[T]) at(i int) *slot[T] {
	chunks := t.chunks.Load()
	if chunks == nil || i < 0 || i/chunkSlots >= len(*chunks) {
		return nil
	}
	c := (*chunks)[i/chunkSlots]
	if c == nil {
		return nil
	}
	return &c[i%chunkSlots]
}

// grow returns the slot of i and makes it if there is none.
func (t *table[T]) grow(i int) *slot[T] {
	if s := t.at(i); s != nil {
		return s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var old []*chunk[T]
	if p := t.chunks.Load(); p != nil {
		old = *p
	}
	chunks := make([]*chunk[T], max(len(old), i/chunkSlots+1))
	copy(chunks, old)
	if chunks[i/chunkSlots] == nil {
		chunks[i/chunkSlots] = new(chunk[T])
	}
	t.chunks.Store(&chunks)
	return &chunks[i/chunkSlots][i%chunkSlots]
}

// each calls f for every slot that holds a connection, in order, until f returns false.
func (t *table[T]) each(f func(*slot[T], *T) bool) {
	chunks := t.chunks.Load()
	if chunks == nil {
		return
	}
	for _, ch := range *chunks {
		if ch == nil {
			continue
		}
		for i := range ch {
			if c := ch[i].conn.Load(); c != nil && !f(&ch[i], c) {
				return
			}
		}
	}
}

// numbers gives out the slots of an engine whose connections are not numbered by their descriptors:
// the one that was given back last, so that the table stays dense.
type numbers struct {
	mu   sync.Mutex // protects the following
	free []int32
	next int32
}

func (n *numbers) take() int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last := len(n.free) - 1; last >= 0 {
		i := n.free[last]
		n.free = n.free[:last]
		return i
	}
	n.next++
	return n.next - 1
}

// giveBack makes i another's. Its slot has been cleared.
func (n *numbers) giveBack(i int32) {
	n.mu.Lock()
	n.free = append(n.free, i)
	n.mu.Unlock()
}
