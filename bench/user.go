package bench

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// A user is one simulated person: a connection, and what phoenix.js would know of it. All users of a crowd
// lie in one slice, and one that is quiet holds nothing else.
//
// Its lock is taken before a room's and before those of the engine.
type user struct {
	crowd *crowd
	index uint32     // its place among the crowd's users
	mu    sync.Mutex // protects the following
	link  link       // nil while there is no connection
	cut   *cut       // what came in part; nil: nothing did
	due   int64      // when what it waits for was due, in nanoseconds since the crowd's start
	beat  int64      // likewise, when the open heartbeat was sent; 0: none is open

	seen  uint64 // of the 64 messages below high: which came, the newest in bit 0
	high  uint32 // the number behind the newest message that came
	since uint32 // the room's messages below it were sent before this user had joined
	room  uint32
	ref   uint32 // the last one given out, for pushes and heartbeats alike, as in phoenix.js
	join  uint32 // ref of the join: the join_ref of what is pushed
	await uint32 // ref of the reply that is awaited; 0: none
	beats uint32 // ref of the open heartbeat

	tries uint16 // connects since it was last joined
	state state
	flags flags
}

// A state of a user. The order matters.
type state uint8

const (
	absent     state = iota // has no connection
	connecting              // the upgrade is not complete
	upgraded                // in no topic
	joining
	joined // also when the protocol has no topics
	leaving
	ending // its connection is being ended
)

type flags uint8

const (
	asked   flags = 1 << iota // we asked for the end of its connection
	deaf                      // it has stopped reading on purpose, and counts no more
	awake                     // deaf, and reads again
	counted                   // it has arrived once
	pending                   // it is neither joined nor refused nor lost since it set out for its topic
)

// now is the time since the crowd's start.
func (c *crowd) now() int64 { return int64(time.Since(c.began)) }

// write sends one whole message; the user's lock is held. An error ends nothing: OnClose will come, or the
// outbox is full.
func (u *user) writeLocked(op ws.OpCode, message []byte) error {
	if u.link == nil {
		return poller.ErrClosed
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = frame.AppendClient(s.b[:0], op, newMask(), message)
	err := u.link.Write(s.b)
	if err == nil {
		u.crowd.counts.out.Add(int64(len(s.b)))
	}
	return err
}

// newMask is unpredictable, as RFC 6455 section 5.3 wants it.
func newMask() [4]byte {
	n := rand.Uint32()
	return [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

// A scratch is memory for a message on its way out.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 1024)} }}

// nextRef is phoenix.js's makeRef.
func (u *user) nextRefLocked() uint32 {
	if u.ref++; u.ref == 0 {
		u.ref = 1
	}
	return u.ref
}

// connectLocked dials. due is when the user was to arrive.
func (u *user) connectLocked(due int64) {
	c := u.crowd
	u.state, u.due, u.await, u.beat, u.beats, u.ref = connecting, due, 0, 0, 0, 0
	u.flags &^= asked
	u.tries++
	c.counts.dials.Add(1)
	if u.flags&counted == 0 {
		u.flags |= counted
		c.counts.users.Add(1)
	}
	i := int(u.index)
	t := c.targets[i%len(c.targets)]
	remote := t.addrs[i/len(c.targets)%len(t.addrs)]
	if err := u.dialLocked(t, i, remote); err != nil {
		u.state, u.link = absent, nil
		c.fail(err)
		c.script.closed(u)
		return
	}
	c.counts.open.Add(1)
	u.setOutLocked()
	u.link.SetDeadline(c.cfg.Timeout)
}

// joinLocked joins the user's room.
func (u *user) joinLocked() {
	c := u.crowd
	u.state = joining
	u.due = c.now()
	u.await = u.nextRefLocked()
	u.join = u.await
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = appendJoin(s.b[:0], u.await, c.rooms[u.room].topic, c.cfg.Params)
	u.link.SetDeadline(c.cfg.Timeout)
	_ = u.writeLocked(ws.OpText, s.b)
}

// leaveLocked leaves the room for another, which it joins when the leave was confirmed.
func (u *user) leaveLocked(next uint32) {
	c := u.crowd
	u.setOutLocked()
	c.exitLocked(u, true)
	u.state = leaving
	u.await = u.nextRefLocked()
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = appendLeave(s.b[:0], u.join, u.await, c.rooms[u.room].topic)
	u.room = next
	u.link.SetDeadline(c.cfg.Timeout)
	_ = u.writeLocked(ws.OpText, s.b)
}

// heartbeatLocked sends a heartbeat, or ends a connection whose last one was not answered, as phoenix.js
// does.
func (u *user) heartbeatLocked() {
	now := u.crowd.now()
	switch {
	case u.state < upgraded || u.state == ending || u.crowd.cfg.Protocol != Phoenix:
		return
	case u.flags&deaf != 0: // it cannot see the answer, and the target is not to end it for being silent
	case u.beat == 0:
	case now-u.beat >= int64(u.crowd.cfg.Heartbeat/2): // less if we were held up
		u.endLocked(errHeartbeatTimeout)
		return
	default:
		return
	}
	if u.flags&deaf == 0 {
		u.beat = now
	}
	u.beats = u.nextRefLocked()
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = appendHeartbeat(s.b[:0], u.beats)
	_ = u.writeLocked(ws.OpText, s.b)
}

// endLocked resets the connection because of err, which is counted; nil: because we want to.
func (u *user) endLocked(err error) {
	if u.state == absent || u.state == ending {
		return
	}
	if err != nil {
		u.crowd.fail(err)
		u.crowd.counts.lost.Add(1)
	}
	u.crowd.outLocked(u, err == nil)
	u.flags |= asked
	u.state = ending
	u.link.Abort(err)
}

// hangUpLocked ends the connection as a browser does: a Close frame, and the server closes first, so that
// the port is not kept in TIME-WAIT here (RFC 6455 section 7.1.1).
func (u *user) hangUpLocked() {
	if u.state == absent || u.state == ending {
		return
	}
	if u.state == connecting || u.flags&(deaf|awake) == deaf {
		u.endLocked(nil)
		return
	}
	u.crowd.outLocked(u, true)
	u.flags |= asked
	u.state = ending
	var payload [2]byte
	_ = u.writeLocked(ws.OpClose, frame.AppendClosePayload(payload[:0], ws.StatusNormalClosure, ""))
	u.link.SetDeadline(closePatience)
}

// setOutLocked notes that the user is on its way into its topic.
func (u *user) setOutLocked() {
	if u.flags&pending == 0 {
		u.flags |= pending
		u.crowd.pending.Add(1)
	}
}

// settleLocked notes that it is not any more.
func (u *user) settleLocked() {
	if u.flags&pending != 0 {
		u.flags &^= pending
		u.crowd.pending.Add(-1)
	}
}

// closePatience is how long the answer to our Close frame may take before the connection is reset.
const closePatience = 3 * time.Second

// OnTimeout implements poller.Handler.
func (u *user) OnTimeout(poller.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.state {
	case connecting:
		u.endLocked(errConnectTimeout)
	case joining, leaving:
		u.endLocked(errJoinTimeout)
	case joined:
		if u.await != 0 {
			u.await = 0
			u.crowd.fail(errReplyTimeout)
			u.crowd.awaiting.Add(-1)
			u.crowd.script.answered(u)
		}
	case ending:
		u.link.Abort(nil)
	}
}

// OnClose implements poller.Handler.
func (u *user) OnClose(_ poller.Conn, reason error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := u.crowd
	c.counts.open.Add(-1)
	c.counts.closed.Add(1)
	if u.flags&asked == 0 {
		c.endedLocked(u, u.lostLocked(reason))
		c.outLocked(u, false)
	}
	u.settleLocked()
	u.state, u.link, u.await, u.beat = absent, nil, 0, 0
	if u.cut != nil {
		u.cut.release()
		u.cut = nil
	}
	c.script.closed(u)
}
