package poller

import "bytes"

// give calls OnData and holds what it did not take; false says that reading must wait. It is called by
// the reading goroutine, as are touch and takeHeld. held says that data came from takeHeld: what is left
// of it is kept as it is, for a flood of tiny messages takes many turns.
func (k *core) give(s socket, e *base, now uint32, data []byte, held bool) bool {
	k.touch(s, now)
	if !k.enter(s, e) {
		return true
	}
	took := k.onData(s, e, data)
	k.leave(s, e)
	if took < len(data) && !k.is(stGone) {
		rest := data[took:]
		if !held {
			rest = bytes.Clone(rest)
		}
		k.holdAgain(rest)
		return false
	}
	return true
}

// enter and leave enclose a call of OnData or OnTimeout: the end's OnClose neither overtakes one nor
// runs at the same time. enter reports whether the call may be made.
func (k *core) enter(s socket, e *base) bool {
	if k.state.Or(stServing)&stClosing == 0 {
		return true
	}
	k.leave(s, e)
	return false
}

func (k *core) leave(s socket, e *base) {
	if k.state.And(^stServing)&stEndWaits == 0 {
		return
	}
	k.mu.Lock()
	waits := k.is(stEndWaits) // not if the worker found us gone in this moment, and went on
	if waits {
		k.clearLocked(stEndWaits)
		k.box.running = true
	}
	k.mu.Unlock()
	if waits {
		e.workers.submit(s)
	}
}

// waitForLeaveLocked reports that the end must wait, and will be submitted again by leave.
func (k *core) waitForLeaveLocked() bool {
	if k.state.Or(stEndWaits)&stServing != 0 {
		return true
	}
	k.clearLocked(stEndWaits)
	return false
}

// hold keeps what the handler did not take, behind what is held already.
func (k *core) hold(rest []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.is(stClosing) {
		return
	}
	box := k.mailLocked()
	box.held = append(box.held, rest...)
}

// holdAgain keeps rest itself, in front of what has been held since.
func (k *core) holdAgain(rest []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.is(stClosing) {
		box := k.mailLocked()
		box.held = append(rest, box.held...)
	}
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
	defer k.mu.Unlock()
	if k.is(stPaused) {
		k.clearLocked(stPaused)
		k.signalLocked(s, opRead)
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
