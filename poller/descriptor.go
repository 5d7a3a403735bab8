package poller

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dupSocket returns a descriptor of our own for the socket of a net.Conn or net.Listener.
func dupSocket(s any) (int, error) {
	sc, ok := s.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("%w: %T", ErrNoSocket, s)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil && dupErr != nil {
		err = os.NewSyscallError("fcntl", dupErr)
	}
	if err != nil {
		return -1, err
	}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		unix.Close(fd)
		return -1, fmt.Errorf("%w: %T", ErrNoSocket, s)
	}
	return fd, nil
}

// dupConn returns a net.Conn with a descriptor of its own for the socket of fd, which stays the caller's.
func dupConn(fd int) (net.Conn, error) {
	f, err := dupFile(fd)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileConn(f)
}

// dupFile returns a file with a descriptor of its own for the socket of fd.
func dupFile(fd int) (*os.File, error) {
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(d), "socket"), nil
}

// written turns what a non-blocking write returned into a count, with an error only if it is final.
// EINTR is no matter: write(2) is not interrupted on a non-blocking socket.
func written(n int, err error) (int, error) {
	switch err {
	case nil:
		return n, nil
	case unix.EAGAIN:
		return 0, nil
	}
	return 0, os.NewSyscallError("write", err)
}
