package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/poller"
)

// A script is what the users of a scenario do once they are there. Its event methods are called with the
// user's lock held, from any goroutine: they neither block nor touch another user.
type script interface {
	// traffic runs between StageArrived and StageSent, and is over when ctx ends at the latest.
	traffic(ctx context.Context, c *crowd)

	joined(u *user)   // it is in its topic
	refused(u *user)  // it is not, or no more, but its connection goes on
	answered(u *user) // a request was answered, or timed out
	closed(u *user)   // its connection is gone, or could not be begun

	// Of those who have stopped reading: a delivery came, which counts for nothing else; and the target
	// has ended the connection, with what it has said about that.
	heard(u *user, m mark)
	cutOff(u *user, said error)

	outcome(o *Outcome) // adds what only this scenario knows
}

// A still script does nothing. Others embed it.
type still struct{}

func (still) joined(*user)        {}
func (still) refused(*user)       {}
func (still) answered(*user)      {}
func (still) closed(*user)        {}
func (still) heard(*user, mark)   {}
func (still) cutOff(*user, error) {}
func (still) outcome(*Outcome)    {}

func newScript(cfg Config) script {
	switch cfg.Scenario {
	case "broadcast":
		return &broadcast{}
	case "rooms":
		return &rooms{}
	case "chat":
		return newChat(cfg)
	case "echo":
		return newEcho()
	case "storm":
		return newStorm(cfg)
	case "slow":
		return &slow{}
	}
	return hold{}
}

// hold is the connect scenario: users are there, and their hearts beat.
type hold struct{ still }

func (hold) traffic(ctx context.Context, c *crowd) {
	c.sleepUntil(ctx, c.now()+int64(c.cfg.Hold))
}

// events is how many are due in d at rate each second: one at least.
func events(rate float64, d time.Duration) int { return max(1, int(rate*d.Seconds()+0.5)) }

// makeRooms makes the topics that users join, evenly.
func (c *crowd) makeRooms() []*room {
	if c.cfg.Rooms == 0 || c.cfg.Scenario != "rooms" && c.cfg.Scenario != "chat" {
		return []*room{{topic: c.cfg.Topic, shared: c.cfg.Parts > 1 && c.cfg.Part > 0}}
	}
	list := make([]*room, c.cfg.Rooms)
	for i := range list {
		topic := fmt.Sprintf("%s:%d", c.cfg.Topic, i)
		if c.cfg.Parts > 1 {
			topic = fmt.Sprintf("%s:%d:%d", c.cfg.Topic, c.cfg.Part, i)
		}
		list[i] = &room{topic: topic}
	}
	return list
}

// random is the source of all that is random in a scenario: the same for the same seed.
func (c *crowd) random() *rand.Rand {
	return rand.New(rand.NewPCG(c.cfg.Seed, uint64(c.cfg.Part)))
}

// A shot is what became of an attempt to send.
type shot uint8

const (
	sent    shot = iota
	notNow       // this user cannot send: it is not joined
	busy         // likewise, but it will: it waits for an answer
	refused      // its connection took no more
	never        // nobody can: a limit of the account is reached
)

// shout has u push a message to its topic, due at a time of the crowd's clock.
func (c *crowd) shout(u *user, due int64) shot {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != joined || u.flags&deaf != 0 {
		return notNow
	}
	r := c.rooms[u.room]
	seq, ok := r.send(u, c.cfg.Others)
	if !ok {
		return never
	}
	if err := u.pushLocked(u.nextRefLocked(), seq, due); err != nil {
		r.withdraw(seq)
		return c.pushFailed(err)
	}
	c.counts.sent.Add(1)
	return sent
}

// request has u send what is to be answered.
func (c *crowd) request(u *user, due int64) shot {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.state != joined:
		return notNow
	case u.await != 0:
		return busy
	}
	u.due = due
	u.await = u.nextRefLocked()
	u.link.SetDeadline(c.cfg.Timeout)
	if err := u.pushLocked(u.await, u.await, due); err != nil {
		u.await = 0
		return c.pushFailed(err)
	}
	c.awaiting.Add(1)
	c.counts.sent.Add(1)
	return sent
}

// pushFailed is what a push comes to that was not sent.
func (c *crowd) pushFailed(err error) shot {
	if errors.Is(err, poller.ErrClosed) {
		return notNow // its end is on the way to us, and is counted for what it is
	}
	c.fail(err)
	return refused
}

func (u *user) pushLocked(ref, seq uint32, due int64) error {
	c := u.crowd
	m := mark{run: c.run, room: u.room, seq: seq, due: c.epoch + due}
	p := scratches.Get().(*scratch)
	defer scratches.Put(p)
	if c.cfg.Protocol != Phoenix {
		p.b = appendMark(p.b[:0], m, c.cfg.Size)
		return u.writeLocked(ws.OpText, p.b)
	}
	p.b = appendPayload(p.b[:0], c.cfg.Payload, m, c.cfg.Size)
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = appendPush(s.b[:0], u.join, ref, c.rooms[u.room].topic, c.cfg.Event, p.b)
	return u.writeLocked(ws.OpText, s.b)
}

// awaitAll waits until done, asked again and again, or until patience is over or ctx ends.
func (c *crowd) awaitAll(ctx context.Context, patience time.Duration, done func() bool) bool {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	over := time.NewTimer(patience)
	defer over.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-over.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
