package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// The tests of this package are inside it, for the seams of names and connections.

// A generator is a function that is one.
type generator func(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error)

func (g generator) Generate(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
	return g(ctx, cfg, meet, tick)
}

// play goes through all stages, with a tick at each.
func play(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
	o := &bench.Outcome{Latency: map[string]*bench.Histogram{bench.LatencyJoin: {}}}
	for _, s := range bench.Stages() {
		if err := meet.Wait(ctx, s); err != nil {
			o.Stopped = true
			break
		}
		n := int64(cfg.Connections)
		o.Counts = bench.Counts{Open: n, Connected: n, Dials: n, Upgrades: n, Joins: n}
		o.Latency[bench.LatencyJoin].Record(time.Millisecond)
		tick(bench.Tick{Second: 1, Stage: s, Counts: o.Counts})
	}
	return o, nil
}

// until plays as far as to a stage, at which it says on reached that it is there, and stays until ctx ends.
func until(last bench.Stage, reached chan<- struct{}) generator {
	return func(ctx context.Context, cfg bench.Config, meet bench.Meeting, _ func(bench.Tick)) (*bench.Outcome, error) {
		for _, s := range bench.Stages() {
			if s == last {
				break
			}
			if err := meet.Wait(ctx, s); err != nil {
				return &bench.Outcome{Stopped: true}, nil
			}
		}
		close(reached)
		<-ctx.Done()
		return &bench.Outcome{Stopped: true, Notes: []string{context.Cause(ctx).Error()}}, nil
	}
}

// open is a Meeting whose stages are all open.
type open struct{}

func (open) Wait(ctx context.Context, _ bench.Stage) error { return ctx.Err() }

func ignore(bench.Tick) {}

// start serves an agent on loopback until the test ends, or stop is called, and returns its address.
func start(t *testing.T, o Options, resolve resolver) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), startOn(t, l, o, resolve)
}

func startOn(t *testing.T, l net.Listener, o Options, resolve resolver) (stop func()) {
	t.Helper()
	if resolve == nil {
		resolve = lookup
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- serve(ctx, l, o, resolve) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-failed; err != nil {
			t.Errorf("the agent: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// config is a run that was checked, against a target that nobody connects to.
func config(t *testing.T, urls ...string) bench.Config {
	t.Helper()
	if urls == nil {
		urls = []string{"ws://127.0.0.1:4000/socket"}
	}
	c, err := bench.Config{Scenario: "connect", URLs: urls, Connections: 10}.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A relay forwards connections to an address until it is cut.
type relay struct {
	l  net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // protects the following
	conns []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{l: l}
	r.wg.Go(func() { r.accept(to) })
	t.Cleanup(r.cut)
	return r
}

func (r *relay) accept(to string) {
	for {
		a, err := r.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", to)
		if err != nil {
			a.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, a, b)
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
			r.wg.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				pair[0].Close()
			})
		}
	}
}

// cut ends all connections at once, as a machine does that goes down.
func (r *relay) cut() {
	r.l.Close()
	r.mu.Lock()
	for _, c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// pipes is a network without sockets, for tests in which time is not real.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9900} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.over:
		return nil, errors.New("nobody is there")
	}
}
