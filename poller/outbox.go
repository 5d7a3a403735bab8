package poller

import "sync"

// An outbox holds what the kernel did not take yet. A connection has one only while something waits.
// Its connection's lock guards it.
type outbox struct {
	frames [][]byte // the oldest first; shared frames are referenced, never changed
	first  int      // index of the oldest
	offset int      // bytes of the oldest that are already gone
	size   int      // bytes that wait
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
	*o = outbox{frames: o.frames[:0]}
	outboxes.Put(o)
}

func (o *outbox) push(p []byte) {
	o.frames = append(o.frames, p)
	o.size += len(p)
}

func (o *outbox) empty() bool { return o.size == 0 }

// vectors appends up to n slices of what waits to v, for writev(2).
func (o *outbox) vectors(v [][]byte, n int) [][]byte {
	skip := o.offset
	for _, f := range o.frames[o.first:min(len(o.frames), o.first+n)] {
		v = append(v, f[skip:])
		skip = 0
	}
	return v
}

// took drops the n bytes that the kernel has taken.
func (o *outbox) took(n int) {
	o.size -= n
	for n > 0 {
		left := len(o.frames[o.first]) - o.offset
		if n < left {
			o.offset += n
			return
		}
		n -= left
		o.frames[o.first] = nil
		o.first++
		o.offset = 0
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
	if o.offset > 0 {
		keep++
	}
	for i := keep; i < len(o.frames); i++ {
		o.size -= len(o.frames[i])
		o.frames[i] = nil
	}
	o.frames = o.frames[:keep]
}
