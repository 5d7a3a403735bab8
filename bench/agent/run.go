package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// writeLimit is how long a conductor may take for a line. Ticks wait meanwhile.
const writeLimit = 10 * time.Second

var (
	errStop   = errors.New("the conductor has asked for the end")
	errSilent = fmt.Errorf("the conductor has said nothing for %v", aliveLimit)
)

// A run is one run on an agent. It is the [bench.Meeting] of its generator.
type run struct {
	id    string
	gates []chan struct{} // of each stage, closed when the conductor says go

	alive *time.Timer // ends the run
	end   context.CancelCauseFunc
	ended context.Context

	mu     sync.Mutex // protects the following
	opened int        // how many gates are
	out    *json.Encoder
	flush  *http.ResponseController
}

// newRun returns a run that answers w. Its carryOut must be called.
func newRun(w http.ResponseWriter) *run {
	u := &run{id: rand.Text(), out: json.NewEncoder(w), flush: http.NewResponseController(w)}
	for range bench.Stages() {
		u.gates = append(u.gates, make(chan struct{}))
	}
	u.ended, u.end = context.WithCancelCause(context.Background())
	u.alive = time.AfterFunc(aliveLimit, func() { u.end(errSilent) })
	return u
}

// carryOut runs the generator until it has ended, and returns why it ended early, if it did. over is called before
// the conductor is told.
func (u *run) carryOut(ctx context.Context, g bench.Generator, cfg bench.Config, over func()) error {
	defer u.alive.Stop()
	defer u.end(nil)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(u.ended, func() { cancel(context.Cause(u.ended)) })()

	u.say(line{Hello: &hello{Protocol: protocol, Run: u.id}})
	outcome, err := g.Generate(ctx, cfg, u, func(t bench.Tick) { u.say(line{Tick: &t}) })
	over()
	if err == nil && outcome == nil {
		err = errors.New("the generator ended without an outcome")
	}
	if err == nil {
		early := context.Cause(ctx)
		if early != nil && early != errStop {
			outcome.Notes = append(outcome.Notes, fmt.Sprintf("An agent ended its part early: %v.", early))
		}
		if err = u.say(line{Outcome: outcome}); err == nil {
			return early
		}
	}
	u.say(line{Error: err.Error()})
	return err
}

// say sends a line at once. If it cannot be sent, or the conductor does not take it, the run ends.
func (u *run) say(l line) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.flush.SetWriteDeadline(time.Now().Add(writeLimit))
	err := u.out.Encode(l)
	if err == nil {
		err = u.flush.Flush()
	}
	if err != nil {
		u.end(err)
	}
	return err
}

// Wait implements [bench.Meeting].
func (u *run) Wait(ctx context.Context, s bench.Stage) error {
	at := slices.Index(bench.Stages(), s)
	if at < 0 {
		return fmt.Errorf("agent: there is no stage %q", s)
	}
	if err := u.say(line{Stage: s}); err != nil {
		return err
	}
	select {
	case <-u.gates[at]:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// obey does what the conductor says.
func (u *run) obey(o order) error {
	u.alive.Reset(aliveLimit)
	if o.Stop {
		u.end(errStop)
	}
	if o.Go == "" {
		return nil
	}
	at := slices.Index(bench.Stages(), o.Go)
	if at < 0 {
		return fmt.Errorf("there is no stage %q", o.Go)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for ; u.opened <= at; u.opened++ {
		close(u.gates[u.opened])
	}
	return nil
}
