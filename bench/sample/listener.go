package sample

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// maxLooked bounds how many descriptors of a process are looked at for a listener, which is among the
// first that a server opens.
const maxLooked = 4096

// FindListener returns the process of this host that listens on a TCP address, and the name of its
// program. It is found if it is in this network namespace and is this user's, or this user is root. Of
// several that share the listener, it is the one that was started last: the workers, not their master.
func FindListener(addr netip.AddrPort) (pid int, name string, ok bool) {
	if !isLocal(addr.Addr()) {
		return 0, "", false
	}
	return findListener(procfs.DefaultMountPoint, addr)
}

// isLocal reports whether ip is an address of this host.
func isLocal(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == ip
	})
}

func findListener(mount string, addr netip.AddrPort) (pid int, name string, ok bool) {
	var inode uint64
	best := -1
	for _, file := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(mount, "net", file))
		if err != nil {
			continue
		}
		for _, l := range listeners(f) {
			if n := l.serves(addr); n > best {
				inode, best = l.inode, n
			}
		}
		f.Close()
	}
	if best < 0 {
		return 0, "", false
	}
	return holder(mount, "socket:["+strconv.FormatUint(inode, 10)+"]")
}

// A listener is a socket of /proc/net/tcp or tcp6 in the state LISTEN.
type listener struct {
	addr  netip.AddrPort
	inode uint64
}

// serves ranks how well l fits an address: -1 not at all, 2 exactly. A wildcard of IPv6 takes IPv4 as
// well, unless the socket has IPV6_V6ONLY, which /proc does not tell.
func (l listener) serves(addr netip.AddrPort) int {
	own, want := l.addr.Addr().Unmap(), addr.Addr().Unmap().WithZone("")
	switch {
	case l.addr.Port() != addr.Port():
		return -1
	case own == want:
		return 2
	case own.IsUnspecified() && own.Is4() == want.Is4():
		return 1
	case own.IsUnspecified() && own.Is6(), want.IsUnspecified():
		return 0
	}
	return -1
}

// listenState is TCP_LISTEN of include/net/tcp_states.h.
const listenState = "0A"

// listeners reads the listeners of /proc/net/tcp, which come first (tcp_seq_start in net/ipv4/tcp_ipv4.c):
// it ends at the first connection, of which there may be a million. That is why it is not procfs's.
func listeners(r io.Reader) []listener {
	var all []listener
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[0] == "sl" {
			continue
		}
		if f[3] != listenState {
			break
		}
		addr, err := parseAddress(f[1])
		inode, bad := strconv.ParseUint(f[9], 10, 64)
		if err == nil && bad == nil {
			all = append(all, listener{addr, inode})
		}
	}
	return all
}

// parseAddress reads an address as /proc/net/tcp has it: words of 32 bits in this machine's byte order, in
// hexadecimal, a colon and the port.
func parseAddress(s string) (netip.AddrPort, error) {
	words, port, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	b, err := hex.DecodeString(words)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, fmt.Errorf("an address of %d bytes", len(b))
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// holder returns the last process that has a descriptor which links to the socket.
func holder(mount, socket string) (pid int, name string, ok bool) {
	f, err := procfs.NewFS(mount)
	if err != nil {
		return 0, "", false
	}
	all, err := f.AllProcs()
	if err != nil {
		return 0, "", false
	}
	slices.SortFunc(all, func(a, b procfs.Proc) int { return b.PID - a.PID })
	for _, p := range all {
		if holds(filepath.Join(mount, strconv.Itoa(p.PID), "fd"), socket) {
			name, _ := p.Comm()
			return p.PID, name, true
		}
	}
	return 0, "", false
}

// holds looks through /proc/PID/fd, which lists descriptors from 0 up.
func holds(dir, socket string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxLooked)
	return slices.ContainsFunc(names, func(fd string) bool {
		to, err := os.Readlink(filepath.Join(dir, fd))
		return err == nil && to == socket
	})
}
