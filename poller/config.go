package poller

import (
	"fmt"
	"runtime"
	"time"
)

// Config says how an engine works. Accept must be set; every other field has a default for its zero value.
type Config struct {
	// Accept returns the first handler of a new connection. It runs on the accepting goroutine,
	// before anything is read, and must not block.
	Accept func(Conn) Handler

	// Loops is the number of event loops. Default: GOMAXPROCS. The goroutine engine has none.
	Loops int

	// ReadBuffer is the size of a loop's one read buffer, and so the most bytes that one OnData is
	// given. Default 64 KiB. The goroutine engine holds one of GoroutineBuffer per connection.
	ReadBuffer int

	// GoroutineBuffer is the read buffer of each connection of the goroutine engine. Default 4 KiB,
	// which is what net/http and the common libraries start with.
	GoroutineBuffer int

	// OutboxLimit bounds the bytes that wait for one connection. An empty outbox takes any one
	// message. Default 1 MiB.
	OutboxLimit int

	// MailboxLimit is the number of waiting tasks at which a connection is no longer read.
	// Default 64.
	MailboxLimit int

	// Workers bounds how many tasks run at once over all connections; beyond it connections with
	// work queue up, each at most once. Default 4096.
	Workers int

	// WriteTimeout ends a connection that takes no byte of a non-empty outbox for so long.
	// Default 30 s.
	WriteTimeout time.Duration

	// LingerTimeout bounds the wait for the peer's FIN after ours. Default 2 s.
	LingerTimeout time.Duration

	// MaxConns bounds the open connections; one above it is closed as soon as it was accepted, and
	// counted. Default: no bound but the descriptor limit.
	MaxConns int

	// Recover is given what a Handler or a Task panicked with, on the goroutine that panicked and
	// before it unwinds, so that [runtime/debug.Stack] shows where. The connection is then reset,
	// with ErrPanic for OnClose, and all others go on; a lock that the panicking code held without
	// a deferred Unlock stays locked. Default: the panic goes on, and ends the program.
	Recover func(c Conn, p any)
}

// maxTimeout is the longest deadline that the 32-bit millisecond clock can tell from a past one.
const maxTimeout = 24 * 24 * time.Hour

func (c Config) withDefaults() (Config, error) {
	if c.Accept == nil {
		return c, fmt.Errorf("poller: Config.Accept is nil: an engine needs a first handler for each connection")
	}
	for _, f := range []struct {
		name  string
		value *int
		def   int
	}{
		{"Loops", &c.Loops, runtime.GOMAXPROCS(0)},
		{"ReadBuffer", &c.ReadBuffer, 64 << 10},
		{"GoroutineBuffer", &c.GoroutineBuffer, 4 << 10},
		{"OutboxLimit", &c.OutboxLimit, 1 << 20},
		{"MailboxLimit", &c.MailboxLimit, 64},
		{"Workers", &c.Workers, 4096},
	} {
		if *f.value < 0 {
			return c, fmt.Errorf("poller: Config.%s is %d: want a positive number, or 0 for the default of %d", f.name, *f.value, f.def)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"WriteTimeout", &c.WriteTimeout, 30 * time.Second},
		{"LingerTimeout", &c.LingerTimeout, 2 * time.Second},
	} {
		if *f.value < 0 || *f.value > maxTimeout {
			return c, fmt.Errorf("poller: Config.%s is %v: want between 0 (the default of %v) and %v", f.name, *f.value, f.def, maxTimeout)
		}
		if *f.value == 0 {
			*f.value = f.def
		}
	}
	return c, nil
}
