package server

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/ws"
)

// A pollSession is a client of the long-poll transport: the peer of a connection of the memory engine, on
// which its socket sends WebSocket frames as it does on any other. What waits for the next poll, waits in
// that connection's outbox, with the limit and the policy that it has everywhere.
type pollSession struct {
	srv    *Server
	mount  *mount
	id     pollID
	opened int64 // Unix time, part of the token
	sock   *pollSocket

	mu         sync.Mutex // protects the following
	link       poller.Link
	poll       *exchange // the GET that waits; nil: messages wait in the outbox
	collecting bool      // the poll has not looked at the outbox yet: it is not answered by its first message
	gone       bool
	messages   [][]byte // taken for the poll, in order
	size       int      // of messages
	acks       map[uint64]*exchange
	acked      uint64 // the last key of acks
}

// maxAnswer is how many bytes of messages are taken for one poll once it is being answered; the next has the
// rest.
const maxAnswer = 1 << 20

// Receive implements poller.Peer.
func (p *pollSession) Receive(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.poll != nil && p.size <= maxAnswer
	took := 0
	for {
		op, payload, n := cutServerFrame(b[took:])
		if n == 0 || !open && op != ws.OpClose {
			break
		}
		took += n
		switch op {
		case ws.OpText:
			p.messages = append(p.messages, append([]byte(nil), payload...))
			p.size += len(payload)
		case ws.OpBinary: // section 5.3: there is no form for it in JSON
			p.srv.counters.unencodable.Add(1)
		}
	}
	if open && len(p.messages) > 0 && !p.collecting {
		p.answerLocked()
	}
	return took
}

// answerLocked has the waiting poll answered by a worker with what is there by then. Its connection's lock is
// taken below this one's, and never the other way round.
func (p *pollSession) answerLocked() {
	x := p.poll
	if x.claim() {
		if _, err := x.conn.Do(x); err != nil {
			p.resetLocked() // the client is gone: what was taken is lost, as on its way to it
		}
	}
}

// ready has the outbox looked at.
func (p *pollSession) ready() {
	p.mu.Lock()
	link := p.link
	p.mu.Unlock()
	if link != (poller.Link{}) {
		link.Ready()
	}
}

// take gives the messages to the poll x, whose answer was claimed.
func (p *pollSession) take(x *exchange) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll != x {
		return nil
	}
	return p.resetLocked()
}

// resetLocked ends the waiting poll and returns what was taken for it.
func (p *pollSession) resetLocked() [][]byte {
	m := p.messages
	p.poll, p.messages, p.size = nil, nil, 0
	return m
}

// Closed implements poller.Peer: the session is at its end.
func (p *pollSession) Closed() {
	p.srv.polls.forget(p.id)
	p.mu.Lock()
	p.gone = true
	waiting := make([]*exchange, 0, len(p.acks)+1)
	if p.poll != nil {
		waiting = append(waiting, p.poll)
	}
	for _, x := range p.acks {
		waiting = append(waiting, x)
	}
	p.acks = nil
	p.mu.Unlock()
	for _, x := range waiting {
		x.settle()
	}
}

// park lets a poll wait for messages. Those that are there are its answer at once: then it reports false, and
// the messages.
func (p *pollSession) park(x *exchange) (messages [][]byte, parked bool) {
	p.mu.Lock()
	p.poll, p.collecting = x, true // an earlier one goes empty, and leaves what was taken for it (section 5.3)
	p.mu.Unlock()
	p.sock.polled.Store(time.Now().UnixNano())
	p.ready()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll != x { // a later poll was faster
		return nil, !p.gone
	}
	p.collecting = false
	if len(p.messages) == 0 && !p.gone {
		return nil, true
	}
	return p.resetLocked(), false
}

// unpark forgets a poll whose client is gone, or whose window is over.
func (p *pollSession) unpark(x *exchange) {
	p.mu.Lock()
	if p.poll == x && len(p.messages) == 0 {
		p.poll = nil
	}
	p.mu.Unlock()
}

// expect notes a POST that is answered when its messages have been handled, and returns its mark.
func (p *pollSession) expect(x *exchange) (key uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, false
	}
	if p.acks == nil {
		p.acks = make(map[uint64]*exchange, 1)
	}
	p.acked++
	p.acks[p.acked] = x
	return p.acked, true
}

// settle answers the POST of a mark.
func (p *pollSession) settle(key uint64, handled bool) {
	if x := p.ack(key); x != nil {
		x.handled.Store(handled)
		x.settle()
	}
}

// ack returns the POST of a mark, once.
func (p *pollSession) ack(key uint64) *exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.acks[key]
	delete(p.acks, key)
	return x
}

// cutServerFrame returns the first frame of b, which is one that a server has made: whole, unmasked,
// unfragmented, not compressed. n is its length with its header, 0 if there is none.
func cutServerFrame(b []byte) (op ws.OpCode, payload []byte, n int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	head, length := 2, int(b[1]&0x7f)
	switch {
	case length == 126 && len(b) >= 4:
		head, length = 4, int(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		head, length = 10, int(binary.BigEndian.Uint64(b[2:]))
	case length >= 126:
		return 0, nil, 0
	}
	if length < 0 || len(b)-head < length {
		return 0, nil, 0
	}
	return ws.OpCode(b[0] & 0x0f), b[head : head+length], head + length
}
