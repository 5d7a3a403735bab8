package poller

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// A verdict says what to do after accept(2) has failed.
type verdict int

const (
	acceptNext verdict = iota // that connection is lost, the listener is well
	acceptWait                // the host or the process is out of something: pause, then go on
	acceptStop                // the listener is no more
)

// judgeAccept classifies an error of accept(2) after its man page: a connection that died in the
// queue, or a network error that Linux passes on from the new socket, is nobody else's concern;
// exhaustion passes, so a server must outlive it, and must not spin on it meanwhile.
func judgeAccept(err error) verdict {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return acceptStop
	}
	switch errno {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		return acceptWait
	case unix.ECONNABORTED, unix.EINTR, unix.EPROTO, unix.EPERM,
		unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH:
		return acceptNext
	}
	return acceptStop
}

// Pauses after exhaustion: they double from the first to the last, and start anew after a success.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// serve runs accept again and again until the engine stops or accept fails for good. accept takes
// one or more connections and returns nil, or says what the kernel said.
func (b *base) serve(accept func() error) error {
	pause := firstAcceptPause
	for {
		err := accept()
		if err == nil {
			pause = firstAcceptPause
			continue
		}
		if b.isDown() {
			return ErrShutdown
		}
		switch judgeAccept(err) {
		case acceptNext:
		case acceptWait:
			b.counters.acceptErrors.Add(1)
			if !b.pause(pause) {
				return ErrShutdown
			}
			pause = min(2*pause, lastAcceptPause)
		case acceptStop:
			return err
		}
	}
}

// pause waits; false says that the engine is being shut down.
func (b *base) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-b.quit:
		return false
	}
}
