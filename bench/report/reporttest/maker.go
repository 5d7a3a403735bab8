package reporttest

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A maker makes a run second by second.
type maker struct {
	random *rand.Rand
	factor float64
	result *bench.Result
	counts bench.Counts
	self   sample.Process
	target sample.Process
}

// second adds one point.
func (m *maker) second(s int) {
	c, latency := &m.counts, map[string]bench.Quantiles{}
	arrive := int64(0)
	if s < plateauAt || s >= onwardsAt {
		arrive = min(arrivals, users-c.Users)
	}
	failed := int64(0)
	if s == 14 || s == 15 {
		failed = 7
	}
	c.Users += arrive
	c.Dials += arrive + failed
	c.Open += arrive
	c.Upgrades += arrive
	c.Joins += arrive
	c.Errors += failed
	c.Connected = c.Open - min(arrive, m.random.Int64N(4))
	c.Joined = c.Connected - min(arrive, m.random.Int64N(9))
	load := float64(arrive) / arrivals
	m.record(latency, bench.LatencyConnect, arrive, 900*time.Microsecond, 0.5+0.3*load)
	m.record(latency, bench.LatencyJoin, arrive, 450*time.Microsecond, 0.4)
	beats := c.Joined / 30
	c.Heartbeats += beats
	m.record(latency, bench.LatencyHeartbeat, beats, 210*time.Microsecond, 0.35)
	stage := stageAt(s)
	if stage == bench.StageArrived {
		c.Sent += messages
		c.Delivered += messages * (users - 1)
		for name, middle := range map[string]time.Duration{
			bench.LatencyFirst: 380 * time.Microsecond, bench.LatencyMedian: 9 * time.Millisecond, bench.LatencyLast: 21 * time.Millisecond,
		} {
			m.recordSeed(latency, name, messages, middle, 0.25, uint64(s))
		}
		m.record(latency, bench.LatencyDeliver, messages*(users-1), 9*time.Millisecond, 0.45)
	}
	c.BytesIn += 180*arrive + 40*beats
	c.BytesOut += 260*arrive + 38*beats
	if stage == bench.StageArrived {
		c.BytesIn += messages * (users - 1) * 78
		c.BytesOut += messages * 82
	}
	m.result.Points = append(m.result.Points, bench.Point{
		Second: s, Stage: stage, Counts: *c, Latency: latency, Health: m.health(arrive, stage),
		Generator: *m.process(&m.self, 312, 0.31, load, stage), Target: m.process(&m.target, 268*m.factor, 0.52*m.factor, load, stage),
		Kernel: m.kernel(),
	})
}

func stageAt(s int) bench.Stage {
	switch {
	case s < onwardsAt:
		return bench.StageStart
	case s < arrivedAt:
		return bench.StagePlateau
	case s < sentAt:
		return bench.StageArrived
	case s < endAt:
		return bench.StageSent
	}
	return bench.StageEnd
}

// record adds n times with a log-normal distribution around middle to the run and to its second.
func (m *maker) record(second map[string]bench.Quantiles, name string, n int64, middle time.Duration, sigma float64) {
	m.recordWith(m.random, second, name, n, middle, sigma)
}

// recordSeed is record with numbers of its own, for callers in the order of a map.
func (m *maker) recordSeed(second map[string]bench.Quantiles, name string, n int64, middle time.Duration, sigma float64, seed uint64) {
	m.recordWith(rand.New(rand.NewPCG(seed, uint64(middle))), second, name, n, middle, sigma)
}

func (m *maker) recordWith(random *rand.Rand, second map[string]bench.Quantiles, name string, n int64, middle time.Duration, sigma float64) {
	if n == 0 {
		return
	}
	if m.result.Latency[name] == nil {
		m.result.Latency[name] = &bench.Histogram{}
	}
	draws := min(n, 400) // of n, each for several
	wander := math.Exp(0.12 * random.NormFloat64())
	times := make([]time.Duration, draws)
	for i := range times {
		x := sigma * random.NormFloat64()
		if n <= arrivals && random.IntN(2000) == 0 {
			x += 2 // a pause now and then
		}
		times[i] = time.Duration(float64(middle) * m.factor * wander * math.Exp(x))
		m.result.Latency[name].RecordN(times[i], (n+int64(i))/draws) // together n
	}
	slices.Sort(times)
	at := func(q float64) time.Duration { return times[int(q*float64(len(times)))] }
	second[name] = bench.Quantiles{
		Count: n, Min: times[0], Mean: at(0.5), P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: times[draws-1],
	}
}

func (m *maker) health(arrive int64, stage bench.Stage) bench.Health {
	busy := 0.02 + 0.2*float64(arrive)/arrivals
	if stage == bench.StageArrived {
		busy = 0.34 + 0.03*m.random.Float64()
		arrive += messages
	}
	return bench.Health{
		Due: arrive, CPU: busy, Waited: 0.1 * m.random.Float64(),
		LateMax: time.Duration(float64(200*time.Microsecond) * math.Exp(0.6*m.random.NormFloat64())),
		Lag:     time.Duration(float64(120*time.Microsecond) * math.Exp(0.5*m.random.NormFloat64())),
	}
}

// process moves p on by one second.
func (m *maker) process(p *sample.Process, each, busy, arriving float64, stage bench.Stage) *sample.Process {
	if stage != bench.StageArrived {
		busy = 0.03 + 0.4*arriving*m.factor
	}
	p.PID, p.Threads, p.FDLimit = 4242, 9, 20_000
	p.RSS = int64(14<<20 + each*float64(m.counts.Open) + 2e5*m.random.Float64())
	p.PSS = p.RSS - 3<<20
	p.PeakRSS = max(p.PeakRSS, p.RSS)
	p.FDs = 12 + int(each)%7 + int(m.counts.Open)
	p.CPU += time.Duration(busy * (0.9 + 0.2*m.random.Float64()) * float64(time.Second))
	g := sample.Go{StackInuse: 600 << 10, Goroutines: 18 + m.random.IntN(8), Sys: p.RSS + 6<<20}
	if p.Go != nil {
		g.GCs, g.GCPause, g.GCPauseMax = p.Go.GCs, p.Go.GCPause, p.Go.GCPauseMax
	}
	g.HeapAlloc = int64(0.6 * each * float64(m.counts.Open))
	g.HeapInuse = g.HeapAlloc + 2<<20 + m.random.Int64N(1<<20)
	if pause := time.Duration(m.random.IntN(300)) * time.Microsecond; m.random.IntN(4) == 0 || arriving > 0 {
		g.GCs, g.GCPause, g.GCPauseMax = g.GCs+1, g.GCPause+pause, max(g.GCPauseMax, pause)
	}
	p.Go = &g
	now := *p
	return &now
}

func (m *maker) kernel() *sample.Kernel {
	k := &sample.Kernel{
		Slabs: map[string]sample.Slab{}, SlabBytes: 410 << 20, TCPInUse: int(2*m.counts.Open) + 14,
		TCPWaiting: m.random.IntN(20), TCPBytes: 4096 * (3 + m.random.Int64N(60)), Conntrack: m.counts.Open, ConntrackLimit: 262_144,
	}
	for _, s := range slabs() {
		n := 2*m.counts.Open + 400
		k.Slabs[s.name] = sample.Slab{Active: n, Bytes: int64(float64(n)*s.each/4096+1) * 4096}
		k.SlabBytes += k.Slabs[s.name].Bytes
	}
	return k
}

type slab struct {
	name string
	each float64
}

func slabs() []slab {
	return []slab{{"TCP", 2368}, {"sock_inode_cache", 832}, {"dentry", 192}, {"filp", 192}, {"eventpoll_epi", 128}}
}

// finish sums up.
func (m *maker) finish() {
	r, last := m.result, m.result.Points[len(m.result.Points)-1]
	r.Counts = m.counts
	r.Errors = []bench.ErrorCount{
		{Kind: "connection refused", Count: 11, Example: "dial tcp 127.0.0.1:4000: connect: connection refused",
			Fix: "is the target up, and is this its port? A full listen queue looks the same: raise net.core.somaxconn."},
		{Kind: "timeout", Count: 3, Example: "no answer to the upgrade within 10s",
			Fix: "let users arrive more slowly with --arrival-rate, or wait longer with --timeout."},
	}
	r.Figures = []bench.Figure{{Name: "fan-out, each processor", Value: 288_400 / m.factor, Unit: "/s"}}
	r.Account = bench.Account{Messages: m.counts.Sent, Expected: m.counts.Delivered, Received: m.counts.Delivered}
	r.Target.PeakRSS = last.Target.PeakRSS
	r.Ledger = m.ledger()
	r.Generators = []bench.GeneratorResult{{
		Name: "local", Counts: m.counts, Self: last.Generator,
		Host: bench.Host{
			Name: "load-1", Kernel: "Linux 6.12.41", CPUs: 2, CPU: "AMD EPYC 9354", Memory: 8 << 30,
			Descriptors: 20_000, Ports: "32768-60999", Go: "go1.26.1", Clock: "tsc",
		},
	}}
}

func (m *maker) ledger() *bench.Ledger {
	l := &bench.Ledger{FromConns: plateau, ToConns: users, BothEnds: true}
	add := func(where, name string, bytes float64, total bool) {
		l.Parts = append(l.Parts, bench.Part{Where: where, Name: name, Bytes: bytes, Total: total})
	}
	add("target", "resident memory", 268*m.factor, true)
	add("target", "Go heap", 161*m.factor, false)
	add("target", "Go stacks", 0, false)
	total := 0.0
	for _, s := range slabs() {
		total += s.each
	}
	add("kernel", "all of it", total, true)
	for _, s := range slabs() {
		add("kernel", s.name, s.each, false)
	}
	l.Parts = append(l.Parts, bench.Part{Where: "kernel", Name: "conntrack", Why: "nf_conntrack is not loaded on this host"})
	l.Parts = append(l.Parts, bench.Part{Where: "kernel", Name: "request sockets", Why: "this kernel keeps it in another slab, together with objects of the same size"})
	add("kernel", "other", -14, false)
	add("generator", "resident memory", 312, true)
	add("generator", "Go heap", 187, false)
	return l
}
