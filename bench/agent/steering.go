package agent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// A steering is what a conductor says to an agent while a run is under way.
type steering struct {
	remote  *Remote
	client  *http.Client
	path    string
	meet    bench.Meeting
	reached []bench.Stage
	opened  chan bench.Stage
	helpers sync.WaitGroup
}

// wait meets the others at a stage that the agent has reached, beside the goroutine that reads ticks.
func (s *steering) wait(ctx context.Context, stage bench.Stage) error {
	if !slices.Contains(bench.Stages(), stage) || slices.Contains(s.reached, stage) {
		return fmt.Errorf("it is at the stage %q: %w", stage, errGarbage)
	}
	s.reached = append(s.reached, stage)
	s.helpers.Go(func() {
		if s.meet.Wait(ctx, stage) != nil {
			return
		}
		select {
		case s.opened <- stage:
		case <-ctx.Done():
		}
	})
	return nil
}

// give gives orders until request ends: at once what is new, and every alivePeriod the same again, so that one
// that is lost on the way does no harm. When ctx ends the agent is told to end, and has endLimit for it; then
// fail is called.
func (s *steering) give(ctx, request context.Context, fail context.CancelCauseFunc) {
	alive := time.NewTicker(alivePeriod)
	defer alive.Stop()
	var o order
	var limit <-chan time.Time
	stop := ctx.Done()
	for {
		select {
		case o.Go = <-s.opened:
		case <-alive.C:
		case <-stop:
			o.Stop, stop = true, nil
			limit = time.After(endLimit)
		case <-limit:
			fail(errNoEnd)
			return
		case <-request.Done():
			return
		}
		s.order(request, o)
	}
}

var errNoEnd = fmt.Errorf("it did not end within %v of being told to", endLimit)

// order gives one order. An error is left to the next one, or to the answer that breaks off.
func (s *steering) order(ctx context.Context, o order) {
	ctx, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	resp, err := s.remote.ask(ctx, s.client, http.MethodPost, s.path, o)
	if err == nil {
		_ = decode(resp.Body, &struct{}{}) // to its end, so that the connection can be used again
		resp.Body.Close()
	}
}
