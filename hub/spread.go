package hub

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// spreadPages is how many pages of a topic make a fan-out's share worth a goroutine of its own: 8,160
// subscribers take 16 µs at the very least, several milliseconds when each is sent something. To start a
// goroutine and have a processor woken for it takes 5 µs.
const spreadPages = 32

// A spread is a fan-out on several goroutines: its caller's and helpers', which take page after page until there are
// none left. It comes from a pool, so that it costs no allocation.
type spread struct {
	sh    *shard
	t     *topic
	m     *Message
	from  *Subscription
	end   uint32 // slots that there were at the beginning
	pages uint32

	next      atomic.Uint32 // the page to be taken next; pages and above: there are none left
	delivered atomic.Int64  // by the helpers
	failed    atomic.Pointer[failure]
	helpers   sync.WaitGroup
	help      func() // helper, bound once
}

// A failure is what ended a helper: a panic, or, if value is nil, runtime.Goexit.
type failure struct{ value any }

var spreads = sync.Pool{New: func() any {
	f := new(spread)
	f.help = f.helper
	return f
}}

// claimHelpers returns how many helpers a fan-out to so many slots may have, which must be given back. All fan-outs of
// a hub together have one less than half of the processors, so that with the goroutine of a caller they leave the
// other half to loops and workers.
func (h *Hub) claimHelpers(slots uint32) int32 {
	shares := int32(slots / (h.helperPages * pageSlots))
	if shares < 2 {
		return 0
	}
	limit := h.helperLimit
	if limit == 0 {
		limit = int32(runtime.GOMAXPROCS(0)/2 - 1)
	}
	for {
		used := h.helping.Load()
		n := min(limit-used, shares-1)
		if n <= 0 {
			return 0
		}
		if h.helping.CompareAndSwap(used, used+n) {
			return n
		}
	}
}

// fanoutSpreadLocked is fanoutPagesLocked with so many helpers, which it gives back.
func (h *Hub) fanoutSpreadLocked(sh *shard, t *topic, m *Message, from *Subscription, helpers int32) int {
	t.fanouts++
	end := t.end()
	sh.mu.Unlock()
	f := spreads.Get().(*spread)
	f.sh, f.t, f.m, f.from, f.end = sh, t, m, from, end
	f.pages = (end - 1 + pageSlots - 1) / pageSlots // slot 0 goes with page 0
	f.next.Store(0)
	f.delivered.Store(0)
	f.failed.Store(nil)
	for range helpers {
		f.helpers.Add(1)
		go f.help()
	}
	whole := false
	defer func() {
		if !whole { // Deliver has panicked here, or ended this goroutine
			f.finish(h, helpers)
		}
	}()
	delivered := f.work()
	whole = true
	failed := f.finish(h, helpers)
	delivered += int(f.delivered.Load())
	f.sh, f.t, f.m, f.from = nil, nil, nil, nil
	spreads.Put(f)
	failed.pass()
	return delivered
}

// work takes pages until there are none left.
func (f *spread) work() (delivered int) {
	var buf [1 + pageSlots]Subscriber
	turn := newTurn()
	for {
		p := f.next.Add(1) - 1
		if p >= f.pages {
			return delivered
		}
		f.sh.mu.Lock()
		n, _ := f.t.copyPage(buf[:], p, f.end, f.from.slotIn(f.t))
		f.sh.mu.Unlock()
		delivered += deliver(buf[:n], f.m)
		turn.yield()
	}
}

func (f *spread) helper() {
	whole := false
	defer func() {
		if !whole {
			f.failed.CompareAndSwap(nil, &failure{recover()})
			f.next.Store(f.pages) // the others do not go on
		}
		f.helpers.Done()
	}()
	f.delivered.Add(int64(f.work()))
	whole = true
}

// finish returns when no helper is at work any more, with what ended the first that did not come to its end.
func (f *spread) finish(h *Hub, helpers int32) *failure {
	f.next.Store(f.pages)
	f.helpers.Wait()
	h.helping.Add(-helpers)
	f.sh.endFanout(f.t)
	return f.failed.Load()
}

// pass does to the caller what was done to the helper.
func (f *failure) pass() {
	switch {
	case f == nil:
	case f.value == nil:
		runtime.Goexit()
	default:
		panic(f.value)
	}
}
