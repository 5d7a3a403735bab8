package poller

import (
	"context"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

// A runner is a connection with tasks, or a loop. run runs some of the tasks and reports whether more
// wait.
type runner interface{ run() bool }

// workers runs the tasks of all connections of an engine on a shared pool.
//
// At most limit connections are worked on at once. Beyond that a connection waits in the backlog,
// where it stands at most once, so the backlog is bounded by the number of connections.
type workers struct {
	pool     *ants.PoolWithFuncGeneric[runner]
	standIns sync.WaitGroup // goroutines beside the pool, which see to what a worker has deserted

	mu      sync.Mutex // protects the following
	limit   int
	active  int
	backlog []runner
	first   int
}

// workerExpiry is how long a worker without work stays: long enough to bridge the pauses of a chat,
// short enough that a burst does not leave thousands of stacks behind.
const workerExpiry = 5 * time.Second

// newWorkers makes a pool for limit connections at once, beside so many loops.
func newWorkers(limit, loops int) (*workers, error) {
	w := &workers{limit: limit}
	pool, err := ants.NewPoolWithFuncGeneric(limit+loops, w.work,
		ants.WithExpiryDuration(workerExpiry),
		// Panics of handlers and tasks are recovered before, if they are to be. One that reaches us is
		// a bug of ours, and a pool that goes on after it would hide a connection that hangs for ever.
		ants.WithPanicHandler(func(p any) { panic(p) }))
	if err != nil {
		return nil, err
	}
	w.pool = pool
	return w, nil
}

// submit has r run by a worker, now or when one is free. It may be called by a loop: it does not wait
// for a task. (Invoke can wait for a worker that has left our count and is about to lie down.)
func (w *workers) submit(r runner) {
	w.mu.Lock()
	if w.active >= w.limit {
		w.backlog = append(w.backlog, r)
		w.mu.Unlock()
		return
	}
	w.active++
	w.mu.Unlock()
	w.invoke(r)
}

func (w *workers) invoke(r runner) {
	if err := w.pool.Invoke(r); err != nil {
		w.standIns.Go(func() { w.work(r) }) // the pool is being released: r was deserted, or Shutdown's context has ended
	}
}

// lead has a worker run a loop. It does not count among the active ones.
func (w *workers) lead(l *loop) { w.invoke(l) }

// join counts the calling loop's worker among the active ones, if there is room. part gives the place
// up, to a connection in the backlog if one waits: there may be nobody else to see to it.
func (w *workers) join() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active >= w.limit {
		return false
	}
	w.active++
	return true
}

func (w *workers) part() {
	if r := w.next(nil, false); r != nil {
		w.invoke(r)
	}
}

// desert puts r back when its worker ends in the middle of a task, on a goroutine of its own: the pool
// still counts the one that ends, and may have no room for another before it has.
func (w *workers) desert(r runner) {
	w.standIns.Go(func() {
		w.part()
		w.submit(r)
	})
}

func (w *workers) work(r runner) {
	if l, ok := r.(*loop); ok {
		if !l.run() {
			return
		}
		r = w.next(nil, false) // the loop went to another while this one was among the active
	}
	for r != nil {
		more := r.run()
		r = w.next(r, more)
	}
}

// next returns the connection to run after r, which goes to the end of the queue if it has more.
func (w *workers) next(r runner, more bool) runner {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == len(w.backlog) {
		if more {
			return r
		}
		w.active--
		return nil
	}
	if more {
		w.backlog = append(w.backlog, r)
	}
	r = w.backlog[w.first]
	w.backlog[w.first] = nil
	w.first++
	if w.first == len(w.backlog) {
		w.backlog, w.first = w.backlog[:0], 0
	} else if w.first >= 1024 && w.first > len(w.backlog)/2 {
		n := copy(w.backlog, w.backlog[w.first:])
		clear(w.backlog[n:])
		w.backlog, w.first = w.backlog[:n], 0
	}
	return r
}

// waiting returns how many connections wait for a worker and how many have one.
func (w *workers) waiting() (backlog, active int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.backlog) - w.first, w.active
}

// release ends the pool and waits for its goroutines, and then for those that the last of them have left behind. Nothing
// may be submitted any more.
func (w *workers) release(ctx context.Context) error {
	err := w.pool.ReleaseContext(ctx)
	if err == nil {
		w.standIns.Wait()
	}
	return err
}
