package poller_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/poller"
)

// startDialer starts an epoll engine that serves an echo on a loopback listener and may dial it.
func startDialer(t *testing.T, cfg poller.Config) (*poller.Epoll, netip.AddrPort) {
	t.Helper()
	p := newProbe()
	p.data = func(c poller.Conn, b []byte) int { c.Write(b); return len(b) }
	p.opened, p.closed = make(chan poller.Conn, 1<<14), make(chan error, 1<<14)
	cfg.Accept = p.accept
	r := startRig(t, func(c poller.Config) (poller.Engine, error) { return poller.NewEpoll(c) }, cfg)
	return r.Engine.(*poller.Epoll), netip.MustParseAddrPort(r.addr)
}

// reader collects what comes until it has n bytes.
func reader(n int) (*probe, chan string) {
	p, got := newProbe(), make(chan string, 1)
	var all []byte
	p.data = func(_ poller.Conn, b []byte) int {
		if all = append(all, b...); len(all) == n {
			got <- string(all)
		}
		return len(b)
	}
	return p, got
}

// holdOff returns the address of a listener whose queue is full: the kernel drops what asks for more
// (tcp_conn_request), so a dial to it goes on until something ends it. free accepts what is in the queue.
func holdOff(t *testing.T) (to netip.AddrPort, free func()) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	c, err := net.Dial("tcp", to.String()) // a queue of 0 holds one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return to, func() {
		nfd, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Error(err)
			return
		}
		unix.Close(nfd)
	}
}

func TestDial(t *testing.T) {
	e, addr := startDialer(t, poller.Config{})
	mapped := netip.AddrPortFrom(netip.AddrFrom16(addr.Addr().As16()), addr.Port())
	for _, row := range []struct {
		name  string
		local netip.Addr
		to    netip.AddrPort
		from  string
	}{
		{"any source", netip.Addr{}, addr, "127.0.0.1"},
		{"a source of one's own", netip.MustParseAddr("127.0.0.9"), addr, "127.0.0.9"},
		{"IPv4-mapped", netip.MustParseAddr("::ffff:127.0.0.8"), mapped, "127.0.0.8"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, got := reader(5)
			c, err := e.Dial(row.local, row.to, p)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Send([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if s := wait(t, got, "echo"); s != "hello" {
				t.Errorf("got %q", s)
			}
			if a := c.LocalAddr().Addr().String(); a != row.from {
				t.Errorf("dialled from %s, want %s", a, row.from)
			}
			if c.RemoteAddr() != addr {
				t.Errorf("dialled %v, want %v", c.RemoteAddr(), addr)
			}
			c.Close()
			if err := wait(t, p.closed, "close"); err != nil {
				t.Errorf("OnClose(%v), want nil", err)
			}
		})
	}
}

func TestDialIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	}
	p, got := newProbe(), make(chan string, 1)
	p.data = func(c poller.Conn, b []byte) int { c.Write(b); return len(b) }
	e, err := poller.NewEpoll(poller.Config{Accept: p.accept})
	if err != nil {
		t.Fatal(err)
	}
	go e.Serve(l)
	defer e.Shutdown(t.Context())
	h := newProbe()
	h.data = func(_ poller.Conn, b []byte) int { got <- string(b); return len(b) }
	local := netip.MustParseAddr("::1")
	c, err := e.Dial(local, netip.MustParseAddrPort(l.Addr().String()), h)
	if err != nil {
		t.Fatal(err)
	}
	c.Send([]byte("six"))
	if s := wait(t, got, "echo"); s != "six" || c.LocalAddr().Addr() != local {
		t.Errorf("got %q from %v", s, c.LocalAddr())
	}
	if _, err := e.Dial(local, netip.MustParseAddrPort("127.0.0.1:1"), h); err == nil {
		t.Error("dialled an IPv4 address from an IPv6 one")
	}
}

// What cannot even begin is an error, and the handler hears nothing.
func TestDialErrors(t *testing.T) {
	e, addr := startDialer(t, poller.Config{MaxConns: 1})
	for _, row := range []struct {
		name  string
		local string
		to    string
		want  error
	}{
		{"a broadcast address (tcp_v4_connect)", "", "127.255.255.255:80", unix.ENETUNREACH},
		{"a source that is not ours", "192.0.2.1", addr.String(), unix.EADDRNOTAVAIL},
		{"no interface of that zone", "", "[fe80::1%none]:80", nil},
		{"another family", "::1", addr.String(), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var local netip.Addr
			if row.local != "" {
				local = netip.MustParseAddr(row.local)
			}
			p := newProbe()
			c, err := e.Dial(local, netip.MustParseAddrPort(row.to), p)
			if err == nil || c != nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("Dial returned %v, %v; want %v", c, err, row.want)
			}
			if s := e.Stats(); s.Open != 0 || s.Accepted != 0 || len(p.closed) != 0 {
				t.Errorf("an error left something behind: %+v, OnClose %d times", s, len(p.closed))
			}
		})
	}
	if _, err := e.Dial(netip.Addr{}, netip.AddrPort{}, newProbe()); err == nil {
		t.Error("dialled nowhere")
	}
	to, _ := holdOff(t)
	c, err := e.Dial(netip.Addr{}, to, newProbe())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Dial(netip.Addr{}, to, newProbe()); err != poller.ErrMaxConns {
		t.Errorf("a second connection: %v, want ErrMaxConns", err)
	}
	c.Abort(nil)
}

// OnClose comes once and has the kernel's reason, whether something waits to be sent or not.
func TestDialRefused(t *testing.T) {
	e, _ := startDialer(t, poller.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	for _, send := range []string{"", "hello"} {
		p := newProbe()
		c, err := e.Dial(netip.Addr{}, to, p)
		if err != nil {
			t.Fatal(err)
		}
		if send != "" {
			_ = c.Send([]byte(send)) // ErrClosed if the refusal was quicker
		}
		if err := wait(t, p.closed, "close"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("OnClose(%v) with %q sent, want ECONNREFUSED", err, send)
		}
		eventually(t, "the descriptor is closed", func() bool { return e.Stats().Open == 0 })
		if c.Send([]byte("late")) != poller.ErrClosed || len(p.closed) != 0 {
			t.Error("it did not end once and for all")
		}
	}
	eventually(t, "both are counted as closed", func() bool { return e.Stats().Closed == 2 })
	if s := e.Stats(); s.ClosedByFailure != 2 {
		t.Errorf("%d closed by failure, want 2", s.ClosedByFailure)
	}
}

// Bytes sent while the kernel is still trying leave when it has succeeded.
func TestDialSendsWhenConnected(t *testing.T) {
	e, _ := startDialer(t, poller.Config{})
	to, free := holdOff(t)
	p := newProbe()
	c, err := e.Dial(netip.Addr{}, to, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send([]byte("early")); err != nil {
		t.Fatal(err)
	}
	if n := c.Outbox(); n != 5 {
		t.Errorf("%d bytes wait, want 5", n)
	}
	free() // the SYN that the kernel repeats after a second finds room now
	eventually(t, "the outbox empties", func() bool { return c.Outbox() == 0 })
	c.Abort(nil)
	wait(t, p.closed, "close")
}

// However a connection ends that is still being made, OnClose comes once and nothing is left.
func TestDialEndedWhileConnecting(t *testing.T) {
	to, _ := holdOff(t)
	mine := errors.New("mine")
	for _, row := range []struct {
		name string
		end  func(*poller.Epoll, poller.Conn)
		want error
	}{
		{"Close", func(_ *poller.Epoll, c poller.Conn) { c.Close() }, nil},
		{"CloseWith nothing", func(_ *poller.Epoll, c poller.Conn) { c.CloseWith(nil) }, nil},
		{"Abort", func(_ *poller.Epoll, c poller.Conn) { c.Abort(mine) }, mine},
		{"Abort with bytes waiting", func(_ *poller.Epoll, c poller.Conn) { c.Send([]byte("x")); c.Abort(mine) }, mine},
		{"deadline", func(_ *poller.Epoll, c poller.Conn) { c.SetDeadline(time.Millisecond) }, errTimedOut},
		{"write timeout", func(_ *poller.Epoll, c poller.Conn) { c.Send([]byte("x")) }, poller.ErrWriteTimeout},
		{"Shutdown", func(e *poller.Epoll, _ poller.Conn) { e.Shutdown(context.Background()) }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := poller.Config{Accept: newProbe().accept}
			if row.want == poller.ErrWriteTimeout {
				cfg.WriteTimeout = 20 * time.Millisecond
			}
			e, err := poller.NewEpoll(cfg)
			if err != nil {
				t.Fatal(err)
			}
			p := newProbe()
			p.timeout = func(c poller.Conn) { c.Abort(errTimedOut) }
			c, err := e.Dial(netip.Addr{}, to, p)
			if err != nil {
				t.Fatal(err)
			}
			row.end(e, c)
			if err := wait(t, p.closed, "close"); !errors.Is(err, row.want) || row.want == nil && err != nil {
				t.Errorf("OnClose(%v), want %v", err, row.want)
			}
			eventually(t, "the descriptor is closed", func() bool { return e.Stats().Open == 0 })
			if _, err := e.Dial(netip.Addr{}, to, p); row.name == "Shutdown" && err != poller.ErrShutdown {
				t.Errorf("Dial after Shutdown: %v", err)
			}
			if err := e.Shutdown(t.Context()); row.name != "Shutdown" && err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

var errTimedOut = errors.New("timed out")

// Dials that are closed at once, in every state in which that may find them.
func TestDialAndClose(t *testing.T) {
	e, addr := startDialer(t, poller.Config{})
	p := newProbe()
	ends := []func(poller.Conn){
		poller.Conn.Close,
		func(c poller.Conn) { c.Abort(io.ErrUnexpectedEOF) },
		func(c poller.Conn) { c.CloseWith([]byte("bye")) },
		func(c poller.Conn) { c.Send([]byte("one")); c.Truncate([]byte("two")) },
	}
	const each = 100
	for i := range each * len(ends) {
		c, err := e.Dial(netip.Addr{}, addr, p)
		if err != nil {
			t.Fatal(err)
		}
		ends[i%len(ends)](c)
	}
	for range each * len(ends) {
		wait(t, p.closed, "close")
	}
	eventually(t, "everything is closed", func() bool { return e.Stats().Open == 0 })
}

// Many dials from several goroutines and addresses: no goroutine for any of them, and everything is given
// back. leaktest counts the descriptors.
func TestDialMany(t *testing.T) {
	e, addr := startDialer(t, poller.Config{})
	const n, dialers = 2000, 4
	before := runtime.NumGoroutine()
	p := newProbe()
	p.closed = make(chan error, n)
	heard := make(chan struct{}, n)
	p.data = func(_ poller.Conn, b []byte) int { heard <- struct{}{}; return len(b) }
	var wg sync.WaitGroup
	for g := range dialers {
		wg.Go(func() {
			for i := range n / dialers {
				from := netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + (g+i)%3)})
				c, err := e.Dial(from, addr, p)
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Send([]byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range n {
		wait(t, heard, "echo")
	}
	if now := runtime.NumGoroutine() - before; now > n/10 {
		t.Errorf("%d goroutines for %d connections", now, n)
	}
	if s := e.Stats(); s.Open != 2*n {
		t.Errorf("%d connections are open, want %d", s.Open, 2*n)
	}
	e.Each(func(c poller.Conn, h poller.Handler) bool {
		if h == poller.Handler(p) {
			c.Close()
		}
		return true
	})
	for range n {
		wait(t, p.closed, "close")
	}
	eventually(t, "everything is closed", func() bool { return e.Stats().Open == 0 })
}

// A handler dials on from its loop, and another goroutine may be told of the connection before Dial returns.
func TestDialFromOnData(t *testing.T) {
	e, addr := startDialer(t, poller.Config{Loops: 1})
	last, got := reader(5)
	p := newProbe()
	p.data = func(_ poller.Conn, b []byte) int {
		c, err := e.Dial(netip.Addr{}, addr, last)
		if err != nil {
			t.Error(err)
			return len(b)
		}
		go c.Send(append([]byte(nil), b...))
		return len(b)
	}
	c, err := e.Dial(netip.Addr{}, addr, p)
	if err != nil {
		t.Fatal(err)
	}
	c.Send([]byte("again"))
	if s := wait(t, got, "echo"); s != "again" {
		t.Errorf("got %q", s)
	}
}
