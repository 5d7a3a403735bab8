package poller

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// An Engine accepts connections and turns what the kernel says of them into calls of a [Handler].
// Three engines meet this contract: [Epoll], [Netpoll] and [Goroutine]; one suite runs against all of them.
// [Memory] does without sockets.
type Engine interface {
	// Serve accepts connections on l until Shutdown, then returns [ErrShutdown]. Any number of
	// listeners may be served at once. The engine closes l, at the latest when Serve returns.
	Serve(l net.Listener) error

	// Attach adds a connection that was accepted elsewhere, as if it had been accepted here: h is
	// its first handler and early are bytes already read from it, which h sees first. The engine
	// owns nc from now on, also when it returns an error; then h is not called.
	Attach(nc net.Conn, h Handler, early []byte) error

	// Each calls f for every open connection with its handler of this moment, from the calling
	// goroutine, until f returns false. Connections that open or close meanwhile may be missed. f may
	// block: nothing is locked.
	Each(f func(Conn, Handler) bool)

	// Stats returns a snapshot of the engine's counters. It may be called from any goroutine.
	Stats() Stats

	// Shutdown stops accepting, closes every connection as [Conn.Close] does and waits until all
	// of them are closed and the workers are idle. When ctx ends first, the rest is reset and
	// ctx's error returned. No goroutine and no descriptor of the engine is left either way.
	Shutdown(ctx context.Context) error
}

// A Handler is told what happens on one connection. It is also where the owner keeps what it knows
// of the connection: a Conn has no other place for user state, and [Conn.SetHandler] replaces it.
//
// OnData and OnTimeout run on the connection's loop (on its read goroutine in the goroutine engine,
// on a task of the library in the netpoll engine): one at a time for a connection, never two at
// once. They must not block and must not run application code, which belongs into a [Task].
type Handler interface {
	// OnData is given bytes in the order in which they came and returns how many of them it took.
	// data belongs to the engine: it may be changed in place, and is valid only until OnData
	// returns. A handler takes less than everything for one reason only: [Conn.Do] reported that
	// the mailbox is full. The engine then keeps the rest, stops reading the connection, and calls
	// OnData with the rest once the mailbox has drained, before it reads on: the peer is slowed
	// down by TCP.
	OnData(c Conn, data []byte) int

	// OnTimeout is called when the deadline of [Conn.SetDeadline] or [Conn.SetIdleTimeout] has
	// passed. A handler that does nothing gets no second call until it sets a new one.
	OnTimeout(c Conn)

	// OnClose is called exactly once, on a worker, after the tasks that were queued before the
	// close have run and every call of OnData and OnTimeout has returned; no call for this connection
	// begins after it. reason says what ended it: nil for a close this side asked for, io.EOF when the peer finished, one of this package's
	// errors, or what the kernel said.
	OnClose(c Conn, reason error)
}

// A Task is work for the shared workers. Run may block; while it does it holds one worker and delays
// the later tasks of its own connection, and nobody else.
type Task interface {
	Run(c Conn)
}

// A Conn is one stream socket of an engine. All methods may be called from any goroutine, before and
// after the close; a Conn is never reused for another socket, so a late call cannot reach a stranger.
type Conn interface {
	// Write sends p and leaves p to the caller. What the kernel does not take at once is copied to
	// the outbox. Sends from one goroutine leave in the order of the calls.
	// Errors: ErrClosed; ErrOutboxFull, with nothing of p sent.
	Write(p []byte) error

	// Send sends p, which must never change again: what the kernel does not take at once is kept
	// by reference, so that one frame may be in the outboxes of a million connections. Errors as
	// for Write.
	Send(p []byte) error

	// Do queues t behind the tasks queued before it. Tasks of one connection run one at a time, in
	// order. full reports that the mailbox has reached [Config.MailboxLimit]: the caller, if it is
	// OnData, stops taking. Errors: ErrClosed after the close began, ErrMailboxFull at four times
	// the limit (tasks that do not come from the connection's own bytes are not slowed by TCP).
	Do(t Task) (full bool, err error)

	// SetHandler replaces the handler. Call it from OnData, OnTimeout, or from a Task while OnData
	// cannot run (see Pause).
	SetHandler(h Handler)

	// Pause stops reading until Resume: for a handler that has handed a decision to a task and
	// must not see more bytes until it is made. Only OnData may call it; what OnData does not take
	// is kept. Resume may be called from anywhere, and undoes one Pause.
	Pause()
	Resume()

	// SetDeadline calls OnTimeout once after d, whatever is received meanwhile; 0 takes it back.
	// SetIdleTimeout calls OnTimeout once nothing has been received for d; 0 takes it back. Each
	// replaces the other. Deadlines are swept: late by at most an eighth of the shortest timeout
	// in use or one second, whichever is less, never early.
	SetDeadline(d time.Duration)
	SetIdleTimeout(d time.Duration)

	// Close finishes the connection in order: tasks already queued run, what was sent goes out,
	// then FIN; bytes that still arrive are read and dropped (a close(2) on unread bytes would
	// reset the connection and could destroy what the peer has not read yet) until the peer's FIN
	// or Config.LingerTimeout. Later calls do nothing.
	Close()

	// CloseWith sends last behind everything that was sent before, refuses every later send, and
	// then does what Close does. Truncate drops what waits in the outbox and has not begun to leave
	// before it sends last: the end of a consumer that is too slow, which still learns why;
	// ErrOutboxFull goes to OnClose. Neither is held back by Config.OutboxLimit. They do nothing on
	// a connection that refuses sends already.
	CloseWith(last []byte)
	Truncate(last []byte)

	// Abort resets the connection at once; reason goes to OnClose.
	Abort(reason error)

	// Detach takes the socket away from the engine and returns it as a net.Conn, for a peer that
	// turns out to speak another protocol. Only OnData may call it; the bytes it was given are the
	// caller's to keep, what it sent must have been taken by the kernel. No callback follows, not
	// even OnClose.
	Detach() (net.Conn, error)

	// Outbox returns the number of bytes that wait for the kernel.
	Outbox() int

	// RemoteAddr and LocalAddr ask the kernel each time: addresses of idle connections take no
	// memory. They are the zero AddrPort after the close.
	RemoteAddr() netip.AddrPort
	LocalAddr() netip.AddrPort
}
