package poller_test

import (
	"net"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"golang.org/x/sys/unix"
)

// Small writes leave at once on every connection, also on those that waited before the listener was served: they
// have not inherited the option from it.
func TestNoDelay(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var clients []net.Conn
		dial := func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			clients = append(clients, c)
		}
		dial()
		dial()
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		dial()
		for i, c := range clients {
			mustWrite(t, c, []byte("x"))
			readFull(t, c, 1)
			if i == 1 {
				dial() // the queue has been empty
			}
			if on, err := noDelay(c.LocalAddr().(*net.TCPAddr).Port); err != nil || on != 1 {
				t.Errorf("connection %d: TCP_NODELAY is %d, %v", i, on, err)
			}
		}
		for _, c := range clients {
			c.Close()
		}
		r.stop(patience)
		<-served
	})
}

// noDelay returns TCP_NODELAY of the socket of this process whose peer has that port.
func noDelay(port int) (on int, err error) {
	for fd := range 1024 {
		peer, err := unix.Getpeername(fd)
		if in, ok := peer.(*unix.SockaddrInet4); err == nil && ok && in.Port == port {
			return unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		}
	}
	return 0, unix.ENOTCONN
}
