package poller_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// patience bounds a failing test; a passing one never waits for it.
const patience = time.Minute

// engines are what the contract is held against.
var engines = []struct {
	name string
	make func(poller.Config) (poller.Engine, error)
	// readsOn excepts an engine from back-pressure by TCP: cloudwego/netpoll reads whatever comes,
	// and has no way to be told to wait.
	readsOn bool
}{
	{"epoll", func(c poller.Config) (poller.Engine, error) { return poller.NewEpoll(c) }, false},
	{"netpoll", func(c poller.Config) (poller.Engine, error) { return poller.NewNetpoll(c) }, true},
	{"goroutine", func(c poller.Config) (poller.Engine, error) { return poller.NewGoroutine(c) }, false},
}

// forEachEngine runs f as a subtest for every engine.
func forEachEngine(t *testing.T, f func(t *testing.T, start starter)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			f(t, func(cfg poller.Config) *rig {
				r := startRig(t, e.make, cfg)
				r.readsOn = e.readsOn
				return r
			})
		})
	}
}

type starter func(poller.Config) *rig

// A rig is an engine that serves one loopback listener.
type rig struct {
	poller.Engine
	readsOn bool
	t       testing.TB
	addr    string
	served  chan error
	once    sync.Once
}

func startRig(t testing.TB, mk func(poller.Config) (poller.Engine, error), cfg poller.Config) *rig {
	t.Helper()
	e, err := mk(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Engine: e, t: t, addr: l.Addr().String(), served: make(chan error, 1)}
	go func() { r.served <- e.Serve(l) }()
	t.Cleanup(func() { r.stop(patience) })
	return r
}

// stop shuts the engine down and checks that nothing is left open.
func (r *rig) stop(within time.Duration) (err error) {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		err = r.Shutdown(ctx)
		if got := <-r.served; got != poller.ErrShutdown {
			r.t.Errorf("Serve returned %v, want ErrShutdown", got)
		}
		settled(r.t, r.Stats, err)
	})
	return err
}

// settled checks that nothing is left open after Shutdown. One that did not wait for all leaves workers on their
// way out of OnClose.
func settled(t testing.TB, stats func() poller.Stats, shutdown error) {
	t.Helper()
	all := func() bool { s := stats(); return s.Open == 0 && s.Accepted == s.Closed+s.Detached }
	if shutdown != nil {
		eventually(t, "every OnClose has returned", all)
	} else if !all() {
		t.Errorf("after Shutdown: %+v", stats())
	}
}

func (r *rig) dial() peerConn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return peerConn{c.(*net.TCPConn)}
}

// A peerConn is a peer's end. Each read and each write may take patience, however long the test does.
type peerConn struct{ *net.TCPConn }

func (c peerConn) Read(b []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	return c.TCPConn.Read(b)
}

func (c peerConn) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(patience))
	return c.TCPConn.Write(b)
}

// ReadFrom keeps io.Copy from writing past Write.
func (c peerConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{c}, r) }

// A probe is a Handler whose every call can be watched; unset functions do the plain thing.
type probe struct {
	data    func(c poller.Conn, p []byte) int
	timeout func(c poller.Conn)
	opened  chan poller.Conn
	closed  chan error
}

func newProbe() *probe {
	return &probe{opened: make(chan poller.Conn, 1024), closed: make(chan error, 1024)}
}

func (p *probe) accept(c poller.Conn) poller.Handler {
	p.opened <- c
	return p
}

func (p *probe) OnData(c poller.Conn, b []byte) int {
	if p.data == nil {
		return len(b)
	}
	return p.data(c, b)
}

func (p *probe) OnTimeout(c poller.Conn) {
	if p.timeout != nil {
		p.timeout(c)
	}
}

func (p *probe) OnClose(_ poller.Conn, reason error) { p.closed <- reason }

// task is a function as a Task.
type task func(c poller.Conn)

func (t task) Run(c poller.Conn) { t(c) }

// echo answers from a task, as an application does.
func echo(c poller.Conn, p []byte) int {
	b := append([]byte(nil), p...)
	full, err := c.Do(task(func(c poller.Conn) { c.Write(b) }))
	if err != nil {
		return len(p)
	}
	_ = full
	return len(p)
}

func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

func readFull(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %d of %d bytes: %v", got, n, err)
	}
	return b
}

func mustWrite(t testing.TB, w io.Writer, p []byte) {
	t.Helper()
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
}

// eventually yields until cond holds. It is for state that has no event to wait for.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
