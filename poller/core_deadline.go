package poller

import "time"

func (k *core) setDeadline(s socket, e *base, d time.Duration, idle bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stClosing) {
		return
	}
	sl := s.deadlines()
	k.idle.Store(0)
	k.clearLocked(stExpired)
	if d <= 0 {
		sl.read.Store(0)
		return
	}
	if idle {
		k.idle.Store(millis(d))
	}
	sl.read.Store(e.deadline(d))
}

// touch notes that bytes came. It takes no lock, so it gives way to whoever sets another deadline, or
// lets this one come due, in the same moment.
func (k *core) touch(s socket, now uint32) {
	if k.idle.Load() == 0 {
		return
	}
	read := &s.deadlines().read
	was := read.Load()
	if idle := k.idle.Load(); idle != 0 && was != 0 {
		read.CompareAndSwap(was, later(now, idle))
	}
}

// expire does what is due at now. The sweep calls it.
func (k *core) expire(s socket, e *base, now uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stGone) {
		return
	}
	d := s.deadlines()
	if due(d.write.Load(), now) {
		d.write.Store(0)
		k.abortLocked(s, e, ErrWriteTimeout)
	}
	if r := d.read.Load(); due(r, now) && d.read.CompareAndSwap(r, 0) {
		switch {
		case k.is(stFinSent):
			s.signal(opDestroy)
		case !k.is(stClosing):
			k.setLocked(stExpired)
			s.signal(opTimeout)
		}
	}
}

// timeout calls OnTimeout, unless its deadline was taken back or replaced after it had come.
func (k *core) timeout(s socket, e *base) {
	k.mu.Lock()
	expired := k.is(stExpired)
	k.clearLocked(stExpired)
	h := k.handler // a task may be replacing it: OnTimeout comes to a paused connection too
	k.mu.Unlock()
	if expired && k.enter(s, e) {
		k.onTimeout(s, e, h)
		k.leave(s, e)
	}
}
