package server

import (
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/ws"
)

// A pollSession is a client of the long-poll transport: the peer of a connection of the memory engine, on
// which its socket sends WebSocket frames as it does on any other. What waits for the next poll, waits in
// that connection's outbox, with the limit and the policy that it has everywhere.
//
// Its lock is taken below that of its own connection, which Receive holds, and above that of a client's
// connection, to which an answer is given. It is not held while its own connection is called.
type pollSession struct {
	mount  *mount
	sock   *pollSocket
	id     pollID
	opened int64 // Unix time, part of the token

	mu         sync.Mutex // protects the following
	link       poller.Link
	poll       *exchange // the GET that waits; nil: messages wait in the outbox
	busy       *pollWork // nil while there is nothing in it
	collecting bool      // the poll has not looked at the outbox yet: it is not answered by its first message
	gone       bool
}

// pollWork is what a session has only while something is under way.
type pollWork struct {
	messages []string // taken for a poll, in order
	size     int      // of messages
	posts    []posted // those that have no answer yet
	untaken  int      // bytes of records that OnData has yet to take
}

// A posted is a POST whose answer waits for a mark.
type posted struct {
	mark uint64
	x    *exchange
}

// maxAnswer is how many bytes of messages are taken for one poll once it is being answered; the next has the
// rest.
const maxAnswer = 1 << 20

func (p *pollSession) server() *Server { return p.mount.srv }

func (p *pollSession) workLocked() *pollWork {
	if p.busy == nil {
		p.busy = &pollWork{}
	}
	return p.busy
}

func (p *pollSession) dropWorkLocked() {
	if w := p.busy; w != nil && len(w.messages) == 0 && len(w.posts) == 0 && w.untaken == 0 {
		p.busy = nil
	}
}

// Receive implements poller.Peer.
func (p *pollSession) Receive(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.poll != nil && (p.busy == nil || p.busy.size <= maxAnswer)
	took := 0
	for {
		op, payload, n := cutServerFrame(b[took:])
		if n == 0 || !open && op != ws.OpClose {
			break
		}
		took += n
		switch op {
		case ws.OpText:
			w := p.workLocked()
			w.messages = append(w.messages, string(payload))
			w.size += len(payload)
		case ws.OpBinary: // section 5.3: there is no form for it in JSON
			p.server().counters.unencodable.Add(1)
		}
	}
	if open && !p.collecting {
		p.answerLocked()
	}
	return took
}

// answerLocked has the waiting poll answered, by a task of its connection, with what is there by then.
func (p *pollSession) answerLocked() {
	if !p.gone && (p.busy == nil || len(p.busy.messages) == 0) || !p.poll.claim() {
		return
	}
	if _, err := p.poll.conn.Do(p.poll); err != nil {
		p.poll = nil // its client is gone: what was taken for it, the next has
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

// take gives the messages to the poll x, whose answer was claimed, unless a later one waits.
func (p *pollSession) take(x *exchange) (messages []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll != x {
		return nil
	}
	p.poll = nil
	if w := p.busy; w != nil {
		messages, w.messages, w.size = w.messages, nil, 0
		p.dropWorkLocked()
	}
	return messages
}

// Closed implements poller.Peer: the session is at its end.
func (p *pollSession) Closed() {
	p.server().polls.forget(p.id)
	p.mu.Lock()
	p.gone = true
	waiting := make([]*exchange, 0, 1)
	if p.poll != nil {
		waiting = append(waiting, p.poll)
	}
	if p.busy != nil {
		for _, post := range p.busy.posts {
			waiting = append(waiting, post.x)
		}
		p.busy.posts = nil
		p.untakenLocked(-p.busy.untaken)
	}
	p.mu.Unlock()
	for _, x := range waiting {
		x.settle(http.StatusRequestTimeout)
	}
}

// park lets a poll wait for messages. Those that are there are its answer at once. An earlier poll gets none
// any more, and leaves what was taken for it (section 5.3).
func (p *pollSession) park(x *exchange) {
	p.mu.Lock()
	if x.claimed.Load() { // its window is over: a later one may be waiting by now
		p.mu.Unlock()
		return
	}
	p.poll, p.collecting = x, true
	p.mu.Unlock()
	p.sock.polled.Store(time.Now().UnixNano())
	p.ready()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll == x {
		p.collecting = false
		p.answerLocked()
	}
}

// unpark forgets a poll whose client is gone. What was taken for it, the next has.
func (p *pollSession) unpark(x *exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.poll == x {
		p.poll = nil
	}
}

// expect notes a POST whose answer waits for the mark that it returns.
func (p *pollSession) expect(x *exchange) (mark uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, false
	}
	mark = p.server().polls.marks.Add(1)
	w := p.workLocked()
	w.posts = append(w.posts, posted{mark, x})
	return mark, true
}

// settle answers the POST of a mark, once.
func (p *pollSession) settle(mark uint64, status uint16) {
	p.mu.Lock()
	var x *exchange
	if w := p.busy; w != nil {
		if i := slices.IndexFunc(w.posts, func(post posted) bool { return post.mark == mark }); i >= 0 {
			x = w.posts[i].x
			w.posts = slices.Delete(w.posts, i, i+1)
			p.dropWorkLocked()
		}
	}
	p.mu.Unlock()
	if x != nil {
		x.settle(status)
	}
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
