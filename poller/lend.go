package poller

import (
	"sync/atomic"
	"time"
)

// A loop is run by one of the workers, and moves between them. What a turn has brought in work the
// worker does itself, after it: waking others for it costs more than most of it does, a third of an
// echo (BenchmarkEcho). Before that it lends the loop. If it makes no headway between two looks of the
// watch, the watch gives the loop to another worker, and what is left of the work to others; the first
// goes on as a plain worker. So application code holds up a loop, once in a while, for about two
// milliseconds at most.
const (
	// watchTick is the time between two looks of the watch.
	watchTick = time.Millisecond

	// watchRest is how many looks without any loop moving make the watch lie down: an idle engine
	// has no ticks.
	watchRest = 50

	// Work that takes longer than slowRun for each connection makes the loop hand all work to other
	// workers for slowFactor times as long as it took: it costs the loop a twentieth of its time.
	slowRun    = 100 * time.Microsecond
	slowFactor = 20

	// longTurn bounds how long a loop sees to work itself before it reads again: what is left by then
	// goes to others.
	longTurn = time.Millisecond
)

// runTasks sees to the connections that have got tasks in this turn. held is false if the loop has gone
// to another worker meanwhile: nothing of it may be touched then.
func (l *loop) runTasks() (held bool) {
	if len(l.runnable) == 0 {
		return true
	}
	w := l.e.workers
	if l.handing() || !w.join() {
		l.handRunnable()
		return true
	}
	began := time.Now()
	lent := l.lend()
	ran, took := 0, time.Duration(0)
	for took < longTurn {
		c := l.nextRunnable(&lent)
		if c == nil {
			break
		}
		ran++
		if c.run() {
			w.submit(c)
		}
		took = time.Since(began)
	}
	if !l.turn.CompareAndSwap(lent, lent+1) {
		return false
	}
	w.part()
	if took >= longTurn {
		l.handRunnable()
	}
	if took > time.Duration(ran)*slowRun {
		l.handOver(took)
	}
	return true
}

// handing reports whether work is left to others for now.
func (l *loop) handing() bool {
	if l.handUntil != 0 && due(l.handUntil, l.now) {
		l.handUntil = 0
	}
	return l.handUntil != 0
}

// handOver leaves work to others after it took so long.
func (l *loop) handOver(took time.Duration) {
	l.handUntil = later(l.e.clock.now(), millis(slowFactor*took))
}

// nextRunnable returns the next connection with work, nil when there is none or the loop is gone. It
// moves the turn on, to another odd number: the watch sees that there is headway. Once it has, the
// lock keeps the loop here until it returns: the watch gives nothing away without it.
func (l *loop) nextRunnable(lent *uint64) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.turn.CompareAndSwap(*lent, *lent+2) {
		return nil
	}
	*lent += 2
	if l.next == len(l.runnable) {
		l.runnable, l.next = l.runnable[:0], 0
		return nil
	}
	c := l.runnable[l.next]
	l.runnable[l.next] = nil
	l.next++
	return c
}

// handRunnable gives what is left of the connections with work to other workers.
func (l *loop) handRunnable() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.runnable[l.next:] {
		l.e.workers.submit(c)
	}
	clear(l.runnable)
	l.runnable, l.next = l.runnable[:0], 0
}

// lend lets the watch give the loop away until it is taken back.
func (l *loop) lend() (lent uint64) {
	lent = l.turn.Add(1)
	if w := &l.e.watch; !w.up.Load() && w.up.CompareAndSwap(false, true) {
		w.wake <- struct{}{}
	}
	return lent
}

// A watch gives loops that were lent for too long to other workers.
type watch struct {
	up   atomic.Bool   // it ticks
	wake chan struct{} // tells it to; has room for one
}

// watchLoops is the watch's goroutine.
func (e *Epoll) watchLoops() {
	defer e.swept.Done()
	seen := make([]uint64, len(e.loops))
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-e.watch.wake:
		case <-e.stop:
			return
		}
		tick.Reset(watchTick)
		for quiet := 0; quiet < watchRest; quiet++ {
			select {
			case <-tick.C:
			case <-e.stop:
				return
			}
			if e.look(seen) {
				quiet = 0
			}
		}
		tick.Reset(time.Hour)
		e.watch.up.Store(false)
		for _, l := range e.loops { // one that was lent before the store saw the watch up
			if isLent(l.turn.Load()) && e.watch.up.CompareAndSwap(false, true) {
				e.watch.wake <- struct{}{}
			}
		}
	}
}

func isLent(turn uint64) bool { return turn&1 == 1 }

// look compares each loop with what it was at the last look and reports whether any has moved.
func (e *Epoll) look(seen []uint64) (moved bool) {
	for i, l := range e.loops {
		turn := l.turn.Load()
		if turn != seen[i] {
			seen[i], moved = turn, true
			continue
		}
		if isLent(turn) && l.turn.CompareAndSwap(turn, turn+1) {
			l.handOver(watchTick)
			l.handRunnable()
			e.workers.lead(l)
			moved = true
		}
	}
	return moved
}
