package hub

import (
	"runtime"
	"time"
)

const (
	// fewSlots is the size of the topics that are served without a page's buffer. Clearing its 4 KiB
	// takes about as long as all else in a broadcast to one subscriber, 20 ns, and makes a young
	// goroutine's stack grow.
	fewSlots = 16

	// yieldAfter is how long a fan-out runs before it lets others run. To yield costs 10 µs if another
	// processor is idle, since the runtime then wakes it: 2 % of this. Were it done at every page, a
	// fan-out of writes of 130 ns would take a third longer.
	yieldAfter = 500 * time.Microsecond

	noSlot = ^uint32(0) // no slot's number
)

// fanout delivers m to the local subscribers of its topic, but to from, and returns to how many.
func (h *Hub) fanout(m *Message, from *Subscription) (delivered int) {
	hash := h.hash(m.Topic)
	sh := h.shard(hash)
	sh.mu.Lock()
	sh.broadcasts++
	t := sh.topics.find(hash, m.Topic)
	switch {
	case t == nil:
		sh.mu.Unlock()
		return 0
	case t.end() <= fewSlots:
		delivered = sh.fanoutFewLocked(t, m, from)
	default:
		if helpers := h.claimHelpers(t.end()); helpers > 0 {
			delivered = h.fanoutSpreadLocked(sh, t, m, from, helpers)
		} else {
			delivered = sh.fanoutPagesLocked(t, m, from)
		}
	}
	sh.deliveries.Add(uint64(delivered))
	return delivered
}

// fanoutFewLocked needs the lock, and returns without it.
func (sh *shard) fanoutFewLocked(t *topic, m *Message, from *Subscription) int {
	var buf [fewSlots]Subscriber
	n, _ := t.copyPage(buf[:], 0, t.end(), from.slotIn(t))
	sh.mu.Unlock()
	return deliver(buf[:n], m)
}

// fanoutPagesLocked needs the lock, and returns without it. It keeps to the slots that there were at
// the beginning, so that it ends whoever joins meanwhile.
func (sh *shard) fanoutPagesLocked(t *topic, m *Message, from *Subscription) (delivered int) {
	var buf [1 + pageSlots]Subscriber
	end := t.end()
	n, more := t.copyPage(buf[:], 0, end, from.slotIn(t))
	if !more {
		sh.mu.Unlock()
		return deliver(buf[:n], m)
	}
	t.fanouts++
	defer sh.endFanout(t)
	turn := newTurn()
	for p := uint32(1); ; p++ {
		sh.mu.Unlock()
		delivered += deliver(buf[:n], m)
		if !more {
			return delivered
		}
		turn.yield()
		sh.mu.Lock()
		n, more = t.copyPage(buf[:], p, end, from.slotIn(t))
	}
}

// A turn is how long a fan-out has had its processor.
type turn struct{ began time.Time }

func newTurn() turn { return turn{time.Now()} }

// yield lets others run, when that is due.
func (t *turn) yield() {
	if time.Since(t.began) >= yieldAfter {
		runtime.Gosched()
		t.began = time.Now()
	}
}

// deliver hands m to those in buf who are not nil, and returns how many.
func deliver(buf []Subscriber, m *Message) (n int) {
	for _, s := range buf {
		if s != nil {
			s.Deliver(m)
			n++
		}
	}
	return n
}

// slotIn returns the slot of s in t, or noSlot. The lock of t's shard must be held.
func (s *Subscription) slotIn(t *topic) uint32 {
	if s == nil || s.topic.Load() != t {
		return noSlot
	}
	return s.at - 1 // noSlot if s.at is 0
}
