package bench

import (
	"slices"
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
	messages []*entry            // by number; nil: another's, not heard of yet
	whole    int                 // of the messages below it nothing is to come any more
	forged   int64               // deliveries of messages that nobody has sent
	slowest  time.Duration       // the longest that a delivery has taken
	heard    int64               // when the last delivery came
	still    time.Duration       // the longest between two
	owed     map[uint32][]uint32 // by member: what has not come to it, and is more than maxUnseen behind the newest that has; in order
	debts    int                 // how much is owed to all
}

// An entry is what a room knows of a message.
type entry struct {
	Message
	sent int64 // on the crowd's clock; of another generator's, when it was first heard of
}

// maxUnseen is of how many messages behind the newest a user knows by itself which have come. A target that
// stands still has more overtaken: it then reads one sender's messages of all that time, and after them another's.
const maxUnseen = 64

// reorderFor is how long a message may be overtaken by others, as those of other senders, beyond twice the longest
// that any has taken or that nothing came: it is not lost yet.
const reorderFor = time.Second

// atLocked returns the account of message seq. One that another generator has sent begins with the first
// delivery: all members of the moment are to get it.
func (r *room) atLocked(seq uint32, sent int64) *entry {
	for int(seq) >= len(r.messages) {
		r.messages = append(r.messages, nil)
	}
	if r.messages[seq] == nil {
		r.messages[seq] = &entry{Message: Message{Seq: seq, Expected: r.members}, sent: sent}
	}
	return r.messages[seq]
}

// maxMessages bounds what the accounts of all rooms together hold: 900 B each.
const maxMessages = 1_000_000

// send opens the account of a new message by a member and returns its number; false if there is no room
// for one. others says that it does not come back to the sender, whose lock is held.
func (r *room) send(by *user, others bool) (seq uint32, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.messages) >= by.crowd.maxMessages() {
		return 0, false
	}
	seq = uint32(len(r.messages))
	m := r.atLocked(seq, by.crowd.now())
	m.Sender = true
	if others {
		m.Expected--
		r.noteLocked(by, seq)
	}
	return seq, true
}

// next is the number of the message that is sent next, as far as is known.
func (r *room) next() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint32(len(r.messages))
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
	due := r.owed[u.index]
	r.debts -= len(due)
	delete(r.owed, u.index)
	if !free {
		return
	}
	for seq := u.firstSeen(); seq < uint32(len(r.messages)); seq++ {
		if !u.has(seq) {
			due = append(due, seq)
		}
	}
	// What was sent before it, and has been overtaken. Of a target that stands still now nothing is to be told.
	lost := r.heard - int64(reorderFor+2*max(r.slowest, r.still))
	for _, seq := range due {
		if m := r.messages[seq]; m != nil && (seq >= u.high || m.sent > lost) {
			m.Expected--
		}
	}
}

// maxMessages is what one room may hold.
func (c *crowd) maxMessages() int { return max(1, maxMessages/len(c.rooms)) }

// firstSeen is the first message of which u knows by itself whether it has come.
func (u *user) firstSeen() uint32 { return max(u.since, u.high-min(u.high, maxUnseen)) }

// has reports whether message seq has come to u. It is none below firstSeen.
func (u *user) has(seq uint32) bool { return seq < u.high && u.seen>>(u.high-1-seq)&1 == 1 }

// noteLocked marks seq as received by u; false if it was already.
func (r *room) noteLocked(u *user, seq uint32) bool {
	switch {
	case seq >= u.high:
		r.oweLocked(u, seq+1)
		u.seen = u.seen<<(seq+1-u.high) | 1
		u.high = seq + 1
		return true
	case seq >= u.firstSeen():
		had := u.has(seq)
		u.seen |= 1 << (u.high - 1 - seq)
		return !had
	}
	due := r.owed[u.index]
	i, owed := slices.BinarySearch(due, seq)
	if owed {
		r.owed[u.index] = slices.Delete(due, i, i+1)
		r.debts--
	}
	return owed
}

// oweLocked notes what has not come to u of the messages that it will know nothing of once its newest is the one
// before high. There is an end to what is remembered: beyond it, what comes late counts as if it came again.
func (r *room) oweLocked(u *user, high uint32) {
	for seq := u.firstSeen(); seq+maxUnseen < high && r.debts < u.crowd.maxMessages(); seq++ {
		if u.has(seq) {
			continue
		}
		if r.owed == nil {
			r.owed = map[uint32][]uint32{}
		}
		r.owed[u.index] = append(r.owed[u.index], seq)
		r.debts++
	}
}

// deliveredLocked counts a delivery of a message of u's room. The user's lock is held.
func (c *crowd) deliveredLocked(u *user, m mark) {
	if u.flags&deaf != 0 {
		c.script.heard(u, m)
		return
	}
	if u.state != joined || m.seq < u.since || int(m.seq) >= c.maxMessages() {
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
	now := c.now()
	if r.heard > 0 {
		r.still = max(r.still, time.Duration(now-r.heard))
	}
	r.heard = now
	a := r.atLocked(m.seq, now)
	if !r.noteLocked(u, m.seq) {
		a.Extra++
		return
	}
	if a.Received == 0 || after < a.First {
		a.First = after
	}
	a.Received++
	a.Last = max(a.Last, after)
	r.slowest = max(r.slowest, after)
	a.Spread.record(after)
	c.latency[c.deliver.Load()].record(u, int64(after))
}

// missing returns how many deliveries are still to come.
func (r *room) missing() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.whole < len(r.messages) && r.messages[r.whole].complete() {
		r.whole++
	}
	for _, m := range r.messages[r.whole:] {
		if !m.complete() {
			n += m.Expected - m.Received
		}
	}
	return n
}

// complete reports whether nothing more is to come, as far as is known.
func (m *entry) complete() bool { return m == nil || m.Received >= m.Expected }

// account returns a copy of what the room knows. Messages that were sent after open may still be on their way.
func (r *room) account(open int64) Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := Room{Topic: r.topic, Members: r.members, Forged: r.forged}
	for _, m := range r.messages {
		if m != nil {
			m.Open = m.sent > open
			a.Messages = append(a.Messages, m.Message)
		}
	}
	return a
}
