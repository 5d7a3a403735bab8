package frame

import (
	"math/bits"
	"sync"
)

// A Buffer is memory from this package's pools.
type Buffer struct {
	// B is the content. It may be changed and appended to.
	B []byte
}

// Free gives the memory back; neither b nor b.B may be used after it. It is optional: a Buffer that
// is not freed is the collector's.
func (b *Buffer) Free() {
	c := bits.Len(uint(cap(b.B))) - 1
	if c < minClass || c > maxClass || cap(b.B) != 1<<c {
		return
	}
	b.B = b.B[:0]
	pools[c-minClass].Put(b)
}

// Buffers are pooled in powers of two from 512 B, a small JSON message, to 1 MiB: what is larger is
// rare, and not worth keeping for a chance of reuse.
const (
	minClass = 9
	maxClass = 20
)

var pools [maxClass - minClass + 1]sync.Pool

// newBuffer returns an empty Buffer with room for n bytes.
func newBuffer(n int) *Buffer {
	c := max(minClass, bits.Len(uint(max(n, 1)-1)))
	if c > maxClass {
		return &Buffer{B: make([]byte, 0, n)}
	}
	if b, ok := pools[c-minClass].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, 0, 1<<c)}
}

// grown returns a Buffer with the content of b and room for at least n bytes more, and frees b
// unless it is that. Growth at least doubles, so that collecting costs a constant number of copies
// per byte however the bytes were cut.
func (b *Buffer) grown(n int) *Buffer {
	if cap(b.B)-len(b.B) >= n {
		return b
	}
	g := newBuffer(max(len(b.B)+n, 2*cap(b.B)))
	g.B = append(g.B, b.B...)
	b.Free()
	return g
}
