package poller

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

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
	defer t.e.closed(t.reason) // also when OnClose ends its goroutine
	h.OnClose(c, t.reason)
}

// endLocked begins the end unless it has begun; start as in queueLocked.
func (k *core) endLocked(e *base, reason error) (start bool) {
	if k.is(stClosing) {
		return false
	}
	k.setLocked(stClosing)
	k.clearLocked(stPaused | stFull | stExpired)
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
			k.signalLocked(s, opDestroy)
		}
	} else if !k.is(stClosing) {
		s.signal(opRead) // it may have been paused, and must now read what is to be dropped
	}
	start := k.endLocked(e, reason)
	k.mu.Unlock()
	if start {
		e.workers.submit(s)
	}
}

// closeWith is CloseWith, and with drop Truncate.
func (k *core) closeWith(s socket, e *base, last []byte, drop bool) {
	var reason error
	if drop {
		reason = ErrOutboxFull
	}
	k.mu.Lock()
	if k.is(stSealed) {
		k.mu.Unlock()
		return
	}
	if k.out != nil && drop {
		k.out.truncate()
		if k.out.empty() && len(last) == 0 {
			k.dropOutLocked(s) // the kernel may never say again that it takes bytes: there are none
		}
	}
	k.lastLocked(s, e, last)
	k.setLocked(stSealed)
	start := k.endLocked(e, reason)
	k.signalLocked(s, opRead)
	k.mu.Unlock()
	if start {
		e.workers.submit(s)
	}
}

// lastLocked sends or queues the last bytes of a connection; no limit refuses them.
func (k *core) lastLocked(s socket, e *base, last []byte) {
	if k.out == nil {
		n, err := s.transmit(last)
		if err != nil {
			k.writeFailedLocked(s, e, err)
			return
		}
		if n == len(last) {
			return
		}
		last = last[n:]
		k.out = newOutbox()
		k.armWrite(s, e)
		s.awaitWritable()
	}
	k.out.push(append([]byte(nil), last...))
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
	k.dropOutLocked(s)
	s.signal(opDestroy)
}

// writeFailedLocked resets the connection because of what a write was told.
//
// The kernel tells what broke a connection once, and EPIPE whoever asks next: then the reading goroutine has been
// told, and is on its way to releaseLocked with it.
func (k *core) writeFailedLocked(s socket, e *base, err error) {
	if !errors.Is(err, unix.EPIPE) || k.is(stClosing) {
		k.abortLocked(s, e, err)
		return
	}
	k.setLocked(stClosing | stBroken)
	k.abortLocked(s, e, nil)
}

// releaseLocked marks the descriptor as gone; the caller closes it. first is false if it was already.
func (k *core) releaseLocked(s socket, e *base, reason error) (first bool) {
	if k.is(stGone) {
		return false
	}
	if k.is(stBroken) {
		k.clearLocked(stClosing | stBroken) // the end has yet to be queued
		if reason == nil {
			reason = os.NewSyscallError("write", unix.EPIPE)
		}
	}
	k.setLocked(stSealed)
	if k.endLocked(e, reason) {
		e.workers.submit(s)
	}
	k.dropOutLocked(s)
	k.setLocked(stGone)
	return true
}

// dropOutLocked forgets what waits to be sent.
func (k *core) dropOutLocked(s socket) {
	if k.out != nil {
		k.out.release()
		k.out = nil
		s.deadlines().write.Store(0)
	}
}
