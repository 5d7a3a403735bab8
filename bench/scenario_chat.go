package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// What a user of a chat does when its turn comes, in parts of 100: a busy room of people who come and go.
const (
	chatTalk = 85
	chatMove = 10 // to another room
	// the rest go away, and come back after chatAway
)

const (
	chatAwayMin = time.Second
	chatAwayMax = 5 * time.Second
)

// chat is users who talk, change rooms, go and come back, at random.
type chat struct {
	still
	agenda *agenda

	mu     sync.Mutex // protects the following
	random *rand.Rand // how long who is away
	over   bool
}

func newChat(cfg Config) *chat {
	return &chat{agenda: newAgenda(), random: rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.Part)+1<<32))}
}

func (s *chat) traffic(ctx context.Context, c *crowd) {
	s.agenda.postpone(c.now())
	keep, cancel := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		s.agenda.keep(keep, c, c.watch.due)
	}()
	s.talk(ctx, c)
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	cancel()
	<-kept
}

func (s *chat) talk(ctx context.Context, c *crowd) {
	r := c.random()
	rate := c.cfg.Rate * c.cfg.Share
	c.pace(ctx, steady{events(rate, c.cfg.Duration), rate}, func(_ int, due int64) (time.Duration, bool) {
		u, what, room := &c.users[r.IntN(len(c.users))], r.IntN(100), uint32(r.IntN(len(c.rooms)))
		switch {
		case what < chatTalk:
			s := c.shout(u, due)
			if s == refused || s == never {
				c.unsent++
			}
			return 0, s != never
		case what < chatTalk+chatMove:
			u.move(room)
		default:
			u.goAway()
		}
		return 0, true
	})
}

// move has u change rooms, if it is in another.
func (u *user) move(room uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state == joined && u.room != room {
		u.leaveLocked(room)
	}
}

// goAway has u end its connection, as who closes the page.
func (u *user) goAway() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state == joined {
		u.hangUpLocked()
		// A target that stands still has not read what was said before, and a reset would take that away.
		u.link.SetDeadline(max(closePatience, u.crowd.cfg.Timeout))
	}
}

func (s *chat) closed(u *user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
	case u.flags&asked != 0:
		s.agenda.add(u, chatAwayMin+time.Duration(s.random.Int64N(int64(chatAwayMax-chatAwayMin))))
	default:
		s.agenda.add(u, reconnectAfter(u.tries))
	}
}

func (s *chat) refused(u *user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.agenda.add(u, rejoinAfter(u.tries))
		u.tries++
	}
}
