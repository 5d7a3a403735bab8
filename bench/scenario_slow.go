package bench

import (
	"context"
	"sync"
	"time"
)

// slow is a broadcast in which a share of the readers stops reading after a quarter of the time, and reads
// again for the last quarter.
//
// That they read again shows what has become of them: a target that closes a connection in good order has
// its Close frame and its FIN behind what the kernel keeps for a reader that does not read.
type slow struct {
	broadcast
	crowd   *crowd
	stopped []reader // the crowd's last users, from the end; made before any of them is deaf
	awake   bool     // they read again; owned by the traffic
	woke    uint32   // messages from it on are sent since then; set before any of them reads

	mu   sync.Mutex // protects the following
	lost int        // of the readers that read: how many are gone
	end  int64      // when half of these were, in nanoseconds since the crowd's start; 0: they are there
}

// A reader is a user that has stopped reading. Its user's lock protects it. Times are in nanoseconds since
// the crowd's start.
type reader struct {
	since int64  // when it stopped; 0: it was not there to do so
	newer int64  // when the newest message that has reached it was due
	cut   int64  // when its connection was seen to have been ended by the target; 0: it goes on
	kind  string // of the error that this would be for another user
	late  bool   // which was when it read again
	fresh bool   // it has got a message that was sent since it reads again
}

func (s *slow) traffic(ctx context.Context, c *crowd) {
	for _, part := range []struct {
		latency int32
		begin   func(*crowd)
		quarter time.Duration
	}{
		{atBaseline, func(*crowd) {}, 1}, {atDeliver, s.stopReading, 2}, {atAfter, s.readAgain, 1},
	} {
		if ctx.Err() != nil {
			return
		}
		c.deliver.Store(part.latency)
		part.begin(c)
		s.send(ctx, c, part.quarter*c.cfg.Duration/4)
		if c.cfg.Part == 0 {
			c.settle(ctx, c.cfg.Settle)
		}
	}
	c.awaitAll(ctx, c.cfg.Settle, func() bool { return !s.any((*reader).unknown) })
}

// unknown reports whether it is not seen yet what the target does with a reader that reads again.
func (r *reader) unknown() bool { return r.since > 0 && r.cut == 0 && !r.fresh }

// each calls do for all readers that have stopped, with their users' locks held.
func (s *slow) each(do func(u *user, r *reader)) {
	for i := range s.stopped {
		u := &s.crowd.users[len(s.crowd.users)-1-i]
		u.mu.Lock()
		do(u, &s.stopped[i])
		u.mu.Unlock()
	}
}

func (s *slow) any(is func(*reader) bool) (found bool) {
	s.each(func(_ *user, r *reader) { found = found || is(r) })
	return found
}

func (s *slow) reader(u *user) *reader { return &s.stopped[len(u.crowd.users)-1-int(u.index)] }

func (s *slow) stopReading(c *crowd) {
	n := min(int(c.cfg.Slow*float64(len(c.users))+0.5), len(c.users)-1)
	s.mu.Lock()                               // for closed, of users who read
	s.crowd, s.stopped = c, make([]reader, n) // the last ones: the first is the sender
	s.mu.Unlock()
	s.each((*user).goDeafLocked)
}

// What the kernel takes for a reader. Of one that does not read little, so that its target is the one that
// has to keep messages, which is what is measured: left alone the kernel takes megabytes. Then as it does
// for any connection (tcp_rmem's default).
const (
	deafBuffer  = 4 << 10
	awakeBuffer = 128 << 10
)

// goDeafLocked has u read nothing more, from its next bytes on. It leaves its room's account.
func (u *user) goDeafLocked(r *reader) {
	if u.state != joined {
		return
	}
	r.since = u.crowd.now()
	r.newer = r.since
	u.flags |= deaf
	u.beat = 0 // its answer will not be read
	u.setReadBufferLocked(deafBuffer)
	u.crowd.exitLocked(u, true)
	u.state = upgraded
}

func (u *user) setReadBufferLocked(bytes int) {
	if b, ok := u.link.(interface{ SetReadBuffer(int) error }); ok {
		_ = b.SetReadBuffer(bytes)
	}
}

func (s *slow) readAgain(c *crowd) {
	s.awake, s.woke = true, c.rooms[0].next()
	s.each(func(u *user, _ *reader) {
		if u.flags&deaf == 0 || u.state == absent || u.state == ending {
			return
		}
		u.flags |= awake
		u.setReadBufferLocked(awakeBuffer)
		u.link.Resume()
	})
}

func (s *slow) heard(u *user, m mark) {
	r := s.reader(u)
	r.newer = max(r.newer, min(m.due-u.crowd.epoch, u.crowd.now()))
	r.fresh = r.fresh || u.flags&awake != 0 && m.seq >= s.woke
}

func (s *slow) cutOff(u *user, said error) {
	r := s.reader(u)
	r.cut, r.late = u.crowd.now(), u.flags&awake != 0
	r.kind, _ = errorKind(said)
}

// closed sees whether the target itself ends.
func (s *slow) closed(u *user) {
	if u.flags&deaf != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost++; s.end == 0 && 2*s.lost > len(u.crowd.users)-len(s.stopped) {
		s.end = u.crowd.now()
	}
}
