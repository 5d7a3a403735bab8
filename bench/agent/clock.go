package agent

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// clockExchanges is how often an agent is asked for the time. The answer that was the fastest says most.
	clockExchanges = 16

	// clockLimit bounds all of them.
	clockLimit = 10 * time.Second
)

// An exchange is a question for the time and its answer.
type exchange struct {
	asked  int64         // this clock, in nanoseconds since 1970
	theirs int64         // that one
	took   time.Duration // by a clock that nobody sets
}

// Clock implements [bench.Clocked].
func (r *Remote) Clock(ctx context.Context) (offset, precision time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, clockLimit)
	defer cancel()
	c := r.client()
	defer c.CloseIdleConnections()
	all := make([]exchange, clockExchanges)
	for i := range all {
		if all[i], err = r.readClock(ctx, c); err != nil {
			return 0, 0, fmt.Errorf("agent %s: %w", r.address, err)
		}
	}
	offset, precision = estimate(all)
	return offset, precision, nil
}

func (r *Remote) readClock(ctx context.Context, c *http.Client) (exchange, error) {
	asked := time.Now()
	resp, err := r.ask(ctx, c, http.MethodGet, "/clock", nil)
	if err != nil {
		return exchange{}, err
	}
	defer resp.Body.Close()
	var now reading
	err = decode(resp.Body, &now)
	took := time.Since(asked)
	switch {
	case err != nil:
		return exchange{}, err
	case now.Protocol == 0:
		return exchange{}, errGarbage
	case now.Protocol != protocol:
		return exchange{}, errVersion(now.Protocol)
	}
	return exchange{asked: asked.UnixNano(), theirs: now.Now, took: took}, nil
}

// estimate returns how far the other clock is ahead, and by how much that may be wrong. The answer was
// given at some time between the question and its arrival: taking the middle, the error is at most half of
// the round trip, so that the shortest one is used (RFC 5905, section 8 and appendix A.5.2: the clock
// filter).
func estimate(all []exchange) (offset, precision time.Duration) {
	best := all[0]
	for _, e := range all[1:] {
		if e.took < best.took {
			best = e
		}
	}
	half := best.took / 2
	return time.Duration(best.theirs-best.asked) - half, best.took - half
}
