package poller

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Dial opens a TCP connection to remote, from local if that is valid (a port is chosen by the kernel
// either way), and returns at once: the connection is still being made, by the kernel, and no goroutine
// waits for it. It may be called from any goroutine, also from OnData and from a Task. h hears of the
// connection as if it had been accepted, and may do so before Dial has returned.
//
// What is sent before the connection is made waits in the outbox and leaves when it is. A connection that
// cannot be made ends with OnClose and what the kernel said: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH. The
// kernel gives up after about two minutes (tcp_syn_retries, tcp(7)); [Config.WriteTimeout] bounds the attempt
// if something was sent, [Conn.SetDeadline] in any case. Close before anything was sent ends it.
//
// An error says that nothing was begun: nothing is left open, and h hears nothing. Besides ErrShutdown and
// ErrMaxConns it is what the kernel said, for errors.Is: EMFILE, EADDRNOTAVAIL when local has no port left
// towards remote or is no address of this host, ENETUNREACH.
func (e *Epoll) Dial(local netip.Addr, remote netip.AddrPort, h Handler) (Conn, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.serving.Done()
	if err := e.opened(); err != nil {
		return nil, err
	}
	c, err := e.dial(local, remote, h)
	if err != nil {
		e.unopened()
		return nil, err
	}
	return c, nil
}

func (e *Epoll) dial(local netip.Addr, remote netip.AddrPort, h Handler) (*conn, error) {
	fd, err := connect(local, remote)
	if err != nil {
		return nil, err
	}
	l := e.loops[e.nextLoop.Add(1)%uint32(len(e.loops))]
	c := &conn{loop: l, fd: int32(fd), gen: e.nextGen.Add(1)}
	c.handler = h
	s := e.table.grow(fd)
	ev := c.events()
	c.mu.Lock() // whoever finds c in the table waits until it is known to stay
	defer c.mu.Unlock()
	s.conn.Store(c)
	// What has become of the attempt by now is reported as well.
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		c.setLocked(stClosing | stSealed | stGone)
		s.clear()
		unix.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err) // ENOSPC: fs.epoll.max_user_watches
	}
	return c, nil
}

// unopened takes back what opened counted, for a connection of which nobody has heard.
func (b *base) unopened() {
	b.counters.accepted.Add(-1)
	b.leaves()
	b.gone()
	b.dead(1)
}

// connect returns a socket whose connection to remote is being made.
//
// It must not be registered with epoll before connect(2): one that is not connecting has EPOLLHUP.
func connect(local netip.Addr, remote netip.AddrPort) (int, error) {
	family, to, err := sockaddr(remote)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := bindTo(fd, family, local); err != nil {
		unix.Close(fd)
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// bindTo gives fd its own address and leaves the port to connect(2), which may choose one that is in use
// towards another destination: without IP_BIND_ADDRESS_NO_PORT (ip(7), Linux 4.2) an address has some
// 28,000 ports for all destinations together.
func bindTo(fd, family int, local netip.Addr) error {
	if !local.IsValid() {
		return nil
	}
	f, from, err := sockaddr(netip.AddrPortFrom(local, 0))
	if err != nil {
		return err
	}
	if f != family {
		return fmt.Errorf("poller: cannot dial from %v: it is of another address family than the destination", local)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // older kernels do without
	return os.NewSyscallError("bind", unix.Bind(fd, from))
}

// sockaddr returns a as the kernel takes it. An IPv4 address in IPv6's form (RFC 4291, section 2.5.5.2) is
// an IPv4 one.
func sockaddr(a netip.AddrPort) (family int, sa unix.Sockaddr, err error) {
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}, nil
	case ip.Is6():
		zone, err := zoneIndex(ip.Zone())
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16(), ZoneId: zone}, err
	}
	return 0, nil, errors.New("poller: cannot dial the zero address")
}

// zoneIndex returns the interface's index that an IPv6 zone names, by name or by number (RFC 4007, section 11).
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("poller: no interface for the zone %q of an address: %w", zone, err)
	}
	return uint32(i.Index), nil
}
