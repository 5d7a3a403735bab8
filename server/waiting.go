package server

import (
	"math"

	"github.com/dormouse-ws/dormouse/poller"
)

// minWaiting is the least of what may wait for a worker on one connection: many small messages.
const minWaiting = 256 << 10

// crowdedWaiting is how many KiB may wait on each connection when the messages of all take half of what they may.
const crowdedWaiting = 64

// maxWaiting is how many KiB of messages may wait before the connection is read no further. The engine
// counts tasks; 64 of the largest messages would be 640 MB.
func (w *wsConn) maxWaiting() int32 { return kib(max(w.mount.options.MaxFrameSize, minWaiting)) }

// kib rounds up, so that small messages count too. What is no limit stays none.
func kib(bytes int64) int32 { return int32(min(bytes>>10, math.MaxInt32-1)) + 1 }

// wait notes that so many KiB more wait, or fewer, and returns how many do on this connection and on all. Messages
// of less than a KiB do not count for all: the engine's limit bounds them, and a counter that all processors share
// would cost more than they do.
func (w *wsConn) wait(size int32) (here int32, all int64) {
	s := w.mount.srv
	if size > 1 || size < -1 {
		all = s.waiting.Add(int64(size))
	} else {
		all = s.waiting.Load()
	}
	return w.waiting.Add(size), all << 10
}

// queue gives a message of so many bytes to a worker, whose task calls took. full says that no more
// shall be given now. The error is that of Do; ErrMailboxFull also when the messages of all connections take what
// they may.
func (w *wsConn) queue(t poller.Task, bytes int) (full bool, err error) {
	size, most := kib(int64(bytes)), w.maxWaiting()
	here, all := w.wait(size)
	if memory := w.mount.srv.cfg.MessageMemory; all > memory/2 {
		most = min(most, crowdedWaiting)
		if all > memory && here > crowdedWaiting {
			w.wait(-size)
			w.mount.srv.bounds.waiting.Add(1)
			return true, poller.ErrMailboxFull
		}
	}
	if full, err = w.conn.Do(t); err != nil {
		w.wait(-size)
		return full, err
	}
	if w.waiting.Load() <= most {
		return full, nil
	}
	w.conn.Pause()
	if w.waiting.Load() <= most/2 {
		w.conn.Resume() // took has passed by before Pause
	}
	return true, nil
}

// took notes that a message of so many bytes waits no more.
func (w *wsConn) took(bytes int) {
	size := kib(int64(bytes))
	left, _ := w.wait(-size)
	for _, half := range [...]int32{w.maxWaiting() / 2, crowdedWaiting / 2} {
		if left <= half && left+size > half {
			w.conn.Resume()
		}
	}
}
