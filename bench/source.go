package bench

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A sources says which address each connection comes from. Between two addresses and one port of the
// target there are no more connections than the range of local ports has numbers.
type sources struct {
	explicit bool
	loopback []netip.Addr // of 127.0.0.0/8, for targets in it; unless explicit
	four     []netip.Addr // given for IPv4 targets
	six      []netip.Addr // and for IPv6 targets
	limit    int          // see room
}

// maxSources bounds the addresses of a generator. With half of the default range of ports each they are
// enough for 900 million connections.
const maxSources = 1 << 16

// newSources readies the addresses for conns connections to targets, which are resolved and take turns.
func newSources(cfg *Config, targets []*target, conns int) (*sources, error) {
	return newSourcesWithin(cfg, targets, conns, localPorts())
}

// newSourcesWithin is newSources with so many local ports; 0: unknown.
func newSourcesWithin(cfg *Config, targets []*target, conns, ports int) (*sources, error) {
	s := &sources{explicit: len(cfg.Sources) > 0}
	shares := destinations(targets)
	if s.explicit {
		if err := s.parse(cfg.Sources); err != nil {
			return nil, err
		}
		if err := s.covers(targets); err != nil {
			return nil, err
		}
	} else {
		s.loopback = loopbackSources(cfg.Part, conns, ports, shares)
	}
	s.limit = s.capacity(shares, ports)
	return s, nil
}

// destinations returns the share of the connections that each address and port gets.
func destinations(targets []*target) map[netip.AddrPort]float64 {
	shares := map[netip.AddrPort]float64{}
	for _, t := range targets {
		for _, a := range t.addrs {
			shares[a] += 1 / float64(len(targets)*len(t.addrs))
		}
	}
	return shares
}

// loopbackSources returns as many addresses as are needed for none to hold more than half of the local
// ports towards one destination.
//
// Half, because connect(2) without a port of its own tries every other number first, from where it left
// off, and the rest only when it has been through all of those (__inet_hash_connect in Linux's
// net/ipv4/inet_hashtables.c). With a range of 8,192 ports a connect took 6 us up to the first half, and
// 220 us in the second (Linux 6.18).
func loopbackSources(part, conns, ports int, shares map[netip.AddrPort]float64) []netip.Addr {
	most := 0.0
	for a, share := range shares {
		if a.Addr().Is4() && a.Addr().IsLoopback() {
			most = max(most, share)
		}
	}
	if most == 0 || ports == 0 {
		return nil
	}
	n := int(math.Ceil(most * float64(conns) / float64(max(1, ports/2))))
	n = min(max(n, 1), maxSources)
	addrs := make([]netip.Addr, n)
	for i := range addrs {
		addrs[i] = loopbackAddr(part*n + i) // generators on one host keep out of each other's way
	}
	return addrs
}

// loopbackAddr returns the i-th address of 127.0.0.0/8, from 127.0.0.1 on, without those that end in 0 or
// 255: somebody may take them for a network's.
func loopbackAddr(i int) netip.Addr {
	const last = 254 // of 1 to 254
	net := i / last % (1 << 16)
	return netip.AddrFrom4([4]byte{127, byte(net >> 8), byte(net), byte(1 + i%last)})
}

// pick returns the address for connection i to remote; the zero Addr leaves it to the kernel. It does not
// depend on how often connection i was made before.
func (s *sources) pick(i int, remote netip.AddrPort) netip.Addr {
	addrs := s.towards(remote.Addr())
	if len(addrs) == 0 {
		return netip.Addr{}
	}
	// Fibonacci hashing: the multiples of the golden ratio fall evenly between 0 and 1, and so do those
	// of every n-th connection, which is what one of n targets gets.
	const golden = 2654435769 // 2^32 / 1.618...
	place := uint64(uint32(i) * golden)
	return addrs[place*uint64(len(addrs))>>32]
}

// towards returns the addresses to choose from; none: the kernel chooses.
func (s *sources) towards(remote netip.Addr) []netip.Addr {
	switch {
	case s.explicit && remote.Is4():
		return s.four
	case s.explicit:
		return s.six
	case remote.Is4() && remote.IsLoopback():
		return s.loopback
	}
	return nil
}

// room returns how many connections there can be before one of the destinations, which get theirs evenly,
// has used up all ports; 0: unknown.
func (s *sources) room() int { return s.limit }

func (s *sources) capacity(shares map[netip.AddrPort]float64, ports int) int {
	least := math.Inf(1)
	for a, share := range shares {
		addrs := max(1, len(s.towards(a.Addr())))
		least = min(least, float64(addrs)*float64(ports)/share)
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return int(least)
}

// parse reads Config.Sources.
func (s *sources) parse(list []string) error {
	n := 0
	for _, text := range list {
		first, last, err := addressRange(text)
		if err != nil {
			return fmt.Errorf("--source %q %w", text, err)
		}
		for a := first; ; a = a.Next() {
			if n++; n > maxSources {
				return fmt.Errorf("--source %q: together with those before it these are more than %d addresses; name fewer", text, maxSources)
			}
			if a.Is4() {
				s.four = append(s.four, a)
			} else {
				s.six = append(s.six, a)
			}
			if a == last {
				break
			}
		}
	}
	s.four, s.six = eachOnce(s.four), eachOnce(s.six)
	for _, a := range slices.Concat(s.four, s.six) {
		if err := isOwn(a); err != nil {
			return fmt.Errorf("--source: cannot connect from %v: %w; \"ip addr\" lists this host's addresses, and \"ip addr add\" gives it another", a, err)
		}
	}
	return nil
}

func eachOnce(addrs []netip.Addr) []netip.Addr {
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

// covers checks that there is an address for each target.
func (s *sources) covers(targets []*target) error {
	for _, t := range targets {
		for _, a := range t.addrs {
			if len(s.towards(a.Addr())) == 0 {
				return fmt.Errorf("--source names no address of the family of %v, to which %s leads", a.Addr(), t.url)
			}
		}
	}
	return nil
}

// addressRange reads an address, a range or a prefix.
func addressRange(text string) (first, last netip.Addr, err error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return first, last, errors.New("is no prefix, as 10.0.0.0/24")
		}
		first, last = prefixRange(p.Masked())
		return first, last, nil
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err = netip.ParseAddr(from)
	if err == nil {
		last, err = netip.ParseAddr(to)
	}
	first, last = first.Unmap(), last.Unmap()
	switch {
	case err != nil:
		return first, last, errors.New("is no address, as 10.0.0.5, nor a range, as 10.0.0.5-10.0.0.20, nor a prefix, as 10.0.0.0/24")
	case first.Zone() != "" || last.Zone() != "":
		return first, last, errors.New("has a zone: an address of one link only cannot be given; leave it to the kernel")
	case first.BitLen() != last.BitLen():
		return first, last, errors.New("is a range from one address family to another")
	case last.Less(first):
		return first, last, errors.New("is a range that ends before it begins")
	}
	return first, last, nil
}

// prefixRange returns the first and the last address of p for a host: in IPv4 without the network's own
// and its broadcast address, which prefixes of 31 bits do not have (RFC 3021).
func prefixRange(p netip.Prefix) (first, last netip.Addr) {
	first = p.Addr()
	bytes := first.AsSlice()
	for bit := p.Bits(); bit < first.BitLen(); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ = netip.AddrFromSlice(bytes)
	if first.Is4() && p.Bits() <= 30 {
		return first.Next(), last.Prev()
	}
	return first, last
}

// isOwn returns an error if addr is not one of this host. It binds a socket of UDP to it, which takes
// no port that the connections need.
func isOwn(addr netip.Addr) error {
	var to unix.Sockaddr = &unix.SockaddrInet6{Addr: addr.As16()}
	family := unix.AF_INET6
	if addr.Is4() {
		to, family = &unix.SockaddrInet4{Addr: addr.As4()}, unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("bind", unix.Bind(fd, to))
}

// localPorts returns how many ports connect(2) chooses from (ip(7), ip_local_port_range); 0: unknown.
func localPorts() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	return portCount(string(text))
}

// portCount reads the first and the last port.
func portCount(text string) int {
	var first, last int
	if _, err := fmt.Sscan(text, &first, &last); err != nil || first < 1 || last < first || last > 65535 {
		return 0
	}
	return last - first + 1
}
