package poller

import (
	"context"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

// A runner is a connection with tasks. run runs some of them and reports whether more wait.
type runner interface{ run() bool }

// workers runs the tasks of all connections of an engine on a shared pool.
//
// At most limit connections are worked on at once. Beyond that a connection waits in the backlog,
// where it stands at most once, so the backlog is bounded by the number of connections.
type workers struct {
	pool *ants.PoolWithFuncGeneric[runner]

	mu      sync.Mutex // protects the following
	limit   int
	active  int
	backlog []runner
	first   int
}

// workerExpiry is how long a worker without work stays: long enough to bridge the pauses of a chat,
// short enough that a burst does not leave thousands of stacks behind.
const workerExpiry = 5 * time.Second

func newWorkers(limit int) (*workers, error) {
	w := &workers{limit: limit}
	pool, err := ants.NewPoolWithFuncGeneric(limit, w.work,
		ants.WithExpiryDuration(workerExpiry),
		// Application panics are recovered by the protocol above. One that reaches us is a bug of
		// ours, and a pool that goes on after it would hide a connection that hangs for ever.
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
	if err := w.pool.Invoke(r); err != nil {
		go w.work(r) // the pool is being released after a Shutdown whose context ended first
	}
}

func (w *workers) work(r runner) {
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

// release ends the pool and waits for its goroutines. Nothing may be submitted any more.
func (w *workers) release(ctx context.Context) error { return w.pool.ReleaseContext(ctx) }
