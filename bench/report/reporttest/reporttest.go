// Package reporttest makes results of runs that never were, always the same ones, for tests of what is
// printed and drawn.
package reporttest

import (
	"math/rand/v2"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// The run: users arrive at 1,000 each second, wait at the plateau, and get ten messages a second each.
const (
	users    = 15_000
	plateau  = 1_000
	arrivals = 1_000
	messages = 10 // each second

	plateauAt = 2  // seconds: when it is reached
	onwardsAt = 7  // when arrivals go on
	arrivedAt = 25 // when all are there and quiet
	sentAt    = 112
	endAt     = 120
)

// Valid returns a broadcast to 15,000 connections over two minutes, with a few errors and a full ledger.
func Valid() *bench.Result { return Broadcast(1, 1) }

// Broadcast is the run of Valid made of another seed, with a target that is slower and larger by a factor.
func Broadcast(seed uint64, factor float64) *bench.Result {
	m := maker{random: rand.New(rand.NewPCG(seed, 0)), factor: factor, result: describe(seed)}
	for second := 1; second <= endAt; second++ {
		m.second(second)
	}
	m.finish()
	return m.result
}

// Invalid returns a run whose generator had too little CPU.
func Invalid() *bench.Result {
	r := Broadcast(2, 1.6)
	r.Verdict = bench.Invalid
	r.Reasons = []string{
		"the generator used 97 % of its 2 processors in 61 of 120 seconds",
		"4.2 % of what was due was begun more than 100 ms late: the figures say more of the generator than of the target",
	}
	r.Limit = "The generator, not the target: it used 97 % of its 2 processors in 61 of 120 seconds; share the load with --agents."
	for i := range r.Points {
		if h := &r.Points[i].Health; i > arrivedAt {
			h.CPU, h.Late = 0.97, h.Due/20
			h.LateMax, h.Lag = h.LateMax*40, h.Lag*60
		}
	}
	return r
}

// Failed returns a run of two agents, one of which was lost, whose target lost messages in a topic with a
// hostile name.
func Failed() *bench.Result {
	r := Broadcast(3, 1.2)
	r.Verdict = bench.Failed
	r.Reasons = []string{"131 of 13,049,130 deliveries never came, most of them on " + HostileTopic}
	r.Account.Missing, r.Account.Received = 131, r.Account.Expected-131
	r.Account.Worst = []bench.Shortfall{
		{Topic: HostileTopic, Seq: 412, Expected: 14_999, Received: 14_899},
		{Topic: "rooms:lobby", Seq: 77, Expected: 14_999, Received: 14_969, Extra: 2},
		{Topic: "rooms:lobby", Seq: 801, Expected: 14_999, Received: 14_998},
	}
	r.Account.Extra = 2
	local := r.Generators[0]
	local.Name, local.Counts.Users = "10.0.0.5:9900", 10_000
	other := local
	other.Name, other.Host.Name, other.Counts.Users = "10.0.0.6:9900", "load-2", 5_000
	other.ClockOffset, other.ClockError = -1840*time.Microsecond, 120*time.Microsecond
	other.Lost = "it has said nothing for 10 s"
	r.Generators = []bench.GeneratorResult{local, other}
	r.Ledger = nil
	r.Notes = append(r.Notes, "agent 10.0.0.6:9900 was lost 80 seconds into the run")
	return r
}

// HostileTopic is markup and an escape sequence, which nothing that shows it may obey.
const HostileTopic = "</script><script>alert(1)</script>\x1b[2J<b>room"

func describe(seed uint64) *bench.Result {
	cfg, err := bench.Config{
		Scenario: "broadcast", URLs: []string{"ws://127.0.0.1:4000/socket"}, Connections: users,
		ArrivalRate: arrivals, Rate: messages, Duration: 87 * time.Second, Seed: 20_260_000 + seed,
	}.Check()
	if err != nil {
		panic(err) // the configuration above is wrong
	}
	return &bench.Result{
		Format: bench.ResultFormat, Config: cfg, Version: "dormouse 0.3.0",
		Command: []string{"dormouse", "bench", "broadcast", "--url", "ws://127.0.0.1:4000/socket", "--connections", "15000", "--rate", "10/s"},
		Started: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), Elapsed: endAt * time.Second,
		Verdict: bench.Valid,
		Limit:   "Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 of 2 processors.",
		Notes:   []string{"messages were sent by users taken at random from all of the topic"},
		Latency: map[string]*bench.Histogram{},
		Target: bench.Target{
			URLs: []string{"ws://127.0.0.1:4000/socket"}, Server: "dormouse", PID: 4242, Name: "dormouse", Own: true, Engine: "epoll",
		},
	}
}

// Long returns a run of so many seconds, at least 120, in which the traffic goes on and on.
func Long(seconds int) *bench.Result {
	r := Valid()
	for i := range r.Points[sentAt-1:] {
		r.Points[sentAt-1+i].Stage = bench.StageArrived
	}
	for len(r.Points) < seconds {
		n := len(r.Points)
		like := arrivedAt + n%(sentAt-arrivedAt-2)
		r.Points = append(r.Points, following(r.Points[n-1], r.Points[like-1], r.Points[like]))
	}
	last := r.Points[len(r.Points)-1]
	r.Counts, r.Elapsed = last.Counts, time.Duration(seconds)*time.Second
	return r
}

// following is the second after last, in which as much happens as between two others.
func following(last, from, to bench.Point) bench.Point {
	p, before, after := to, from.Counts, to.Counts
	p.Second, p.Stage, p.Counts = last.Second+1, bench.StageArrived, last.Counts
	p.Counts.Sent += after.Sent - before.Sent
	p.Counts.Delivered += after.Delivered - before.Delivered
	p.Counts.Heartbeats += after.Heartbeats - before.Heartbeats
	p.Counts.BytesIn += after.BytesIn - before.BytesIn
	p.Counts.BytesOut += after.BytesOut - before.BytesOut
	p.Generator.CPU = last.Generator.CPU + to.Generator.CPU - from.Generator.CPU
	theirs := *to.Target
	theirs.CPU = last.Target.CPU + to.Target.CPU - from.Target.CPU
	p.Target = &theirs
	return p
}
