package poller

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A socket is what an engine's connection adds to a core: the system calls, and a way to reach the
// goroutine that reads. Methods that say so are called with the core's lock held.
type socket interface {
	Conn
	runner

	// transmit hands bytes to the kernel without blocking and returns how many it took; fewer than
	// all with a nil error means that it takes no more now. Lock held.
	transmit(p []byte) (int, error)
	transmitv(v [][]byte) (int, error)

	// awaitWritable arranges one call of core.flush when the kernel takes bytes again. Lock held.
	awaitWritable()

	// finish sends FIN. Lock held.
	finish()

	// signal has the reading goroutine call core.serve with op soon. Lock held or not.
	signal(op op)

	// deadlines returns the connection's deadlines in the swept table. They are another's once the
	// connection is gone.
	deadlines() *deadlines
}

// A core is the part of a connection that is the same in every engine: its handler, its outbox, its
// mailbox, and the order in which it ends. 48 bytes.
//
// The end, whoever begins it, always goes the same way:
//
//	closing   no new tasks; bytes that come are dropped        Close, EOF, Truncate, Abort
//	sealed    queued tasks have run; no new sends; OnClose     end.Run on a worker
//	finSent   the outbox is empty, FIN is out                  core.flushed
//	gone      the peer's FIN came too, or it was reset, or     socket.signal(opDestroy) -> release
//	          the linger timeout passed; the descriptor is closed, by the reading goroutine alone
type core struct {
	handler Handler // written by the reading goroutine, or by a task while it is paused
	mu      sync.Mutex
	out     *outbox       // nil while nothing waits to be sent
	box     *mailbox      // nil while no task waits or runs and nothing is held
	state   atomic.Uint32 // written with mu held, read anywhere
	idle    atomic.Uint32 // idle timeout in milliseconds; 0: none, or a fixed deadline
}

const (
	stClosing uint32 = 1 << iota // the end has begun
	stSealed                     // sends are refused
	stEOF                        // the peer's FIN was read
	stFinSent                    // ours was sent
	stReset                      // to be closed with RST
	stGone                       // the descriptor is closed or detached
	stPaused                     // Pause
	stFull                       // the mailbox is at its limit
)

// An op is what another goroutine asks of the one that reads a connection.
type op uint8

const (
	opRead    op = iota // read on after a pause
	opTimeout           // call OnTimeout
	opDestroy           // close the descriptor
)

func (k *core) kernel() *core { return k }

func (k *core) is(bits uint32) bool { return k.state.Load()&bits != 0 }

// setLocked and clearLocked change the state; mu is held.
func (k *core) setLocked(bits uint32)   { k.state.Store(k.state.Load() | bits) }
func (k *core) clearLocked(bits uint32) { k.state.Store(k.state.Load() &^ bits) }

// mailLocked returns the mailbox and makes it if there is none.
func (k *core) mailLocked() *mailbox {
	if k.box == nil {
		k.box = newMailbox()
	}
	return k.box
}

// send is Write (shared false) and Send (shared true).
func (k *core) send(s socket, e *base, p []byte, shared bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stSealed) {
		return ErrClosed
	}
	if k.out != nil {
		if k.out.size+len(p) > e.cfg.OutboxLimit {
			e.counters.outboxFull.Add(1)
			return ErrOutboxFull
		}
	} else {
		n, err := s.transmit(p)
		if err != nil {
			k.abortLocked(s, e, err)
			return ErrClosed
		}
		if n == len(p) {
			return nil
		}
		p = p[n:]
		k.out = newOutbox()
		k.armWrite(s, e)
		s.awaitWritable()
	}
	if !shared {
		p = append([]byte(nil), p...)
	}
	k.out.push(p)
	return nil
}

// armWrite starts the write timeout anew: bytes wait, and the kernel has just taken some or none.
func (k *core) armWrite(s socket, e *base) {
	s.deadlines().write.Store(e.deadline(e.cfg.WriteTimeout))
}

// maxVectors bounds one writev(2): enough for many small frames, far below IOV_MAX (1024).
const maxVectors = 64

// flush sends what waits until the kernel takes no more. blocked reports that bytes are left.
func (k *core) flush(s socket, e *base) (blocked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var arr [maxVectors][]byte
	for k.out != nil && !k.is(stGone) {
		want := 0
		v := k.out.vectors(arr[:0], maxVectors)
		for _, b := range v {
			want += len(b)
		}
		n, err := s.transmitv(v)
		if err != nil {
			k.abortLocked(s, e, err)
			return false
		}
		k.out.took(n)
		if k.out.empty() {
			k.out.release()
			k.out = nil
			k.flushedLocked(s, e)
			return false
		}
		if n > 0 {
			k.armWrite(s, e)
		}
		if n < want {
			return true
		}
	}
	return false
}

// flushedLocked goes on with an end that waited for the outbox.
func (k *core) flushedLocked(s socket, e *base) {
	if k.is(stGone) {
		return
	}
	s.deadlines().write.Store(0)
	if !k.is(stSealed) || k.is(stFinSent) {
		return
	}
	k.setLocked(stFinSent)
	if k.is(stEOF) {
		s.signal(opDestroy)
		return
	}
	s.finish()
	k.idle.Store(0)
	s.deadlines().read.Store(e.deadline(e.cfg.LingerTimeout))
}

// do is Do.
func (k *core) do(s socket, e *base, t Task) (bool, error) {
	k.mu.Lock()
	if k.is(stClosing) {
		k.mu.Unlock()
		return false, ErrClosed
	}
	box := k.mailLocked()
	n := box.waiting() + 1
	if n > 4*e.cfg.MailboxLimit {
		k.mu.Unlock()
		e.counters.mailboxFull.Add(1)
		return true, ErrMailboxFull
	}
	full := n >= e.cfg.MailboxLimit
	if full {
		k.setLocked(stFull)
	}
	start := k.queueLocked(t)
	k.mu.Unlock()
	if start {
		e.workers.submit(s)
	}
	return full, nil
}

// queueLocked appends t; start reports that the connection must be submitted to the workers.
func (k *core) queueLocked(t Task) (start bool) {
	box := k.mailLocked()
	box.push(t)
	start = !box.running
	box.running = true
	return start
}

// maxTasksPerRun is how many tasks of one connection run before another waiting connection has a turn.
const maxTasksPerRun = 32

// runTasks runs waiting tasks and reports whether it stopped although more wait.
func (k *core) runTasks(s socket, e *base) (more bool) {
	for range maxTasksPerRun {
		k.mu.Lock()
		t := k.box.pop()
		if t == nil {
			k.box.running = false
			k.dropBoxLocked()
			k.mu.Unlock()
			return false
		}
		resume := k.is(stFull) && k.box.waiting() <= e.cfg.MailboxLimit/2
		if resume {
			k.clearLocked(stFull)
		}
		k.mu.Unlock()
		if resume {
			s.signal(opRead)
		}
		t.Run(s)
	}
	return true
}

// dropBoxLocked gives the mailbox back if nothing is in it.
func (k *core) dropBoxLocked() {
	if b := k.box; b != nil && !b.running && b.waiting() == 0 && b.held == nil {
		k.box = nil
		b.release()
	}
}

// hold keeps what the handler did not take.
func (k *core) hold(rest []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stClosing) {
		return
	}
	k.mailLocked().held = append([]byte(nil), rest...)
}

// takeHeld returns what was held, for OnData to be given again.
func (k *core) takeHeld() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.box == nil || k.box.held == nil {
		return nil
	}
	held := k.box.held
	k.box.held = nil
	k.dropBoxLocked()
	return held
}

func (k *core) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.is(stClosing) {
		k.setLocked(stPaused)
	}
}

func (k *core) resume(s socket) {
	k.mu.Lock()
	paused := k.is(stPaused)
	k.clearLocked(stPaused)
	k.mu.Unlock()
	if paused {
		s.signal(opRead)
	}
}

func (k *core) setHandler(h Handler) {
	k.mu.Lock()
	k.handler = h
	k.mu.Unlock()
}

// current returns the handler for a goroutine that is not the reading one.
func (k *core) current() Handler {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.handler
}

func (k *core) setDeadline(s socket, e *base, d time.Duration, idle bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stClosing) {
		return
	}
	sl := s.deadlines()
	k.idle.Store(0)
	if d <= 0 {
		sl.read.Store(0)
		return
	}
	if idle {
		k.idle.Store(millis(d))
	}
	sl.read.Store(e.deadline(d))
}

// touch notes that bytes came.
func (k *core) touch(s socket, now uint32) {
	if idle := k.idle.Load(); idle != 0 {
		s.deadlines().read.Store(later(now, idle))
	}
}

// end is the last task of a connection.
type end struct {
	e      *base
	k      *core
	reason error
}

func (t *end) Run(c Conn) {
	s := c.(socket)
	t.k.mu.Lock()
	t.k.setLocked(stSealed)
	h := t.k.handler
	if t.k.out == nil {
		t.k.flushedLocked(s, t.e)
	}
	t.k.mu.Unlock()
	h.OnClose(c, t.reason)
	t.e.closed(t.reason)
}

// endLocked begins the end unless it has begun; start as in queueLocked.
func (k *core) endLocked(e *base, reason error) (start bool) {
	if k.is(stClosing) {
		return false
	}
	k.setLocked(stClosing)
	k.clearLocked(stPaused | stFull)
	if k.box != nil {
		k.box.held = nil
	}
	return k.queueLocked(&end{e, k, reason})
}

// close is Close, and what a FIN of the peer does, with reason io.EOF.
func (k *core) close(s socket, e *base, reason error) {
	k.mu.Lock()
	if reason == io.EOF {
		k.setLocked(stEOF)
		if k.is(stFinSent) {
			s.signal(opDestroy)
		}
	}
	start := k.endLocked(e, reason)
	k.mu.Unlock()
	if start {
		e.workers.submit(s)
	}
	if reason == nil {
		s.signal(opRead) // it may have been paused, and must now read what is to be dropped
	}
}

// truncate is Truncate.
func (k *core) truncate(s socket, e *base, last []byte) {
	k.mu.Lock()
	if k.is(stSealed) {
		k.mu.Unlock()
		return
	}
	if k.out != nil {
		k.out.truncate()
		k.out.push(append([]byte(nil), last...))
	} else if n, err := s.transmit(last); err != nil || n < len(last) {
		k.abortLocked(s, e, ErrOutboxFull)
	}
	k.setLocked(stSealed)
	start := k.endLocked(e, ErrOutboxFull)
	k.mu.Unlock()
	if start {
		e.workers.submit(s)
	}
	s.signal(opRead)
}

// abort is Abort.
func (k *core) abort(s socket, e *base, reason error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.abortLocked(s, e, reason)
}

func (k *core) abortLocked(s socket, e *base, reason error) {
	if k.is(stGone) {
		return
	}
	k.setLocked(stSealed | stReset)
	if k.endLocked(e, reason) {
		e.workers.submit(s)
	}
	if k.out != nil {
		k.out.release()
		k.out = nil
	}
	s.signal(opDestroy)
}

// releaseLocked marks the descriptor as gone; the caller closes it. first is false if it was already.
func (k *core) releaseLocked(s socket, e *base, reason error) (first bool) {
	if k.is(stGone) {
		return false
	}
	k.setLocked(stSealed)
	if k.endLocked(e, reason) {
		e.workers.submit(s)
	}
	if k.out != nil {
		k.out.release()
		k.out = nil
	}
	k.setLocked(stGone)
	return true
}

func (k *core) outboxSize() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.out == nil {
		return 0
	}
	return k.out.size
}
