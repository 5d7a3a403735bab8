// In-package: what a counter promises is looked at in the middle of what it counts.
package bench

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// until looks again and again until done. The time bounds a failing test only.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(time.Minute); !done(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("%s: it did not happen", what)
		}
	}
}

// A noLink takes whatever is sent on it.
type noLink struct{}

func (noLink) Write([]byte) error        { return nil }
func (noLink) CloseWith([]byte)          {}
func (noLink) Abort(error)               {}
func (noLink) SetDeadline(time.Duration) {}
func (noLink) Resume()                   {}

// startUser returns the only user of a crowd, in a state, with a request or a join under way.
func startUser(t *testing.T, scenario string, s state) *user {
	t.Helper()
	cfg, err := Config{Scenario: scenario, URLs: []string{"ws://127.0.0.1:1"}, Connections: 2}.Check()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCrowd(t.Context(), cfg, newScript(cfg), nil)
	if err != nil {
		t.Fatal(err)
	}
	u := c.arrive()
	t.Cleanup(func() {
		u.mu.Lock()
		u.state, u.link = absent, nil
		u.mu.Unlock()
		c.counts.open.Store(0)
		c.disperse()
	})
	u.link, u.state, u.await, u.join = noLink{}, s, 7, 7
	c.counts.open.Store(1)
	if s == joined {
		c.awaiting.Store(1)
		c.counts.joined.Store(1)
		c.rooms[0].members = 1
	} else {
		u.flags |= pending
		c.pending.Store(1)
	}
	return u
}

// Who waits until nobody is on the way and no answer is awaited reads the accounts next: all of it must be in them.
func TestSettledIsCounted(t *testing.T) {
	c := func(u *user) *crowd { return u.crowd }
	errored := func(u *user) (*sync.Mutex, *atomic.Int64) { return &c(u).mu, &c(u).counts.errors }
	for _, row := range []struct {
		name   string
		state  state
		do     func(u *user)
		within func(u *user) (held *sync.Mutex, counter *atomic.Int64) // held stops do behind what counter counts first
	}{
		{"an answer", joined, func(u *user) {
			u.answeredLocked(appendMark(nil, mark{run: u.crowd.run, seq: 7}, 100), true)
		}, func(u *user) (*sync.Mutex, *atomic.Int64) {
			return &c(u).latency[atEcho].shards[u.index%recorderShards].mu, &c(u).counts.answered
		}},
		{"a wrong answer", joined, func(u *user) { u.answeredLocked(nil, false) }, errored},
		{"no answer", joined, func(u *user) { u.mu.Unlock(); defer u.mu.Lock(); u.OnTimeout(nil) }, errored},
		{"a connection that is lost", joined, func(u *user) { u.mu.Unlock(); defer u.mu.Lock(); u.OnClose(nil, io.EOF) }, errored},
		{"one that is ended", joined, func(u *user) { u.endLocked(errors.New("why")) }, errored},
		{"a channel that crashes", joined, func(u *user) { u.channelEndLocked(inbound{joinRef: 7}, "phx_error") }, errored},
		{"a join", joining, func(u *user) { u.joinedLocked() }, func(u *user) (*sync.Mutex, *atomic.Int64) {
			return &c(u).rooms[0].mu, &c(u).counts.joined
		}},
		{"a join that is refused", joining, func(u *user) { u.replyLocked(inbound{ref: 7, status: statusError}) }, errored},
		{"a channel that crashes in the join", joining, func(u *user) { u.channelEndLocked(inbound{joinRef: 7}, "phx_error") }, errored},
		{"a connection that is lost before", joining, func(u *user) { u.mu.Unlock(); defer u.mu.Lock(); u.OnClose(nil, io.EOF) }, errored},
	} {
		t.Run(row.name, func(t *testing.T) {
			u := startUser(t, "echo", row.state)
			under := func() int64 { return c(u).awaiting.Load() + c(u).pending.Load() }
			held, counter := row.within(u)
			was := counter.Load()
			held.Lock()
			release := sync.OnceFunc(held.Unlock)
			defer release()
			var done sync.WaitGroup
			done.Go(func() {
				u.mu.Lock()
				defer u.mu.Unlock()
				row.do(u)
			})
			until(t, "it is being counted", func() bool { return counter.Load() == was+1 })
			if under() != 1 {
				t.Error("it is settled before it is counted")
			}
			release()
			done.Wait()
			if under() != 0 {
				t.Error("it is not settled")
			}
		})
	}
}

// Who is lost between the count of those who are dropped in a storm and the storm comes back as they do.
func TestStormLosesNobody(t *testing.T) {
	u := startUser(t, "storm", joined)
	u.await = 0
	c := u.crowd
	c.awaiting.Store(0)
	s := c.script.(*storm)
	last := c.arrive()
	ctx, cancel := context.WithCancel(t.Context())
	last.mu.Lock() // the count goes no further
	release := sync.OnceFunc(last.mu.Unlock)
	defer release()
	var done sync.WaitGroup
	done.Go(func() { s.drop(ctx, c) })
	until(t, "the first is counted", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return s.dropped[u.index] != 0
	})
	u.OnClose(nil, io.EOF)
	s.agenda.mu.Lock()
	n := len(s.agenda.heap)
	s.agenda.mu.Unlock()
	if n != 1 {
		t.Errorf("%d are to come back, want the one that was lost", n)
	}
	cancel()
	release()
	done.Wait()
}

// A run that is interrupted while users arrive counts those on their way: the target has seen them as well.
func TestInterruptWaitsForArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{script: hold{}, rooms: []*room{{}}, began: time.Now()}
		c.pending.Store(1)
		time.AfterFunc(stopSettle/2, func() {
			c.counts.joins.Add(1)
			c.pending.Add(-1)
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := &localRun{crowd: c, meet: closed{}}
		if err := r.stages(ctx); !errors.Is(err, context.Canceled) || c.counts.joins.Load() != 1 {
			t.Errorf("%v with %d joins, want %v with 1", err, c.counts.joins.Load(), context.Canceled)
		}
	})
}

// closed is a meeting that nobody comes to any more.
type closed struct{}

func (closed) Wait(ctx context.Context, _ Stage) error { return ctx.Err() }

// Who changes rooms is on the way until it has joined, or was refused.
func TestMoveIsSettled(t *testing.T) {
	for _, answer := range []replyStatus{statusOK, statusError} {
		u := startUser(t, "chat", joined)
		c := u.crowd
		u.mu.Lock()
		u.leaveLocked(0)
		for _, step := range []string{"the leave", "the join"} {
			if n := c.pending.Load(); n != 1 {
				t.Errorf("%d are on their way before %s is answered, want 1", n, step)
			}
			u.replyLocked(inbound{ref: u.await, status: answer})
		}
		if n := c.pending.Load(); n != 0 {
			t.Errorf("%d are on their way behind the answers, want 0", n)
		}
		u.mu.Unlock()
	}
}

// A deadlined is a link that knows its deadline.
type deadlined struct {
	noLink
	after time.Duration
}

func (d *deadlined) SetDeadline(after time.Duration) { d.after = after }

// Who goes away leaves a target that stands still the time to read what it has said.
func TestGoAwayIsPatient(t *testing.T) {
	u := startUser(t, "chat", joined)
	link := &deadlined{}
	u.link = link
	u.goAway()
	if want := u.crowd.cfg.Timeout; link.after != want {
		t.Errorf("it is reset after %v, want %v", link.after, want)
	}
}
