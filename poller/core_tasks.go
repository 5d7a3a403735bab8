package poller

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
		s.begin()
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
	returned := false
	defer func() {
		if !returned {
			e.workers.desert(s) // runtime.Goexit in a task, as t.Fatal does: this worker is no more
		}
	}()
	more = k.runWaiting(s, e)
	returned = true
	return more
}

func (k *core) runWaiting(s socket, e *base) (more bool) {
	for range maxTasksPerRun {
		k.mu.Lock()
		if _, over := k.box.next().(*end); over && k.waitForLeaveLocked() {
			k.box.running = false
			k.mu.Unlock()
			return false
		}
		t := k.box.pop()
		if t == nil {
			k.box.running = false
			k.dropBoxLocked()
			k.mu.Unlock()
			return false
		}
		if k.is(stFull) && k.box.waiting() <= e.cfg.MailboxLimit/2 {
			k.clearLocked(stFull)
			k.signalLocked(s, opRead)
		}
		k.mu.Unlock()
		k.runTask(s, e, t)
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
