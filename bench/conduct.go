package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A Conductor is a run and those who carry it out.
type Conductor struct {
	Config  Config
	Members []Member // at least one

	// Target is sampled each second; nil: it is not. TargetInfo is what is known of it, for the Result.
	Target     *sample.Target
	TargetInfo Target

	// SameHost says that the target and the generators share this kernel, so that each connection
	// is in it twice.
	SameHost bool

	// Progress is called for each second of the run, from one goroutine. It must not block for long.
	Progress func(Point)

	Command []string // as it was typed, for the Result
	Version string   // of the program, likewise
}

// A Member is one generator of a run.
type Member struct {
	Name      string // an agent's address, or local
	Generator Generator
	Weight    int // its share of the load beside the others' weights, 1 to MaxWeight; 0 means 1
}

// MaxWeight bounds a [Member]'s Weight.
const MaxWeight = 1_000_000

// Clocked is a [Generator] with another clock than this process.
type Clocked interface {
	// Clock returns how far the generator's clock is ahead of this one, and by how much that may
	// be wrong. It is called before the run and after it.
	Clock(ctx context.Context) (offset, precision time.Duration, err error)
}

const (
	// lookPeriod is how often members that say nothing are noticed.
	lookPeriod = time.Second

	// stopLimit is how long members may take to end once they should: a generator waits 2 s for what
	// is on its way and 3 s for connections to close, an agent's Outcome travels.
	stopLimit = 12 * time.Second
)

// Conduct carries out a run. It returns when all generators have ended, at most stopLimit after ctx: then the
// Result is of what was done so far, and without an error. A generator that is lost on the way makes the
// Result invalid; an error says that the run could not begin.
func Conduct(ctx context.Context, c Conductor) (*Result, error) {
	cfg, err := c.Config.Check()
	if err != nil {
		return nil, err
	}
	c.Config = cfg
	parts, err := divide(&c.Config, c.Members)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := newRun(c, parts)
	defer func() {
		cancel()
		close(r.over)
		r.helpers.Wait()
	}()
	for _, m := range r.members {
		m.begin(ctx)
	}
	r.conduct(ctx)
	if err := r.noStart(); err != nil {
		return nil, err
	}
	return r.result(), nil
}

// A run is what the conductor knows. All of it belongs to the goroutine of [Conduct]; others reach it
// through call.
type run struct {
	Conductor
	members []*member
	calls   chan func()
	over    chan struct{}  // closed when nobody takes calls any more
	helpers sync.WaitGroup // goroutines that are not members'

	stages
	timeline
	sizes     []size // for the ledger
	unsampled error  // why the target could not be sampled, the first time

	asked   time.Time // when Conduct was called
	looked  time.Time // when members that are silent were last looked for
	stopped bool      // ctx has ended
	running int       // members whose goroutine has not ended
}

func newRun(c Conductor, parts []Config) *run {
	r := &run{Conductor: c, calls: make(chan func()), over: make(chan struct{}), asked: time.Now(), running: len(parts)}
	r.looked = r.asked
	r.stages = newStages()
	r.timeline = timeline{next: 1, seconds: map[int]*second{}}
	for i, m := range c.Members {
		r.members = append(r.members, &member{Member: m, cfg: parts[i], run: r, at: -1})
	}
	return r
}

// call has f run on the conductor's goroutine. It returns without f when the run is over.
func (r *run) call(f func()) {
	select {
	case r.calls <- f:
	case <-r.over:
	}
}

// conduct goes on until all members have ended, or have had stopLimit to do so.
func (r *run) conduct(ctx context.Context) {
	look := time.NewTicker(lookPeriod)
	defer look.Stop()
	stop := ctx.Done()
	var limit <-chan time.Time
	for r.running > 0 {
		select {
		case f := <-r.calls:
			f()
		case now := <-look.C:
			r.look(now)
		case <-stop:
			r.stopped, stop = true, nil
		case <-limit:
			r.abandon()
			return
		}
		if r.noStart() != nil {
			return
		}
		r.openStage(ctx)
		if limit == nil && (r.stopped || len(r.living()) == 0) {
			limit = time.After(stopLimit + r.closing())
		}
	}
}

// look closes seconds that have waited long enough for their ticks, and gives up members that are silent. If
// the conductor itself has stood still, as a stopped process does, what they have said waits to be heard.
func (r *run) look(now time.Time) {
	if gap := now.Sub(r.looked); gap > 2*lookPeriod {
		for _, m := range r.members {
			m.heard = m.heard.Add(gap)
		}
	}
	r.looked = now
	if r.opened < 0 {
		for _, m := range r.living() {
			if m.at < 0 && now.Sub(r.asked) > startLimit {
				m.lose(fmt.Sprintf("it was not ready after %v", startLimit))
			}
		}
		return
	}
	r.closeOverdue(now)
	for _, m := range r.living() {
		limit := silenceLimit
		if r.opened == len(Stages())-1 {
			limit = endLimit + r.closing()
		}
		if silence := now.Sub(m.heard); silence > limit {
			m.lose(fmt.Sprintf("nothing came from it for %v", silence.Round(time.Second)))
		}
	}
}

// closing is what it may take to close all connections, beside the limits that are for anything else.
func (r *run) closing() time.Duration { return time.Duration(r.Config.Connections) * closeEach }

// abandon gives up those that do not end.
func (r *run) abandon() {
	for _, m := range r.living() {
		m.lose(fmt.Sprintf("it did not end within %v", stopLimit))
	}
}

// living returns the members that have neither ended nor are lost.
func (r *run) living() []*member {
	var living []*member
	for _, m := range r.members {
		if !m.ended && m.lost == "" {
			living = append(living, m)
		}
	}
	return living
}

// noStart says who is lost before the run has begun, and why: a run that was asked of several is not worth
// beginning with fewer. nil: nobody is, or it has begun.
func (r *run) noStart() error {
	var why []string
	for _, m := range r.members {
		if m.lost != "" {
			why = append(why, named(m.Name, m.lost))
		}
	}
	if len(why) == 0 || r.opened >= 0 || r.stopped {
		return nil
	}
	return errors.New("the run could not begin: " + strings.Join(why, "; "))
}
