package bench

import (
	"sync"
	"time"
)

// Which latency a recorder is for.
const (
	atConnect = iota
	atJoin
	atHeartbeat
	atEcho
	atDeliver
	atBaseline
	atAfter
	atRejoin
	latencies
)

func latencyNames() [latencies]string {
	return [latencies]string{LatencyConnect, LatencyJoin, LatencyHeartbeat, LatencyEcho, LatencyDeliver, LatencyBaseline,
		LatencyAfter, LatencyRejoin}
}

// recorderShards keeps the loops out of each other's way.
const recorderShards = 4

// A recorder collects one kind of latency: of the second that goes on, and of the run.
type recorder struct {
	shards [recorderShards]struct {
		mu     sync.Mutex // protects the following
		second Histogram
		_      [48]byte // a cache line each
	}
	total Histogram // owned by the goroutine that calls second
}

// record adds a time in nanoseconds that u has seen.
func (r *recorder) record(u *user, ns int64) {
	s := &r.shards[u.index%recorderShards]
	s.mu.Lock()
	s.second.Record(time.Duration(ns))
	s.mu.Unlock()
}

// second returns what was recorded since the last call, nil if nothing was.
func (r *recorder) second() *Histogram {
	h := &Histogram{}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		if s.second.Count() > 0 {
			h.Merge(&s.second)
			s.second.Reset()
		}
		s.mu.Unlock()
	}
	if h.Count() == 0 {
		h.free()
		return nil
	}
	r.total.Merge(h)
	return h
}

// tickLatencies closes a second of all recorders.
func (c *crowd) tickLatencies() map[string]*Histogram {
	m := map[string]*Histogram{}
	for i, name := range latencyNames() {
		if h := c.latency[i].second(); h != nil {
			m[name] = h
		}
	}
	return m
}
