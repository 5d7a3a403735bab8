package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// Drain says how [Server.Shutdown] sends clients away: in batches over time, so that a deploy is no storm of
// reconnects (section 7). A server with no more sockets than one batch has sends them away at once.
type Drain struct {
	// BatchSize is how many sockets are closed at a time, those of the long-poll transport counted as
	// any other. Default 10,000. When there are so many sockets that the batches would not fit into
	// Timeout, they are made as large as they must be: the last would otherwise be all the rest.
	BatchSize int

	// Interval is the pause between two batches. There is none behind the last. Default 2 s; negative:
	// all sockets are closed at once.
	Interval time.Duration

	// Timeout bounds the batches. Default 30 s. The deadline of Shutdown's context does so too, if it is
	// sooner.
	Timeout time.Duration

	// Delay is how long [Server.Healthz] answers 503, and everything else goes on, before connections
	// are refused and the first batch is closed: the time in which a balancer notices. Default 0.
	Delay time.Duration
}

const (
	defaultDrainBatch    = 10_000 // section 0.2, as the following two
	defaultDrainInterval = 2 * time.Second
	defaultDrainTimeout  = 30 * time.Second
)

func (d *Drain) setDefaults() error {
	switch {
	case d.BatchSize < 0:
		return fmt.Errorf("server: Config.Drain.BatchSize is %d; 0 is the default of %d", d.BatchSize, defaultDrainBatch)
	case d.Timeout < 0 || d.Delay < 0:
		return errors.New("server: Config.Drain.Timeout and Delay cannot be negative; 0 is the default")
	}
	if d.BatchSize == 0 {
		d.BatchSize = defaultDrainBatch
	}
	if d.Interval == 0 {
		d.Interval = defaultDrainInterval
	}
	if d.Timeout == 0 {
		d.Timeout = defaultDrainTimeout
	}
	return nil
}

// plan returns how many sockets of total go into a batch, and how many batches that makes, when so much time
// is left. An interval is kept after the last for the peers to answer; a tenth of one may be missing, since a
// deadline runs while the plan is made.
func (d *Drain) plan(total int, left time.Duration) (batch, rounds int) {
	if total == 0 {
		return d.BatchSize, 0
	}
	batch = total
	if d.Interval > 0 {
		fit := max(1, int((left+d.Interval/10)/d.Interval))
		batch = max(d.BatchSize, (total+fit-1)/fit)
	}
	return batch, (total + batch - 1) / batch
}

// A drainer is how far a server is with its end.
type drainer struct {
	unready atomic.Bool // Shutdown has begun
	left    atomic.Int64
	closed  atomic.Int64

	hurried chan struct{} // closed by a second Shutdown: no more pauses
	once    sync.Once     // of hurried

	after func(time.Duration) <-chan time.Time // time.After, but in tests
}

func (d *drainer) init() { d.hurried, d.after = make(chan struct{}), time.After }

func (d *drainer) hurry() { d.once.Do(func() { close(d.hurried) }) }

// wait returns after t, when ctx ends, or when a second Shutdown wants no pauses.
func (d *drainer) wait(ctx context.Context, t time.Duration) {
	if t <= 0 || ctx.Err() != nil {
		return
	}
	select {
	case <-d.after(t):
	case <-ctx.Done():
	case <-d.hurried:
	}
}

// drain refuses new connections and tells every socket to go, batch by batch. Sockets that are being opened
// meanwhile are told by whoever opens them.
func (s *Server) drain(ctx context.Context) {
	d := &s.drainer
	d.wait(ctx, s.cfg.Drain.Delay)
	s.draining.Store(true)
	left := s.cfg.Drain.Timeout
	if end, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(end))
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	b := &batches{srv: s, ctx: ctx}
	s.eachSocket(func(*wsConn) { b.total++ })
	d.left.Store(int64(b.total))
	b.size, b.rounds = s.cfg.Drain.plan(b.total, left)
	s.eachSocket(b.close)
	d.left.Store(0)
}

// eachSocket calls f for every socket, of channels and of plain messages, until all have been seen. f may
// block: nothing is locked.
func (s *Server) eachSocket(f func(*wsConn)) {
	each := func(_ poller.Conn, h poller.Handler) bool {
		if u, ok := h.(upgradedHandler); ok {
			f(u.base())
		}
		return true
	}
	s.engine.Each(each)
	if s.polls != nil {
		s.polls.engine.Each(each)
	}
}

// batches closes sockets, and pauses in the midst of the one walk over them: so no list of them is kept, and
// none is looked at twice.
type batches struct {
	srv           *Server
	ctx           context.Context
	total         int // when the walk began; some have gone by themselves since
	size, rounds  int
	round, closed int // the batch that is being closed, and how many of it have been
}

// yieldEach is after how many sockets others run: at some microseconds for a write and a FIN, a loop that
// shares the processor waits a fraction of a millisecond.
const yieldEach = 64

func (b *batches) close(w *wsConn) {
	d := &b.srv.drainer
	if b.closed == b.size {
		b.report()
		b.round, b.closed = b.round+1, 0
		d.wait(b.ctx, b.srv.cfg.Drain.Interval)
	}
	b.closed++
	d.closed.Add(1)
	d.left.Add(-1)
	w.close(codeServiceRestart, "")
	if b.closed%yieldEach == 0 {
		runtime.Gosched()
	}
}

// report logs a batch that another follows.
func (b *batches) report() {
	d := &b.srv.drainer
	b.srv.cfg.Log.Info("draining", "round", b.round+1, "of", b.rounds, "closed", d.closed.Load(),
		"left", max(0, d.left.Load()), "every", b.srv.cfg.Drain.Interval)
}
