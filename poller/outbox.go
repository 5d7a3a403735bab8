package poller

import "sync"

// An outbox holds what the kernel did not take yet. A connection has one only while something waits.
// Its connection's lock guards it.
type outbox struct {
	frames [][]byte // the oldest first; shared frames are referenced, never changed
	first  int      // index of the oldest
	offset int      // bytes of the oldest that are already gone
	begun  bool     // the oldest is the rest of one whose beginning never came here
	size   int      // bytes that wait
	iov    [][]byte // scratch of vectors
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// keptFrames is the most frame slots that a pooled outbox keeps: 24 KiB, so that one slow consumer of
// many small frames does not leave a large slice in the pool.
const keptFrames = 1024

func newOutbox() *outbox { return outboxes.Get().(*outbox) }

func (o *outbox) release() {
	clear(o.frames)
	if cap(o.frames) > keptFrames {
		o.frames = nil
	}
	clear(o.iov[:cap(o.iov)])
	*o = outbox{frames: o.frames[:0], iov: o.iov[:0]}
	outboxes.Put(o)
}

// push takes no empty frame: one would let writev(2) take everything and yet move nothing.
func (o *outbox) push(p []byte) {
	if len(p) == 0 {
		return
	}
	o.frames = append(o.frames, p)
	o.size += len(p)
}

func (o *outbox) empty() bool { return o.size == 0 }

// vectors returns up to n slices of what waits, for writev(2). They are valid until the next call.
func (o *outbox) vectors(n int) [][]byte {
	o.iov = o.iov[:0]
	skip := o.offset
	for _, f := range o.frames[o.first:min(len(o.frames), o.first+n)] {
		o.iov = append(o.iov, f[skip:])
		skip = 0
	}
	return o.iov
}

// took drops the n bytes that the kernel has taken.
func (o *outbox) took(n int) {
	o.size -= n
	for n > 0 {
		left := len(o.frames[o.first]) - o.offset
		if n < left {
			o.offset += n
			break
		}
		n -= left
		o.frames[o.first] = nil
		o.first++
		o.offset, o.begun = 0, false
	}
	o.compact()
}

// compact moves the frames down once more than half of the slice is spent, so that a consumer that
// is always a little behind does not make it grow without end.
func (o *outbox) compact() {
	if o.first > 32 && o.first > len(o.frames)/2 {
		n := copy(o.frames, o.frames[o.first:])
		clear(o.frames[n:])
		o.frames = o.frames[:n]
		o.first = 0
	}
}

// truncate drops every frame that has not begun to leave.
func (o *outbox) truncate() {
	keep := o.first
	if o.offset > 0 || o.begun {
		keep++
	}
	for i := keep; i < len(o.frames); i++ {
		o.size -= len(o.frames[i])
		o.frames[i] = nil
	}
	o.frames = o.frames[:keep]
}
