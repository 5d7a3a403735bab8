package poller

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
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

	// begin has a worker run the connection's tasks.
	begin()

	// signal has the reading goroutine do op soon. Lock held, and never once stGone is set: whatever
	// it wakes is still this connection's.
	signal(op op)

	// deadlines returns the connection's deadlines in the swept table. They are another's once stGone
	// is set, so only the reading goroutine looks at them without the lock.
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
	state   atomic.Uint32 // written with mu held, but for stServing and stEndWaits; read anywhere
	idle    atomic.Uint32 // idle timeout in milliseconds; 0: none, or a fixed deadline
}

const (
	stClosing  uint32 = 1 << iota // the end has begun
	stSealed                      // sends are refused
	stEOF                         // the peer's FIN was read
	stFinSent                     // ours was sent
	stReset                       // to be closed with RST
	stGone                        // the descriptor is closed or detached
	stPaused                      // Pause
	stFull                        // the mailbox is at its limit
	stExpired                     // the deadline has come, OnTimeout is yet to be called
	stServing                     // the reading goroutine is in OnData or OnTimeout; it alone sets this, without mu
	stEndWaits                    // the end has come to its turn meanwhile
	stBroken                      // a write had EPIPE; the reading goroutine will say why the end has begun
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
func (k *core) setLocked(bits uint32)   { k.state.Or(bits) }
func (k *core) clearLocked(bits uint32) { k.state.And(^bits) }

// signalLocked is signal for a connection that may be gone.
func (k *core) signalLocked(s socket, op op) {
	if !k.is(stGone) {
		s.signal(op)
	}
}

// open gets the first handler from first. What that begins (tasks, even the end) waits until there is
// a handler to tell.
func (k *core) open(s socket, e *base, first func(Conn) Handler) {
	k.mu.Lock()
	k.mailLocked().running = true
	k.mu.Unlock()
	h := first(s)
	k.mu.Lock()
	k.handler = h
	start := k.box.waiting() > 0
	k.box.running = start
	k.dropBoxLocked()
	k.mu.Unlock()
	if start {
		e.workers.submit(s)
	}
}

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
	if len(p) == 0 {
		return nil
	}
	if k.out != nil {
		if k.out.size+len(p) > e.cfg.OutboxLimit {
			e.counters.outboxFull.Add(1)
			return ErrOutboxFull
		}
	} else {
		n, err := s.transmit(p)
		if err != nil {
			k.writeFailedLocked(s, e, err)
			return ErrClosed
		}
		if n == len(p) {
			return nil
		}
		p = p[n:]
		k.out = newOutbox()
		k.out.begun = n > 0
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
	for k.out != nil && !k.is(stGone) {
		want := 0
		v := k.out.vectors(maxVectors)
		for _, b := range v {
			want += len(b)
		}
		n, err := s.transmitv(v)
		if err != nil {
			k.writeFailedLocked(s, e, err)
			return false
		}
		k.out.took(n)
		if k.out.empty() {
			k.out.release()
			k.out = nil
			k.flushedLocked(s, e)
			return false
		}
		if n > 0 && !k.is(stSealed) { // what is left of a connection's end has one timeout in all
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

func (k *core) outboxSize() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.out == nil {
		return 0
	}
	return k.out.size
}

// address is RemoteAddr and LocalAddr. The lock keeps fd from being another's.
func (k *core) address(fd int, get func(int) (unix.Sockaddr, error)) netip.AddrPort {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stGone) {
		return netip.AddrPort{}
	}
	sa, err := get(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// detachableLocked says why Detach cannot be done.
func (k *core) detachableLocked() error {
	switch {
	case k.is(stClosing):
		return ErrClosed
	case k.out != nil || k.box != nil:
		return ErrBusy
	}
	return nil
}
