package poller

import (
	"errors"
	"net"
	"os"
	"syscall"
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

// serve runs accept again and again until the engine stops or accept fails for good. accept returns how
// many connections it took, and what the kernel said when it took no more.
func (b *base) serve(accept func() (int, error)) error {
	pause := firstAcceptPause
	for {
		n, err := accept()
		if n > 0 {
			pause = firstAcceptPause
		}
		if err == nil {
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

// serveSocket is Serve for an engine that calls accept4(2) itself and owns descriptors.
func (b *base) serveSocket(l net.Listener, add func(fd int) error) error {
	fd, err := dupSocket(l) // package net would not let us call accept4(2) ourselves
	if err != nil {
		l.Close()
		return err
	}
	// Accepted sockets inherit it, which saves a system call for each. It fails on a Unix socket.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	f := os.NewFile(uintptr(fd), "listener")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		l.Close()
		return err
	}
	if err := b.listen(f); err != nil {
		l.Close()
		return err
	}
	defer b.unlisten(f)
	defer l.Close() // not before: it removes the file of a Unix socket
	early := true
	return b.serve(func() (int, error) { return acceptBatch(raw, &early, add) })
}

// accept4 is accept4(2) without the peer's address, which nobody may ever ask for: unix.Accept4 makes
// two objects of it for each connection.
func accept4(listener uintptr) (fd int, errno unix.Errno) {
	r, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, listener, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(r), errno
}

// acceptBatch waits for connections and accepts until the kernel returns an error. early is true until the queue
// has been empty: who came before the listener was told has not inherited TCP_NODELAY.
func acceptBatch(raw syscall.RawConn, early *bool, add func(fd int) error) (n int, err error) {
	var failed error
	err = raw.Read(func(listener uintptr) bool {
		for {
			fd, errno := accept4(listener)
			if errno == unix.EAGAIN {
				*early = false
				return false
			}
			if errno != 0 {
				failed = os.NewSyscallError("accept4", errno)
				return true
			}
			n++
			if *early {
				_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			}
			if add(fd) == ErrShutdown { // Close of the listener waits for us
				failed = ErrShutdown
				return true
			}
		}
	})
	if failed != nil {
		return n, failed
	}
	return n, err
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
