package poller_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A peer collects what it is sent. It takes no more than limit bytes until that is raised; negative: all.
type peer struct {
	poller.Link
	mu     sync.Mutex
	got    []byte
	limit  int
	closed chan struct{}
}

func (p *peer) Receive(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(b)
	if p.limit >= 0 {
		n = min(n, p.limit-len(p.got))
	}
	p.got = append(p.got, b[:n]...)
	return n
}

func (p *peer) Closed() { close(p.closed) }

func (p *peer) received() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.got)
}

func (p *peer) raise(limit int) {
	p.mu.Lock()
	p.limit = limit
	p.mu.Unlock()
	p.Ready()
}

// forEachMemory runs f with an engine that sleeps and with one that is awake.
func forEachMemory(t *testing.T, f func(t *testing.T, start func(poller.Config) *poller.Memory)) {
	for name, awake := range map[string]bool{"asleep": false, "awake": true} {
		t.Run(name, func(t *testing.T) {
			f(t, func(cfg poller.Config) *poller.Memory {
				e, err := poller.NewMemory(cfg, awake)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					settled(t, e.Stats, e.Shutdown(ctx))
				})
				return e
			})
		})
	}
}

func connect(t *testing.T, e *poller.Memory) *peer {
	t.Helper()
	p := &peer{limit: -1, closed: make(chan struct{})}
	var err error
	if p.Link, err = e.Connect(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// feed sends a copy of data, which the engine may change.
func (p *peer) feed(t *testing.T, data string) {
	t.Helper()
	if err := p.Feed([]byte(data)); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryEcho(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p := newProbe()
		p.data = echo
		e := start(poller.Config{Accept: p.accept, GoroutineBuffer: 3})
		k := connect(t, e)
		k.feed(t, "hello, ")
		k.feed(t, "world")
		eventually(t, "the echo", func() bool { return k.received() == "hello, world" })
		c := wait(t, p.opened, "open")
		if _, err := c.Detach(); err == nil || c.RemoteAddr().IsValid() || c.LocalAddr().IsValid() {
			t.Error("it has a socket")
		}
		k.Finish()
		if err := wait(t, p.closed, "close"); err != io.EOF {
			t.Errorf("OnClose(%v), want io.EOF", err)
		}
		wait(t, k.closed, "Closed")
		if err := k.Feed([]byte("late")); err != poller.ErrClosed {
			t.Errorf("Feed after the end: %v", err)
		}
	})
}

// A sleeping connection's tasks have run when Feed returns, on its goroutine.
func TestMemoryRunsTasksInFeed(t *testing.T) {
	p := newProbe()
	p.data = echo
	e, err := poller.NewMemory(poller.Config{Accept: p.accept}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(t.Context())
	before := runtime.NumGoroutine()
	var all []*peer
	for range 1000 {
		k := connect(t, e)
		k.feed(t, "now")
		if got := k.received(); got != "now" {
			t.Fatalf("got %q when Feed returned", got)
		}
		all = append(all, k)
	}
	if now := runtime.NumGoroutine(); now > before+len(all)/100 { // the process has others
		t.Errorf("%d goroutines more for %d connections", now-before, len(all))
	}
}

func TestMemoryNeedsNoSocket(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		e := start(poller.Config{Accept: newProbe().accept, MaxConns: 1})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Serve(l); err == nil {
			t.Error("Serve serves")
		}
		near, far := net.Pipe()
		defer far.Close()
		if err := e.Attach(near, newProbe(), nil); err == nil {
			t.Error("Attach attaches")
		}
		connect(t, e)
		if _, err := e.Connect(&peer{}); err != poller.ErrMaxConns {
			t.Errorf("a second connection: %v, want ErrMaxConns", err)
		}
		e.Shutdown(t.Context())
		if _, err := e.Connect(&peer{}); err != poller.ErrShutdown {
			t.Errorf("Connect after Shutdown: %v", err)
		}
	})
}

// What comes while a connection is paused is held up to the limit, and read in order after it.
func TestMemoryPause(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p, got := newProbe(), make(chan string, 16)
		p.data = func(c poller.Conn, b []byte) int {
			if b[0] == 'p' {
				c.Pause()
				return 1
			}
			got <- string(b)
			return len(b)
		}
		e := start(poller.Config{Accept: p.accept, ReadBuffer: 8})
		k := connect(t, e)
		k.feed(t, "pabc")
		k.feed(t, "defgh")
		if err := k.Feed([]byte("i")); err != poller.ErrUnread {
			t.Errorf("Feed over the limit: %v, want ErrUnread", err)
		}
		k.Finish()
		if err := k.Feed([]byte("i")); err != poller.ErrClosed {
			t.Errorf("Feed after Finish: %v, want ErrClosed", err)
		}
		if len(got)+len(p.closed) != 0 {
			t.Error("a paused connection was read")
		}
		c := wait(t, p.opened, "open")
		c.Resume()
		if s := wait(t, got, "data"); s != "abcdefgh" {
			t.Errorf("got %q", s)
		}
		if err := wait(t, p.closed, "close"); err != io.EOF {
			t.Errorf("OnClose(%v), want io.EOF", err)
		}
	})
}

// A full mailbox holds what comes, until its tasks have run; nothing is lost and nothing overtakes.
func TestMemoryMailbox(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		gate, p := make(chan struct{}), newProbe()
		p.data = func(c poller.Conn, b []byte) int {
			for i := range b {
				text := []byte{b[i]}
				if full, _ := c.Do(task(func(c poller.Conn) { <-gate; c.Write(text) })); full {
					return i + 1
				}
			}
			return len(b)
		}
		e := start(poller.Config{Accept: p.accept, MailboxLimit: 2, ReadBuffer: 4})
		k := connect(t, e)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for _, b := range []byte("0123456789") {
				for k.Feed([]byte{b}) == poller.ErrUnread {
					runtime.Gosched()
				}
			}
		}()
		close(gate)
		wait(t, sent, "all is sent")
		eventually(t, "the echo", func() bool { return k.received() == "0123456789" })
	})
}

// A peer that takes nothing makes the outbox grow to its limit; then what waits leaves in order.
func TestMemoryOutbox(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p := newProbe()
		e := start(poller.Config{Accept: p.accept, OutboxLimit: 8})
		k := connect(t, e)
		c := wait(t, p.opened, "open")
		k.raise(2)
		for _, s := range []string{"abcd", "efgh", ""} {
			if err := c.Send([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Write([]byte("ijk")); err != poller.ErrOutboxFull {
			t.Errorf("over the limit: %v", err)
		}
		if k.received() != "ab" || c.Outbox() != 6 {
			t.Errorf("received %q, %d wait", k.received(), c.Outbox())
		}
		k.raise(5)
		if k.received() != "abcde" || c.Outbox() != 3 {
			t.Errorf("received %q, %d wait", k.received(), c.Outbox())
		}
		c.CloseWith([]byte("!"))
		if err := wait(t, p.closed, "close"); err != nil {
			t.Errorf("OnClose(%v)", err)
		}
		select {
		case <-k.closed:
			t.Error("gone before its last bytes")
		default:
		}
		k.raise(-1)
		wait(t, k.closed, "Closed")
		if k.received() != "abcdefgh!" {
			t.Errorf("received %q", k.received())
		}
	})
}

func TestMemoryEnds(t *testing.T) {
	mine := errors.New("mine")
	for _, row := range []struct {
		name string
		end  func(*poller.Memory, poller.Conn, *peer)
		want error
		last string
	}{
		{"Close", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.Close() }, nil, ""},
		{"CloseWith", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.CloseWith([]byte("bye")) }, nil, "bye"},
		{"CloseWith nothing", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.CloseWith(nil) }, nil, ""},
		{"Truncate", func(_ *poller.Memory, c poller.Conn, k *peer) {
			k.raise(0)
			c.Send([]byte("dropped"))
			c.Truncate([]byte("bye"))
			k.raise(-1)
		}, poller.ErrOutboxFull, "bye"},
		{"Abort", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.Abort(mine) }, mine, ""},
		{"Abort while paused", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.Pause(); c.Abort(mine) }, mine, ""},
		{"Close while paused", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.Pause(); c.Close() }, nil, ""},
		{"Finish", func(_ *poller.Memory, _ poller.Conn, k *peer) { k.Finish(); k.Finish() }, io.EOF, ""},
		{"deadline", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.SetDeadline(time.Millisecond) }, errTimedOut, ""},
		{"idle", func(_ *poller.Memory, c poller.Conn, _ *peer) { c.SetIdleTimeout(time.Millisecond) }, errTimedOut, ""},
		{"write timeout", func(_ *poller.Memory, c poller.Conn, k *peer) { k.raise(0); c.Send([]byte("x")) }, poller.ErrWriteTimeout, ""},
		{"Shutdown", func(e *poller.Memory, _ poller.Conn, _ *peer) { e.Shutdown(context.Background()) }, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
				p := newProbe()
				p.timeout = func(c poller.Conn) { c.Abort(errTimedOut) }
				cfg := poller.Config{Accept: p.accept}
				if row.want == poller.ErrWriteTimeout {
					cfg.WriteTimeout = 20 * time.Millisecond
				}
				e := start(cfg)
				k := connect(t, e)
				c := wait(t, p.opened, "open")
				row.end(e, c, k)
				if err := wait(t, p.closed, "close"); err != row.want {
					t.Errorf("OnClose(%v), want %v", err, row.want)
				}
				wait(t, k.closed, "Closed")
				if k.received() != row.last {
					t.Errorf("received %q, want %q", k.received(), row.last)
				}
				if k.Feed([]byte("late")) != poller.ErrClosed || c.Send([]byte("late")) != poller.ErrClosed {
					t.Error("it is not closed")
				}
				c.Close()
				k.Finish()
				k.Ready()
				if n := len(p.closed); n != 0 {
					t.Errorf("OnClose came %d times more", n)
				}
			})
		})
	}
}

// Accept may end a connection before it has begun.
func TestMemoryAcceptAborts(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p := newProbe()
		e := start(poller.Config{Accept: func(c poller.Conn) poller.Handler { c.Abort(nil); return p }})
		k := &peer{closed: make(chan struct{})}
		link, err := e.Connect(k)
		wait(t, k.closed, "Closed")
		wait(t, p.closed, "close")
		if err != poller.ErrClosed && link.Feed(nil) != poller.ErrClosed {
			t.Errorf("Connect: %v", err)
		}
	})
}

// With every worker held up, deadlines come and Shutdown resets.
func TestMemoryWorkersBlocked(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		gate, blocked, timedOut := make(chan struct{}), make(chan poller.Conn, 1), make(chan struct{})
		p := newProbe()
		p.data = blockers(gate, blocked)
		p.timeout = func(poller.Conn) { close(timedOut) }
		e := start(poller.Config{Accept: p.accept, Workers: 1})
		k := connect(t, e)
		go k.Feed([]byte("b"))
		wait(t, blocked, "blocked task")
		<-p.opened
		other := connect(t, e)
		wait(t, p.opened, "open").SetDeadline(time.Millisecond)
		wait(t, timedOut, "OnTimeout")
		other.feed(t, "x") // its task waits
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		wait(t, k.closed, "Closed")
		wait(t, other.closed, "Closed")
		close(gate)
		wait(t, p.closed, "close")
		wait(t, p.closed, "close")
	})
}

// A task that ends its goroutine ends that of Feed, and nothing else.
func TestMemoryGoexitInTask(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p := newProbe()
		p.data = func(c poller.Conn, b []byte) int {
			text := bytes.Clone(b)
			c.Do(task(func(c poller.Conn) {
				if text[0] == 'x' {
					runtime.Goexit()
				}
				c.Write(text)
			}))
			return len(b)
		}
		e := start(poller.Config{Accept: p.accept, Workers: 1})
		k := connect(t, e)
		for range 10 {
			var wg sync.WaitGroup
			wg.Go(func() { k.Feed([]byte("x")) })
			wg.Wait()
		}
		k.feed(t, "on")
		eventually(t, "the echo", func() bool { return k.received() == "on" })
		eventually(t, "no worker at work", func() bool { return e.Stats().Active == 0 })
	})
}

// Several goroutines feed one connection: what each sends is read in its order.
func TestMemoryConcurrentFeeds(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		const feeders, each = 4, 2000
		var last [feeders]int
		p, total := newProbe(), 0
		done := make(chan struct{})
		p.data = func(_ poller.Conn, b []byte) int {
			for i := 0; i < len(b); i += 3 {
				f, n := b[i], int(b[i+1])<<8|int(b[i+2])
				if n != last[f]+1 {
					t.Errorf("feeder %d: %d after %d", f, n, last[f])
				}
				last[f] = n
				if total++; total == feeders*each {
					close(done)
				}
			}
			return len(b)
		}
		e := start(poller.Config{Accept: p.accept})
		k := connect(t, e)
		for f := range feeders {
			go func() {
				for n := 1; n <= each; n++ {
					for k.Feed([]byte{byte(f), byte(n >> 8), byte(n)}) == poller.ErrUnread {
						runtime.Gosched()
					}
				}
			}()
		}
		wait(t, done, "all is read")
	})
}
