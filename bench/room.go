package bench

import (
	"sync"
	"time"
)

// A room is the account of one topic: who is in it, and who has got what.
//
// A user counts for a message if it was in the room, its join confirmed, before the message was sent, and
// had not begun to leave before it came. Who joins while a message is on its way may get it or not: both
// are right, and neither counts.
type room struct {
	topic  string
	shared bool // other generators send to it as well

	mu       sync.Mutex // protects the following
	members  int64
	messages []*Message // by number; nil: another's, not heard of yet
	forged   int64      // deliveries of messages that nobody has sent
}

// maxUnseen is how many of a room's messages may be on their way to a user who leaves, to be forgiven.
const maxUnseen = 64

// at returns the account of message seq. One that another generator has sent begins with the first
// delivery: all members of the moment are to get it.
func (r *room) atLocked(seq uint32) *Message {
	for int(seq) >= len(r.messages) {
		r.messages = append(r.messages, nil)
	}
	if r.messages[seq] == nil {
		r.messages[seq] = &Message{Seq: seq, Expected: r.members}
	}
	return r.messages[seq]
}

// maxMessages bounds what an account holds: 900 B each.
const maxMessages = 1_000_000

// send opens the account of a new message by a member and returns its number; false if there is no room
// for one. others says that it does not come back to the sender, whose lock is held.
func (r *room) send(by *user, others bool) (seq uint32, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.messages) >= maxMessages {
		return 0, false
	}
	seq = uint32(len(r.messages))
	m := r.atLocked(seq)
	m.Sender = true
	if others {
		m.Expected--
		by.note(seq)
	}
	return seq, true
}

// withdraw forgets a message that could not be sent.
func (r *room) withdraw(seq uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages[seq].Sender, r.messages[seq].Expected = false, 0
}

// enterLocked counts u in. The user's lock is held.
func (c *crowd) enterLocked(u *user) {
	r := c.rooms[u.room]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members++
	u.since = uint32(len(r.messages))
	u.high, u.seen = u.since, 0
}

// exitLocked counts u out. free says that it goes by itself: what has not come to it yet need not.
func (c *crowd) exitLocked(u *user, free bool) {
	c.counts.joined.Add(-1)
	if u.await != 0 {
		u.await = 0
		c.awaiting.Add(-1)
	}
	r := c.rooms[u.room]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members--
	if !free {
		return
	}
	end := uint32(len(r.messages))
	for n := uint32(1); n <= maxUnseen && n <= end-u.since; n++ {
		if seq := end - n; !u.has(seq) && r.messages[seq] != nil {
			r.messages[seq].Expected--
		}
	}
}

// has reports whether u has got message seq, of the newest of its room.
func (u *user) has(seq uint32) bool {
	return seq < u.high && (u.high-1-seq >= maxUnseen || u.seen>>(u.high-1-seq)&1 == 1)
}

// note marks seq as received; false if it was already.
func (u *user) note(seq uint32) bool {
	if seq >= u.high {
		u.seen = u.seen<<(seq+1-u.high) | 1
		u.high = seq + 1
		return true
	}
	bit := uint64(1) << (u.high - 1 - seq)
	if bit == 0 {
		return true // too old to tell
	}
	fresh := u.seen&bit == 0
	u.seen |= bit
	return fresh
}

// deliveredLocked counts a delivery of a message of u's room. The user's lock is held.
func (c *crowd) deliveredLocked(u *user, m mark) {
	if u.state != joined || m.seq < u.since || m.seq >= maxMessages || u.flags&deaf != 0 {
		return
	}
	after := time.Duration(c.clock() - m.due)
	r := c.rooms[u.room]
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shared && int(m.seq) >= len(r.messages) {
		r.forged++
		return
	}
	a := r.atLocked(m.seq)
	if !u.note(m.seq) {
		a.Extra++
		return
	}
	if a.Received == 0 || after < a.First {
		a.First = after
	}
	a.Received++
	a.Last = max(a.Last, after)
	a.Spread.record(after)
	c.latency[c.deliver.Load()].record(u, int64(after))
}

// missing returns how many deliveries are still to come.
func (r *room) missing() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if m != nil && m.Received < m.Expected {
			n += m.Expected - m.Received
		}
	}
	return n
}

// account returns a copy of what the room knows.
func (r *room) account() Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := Room{Topic: r.topic, Members: r.members, Forged: r.forged}
	for _, m := range r.messages {
		if m != nil {
			a.Messages = append(a.Messages, *m)
		}
	}
	return a
}
