package bench

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// An agenda says which users come back, and when: one queue for all, as none has a timer.
type agenda struct {
	mu   sync.Mutex // protects the following
	heap appointments
	soon chan struct{} // told that the first appointment has changed
}

// An appointment is a user's next step: to connect, or to join if it is connected.
type appointment struct {
	at   int64 // on the crowd's clock
	user *user
}

type appointments []appointment

func (a appointments) Len() int           { return len(a) }
func (a appointments) Less(i, j int) bool { return a[i].at < a[j].at }
func (a appointments) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *appointments) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *appointments) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newAgenda() *agenda { return &agenda{soon: make(chan struct{}, 1)} }

// add makes an appointment. It may be called with the user's lock held.
func (a *agenda) add(u *user, after time.Duration) {
	at := u.crowd.now() + int64(after)
	a.mu.Lock()
	heap.Push(&a.heap, appointment{at, u})
	first := a.heap[0].user == u
	a.mu.Unlock()
	if first {
		select {
		case a.soon <- struct{}{}:
		default:
		}
	}
}

// postpone moves what was due before at to it: nobody has kept the agenda until then.
func (a *agenda) postpone(at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.heap { // in a heap they stay in order
		a.heap[i].at = max(a.heap[i].at, at)
	}
}

// keep keeps the appointments until ctx ends, and tells behind how late each was.
func (a *agenda) keep(ctx context.Context, c *crowd, behind func(time.Duration)) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		wait := time.Hour
		for {
			u, left := a.next(c.now())
			if u == nil {
				wait = left
				break
			}
			behind(-left)
			u.comeBack(c.now() + int64(left))
			if ctx.Err() != nil {
				return
			}
		}
		t.Reset(wait)
		select {
		case <-t.C:
		case <-a.soon:
		case <-ctx.Done():
			return
		}
	}
}

// next takes the first appointment out if it is due, and returns how far off it is.
func (a *agenda) next(now int64) (u *user, left time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.heap) == 0 {
		return nil, time.Hour
	}
	if left = time.Duration(a.heap[0].at - now); left > 0 {
		return nil, left
	}
	return heap.Pop(&a.heap).(appointment).user, left
}

// comeBack connects a user who is absent, or joins one who is in no topic.
func (u *user) comeBack(due int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.state {
	case absent:
		u.connectLocked(due)
	case upgraded:
		u.setOutLocked()
		u.joinLocked()
	}
}

// reconnectAfter is phoenix.js's reconnectAfterMs, for the connects that failed before, and rejoinAfter
// its rejoinAfterMs.
func reconnectAfter(tries uint16) time.Duration {
	after := [...]time.Duration{10, 50, 100, 150, 200, 250, 500, 1000, 2000}
	if int(tries) < len(after) {
		return after[tries] * time.Millisecond
	}
	return 5 * time.Second
}

func rejoinAfter(tries uint16) time.Duration {
	after := [...]time.Duration{1, 2, 5}
	if int(tries) < len(after) {
		return after[tries] * time.Second
	}
	return 10 * time.Second
}
