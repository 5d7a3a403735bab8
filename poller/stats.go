package poller

import (
	"errors"
	"io"
	"sync/atomic"
)

// Stats are an engine's counters since it started, but for Open, Backlog and Active, which say how it is now.
type Stats struct {
	Open     int64 // connections whose descriptor is open, and not about to be closed
	Accepted int64 // connections opened, attached ones included
	Closed   int64 // connections whose OnClose has returned
	Detached int64 // connections given away by Detach

	ClosedByPeer    int64 // of Closed: ended by the peer's FIN
	WriteTimeouts   int64 // of Closed: ended by Config.WriteTimeout
	SlowConsumers   int64 // of Closed: ended by Truncate
	ClosedByFailure int64 // of Closed: reset by the peer or another error of the kernel

	OverLimit    int64 // accepted and closed at once because of Config.MaxConns
	AcceptErrors int64 // accept4(2) failed for want of descriptors or memory
	OutboxFull   int64 // sends refused with ErrOutboxFull
	MailboxFull  int64 // tasks refused with ErrMailboxFull
	StaleEvents  int64 // events of a descriptor's former owner, dropped

	Backlog int // connections with tasks that wait for a worker
	Active  int // workers at work
}

type counters struct {
	open, accepted, closedAll, detached              atomic.Int64
	byPeer, writeTimeouts, slow, failed              atomic.Int64
	overLimit, acceptErrors, outboxFull, mailboxFull atomic.Int64
	stale                                            atomic.Int64
}

// closed counts why before that: who sees a connection counted sees its reason counted.
func (c *counters) closed(reason error) {
	switch {
	case reason == nil:
	case errors.Is(reason, io.EOF):
		c.byPeer.Add(1)
	case errors.Is(reason, ErrWriteTimeout):
		c.writeTimeouts.Add(1)
	case errors.Is(reason, ErrOutboxFull):
		c.slow.Add(1)
	default:
		c.failed.Add(1)
	}
	c.closedAll.Add(1)
}

// Stats implements Engine for every engine that embeds base.
func (b *base) Stats() Stats {
	c := &b.counters
	s := Stats{ // in the order in which they are read: who is counted as closed is in what follows
		Closed: c.closedAll.Load(), Detached: c.detached.Load(), Open: c.open.Load(), Accepted: c.accepted.Load(),
		ClosedByPeer: c.byPeer.Load(), WriteTimeouts: c.writeTimeouts.Load(),
		SlowConsumers: c.slow.Load(), ClosedByFailure: c.failed.Load(),
		OverLimit: c.overLimit.Load(), AcceptErrors: c.acceptErrors.Load(),
		OutboxFull: c.outboxFull.Load(), MailboxFull: c.mailboxFull.Load(),
		StaleEvents: c.stale.Load(),
	}
	s.Backlog, s.Active = b.workers.waiting()
	return s
}
