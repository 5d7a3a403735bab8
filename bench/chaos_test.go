// In-package: it looks at gauges and users after a run, of which Generate tells nobody.
package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestChaos has every scenario meet a server of which one answer in twenty is wrong, to its end and
// stopped in its middle.
func TestChaos(t *testing.T) {
	certificate, _ := certificates()
	runs := map[string]func(*testing.T){}
	for _, scenario := range Scenarios() {
		runs[scenario] = func(t *testing.T) { survive(t, &hostile{chaos: 0.05}, scenario, toItsEnd) }
		runs[scenario+" stopped"] = func(t *testing.T) { survive(t, &hostile{chaos: 0.05}, scenario, inItsMiddle) }
		runs[scenario+" over TLS"] = func(t *testing.T) { survive(t, &hostile{chaos: 0.05, tls: certificate}, scenario, toItsEnd) }
		runs[scenario+" over TLS, stopped"] = func(t *testing.T) {
			survive(t, &hostile{chaos: 0.05, tls: certificate}, scenario, inItsMiddle)
		}
	}
	together(t, runs)
}

// together runs subtests at the same time, however few processors there are: most of their time is waiting.
func together(t *testing.T, subtests map[string]func(*testing.T)) {
	var running sync.WaitGroup
	defer running.Wait()
	for name, f := range subtests {
		running.Go(func() { t.Run(name, f) })
	}
}

// When a run is stopped. Its end comes far earlier than toItsEnd, on any machine.
const (
	toItsEnd    = time.Minute
	inItsMiddle = 300 * time.Millisecond
)

// survive runs a scenario against h and checks what is left of it.
func survive(t *testing.T, h *hostile, scenario string, stopAfter time.Duration) {
	startHostile(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), stopAfter)
	defer cancel()
	c, o := generateCrowd(t, ctx, Config{
		Scenario: scenario, URLs: []string{h.url()}, Insecure: true, Connections: 60, ArrivalRate: 300, Plateau: -1,
		Rate: 100, Duration: 1200 * time.Millisecond, Hold: 500 * time.Millisecond, Slow: 0.3,
		Timeout: 300 * time.Millisecond, Settle: 500 * time.Millisecond, Heartbeat: 200 * time.Millisecond,
	})
	if stopAfter == toItsEnd && o.Stopped {
		t.Errorf("the run did not end within %v", stopAfter)
	}
	t.Logf("%+v, %d kinds of errors", o.Counts, len(o.Errors))
	for _, r := range o.Rooms {
		for _, m := range r.Messages {
			if m.Sender && m.Expected < 0 {
				t.Errorf("%s: %d are to get message %d", r.Topic, m.Expected, m.Seq)
			}
		}
	}
	disperse(t, c)
}

// alone is a Meeting of one.
type alone struct{}

func (alone) Wait(ctx context.Context, _ Stage) error { return ctx.Err() }

// generateCrowd is Local.Generate, but returns the crowd instead of dispersing it.
func generateCrowd(t *testing.T, ctx context.Context, cfg Config) (*crowd, *Outcome) {
	t.Helper()
	cfg, err := cfg.Check()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the run's seed is %d", cfg.Seed)
	c, err := newCrowd(ctx, cfg, newScript(cfg), nil)
	if err != nil {
		t.Fatal(err)
	}
	background, stop := context.WithCancel(context.Background())
	r := &localRun{crowd: c, meet: alone{}, tick: func(Tick) {}, stop: stop}
	r.done.Go(func() { r.ticks(background) })
	r.done.Go(func() { c.beat(background) })
	err = r.stages(ctx)
	return c, r.outcome(err != nil)
}

// disperse disperses c and checks that nothing is left.
func disperse(t *testing.T, c *crowd) {
	t.Helper()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.disperse()
	}()
	receive(t, gone)
	var members int64
	for _, r := range c.rooms {
		members += r.members
	}
	gauges := map[string]int64{
		"open": c.counts.open.Load(), "connected": c.counts.connected.Load(), "joined": c.counts.joined.Load(),
		"pending": c.pending.Load(), "awaiting": c.awaiting.Load(), "members": members,
	}
	for name, n := range gauges {
		if n != 0 {
			t.Errorf("%d are %s after the end", n, name)
		}
	}
	if n, arrived := c.counts.users.Load(), int64(c.arrived.Load()); n != arrived {
		t.Errorf("%d users are counted, %d have arrived", n, arrived)
	}
	users := c.present()
	for i := range users {
		if err := users[i].gone(); err != nil {
			t.Errorf("user %d: %v", i, err)
		}
	}
}

// gone says what a user still holds.
func (u *user) gone() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != absent || u.link != nil || u.cut != nil || u.await != 0 || u.flags&pending != 0 {
		return fmt.Errorf("state %d, link %v, cut %v, await %d, flags %b", u.state, u.link, u.cut, u.await, u.flags)
	}
	return nil
}
