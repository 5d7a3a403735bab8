package poller

// The calls of a handler and of tasks, so that what they panic with ends one connection and not the program:
// who can make a parser panic would have all other connections with it. Engine and connection hold no lock
// meanwhile, so they are whole afterwards.

func (k *core) onData(s socket, e *base, data []byte) (took int) {
	took = len(data)
	defer k.recovered(s, e)
	return k.handler.OnData(s, data)
}

func (k *core) onTimeout(s socket, e *base, h Handler) {
	defer k.recovered(s, e)
	h.OnTimeout(s)
}

func (k *core) runTask(s socket, e *base, t Task) {
	defer k.recovered(s, e)
	t.Run(s)
}

// recovered is deferred itself, or recover would return nothing.
func (k *core) recovered(s socket, e *base) {
	if e.cfg.Recover == nil {
		return
	}
	if p := recover(); p != nil {
		defer k.abort(s, e, ErrPanic) // also when Recover panics
		e.cfg.Recover(s, p)
	}
}
