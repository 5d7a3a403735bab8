package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// startLimit is how long a member may take to be ready.
	startLimit = 30 * time.Second

	// silenceLimit is how long a member's ticks may be missing. From StageEnd on, when a million
	// connections may have to be closed, it has endLimit, and closeEach for each of them: a close takes some
	// ten system calls of both sides, of 8 us in a virtual machine that is slow with them.
	silenceLimit = 15 * time.Second
	endLimit     = time.Minute
	closeEach    = 200 * time.Microsecond

	// aheadLimit is by how many seconds a tick may lie in the future.
	aheadLimit = 5
)

// A member is a [Member] as the conductor sees it. It is the [Meeting] of its generator. What follows cfg
// belongs to the conductor's goroutine.
type member struct {
	Member
	cfg Config
	run *run

	cancel context.CancelFunc
	heard  time.Time // when its last tick came
	at     int       // the last stage that it has reached; -1: none

	last    Tick
	latency map[string]*Histogram // what its ticks have said so far
	outcome *Outcome
	clock   clock
	ended   bool // its goroutine has
	lost    string
}

// A clock is what was measured of a member's.
type clock struct{ offset, precision time.Duration }

// begin starts the member's goroutine, which ends soon after ctx.
func (m *member) begin(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	go func() {
		outcome, c, err := m.generate(ctx)
		told := ctx.Err()
		m.run.call(func() { m.end(outcome, c, err, told) })
	}()
}

func (m *member) generate(ctx context.Context) (*Outcome, clock, error) {
	before, err := m.readClock(ctx)
	if err != nil {
		return nil, before, err
	}
	cfg := m.cfg
	cfg.ClockOffset = before.offset
	outcome, err := m.Generator.Generate(ctx, cfg, m, m.tick)
	if err == nil && outcome == nil {
		err = errors.New("it ended without an outcome")
	}
	if err != nil || ctx.Err() != nil {
		return outcome, before, err
	}
	after, err := m.readClock(ctx)
	if err != nil {
		return outcome, before, nil // it has done its part; what was measured first must do
	}
	return outcome, before.drifted(after), nil
}

func (m *member) readClock(ctx context.Context) (c clock, err error) {
	if g, ok := m.Generator.(Clocked); ok {
		c.offset, c.precision, err = g.Clock(ctx)
	}
	return c, err
}

// drifted returns c with a precision that covers where the clock was found later.
func (c clock) drifted(later clock) clock {
	c.precision = max(c.precision, (later.offset-c.offset).Abs()+later.precision)
	return c
}

// Wait implements [Meeting].
func (m *member) Wait(ctx context.Context, s Stage) error {
	at := slices.Index(Stages(), s)
	if at < 0 {
		return fmt.Errorf("bench: there is no stage %q", s)
	}
	m.run.call(func() { m.at = max(m.at, at) })
	select {
	case <-m.run.gates[at]:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.run.over:
		return context.Canceled
	}
}

// tick is what the generator calls.
func (m *member) tick(t Tick) {
	m.run.call(func() {
		if m.ended || m.lost != "" || m.run.opened < 0 {
			return
		}
		m.heard = time.Now()
		if t.Second > m.run.second(m.heard)+aheadLimit {
			m.lose(fmt.Sprintf("it counts second %d when it is %d", t.Second, m.run.second(m.heard)))
			return
		}
		m.last = t
		m.latency = mergeLatency(m.latency, t.Latency)
		m.run.enter(m, t)
	})
}

// end is called when the generator has ended. told is its context's error: it was told to.
func (m *member) end(o *Outcome, c clock, err, told error) {
	m.ended, m.clock = true, c
	m.run.running--
	m.cancel()
	switch {
	case m.lost != "":
	case told != nil && errors.Is(err, told):
		m.run.stopped = true
	case err != nil:
		m.lost = err.Error()
	default:
		m.outcome = o
		if m.run.stopped = m.run.stopped || told != nil; o.Stopped && told == nil {
			m.lost = "it was stopped on its side"
		}
	}
	m.run.closeFull()
}

// lose gives the member up. Its goroutine may take its time to end.
func (m *member) lose(why string) {
	m.lost = why
	m.cancel()
	m.run.closeFull()
}

// counts are the member's, as far as is known. What a lost one holds is not.
func (m *member) counts() Counts {
	if m.outcome != nil {
		return m.outcome.Counts
	}
	c := m.last.Counts
	if m.lost != "" {
		c.Open, c.Connected, c.Joined = 0, 0, 0
	}
	return c
}
