package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/sample"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
)

// A driveSide is what sockets of one kind have cost. Times are in nanoseconds.
type driveSide struct {
	Sockets    int           `json:"sockets"`
	Created    time.Duration `json:"created"`  // all of them, connected and joined
	CPU        time.Duration `json:"cpu"`      // for one of them, the collector's part included
	Resident   int64         `json:"resident"` // bytes, all at rest, after a forced collection
	Each       float64       `json:"each"`     // bytes for one: the slope of Resident
	Peak       int64         `json:"peak"`     // bytes, the most that was resident
	Heap       int64         `json:"heap"`     // bytes at rest, of live objects
	Stacks     int64         `json:"stacks"`   // bytes at rest
	Goroutines int           `json:"goroutines"`
	Broadcast  time.Duration `json:"broadcast"`  // median of the times to all sockets
	RoundTrip  time.Duration `json:"round_trip"` // median from a push to its reply
	Closed     time.Duration `json:"closed"`     // all of them, each told that the server shuts down
}

const (
	drivePath       = "/socket/websocket"
	driveRoundTrips = 1000

	// A driven socket sends no heartbeat. It has a deadline all the same, as those of serve have.
	driveTimeout = time.Hour

	// What a side waits for that is not its own work: a reply, the last joins, the end.
	drivePatience = time.Minute
)

// A sideRun is a side while it is driven.
type sideRun struct {
	driver *drive.Driver
	o      *driveOptions
	made   int // sockets
	side   driveSide
}

// driveSockets drives one side.
func driveSockets(ctx context.Context, o *driveOptions) (*driveSide, error) {
	app := chatSocket()
	app.WebSocket.Timeout = driveTimeout
	cfg := server.Config{Sockets: []*server.Socket{app}, Log: slog.New(slog.DiscardHandler)}
	d, err := drive.New(cfg, drive.Options{Awake: !o.hibernate})
	if err != nil {
		return nil, err
	}
	r := &sideRun{driver: d, o: o}
	err = r.run(ctx)
	began := time.Now()
	end, cancel := context.WithTimeout(ctx, drivePatience)
	defer cancel()
	if serr := d.Shutdown(end); err == nil {
		err = serr
	}
	r.side.Closed = time.Since(began)
	return &r.side, err
}

func (r *sideRun) run(ctx context.Context) error {
	probe, err := r.probe(ctx)
	if err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	if err := r.broadcast(ctx); err != nil {
		return err
	}
	if err := r.roundTrips(ctx, probe); err != nil {
		return err
	}
	end, err := sample.ReadProcess(0)
	r.side.Peak = end.PeakRSS
	return err
}

// fill opens all sockets, with a look at the memory when a part of them is there, and another at the end.
func (r *sideRun) fill(ctx context.Context) error {
	all := r.o.connections
	some := all / driveSlope
	before, err := sample.ReadProcess(0)
	if err != nil {
		return err
	}
	if err := r.open(ctx, some-r.made); err != nil {
		return err
	}
	small, err := atRest()
	if err != nil {
		return err
	}
	if err := r.open(ctx, all-r.made); err != nil {
		return err
	}
	large, err := atRest()
	if err != nil {
		return err
	}
	now := sample.ReadRuntime()
	s := &r.side
	s.Sockets, s.CPU = all, (large.CPU-before.CPU)/time.Duration(all)
	s.Resident, s.Each = large.RSS, float64(large.RSS-small.RSS)/float64(all-some)
	s.Heap, s.Stacks, s.Goroutines = now.HeapAlloc, now.StackInuse, now.Goroutines
	return nil
}

// atRest is the process after its garbage was collected. Twice: what sync.Pool holds survives the first.
func atRest() (sample.Process, error) {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	return sample.ReadProcess(0)
}

// A driveProbe is the one socket that somebody listens to.
type driveProbe struct {
	channel drive.Channel
	replies chan drive.Message // has room for one
}

// Message implements drive.Observer. It drops what nobody waits for.
func (p *driveProbe) Message(_ *drive.Socket, m drive.Message) {
	if m.Event != "phx_reply" {
		return
	}
	select {
	case p.replies <- m:
	default:
	}
}

// Closed implements drive.Observer.
func (p *driveProbe) Closed(*drive.Socket, int) {}

// reply waits for the answer to what was sent last.
func (p *driveProbe) reply(ctx context.Context) (drive.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, drivePatience)
	defer cancel()
	select {
	case m := <-p.replies:
		return m, nil
	case <-ctx.Done():
		return drive.Message{}, fmt.Errorf("waiting for a reply: %w", ctx.Err())
	}
}

// probe opens the first socket, whose join must be accepted: the others' answers nobody hears.
func (r *sideRun) probe(ctx context.Context) (*driveProbe, error) {
	p := &driveProbe{replies: make(chan drive.Message, 1)}
	s, err := r.driver.Connect(drivePath, p)
	if err != nil {
		return nil, err
	}
	if p.channel, err = s.Join(r.o.topic, nil); err != nil {
		return nil, err
	}
	m, err := p.reply(ctx)
	if err != nil {
		return nil, err
	}
	if m.Status != "ok" {
		return nil, fmt.Errorf("the join of %s was refused: %s", r.o.topic, m.Payload.Bytes())
	}
	r.made = 1
	return p, nil
}

// open opens n sockets more and waits until all are joined.
func (r *sideRun) open(ctx context.Context, n int) error {
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	var begun atomic.Int64
	for range r.o.workers {
		g.Go(func() error {
			for begun.Add(1) <= int64(n) && gctx.Err() == nil {
				if err := r.openOne(); err != nil {
					return err
				}
			}
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.made += n
	err := r.joined(ctx)
	r.side.Created += time.Since(began)
	return err
}

func (r *sideRun) openOne() error {
	s, err := r.driver.Connect(drivePath, nil)
	if err != nil {
		return err
	}
	_, err = s.Join(r.o.topic, nil)
	return err
}

// joined waits until the hub has a subscription of every socket.
func (r *sideRun) joined(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drivePatience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		n := r.driver.Stats().Server.Hub.Subscriptions
		if n == r.made {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s of %s sockets are joined: %w", report.Count(int64(n)), report.Count(int64(r.made)), ctx.Err())
		}
	}
}

// broadcast sends to all sockets, from outside. Every frame is counted where it comes.
func (r *sideRun) broadcast(ctx context.Context) error {
	var took []time.Duration
	before := r.driver.Stats().Received
	for range r.o.broadcasts {
		began := time.Now()
		if err := r.driver.Server().Broadcast(r.o.topic, "new_msg", map[string]string{"user": "bench", "body": "to all"}); err != nil {
			return err
		}
		took = append(took, time.Since(began))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if got, want := r.driver.Stats().Received-before, int64(r.made*r.o.broadcasts); got != want {
		return fmt.Errorf("%d broadcasts to %s sockets: %d frames came, want %d", r.o.broadcasts, report.Count(int64(r.made)), got, want)
	}
	r.side.Broadcast = middle(took)
	return nil
}

// roundTrips pushes and waits for the reply, again and again, on one socket beside all that sleep.
func (r *sideRun) roundTrips(ctx context.Context, p *driveProbe) error {
	took := make([]time.Duration, 0, driveRoundTrips)
	for range driveRoundTrips {
		began := time.Now()
		ref, err := p.channel.Push("ping", nil)
		if err != nil {
			return err
		}
		m, err := p.reply(ctx)
		if err != nil {
			return err
		}
		took = append(took, time.Since(began))
		if m.Ref != ref || m.Status != "ok" {
			return errors.New("a ping was answered with " + m.Status + " " + string(m.Payload.Bytes()))
		}
	}
	r.side.RoundTrip = middle(took)
	return nil
}

// middle returns the median, 0 of nothing.
func middle(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}
