package poller

import "errors"

var (
	// ErrClosed is returned by a send or a task on a connection whose end has begun.
	ErrClosed = errors.New("poller: connection is closed")

	// ErrOutboxFull is returned by a send to a consumer that is too slow: what already waits for it
	// has reached Config.OutboxLimit. Nothing of the refused bytes was sent.
	ErrOutboxFull = errors.New("poller: outbox is over its limit")

	// ErrMailboxFull is returned by Do when four times Config.MailboxLimit tasks wait.
	ErrMailboxFull = errors.New("poller: mailbox is over its limit")

	// ErrWriteTimeout ends a connection whose peer took nothing for Config.WriteTimeout although
	// bytes waited for it.
	ErrWriteTimeout = errors.New("poller: peer took no bytes within the write timeout")

	// ErrShutdown is what Serve and Attach return once Shutdown was called, and the reason given
	// to connections that Shutdown had to reset.
	ErrShutdown = errors.New("poller: engine is shut down")

	// ErrMaxConns is returned by Attach when Config.MaxConns connections are open.
	ErrMaxConns = errors.New("poller: as many connections are open as Config.MaxConns allows")

	// ErrBusy is returned by Detach while tasks or bytes of the connection are still under way.
	ErrBusy = errors.New("poller: connection has work under way")

	// ErrPanic ends a connection whose Handler or Task panicked, if Config.Recover is set.
	ErrPanic = errors.New("poller: panic in a handler or a task")

	// ErrNoSocket is returned by Serve and Attach for something that is no TCP or Unix stream socket.
	ErrNoSocket = errors.New("poller: not a stream socket of the kernel")
)
