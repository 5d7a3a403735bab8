package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// storm drops every connection at once, and each user comes back as phoenix.js does. No generator can begin
// all connects at once; that it is behind does not make the run invalid, but is said.
type storm struct {
	still
	agenda  *agenda
	on      atomic.Bool
	dropped []int64 // when each user was; 0: it was not, or is back
	away    atomic.Int64
	total   int64
	half    atomic.Int64 // when half of them were back, on the crowd's clock
	all     atomic.Int64
	at      int64
	behind  time.Duration // the most that a connect was begun late
}

func newStorm(cfg Config) *storm {
	return &storm{agenda: newAgenda(), dropped: make([]int64, cfg.Connections)}
}

func (s *storm) traffic(ctx context.Context, c *crowd) {
	if !c.sleepUntil(ctx, c.now()+int64(stormCalm)) {
		return
	}
	s.drop(ctx, c)
	c.sleepUntil(ctx, c.now()+int64(stormCalm))
}

// stormCalm is a second to be sampled before the storm, and one after it, for its peak of memory.
const stormCalm = 1200 * time.Millisecond

// drop ends all connections and waits until their users are back.
func (s *storm) drop(ctx context.Context, c *crowd) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Duration)
	defer cancel()
	s.at = c.now()
	s.on.Store(true) // before anybody is counted: who is lost meanwhile comes back as well
	defer s.on.Store(false)
	s.total = int64(s.eachJoined(c, func(u *user) { s.dropped[u.index] = s.at }))
	s.away.Store(s.total)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		s.agenda.keep(ctx, c, func(d time.Duration) { s.behind = max(s.behind, d) })
	}()
	s.eachJoined(c, func(u *user) {
		if s.dropped[u.index] != 0 {
			s.dropped[u.index] = c.now()
			u.endLocked(nil)
		}
	})
	c.awaitAll(ctx, c.cfg.Duration, func() bool { return s.away.Load() <= 0 })
	cancel()
	<-kept
}

// eachJoined calls do with those who are joined, locked, and returns how many they are.
func (s *storm) eachJoined(c *crowd, do func(*user)) (n int) {
	users := c.present()
	for i := range users {
		u := &users[i]
		u.mu.Lock()
		if u.state == joined {
			do(u)
			n++
		}
		u.mu.Unlock()
	}
	return n
}

func (s *storm) joined(u *user) {
	at := s.dropped[u.index]
	if at == 0 {
		return
	}
	c := u.crowd
	s.dropped[u.index] = 0
	now := c.now()
	c.latency[atRejoin].record(u, now-at)
	away := s.away.Add(-1)
	if away == s.total/2 {
		s.half.Store(now)
	}
	if away == 0 {
		s.all.Store(now)
	}
}

func (s *storm) closed(u *user) {
	if s.on.Load() {
		s.agenda.add(u, reconnectAfter(u.tries))
	}
}

func (s *storm) refused(u *user) {
	if s.on.Load() {
		s.agenda.add(u, rejoinAfter(u.tries))
		u.tries++
	}
}

func (s *storm) outcome(o *Outcome) {
	if half := s.half.Load(); half > 0 {
		o.Figures = append(o.Figures, Figure{"half joined again after", time.Duration(half - s.at).Seconds(), "s"})
	}
	if s.total > 0 {
		o.Figures = append(o.Figures, Figure{"the generator was behind with connects by", s.behind.Seconds(), "s"})
	}
	if all := s.all.Load(); all > 0 {
		if 2*s.behind > time.Duration(all-s.at) {
			o.Notes = append(o.Notes, fmt.Sprintf("The generator itself took %s to begin all connects, which is most of the time that it took: "+
				"the target may be faster than it could show. Share the load among --agents.", inWords(s.behind)))
		}
		o.Figures = append(o.Figures, Figure{"all joined again after", time.Duration(all - s.at).Seconds(), "s"})
	} else if left := s.away.Load(); left > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%s of %s users had not joined again when the time was over (--duration).", grouped(int64(left)), grouped(int64(s.total))))
	}
}
