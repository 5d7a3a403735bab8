package server

import (
	"container/list"
	"fmt"
	"math"
	"sync"
)

// unfinished are the messages of WebSocket clients that are not whole yet and hold more than alwaysReceived, of all
// connections. When they hold more than the limit, the one that began first is given up: a client that sends slowly
// on purpose gets there, one that sends as fast as it can does not.
type unfinished struct {
	limit int64 // bytes

	mu       sync.Mutex // protects the following
	messages list.List  // of *piece, in the order in which they began
	kept     int64      // bytes that these hold
	held     int64      // and with those that were given up, until their connections' OnClose
}

// A piece is what there is of a message.
type piece struct {
	conn *wsConn
	held int64
	at   *list.Element // nil once it was given up
}

// defaultMessageMemory is that of the bodies of the long-poll transport.
const defaultMessageMemory = maxPollBodies

// setMessageMemory is called when the mounts are known. What collects a message has room for twice as much at most.
func (s *Server) setMessageMemory() error {
	least := int64(0)
	for _, m := range s.routes {
		least = max(least, 2*min(m.options.MaxFrameSize, math.MaxInt64/2))
	}
	switch memory := &s.cfg.MessageMemory; {
	case *memory == 0:
		*memory = max(defaultMessageMemory, least)
	case *memory < least:
		return fmt.Errorf("server: Config.MessageMemory is %d: want twice the largest MaxFrameSize at least, %d", *memory, least)
	}
	s.unfinished.limit = s.cfg.MessageMemory
	return nil
}

// grow notes that a piece holds so much now, and returns the connections that are to be closed for that.
func (u *unfinished) grow(p *piece, held int64) (closing []*wsConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.held == 0 {
		p.at = u.messages.PushBack(p)
	} else if p.at == nil {
		return nil // its connection is being closed
	}
	u.held += held - p.held
	u.kept += held - p.held
	p.held = held
	for u.kept > u.limit {
		closing = append(closing, u.giveUpLocked(u.messages.Front().Value.(*piece)))
	}
	if u.held-u.limit > u.limit && p.at != nil { // applications hold up the OnClose of those that were given up
		closing = append(closing, u.giveUpLocked(p))
	}
	return closing
}

func (u *unfinished) giveUpLocked(p *piece) *wsConn {
	u.messages.Remove(p.at)
	u.kept -= p.held
	p.at = nil
	return p.conn
}

// end forgets a piece: its message is whole, or its connection at its end.
func (u *unfinished) end(p *piece) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held -= p.held
	if p.at != nil {
		u.giveUpLocked(p)
	}
}

func (u *unfinished) bytes() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.held
}

// keep holds on to a message that goes on in the bytes to come.
func (w *wsConn) keep(cu *cut) {
	w.cut = cu
	held := int64(cu.msg.Held())
	if cu.piece == nil {
		if held <= alwaysReceived {
			return
		}
		cu.piece = &piece{conn: w}
	}
	if held == cu.piece.held {
		return
	}
	s := w.mount.srv
	for _, other := range s.unfinished.grow(cu.piece, held) {
		s.bounds.unfinished.Add(1)
		other.close(codeTryAgainLater, "too many messages are being received")
		if other == w {
			w.dropMessage()
		}
	}
}

// dropMessage gives up what there is of a message. OnData or OnClose calls it.
func (w *wsConn) dropMessage() {
	if cu := w.cut; cu != nil {
		w.cut = nil
		w.ended(cu)
		cu.release()
	}
}

// ended notes that the message of cu goes on no more.
func (w *wsConn) ended(cu *cut) {
	if cu.piece != nil {
		w.mount.srv.unfinished.end(cu.piece)
		cu.piece = nil
	}
}
