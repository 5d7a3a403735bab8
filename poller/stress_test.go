package poller_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// seeded returns a source whose seed a failing test prints.
func seeded(t *testing.T) (seed uint64, rnd func(n uint64) *rand.Rand) {
	seed = rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return seed, func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
}

// Two thousand connections come and go at random with echoes on them.
func TestManyConnectionsComeAndGo(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		_, source := seeded(t)
		p := newProbe()
		p.closed = make(chan error, 4096)
		p.opened = make(chan poller.Conn, 4096)
		p.data = echo
		r := start(poller.Config{Accept: p.accept, LingerTimeout: time.Second})
		const goroutines, each = 4, 500
		var wg sync.WaitGroup
		for g := range goroutines {
			rnd := source(uint64(g))
			wg.Go(func() {
				var open []peerConn
				for dialed := 0; dialed < each || len(open) > 0; {
					if dialed < each && (len(open) < 20 || rnd.IntN(2) == 0) && len(open) < 100 {
						c, err := net.Dial("tcp", r.addr)
						if err != nil {
							t.Error(err)
							return
						}
						open, dialed = append(open, peerConn{c.(*net.TCPConn)}), dialed+1
						continue
					}
					i := rnd.IntN(len(open))
					if c := open[i]; !chat(t, rnd, c) {
						open[i] = open[len(open)-1]
						open = open[:len(open)-1]
						c.Close()
					}
				}
			})
		}
		wg.Wait()
		for range goroutines * each {
			wait(t, p.closed, "close")
		}
		eventually(t, "all descriptors to be closed", func() bool { return r.Stats().Open == 0 })
	})
}

// chat does one random thing with a peer's end and reports whether it goes on.
func chat(t *testing.T, rnd *rand.Rand, c peerConn) bool {
	switch rnd.IntN(4) {
	case 0:
		return false
	case 1:
		c.SetLinger(0)
		return false
	}
	sent := bytes.Repeat([]byte{byte(rnd.Uint32())}, 1+rnd.IntN(3000))
	got := make([]byte, len(sent))
	if _, err := c.Write(sent); err != nil {
		t.Error(err)
		return false
	}
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("echo of %d bytes: %v", len(sent), err)
		return false
	}
	return true
}

// A chaos is a Handler that does at random whatever a handler may, and checks what it is promised.
type chaos struct {
	t      *testing.T
	rnd    func() int
	serial atomic.Int32 // OnData and OnTimeout run one at a time
	tasks  atomic.Int32 // as do tasks
	closed atomic.Int32
	total  *atomic.Int64 // calls of OnClose
}

func (h *chaos) OnData(c poller.Conn, b []byte) int {
	h.enter(&h.serial, "OnData")
	defer h.serial.Add(-1)
	switch h.rnd() % 8 {
	case 0:
		c.Pause()
		go c.Resume()
		return len(b) / 2
	case 1:
		if full, _ := c.Do(h); full {
			return len(b) / 2
		}
	case 2:
		if h.rnd()%4 == 0 {
			if nc, err := c.Detach(); err == nil {
				nc.Close()
				h.closed.Add(1)
			}
		}
	default:
		c.Write(b)
	}
	clear(b)
	return len(b)
}

func (h *chaos) OnTimeout(c poller.Conn) {
	h.enter(&h.serial, "OnTimeout")
	defer h.serial.Add(-1)
	c.SetIdleTimeout(5 * time.Millisecond)
}

func (h *chaos) OnClose(poller.Conn, error) {
	h.enter(&h.tasks, "OnClose")
	h.closed.Add(1)
	h.total.Add(1)
	if h.rnd()%8 == 0 {
		runtime.Goexit()
	}
}

func (h *chaos) Run(c poller.Conn) {
	h.enter(&h.tasks, "Run")
	defer h.tasks.Add(-1)
	c.Send([]byte("from a task"))
}

func (h *chaos) enter(n *atomic.Int32, what string) {
	if n.Add(1) != 1 {
		h.t.Errorf("%s runs at the same time as another call", what)
	}
	if h.closed.Load() != 0 {
		h.t.Errorf("%s after the end", what)
	}
}

// disturb does one random thing to a connection from a strange goroutine.
func disturb(rnd *rand.Rand, c poller.Conn) {
	switch rnd.IntN(16) {
	case 0:
		c.Close()
	case 1:
		c.Truncate([]byte("last"))
	case 2:
		c.CloseWith([]byte("last"))
	case 3:
		c.Abort(errors.New("chaos"))
	case 4:
		c.SetDeadline(time.Duration(rnd.IntN(10)) * time.Millisecond)
	case 5:
		c.SetIdleTimeout(time.Duration(rnd.IntN(10)) * time.Millisecond)
	case 6:
		exits := rnd.IntN(2) == 0
		c.Do(task(func(poller.Conn) {
			if exits {
				runtime.Goexit() // as t.Fatal does
			}
		}))
	case 7:
		c.Truncate(nil)
	case 8:
		c.Write(make([]byte, rnd.IntN(1<<18)))
	case 9:
		c.Write(nil)
	case 10:
		c.Resume()
	default:
		c.Send(make([]byte, rnd.IntN(4096)))
		c.RemoteAddr()
		c.Outbox()
	}
}

// Everything that may be done to a connection is done at the same time, up to Shutdown, with Attach.
func TestChaos(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		chaosRound(t, start, poller.Config{})
		chaosRound(t, start, poller.Config{})
		chaosRound(t, start, poller.Config{Workers: 1})
		chaosRound(t, start, poller.Config{MaxConns: 1, Workers: 2})
	})
}

func chaosRound(t *testing.T, start starter, tight poller.Config) {
	seed, source := seeded(t)
	var mu sync.Mutex
	shared := source(0)
	random := func() int { mu.Lock(); defer mu.Unlock(); return shared.IntN(1 << 20) }
	var total atomic.Int64
	handler := func() *chaos { return &chaos{t: t, rnd: random, total: &total} }
	r := start(poller.Config{
		Accept:   func(poller.Conn) poller.Handler { return handler() },
		Loops:    2,
		MaxConns: tight.MaxConns, Workers: tight.Workers,
		OutboxLimit: 64 << 10, MailboxLimit: 2, ReadBuffer: 512, GoroutineBuffer: 512,
		WriteTimeout: 20 * time.Millisecond, LingerTimeout: 20 * time.Millisecond,
	})
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() { peers(source(uint64(1+g)), r.addr, &stop) })
	}
	var stale sync.Map
	for g := range 3 {
		rnd := source(uint64(10 + g))
		wg.Go(func() {
			for ; !stop.Load(); runtime.Gosched() {
				r.Each(func(c poller.Conn, _ poller.Handler) bool {
					disturb(rnd, c)
					stale.Store(rnd.IntN(64), c)
					return rnd.IntN(4) != 0
				})
				if c, ok := stale.Load(rnd.IntN(64)); ok {
					disturb(rnd, c.(poller.Conn))
				}
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			near, far, err := tryPair()
			if err != nil {
				continue
			}
			far.Write([]byte("attached"))
			r.Attach(near, handler(), []byte("early"))
			far.Close()
		}
	})
	eventually(t, "two hundred closes", func() bool { return total.Load() >= 200 })
	within := patience
	if seed%2 == 0 {
		within = time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := r.Shutdown(ctx) // while all of it goes on
	if s := r.Stats(); s.Open != 0 {
		t.Errorf("Shutdown: %v; %+v", err, s)
	}
	stop.Store(true)
	wg.Wait()
	eventually(t, "every OnClose", func() bool { s := r.Stats(); return s.Accepted == s.Closed+s.Detached })
}

// peers dials, writes and ends connections in the ways that a peer can.
func peers(rnd *rand.Rand, addr string, stop *atomic.Bool) {
	for !stop.Load() {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		tc := c.(*net.TCPConn)
		tc.SetDeadline(time.Now().Add(time.Duration(1+rnd.IntN(30)) * time.Millisecond))
		for range rnd.IntN(8) {
			tc.Write(make([]byte, rnd.IntN(2000)))
			if rnd.IntN(2) == 0 {
				tc.Read(make([]byte, 1+rnd.IntN(2000)))
			}
		}
		switch rnd.IntN(3) {
		case 0:
			tc.SetLinger(0)
		case 1:
			tc.CloseWrite()
			io.Copy(io.Discard, tc)
		}
		tc.Close()
	}
}

func tryPair() (near, far net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	if near, err = l.Accept(); err != nil {
		far.Close()
	}
	return near, far, err
}
