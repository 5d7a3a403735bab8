package bench

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"
)

// Local generates load from this process. Its zero value is ready.
type Local struct {
	// Allow, if set, is asked for each address that a target's host stands for. An error refuses the
	// run before anything is dialled; no other address is dialled in it.
	Allow func(host string, a netip.AddrPort) error
}

// stopSettle is how long an interrupted run waits for what is on its way.
const stopSettle = 2 * time.Second

// Generate implements [Generator].
func (l Local) Generate(ctx context.Context, cfg Config, meet Meeting, tick func(Tick)) (*Outcome, error) {
	c, err := newCrowd(ctx, cfg, newScript(cfg), l.Allow)
	if err != nil {
		return nil, err
	}
	defer c.disperse()
	background, stop := context.WithCancel(context.Background())
	r := &localRun{crowd: c, meet: meet, tick: tick, stop: stop}
	if err := r.reach(ctx, StageStart); err != nil {
		return r.outcome(true), nil
	}
	c.watch.second() // what was before is nobody's business
	r.done.Go(func() { r.ticks(background) })
	r.done.Go(func() { c.beat(background) })
	err = r.stages(ctx)
	return r.outcome(err != nil), nil
}

// A localRun is one Generate.
type localRun struct {
	crowd *crowd
	meet  Meeting
	tick  func(Tick)
	stop  func() // ends what runs in the background
	done  sync.WaitGroup

	mu    sync.Mutex // protects the following
	stage Stage
}

// reach waits at a stage for the others.
func (r *localRun) reach(ctx context.Context, s Stage) error {
	if err := r.meet.Wait(ctx, s); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stage = s
	return nil
}

func (r *localRun) stages(ctx context.Context) error {
	c := r.crowd
	err := r.arrive(ctx)
	if err == nil {
		c.script.traffic(ctx, c)
		err = ctx.Err()
	}
	if err != nil {
		c.settle(context.Background(), stopSettle)
		return err
	}
	c.settle(ctx, c.cfg.Settle)
	if err := r.reach(ctx, StageSent); err != nil {
		return err
	}
	c.hush(ctx, c.cfg.Settle)
	return r.reach(ctx, StageEnd)
}

// arrive brings the users in, at the plateau and at the end with a rest in which memory can be read.
func (r *localRun) arrive(ctx context.Context) error {
	c := r.crowd
	n, first := len(c.users), c.cfg.Plateau
	if first > 0 && first < n {
		c.arrivals(ctx, steady{first, c.cfg.ArrivalRate * c.cfg.Share})
		debug.FreeOSMemory()
		if err := r.reach(ctx, StagePlateau); err != nil {
			return err
		}
	} else {
		first = 0
	}
	var s schedule = steady{n - first, c.cfg.ArrivalRate * c.cfg.Share}
	if len(c.cfg.Phases) > 0 {
		s = phased(c.cfg.Phases)
	}
	c.arrivals(ctx, s)
	debug.FreeOSMemory()
	return r.reach(ctx, StageArrived)
}

// arrivals connects users, and waits until each is joined, or is not going to be.
func (c *crowd) arrivals(ctx context.Context, s schedule) {
	c.pace(ctx, s, func(_ int, due int64) (time.Duration, bool) {
		if len(c.present()) == len(c.users) {
			return 0, false
		}
		u := c.arrive()
		u.mu.Lock()
		u.connectLocked(due)
		u.mu.Unlock()
		return 0, true
	})
	c.awaitAll(ctx, 3*c.cfg.Timeout, func() bool { return c.pending.Load() == 0 })
}

// settle waits until everything that was sent has come, and everybody is where they were going.
func (c *crowd) settle(ctx context.Context, patience time.Duration) {
	c.awaitAll(ctx, patience, func() bool {
		for _, r := range c.rooms {
			if r.missing() > 0 {
				return false
			}
		}
		return c.awaiting.Load() == 0 && c.pending.Load() == 0
	})
}

// hushFor is how long nothing must come for a generator that does not know what others have sent to
// believe that it has all.
const hushFor = 500 * time.Millisecond

// hush waits until nothing comes any more.
func (c *crowd) hush(ctx context.Context, patience time.Duration) {
	if c.cfg.Parts == 1 {
		return
	}
	last, since := c.counts.delivered.Load(), c.now()
	c.awaitAll(ctx, patience, func() bool {
		if n := c.counts.delivered.Load(); n != last {
			last, since = n, c.now()
		}
		return c.now()-since >= int64(hushFor)
	})
}

// ticks tells of each second until ctx ends.
func (r *localRun) ticks(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for second := 1; ; second++ {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		health, self := r.crowd.watch.second()
		r.mu.Lock()
		stage := r.stage
		r.mu.Unlock()
		r.tick(Tick{
			Second: second, Stage: stage, Counts: r.crowd.snapshot(), Latency: r.crowd.tickLatencies(),
			Self: self, Health: health,
		})
	}
}

// outcome ends the run's goroutines and returns what is known.
func (r *localRun) outcome(stopped bool) *Outcome {
	r.stop()
	r.done.Wait()
	c := r.crowd
	o := &Outcome{
		Counts: c.snapshot(), Latency: map[string]*Histogram{}, Errors: c.errorCounts(), Stopped: stopped,
		Host: readHost(), Unsent: c.unsent,
	}
	if s := c.server.Load(); s != nil {
		o.Server = *s
	}
	c.tickLatencies() // what came after the last second
	for i, name := range latencyNames() {
		if h := &c.latency[i].total; h.Count() > 0 {
			o.Latency[name] = h
		}
	}
	open := c.now()
	if stopped { // a message had all its time if that is longer than twice what any has taken
		for _, room := range c.rooms {
			room.mu.Lock()
			open = min(open, c.now()-int64(stopSettle+2*room.slowest))
			room.mu.Unlock()
		}
	}
	for _, room := range c.rooms {
		if a := room.account(open); len(a.Messages) > 0 || a.Forged > 0 || c.cfg.Parts > 1 {
			o.Rooms = append(o.Rooms, a)
		}
	}
	if room := c.sources.room(); room > 0 && c.cfg.Connections > room {
		o.Notes = append(o.Notes, fmt.Sprintf("The generator's ports are enough for %d connections: give it more addresses with --source, "+
			"or the target more ports with several --url.", room))
	}
	c.script.outcome(o)
	return o
}

// disperse ends all connections, in good order as far as that goes, and frees the crowd.
func (c *crowd) disperse() {
	users := c.present()
	for i := range users {
		u := &users[i]
		u.mu.Lock()
		u.hangUpLocked()
		u.mu.Unlock()
	}
	c.awaitAll(context.Background(), closePatience, func() bool { return c.counts.open.Load() == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = c.engine.Shutdown(ctx) // what is left is reset when ctx ends
	c.watch.close()
}
