package bench

import (
	"context"
	"slices"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// Stages returns all stages in order.
func Stages() []Stage {
	return []Stage{StageStart, StagePlateau, StageArrived, StageSent, StageEnd}
}

// quiet is how long a stage at which memory is read lasts at least: two ticks, so that each member's last
// one is of after its garbage was collected.
const quiet = 2*time.Second + 200*time.Millisecond

// stages are the conductor's part in the [Meeting]s. A stage opens when every living member is at it or at
// a later one, and those before it open with it.
type stages struct {
	gates   []chan struct{} // of each stage, closed when it opens
	opened  int             // the last stage that has opened; -1: none
	reading bool            // memory is being read, before the next one opens
}

func newStages() stages {
	s := stages{opened: -1}
	for range Stages() {
		s.gates = append(s.gates, make(chan struct{}))
	}
	return s
}

// openStage opens the next stage if it can be. ctx bounds the reading of memory before it.
func (r *run) openStage(ctx context.Context) {
	next := r.nextStage()
	if next <= r.opened || r.reading {
		return
	}
	if s := Stages()[next]; r.Config.Plateau > 0 && (s == StagePlateau || s == StageArrived) {
		r.reading = true
		r.helpers.Go(func() { r.readSize(ctx, next) })
		return
	}
	r.open(next)
}

// nextStage is the earliest that a living member is at; -1 if one is at none, or there is none.
func (r *run) nextStage() int {
	living := r.living()
	if len(living) == 0 {
		return -1
	}
	return slices.MinFunc(living, func(a, b *member) int { return a.at - b.at }).at
}

func (r *run) open(stage int) {
	if r.opened < 0 {
		r.start()
	}
	if r.Target != nil {
		r.Target.Renew()
	}
	for _, gate := range r.gates[r.opened+1 : stage+1] {
		close(gate)
	}
	r.opened, r.reading = stage, false
}

// readSize takes a size for the ledger when the target is at rest, and then opens the stage.
func (r *run) readSize(ctx context.Context, stage int) {
	t := time.NewTimer(quiet)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	var target *sample.Process
	if r.Target != nil {
		_, _ = sample.Rest(ctx, func() (int64, error) { return r.resident(ctx) })
		target, _ = r.Target.Sample(ctx)
	}
	kernel := r.kernel()
	r.call(func() {
		if ctx.Err() == nil {
			r.sizes = append(r.sizes, r.sizeNow(target, &kernel))
		}
		r.open(stage)
	})
}

// sizeNow is what all have at this moment, by the members' last ticks.
func (r *run) sizeNow(target *sample.Process, kernel *sample.Kernel) size {
	s := size{target: target, kernel: kernel}
	for _, m := range r.members {
		s.conns += m.counts().Connected
		s.generator = plusProcess(s.generator, m.last.Self)
	}
	return s
}

// resident is the target's memory. A process of this host is not asked for it.
func (r *run) resident(ctx context.Context) (int64, error) {
	if r.Target.PID != 0 {
		p, err := sample.ReadProcess(r.Target.PID)
		return p.RSS, err
	}
	p, err := r.Target.Sample(ctx)
	if p == nil {
		return 0, err
	}
	return p.RSS, nil
}
