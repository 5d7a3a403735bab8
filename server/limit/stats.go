package limit

import (
	"time"
	"unsafe"
)

// Stats is what Connections holds.
type Stats struct {
	Open       int    // connections
	Addresses  int    // with a connection open
	Remembered int    // addresses without, of which the rates are kept
	Forgotten  uint64 // addresses, ever, of which a rate was forgotten before its time, for want of room
	Strained   bool   // whether Networks is applied
	Bytes      int    // of the table and the networks
}

// Stats looks at each shard in turn: while connections come and go, what it adds up is not of one moment.
func (c *Connections) Stats(now time.Duration) Stats {
	st := Stats{Open: int(c.open.Load()), Strained: c.strained(now), Bytes: len(c.networks) * sketchSize}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		st.Addresses += s.live - s.idle
		st.Remembered += s.idle
		st.Forgotten += s.forgotten
		st.Bytes += int(unsafe.Sizeof(*s)) + len(s.chunks)*chunkBytes + cap(s.buckets)*4
		s.mu.Unlock()
	}
	return st
}
