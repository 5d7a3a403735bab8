package poller_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// blockers answer "b" only once gate is closed, and everything else at once: from a task, which the
// epoll engine runs on the worker that reads.
func blockers(gate chan struct{}, blocked chan<- poller.Conn) func(poller.Conn, []byte) int {
	return func(c poller.Conn, p []byte) int {
		b := append([]byte(nil), p...)
		c.Do(task(func(c poller.Conn) {
			if b[0] == 'b' {
				blocked <- c
				<-gate
			}
			c.Write(b)
		}))
		return len(p)
	}
}

// Application code that blocks holds up nobody else's reading, though there is one loop, and one worker
// after the other gets stuck with it.
func TestBlockedTaskGivesTheLoopAway(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		gate, blocked := make(chan struct{}), make(chan poller.Conn, 64)
		p := newProbe()
		p.data = blockers(gate, blocked)
		r := start(poller.Config{Accept: p.accept, Loops: 1})
		other := r.dial()
		for range 20 {
			c := r.dial()
			mustWrite(t, c, []byte("b"))
			wait(t, blocked, "blocked task")
			mustWrite(t, other, []byte("x"))
			if got := readFull(t, other, 1); got[0] != 'x' {
				t.Fatalf("got %q", got)
			}
		}
		close(gate)
	})
}

// A turn may bring many connections with work of which the first blocks: the others are seen to.
func TestBlockedTaskInFrontOfOthers(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		gate, blocked := make(chan struct{}), make(chan poller.Conn, 64)
		p := newProbe()
		p.data = blockers(gate, blocked)
		r := start(poller.Config{Accept: p.accept, Loops: 1})
		first := r.dial()
		rest := []interface{ Read([]byte) (int, error) }{}
		mustWrite(t, first, []byte("b"))
		for range 30 {
			c := r.dial()
			mustWrite(t, c, []byte("x"))
			rest = append(rest, c)
		}
		for _, c := range rest {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		wait(t, blocked, "blocked task")
		close(gate)
		readFull(t, first, 1)
	})
}

// With every worker stuck the loops still read, and what they bring is worked on as workers come free.
func TestAllWorkersBlocked(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		gate, blocked := make(chan struct{}), make(chan poller.Conn, 64)
		p := newProbe()
		p.data = blockers(gate, blocked)
		r := start(poller.Config{Accept: p.accept, Loops: 1, Workers: 2})
		a, b, late := r.dial(), r.dial(), r.dial()
		mustWrite(t, a, []byte("b"))
		mustWrite(t, b, []byte("b"))
		wait(t, blocked, "blocked task")
		wait(t, blocked, "blocked task")
		mustWrite(t, late, []byte("x"))
		eventually(t, "a connection in the backlog", func() bool { return r.Stats().Backlog == 1 })
		if s := r.Stats(); s.Active != 2 {
			t.Errorf("%d workers are active, want 2", s.Active)
		}
		close(gate)
		readFull(t, late, 1)
	})
}

// A loop whose worker is stuck in application code can be shut down.
func TestShutdownOfALentLoop(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		gate, blocked := make(chan struct{}), make(chan poller.Conn, 64)
		p := newProbe()
		p.data = blockers(gate, blocked)
		r := start(poller.Config{Accept: p.accept, Loops: 1})
		c := r.dial()
		mustWrite(t, c, []byte("b"))
		wait(t, blocked, "blocked task")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		close(gate)
		wait(t, p.closed, "close")
		// Shutdown was told not to wait: the worker is still on its way out of OnClose.
		eventually(t, "the worker's end", func() bool { s := r.Stats(); return s.Closed == 1 && s.Active == 0 })
	})
}

// A task that ends its goroutine, as t.Fatal does, costs a worker and nothing else: later tasks run, the
// connection ends, the loop reads on.
func TestGoexitInTask(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = func(c poller.Conn, b []byte) int {
			if string(b) == "exit" {
				c.Do(task(func(poller.Conn) { runtime.Goexit() }))
				return len(b)
			}
			return echo(c, b)
		}
		r := start(poller.Config{Accept: p.accept, Loops: 1, Workers: 2})
		for range 5 {
			c := r.dial()
			mustWrite(t, c, []byte("exit"))
			eventually(t, "the exit", func() bool { return r.Stats().Active == 0 })
			mustWrite(t, c, []byte("x"))
			readFull(t, c, 1)
			c.Close()
			wait(t, p.closed, "close")
		}
	})
}

// A connection with more tasks than one run takes goes to the backlog when every place is taken, and
// must come out of it though the place that becomes free is that of the loop's own worker.
func TestBacklogBehindTheLoopsWorker(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		done := make(chan struct{}, 100)
		p.data = func(c poller.Conn, b []byte) int {
			for range b {
				c.Do(task(func(poller.Conn) { done <- struct{}{} }))
			}
			return len(b)
		}
		r := start(poller.Config{Accept: p.accept, Loops: 1, Workers: 1})
		for range 20 {
			c := r.dial()
			mustWrite(t, c, make([]byte, 50))
			for range 50 {
				wait(t, done, "task")
			}
			c.Close()
			wait(t, p.closed, "close")
		}
	})
}

// Ending its goroutine is survived by a task that came from elsewhere, on the only worker, and by OnClose.
func TestGoexitElsewhere(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, Loops: 1, Workers: 1, LingerTimeout: 10 * time.Millisecond})
		r.dial()
		conn := wait(t, p.opened, "open")
		ran := make(chan struct{})
		conn.Do(task(func(poller.Conn) { runtime.Goexit() }))
		conn.Do(task(func(poller.Conn) { close(ran) }))
		wait(t, ran, "task after the one that ended its goroutine")
		conn.SetHandler(exiter{p})
		conn.Close()
		wait(t, p.closed, "close")
		if err := r.stop(patience); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// An exiter ends its goroutine in OnClose.
type exiter struct{ *probe }

func (e exiter) OnClose(c poller.Conn, reason error) {
	e.probe.OnClose(c, reason)
	runtime.Goexit()
}
