package poller

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A memConn is a connection of the memory engine: 80 bytes, of which 16 are its peer.
type memConn struct {
	core
	e    *Memory
	peer Peer
	slot int32
	turn atomic.Uint32
}

// A turn says who reads a connection. A goroutine that finds nobody at it has the turn and does what an
// event loop does elsewhere; whatever is asked of the connection meanwhile it does before it gives the turn
// back. So nobody waits for it, and a connection that sleeps needs no goroutine of its own.
const (
	turnBusy uint32 = 8 << iota // somebody has the turn
	turnWork                    // tasks were queued meanwhile
	turnEOF                     // the peer's FIN stands behind what is held

	turnOps uint32 = 1<<opRead | 1<<opTimeout | 1<<opDestroy // what was asked, a bit for each op
)

func (c *memConn) Write(p []byte) error           { return c.send(c, &c.e.base, p, false) }
func (c *memConn) Send(p []byte) error            { return c.send(c, &c.e.base, p, true) }
func (c *memConn) Do(t Task) (bool, error)        { return c.do(c, &c.e.base, t) }
func (c *memConn) SetHandler(h Handler)           { c.setHandler(h) }
func (c *memConn) Pause()                         { c.pause() }
func (c *memConn) Resume()                        { c.resume(c) }
func (c *memConn) Close()                         { c.close(c, &c.e.base, nil) }
func (c *memConn) CloseWith(last []byte)          { c.closeWith(c, &c.e.base, last, false) }
func (c *memConn) Truncate(last []byte)           { c.closeWith(c, &c.e.base, last, true) }
func (c *memConn) Abort(reason error)             { c.abort(c, &c.e.base, reason) }
func (c *memConn) Outbox() int                    { return c.outboxSize() }
func (c *memConn) SetDeadline(d time.Duration)    { c.setDeadline(c, &c.e.base, d, false) }
func (c *memConn) SetIdleTimeout(d time.Duration) { c.setDeadline(c, &c.e.base, d, true) }
func (c *memConn) RemoteAddr() netip.AddrPort     { return netip.AddrPort{} }
func (c *memConn) LocalAddr() netip.AddrPort      { return netip.AddrPort{} }
func (c *memConn) Detach() (net.Conn, error)      { return nil, errMemory }

func (c *memConn) run() bool             { return c.runTasks(c, &c.e.base) }
func (c *memConn) deadlines() *deadlines { return &c.e.table.at(int(c.slot)).deadlines }
func (c *memConn) awaitWritable()        {}                      // Link.Ready
func (c *memConn) finish()               { c.signal(opDestroy) } // the peer's FIN follows at once

func (c *memConn) transmit(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.peer.Receive(p), nil
}

func (c *memConn) transmitv(v [][]byte) (n int, err error) {
	for _, p := range v {
		took := c.peer.Receive(p)
		if n += took; took < len(p) {
			break
		}
	}
	return n, nil
}

// begin leaves the work to whoever has the turn, or to a worker.
func (c *memConn) begin() {
	for t := c.turn.Load(); t&turnBusy != 0; t = c.turn.Load() {
		if c.turn.CompareAndSwap(t, t|turnWork) {
			return
		}
	}
	c.e.workers.submit(c)
}

// signal leaves op to whoever has the turn, or to a goroutine that takes it: workers may all be held up in
// tasks, and a deadline or a reset does not wait for them.
func (c *memConn) signal(op op) {
	if c.turn.Or(1<<op|turnBusy)&turnBusy == 0 {
		c.e.turns.Go(c.lead)
	}
}

// lead goes through a turn that was taken for it.
func (c *memConn) lead() {
	if c.endTurn() {
		c.e.workers.submit(c)
	}
}

// endTurn does what is asked until nothing is, and gives the turn back. work reports that tasks are left to
// the caller.
func (c *memConn) endTurn() (work bool) {
	for {
		t := c.turn.Load()
		if t&turnOps == 0 {
			if c.turn.CompareAndSwap(t, t&turnEOF) {
				return t&turnWork != 0
			}
			continue
		}
		c.turn.And(^(t & turnOps))
		// The FIN of before readHeld: behind one that has come since may stand bytes that are held since.
		if t&(1<<opRead) != 0 && c.readHeld() && t&turnEOF != 0 {
			c.close(c, &c.e.base, io.EOF)
		}
		if t&(1<<opTimeout) != 0 {
			c.timeout(c, &c.e.base)
		}
		if t&(1<<opDestroy) != 0 {
			c.destroy()
		}
	}
}

// mayFeed says why the peer can send nothing, or not n bytes.
func (c *memConn) mayFeed(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.is(stGone) || c.turn.Load()&turnEOF != 0:
		return ErrClosed
	case c.box != nil && len(c.box.held) > 0 && len(c.box.held)+n > c.e.cfg.ReadBuffer:
		return ErrUnread
	}
	return nil
}

// feed reads data, or holds it, and reports that the tasks it gave rise to are left to the caller.
func (c *memConn) feed(data []byte) (work bool) {
	if c.turn.Or(turnBusy)&turnBusy != 0 {
		c.hold(data)
		c.mu.Lock()
		c.signalLocked(c, opRead)
		c.mu.Unlock()
		return false
	}
	if !c.readHeld() {
		c.hold(data)
	} else if len(data) > 0 {
		c.give(c, &c.e.base, c.e.clock.now(), data, false)
	}
	return c.endTurn()
}

// finishPeer is Link.Finish.
func (c *memConn) finishPeer() {
	if c.turn.Or(1<<opRead|turnEOF|turnBusy)&turnBusy == 0 {
		c.lead()
	}
}

// readHeld gives the handler what is held and reports whether it may be given more. The caller has the turn.
func (c *memConn) readHeld() bool {
	if c.is(stGone | stPaused | stFull) {
		return false
	}
	held := c.takeHeld()
	if held != nil && !c.give(c, &c.e.base, c.e.clock.now(), held, true) {
		return false
	}
	return !c.is(stGone | stPaused | stFull)
}

// work runs the connection's tasks on the calling goroutine, as one of the workers.
func (c *memConn) work() {
	w := c.e.workers
	if !w.join() {
		w.submit(c)
		return
	}
	if c.run() {
		w.submit(c)
	}
	w.part()
}

// destroy ends the connection for good. Only who has the turn does.
func (c *memConn) destroy() {
	c.mu.Lock()
	first := c.releaseLocked(c, &c.e.base, nil)
	c.mu.Unlock()
	if !first {
		return
	}
	c.e.table.at(int(c.slot)).clear()
	c.e.numbers.giveBack(c.slot)
	c.e.leaves()
	c.peer.Closed()
	c.e.gone()
}
