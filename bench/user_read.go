package bench

import (
	"errors"
	"io"
	"sync"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// A cut is what a user keeps of a response head, a frame or a message that came in part.
type cut struct {
	head []byte
	dec  frame.Decoder
	msg  frame.Message
}

var cuts = sync.Pool{New: func() any { return &cut{dec: frame.Decoder{Client: true}} }}

func (k *cut) release() {
	k.head = nil
	k.dec.Reset()
	k.msg.Reset()
	cuts.Put(k)
}

// maxBytes bounds a message, so that a target cannot make us keep ten megabytes for each user.
func (c *crowd) maxBytes() int64 { return 4<<20 + 4*int64(c.cfg.Size) }

func (k *cut) idle() bool { return len(k.head) == 0 && k.dec.Idle() && k.msg.Idle() }

// OnData implements poller.Handler. It takes everything.
func (u *user) OnData(pc poller.Conn, data []byte) int {
	n := len(data)
	u.crowd.counts.bytesIn.Add(int64(n))
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.cut
	if k == nil {
		k = cuts.Get().(*cut)
		k.dec.LimitBytes, k.msg.LimitBytes = u.crowd.maxBytes(), u.crowd.maxBytes()
	}
	u.readLocked(k, data)
	if u.flags&(deaf|awake) == deaf && u.state != ending {
		pc.Pause()
	}
	if u.state == ending || k.idle() {
		k.release()
		k = nil
	}
	u.cut = k
	return n
}

func (u *user) readLocked(k *cut, data []byte) {
	if u.state == connecting {
		data = u.upgradeLocked(k, data)
	}
	if u.state == connecting || u.state == ending {
		return
	}
	k.dec.Push(data)
	var ping lastPing
	u.framesLocked(k, &ping)
	if u.state == ending {
		k.dec.Reset() // the rest is nobody's
	} else if ping.came {
		_ = u.writeLocked(ws.OpPong, ping.payload[:ping.size])
	}
}

// A lastPing is the newest of the pings that came together. RFC 6455 section 5.5.3 lets it be answered for
// all, so that a flood of them costs no write for each.
type lastPing struct {
	payload [125]byte
	size    int
	came    bool
}

func (u *user) framesLocked(k *cut, ping *lastPing) {
	for u.state != ending {
		part, ok, err := k.dec.Next()
		switch {
		case err != nil:
			u.endLocked(err)
		case !ok:
			return
		case part.Header.OpCode == ws.OpPing:
			ping.came, ping.size = true, copy(ping.payload[:], part.Payload)
		case part.Header.OpCode == ws.OpClose:
			u.closeLocked(part)
		case part.Header.OpCode == ws.OpPong:
		default:
			u.dataLocked(k, part)
		}
	}
}

// upgradeLocked reads the response to the upgrade and returns what came behind it.
func (u *user) upgradeLocked(k *cut, data []byte) []byte {
	c := u.crowd
	head := data
	if len(k.head) > 0 {
		k.head = append(k.head, data...)
		head = k.head
	}
	n, err := readUpgrade(head, u.keyLocked())
	switch {
	case err != nil:
		k.head = k.head[:0]
		u.endLocked(err)
		return nil
	case n == 0:
		if len(k.head) == 0 {
			k.head = append(k.head, data...)
		}
		return nil
	}
	rest := data[n-(len(head)-len(data)):]
	if c.counts.upgrades.Add(1) == 1 {
		server := serverOf(head[:n])
		c.server.Store(&server)
	}
	k.head = k.head[:0]
	c.counts.connected.Add(1)
	c.latency[atConnect].record(u, c.now()-u.due)
	u.state, u.tries = upgraded, 0
	if c.cfg.Protocol == Phoenix {
		u.joinLocked()
		return rest
	}
	u.link.SetDeadline(0)
	u.joinedLocked()
	return rest
}

// dataLocked adds a part of a data frame.
func (u *user) dataLocked(k *cut, p frame.Part) {
	whole, err := k.msg.Add(p)
	if err != nil {
		u.endLocked(err)
		return
	}
	if !whole {
		return
	}
	if u.crowd.cfg.Protocol == Phoenix {
		u.messageLocked(k.msg.Payload(), k.msg.OpCode() == ws.OpBinary)
	} else {
		u.echoedLocked(k.msg.Payload())
	}
	k.msg.Reset()
}

// closeLocked answers the target's Close frame.
func (u *user) closeLocked(p frame.Part) {
	code, reason, err := frame.ParseClose(p.Payload)
	if err == nil {
		err = &closeError{code: uint16(code), reason: string(reason)}
	}
	u.crowd.endedLocked(u, err)
	u.crowd.outLocked(u, false)
	u.flags |= asked
	u.state = ending
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = frame.AppendClient(s.b[:0], ws.OpClose, newMask(), p.Payload)
	u.link.CloseWith(s.b)
}

// messageLocked handles one message of Phoenix Channels.
func (u *user) messageLocked(p []byte, binary bool) {
	c := u.crowd
	m, err := parseMessage(p, binary)
	if err != nil {
		u.endLocked(err)
		return
	}
	switch event := string(m.event); { // the compiler makes no string of it
	case event == "phx_reply":
		u.replyLocked(m)
	case event == "phx_error", event == "phx_close":
		u.channelEndLocked(m, event)
	default:
		c.counts.delivered.Add(1)
		if mk, ok := findMark(m.payload); ok && mk.run == c.run && string(m.topic) == c.rooms[u.room].topic {
			c.deliveredLocked(u, mk)
		}
	}
}

func (u *user) replyLocked(m inbound) {
	c := u.crowd
	switch {
	case m.ref == 0:
	case m.ref == u.beats && u.beat != 0:
		c.latency[atHeartbeat].record(u, c.now()-u.beat)
		c.counts.heartbeats.Add(1)
		u.beat = 0
	case m.ref != u.await:
		if m.status == statusError && u.state == joined {
			c.fail(&pushError{reason: string(m.payload)}) // of a message that is to be broadcast, and will not be
		}
	case u.state == joining:
		u.await = 0
		u.link.SetDeadline(0)
		if m.status != statusOK {
			u.state = upgraded
			c.fail(&joinError{reason: string(m.payload)})
			u.settleLocked()
			c.script.refused(u)
			return
		}
		c.latency[atJoin].record(u, c.now()-u.due)
		u.joinedLocked()
	case u.state == leaving:
		u.await = 0
		c.counts.leaves.Add(1)
		u.state = upgraded
		u.joinLocked()
	default:
		u.answeredLocked(m.payload, m.status == statusOK)
	}
}

// answeredLocked handles the answer to a request: it must hold the mark that was sent.
func (u *user) answeredLocked(payload []byte, ok bool) {
	c := u.crowd
	mk, marked := findMark(payload)
	if marked && (mk.run != c.run || mk.seq != u.await) {
		marked = false
	}
	if c.cfg.Protocol != Phoenix && !marked {
		return // something that the server says by itself
	}
	u.await = 0
	u.link.SetDeadline(0)
	if !ok || !marked {
		c.fail(errWrongAnswer)
	} else {
		c.counts.answered.Add(1)
		c.latency[atEcho].record(u, c.now()-u.due)
	}
	c.awaiting.Add(-1)
	c.script.answered(u)
}

// echoedLocked handles a message where there are no channels.
func (u *user) echoedLocked(p []byte) {
	if u.await != 0 {
		u.answeredLocked(p, true)
	}
}

// channelEndLocked is what a phx_error or phx_close of the channel that the user is in does: it is in no
// topic any more. Those of a channel that it has left come late and mean nothing.
func (u *user) channelEndLocked(m inbound, event string) {
	if m.joinRef != u.join || u.state != joining && u.state != joined {
		return
	}
	c := u.crowd
	if event == "phx_error" {
		c.fail(errChannelCrashed)
	} else {
		c.fail(errChannelClosed)
	}
	if u.state == joined {
		c.exitLocked(u, false)
	}
	u.state, u.await = upgraded, 0
	u.settleLocked()
	u.link.SetDeadline(0)
	c.script.refused(u)
}

// joinedLocked is what follows a join, or the upgrade where there are no topics.
func (u *user) joinedLocked() {
	c := u.crowd
	u.state, u.tries = joined, 0
	c.counts.joins.Add(1)
	c.counts.joined.Add(1)
	c.enterLocked(u)
	u.settleLocked()
	c.script.joined(u)
}

// lostLocked says what the end of a connection is counted as, that we did not ask for.
func (u *user) lostLocked(reason error) error {
	if u.state == connecting && (reason == nil || errors.Is(reason, io.EOF)) {
		return errClosedInUpgrade
	}
	if reason == nil {
		return io.EOF
	}
	return reason
}
