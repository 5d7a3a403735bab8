package tuning

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// portChecks are what bounds the connections that a host makes: the ports that it may make them from.
func portChecks() []Check {
	return []Check{serverPortsCheck(), portRangeCheck(), reservedPortsCheck(), timeWaitReuseCheck()}
}

func serverPortsCheck() Check {
	return Check{
		Name:   "ports of a server",
		Why:    "A connection is told from others by both of its addresses and both of its ports, so that any number of them share the one port of a server.",
		Source: "RFC 9293 section 4 (connection); inet_ehashfn in net/ipv4/inet_hashtables.c",
		Myth: "A server is said to hold 65,535 connections, one for each port: that bounds what one client's address " +
			"can have to one port of the server. Widening ip_local_port_range does nothing for connections that come in.",
		Role: Server,
		examine: func(c *Check, _ *Host, _ Goal) Finding {
			return c.notNeeded("", "all connections that come in have the one port on which the server listens")
		},
	}
}

const (
	rangeKey = "net.ipv4.ip_local_port_range"

	// The kernel's default (inet_init_net in net/ipv4/af_inet.c), and the widest without privileges.
	defaultLow, defaultHigh = 32768, 60999
	widestLow, widestHigh   = 1024, 65535
)

// ports is how many of a range connect(2) uses: an even number, since it goes through it by twos
// (__inet_hash_connect in net/ipv4/inet_hashtables.c).
func ports(low, high int64) int64 {
	n := high - low + 1
	if n > 1 {
		n &^= 1
	}
	return max(n, 0)
}

// routes is how many times a load generator can use a port: once from each of its addresses to each target.
func (g Goal) routes() int64 { return product(int64(g.Sources), int64(g.Targets)) }

// product multiplies what is not negative, up to Unbounded.
func product(a, b int64) int64 {
	if a != 0 && b > Unbounded/a {
		return Unbounded
	}
	return a * b
}

// wantPorts is the range for a goal: the kernel's own if that is enough.
func wantPorts(g Goal, low int64) (values []int64, because string) {
	if g.Role == Both {
		return []int64{defaultLow, defaultHigh}, "on loopback there are 16,777,214 addresses to connect from, each with all ports"
	}
	need := (g.Connections + g.routes() - 1) / g.routes()
	because = fmt.Sprintf("%s connections from %s to %s need %s ports", count(g.Connections),
		addresses(g.Sources), plural(int64(g.Targets), "target"), count(need))
	if need <= ports(defaultLow, defaultHigh) {
		return []int64{defaultLow, defaultHigh}, because + ", and the kernel's default has 28,232"
	}
	return []int64{low, widestHigh}, because +
		"; in the second half of a range connect(2) is slow, 220 us in place of 6 with 8,192 ports, so that twice the addresses pay (dormouse bench --source)"
}

func portRangeCheck() Check {
	c := sysctl{
		key:   rangeKey,
		order: widest,
		want:  func(g Goal, _ int64) ([]int64, string) { return wantPorts(g, widestLow) },
		holds: func(v []int64, g Goal, _ int64) int64 { return product(ports(v[0], v[1]), g.routes()) },
	}.check(Check{
		Why:    "Each connection that is made from one address to one target has a port of its own, out of this range.",
		Source: "Documentation/networking/ip-sysctl.rst; __inet_hash_connect in net/ipv4/inet_hashtables.c, ip(7) (IP_BIND_ADDRESS_NO_PORT)",
		Myth: "It is often set to 1024 65535 on servers: they gain nothing, and on the next start may find that a " +
			"connection of their own has taken the port on which they listen (ip_local_reserved_ports keeps it free).",
		Role:   LoadGen,
		Blocks: true,
	})
	s := *c.setting
	c.examine = func(c *Check, h *Host, g Goal) Finding { return examinePortRange(s, c, h, g) }
	return c
}

func examinePortRange(s sysctl, c *Check, h *Host, g Goal) Finding {
	if g.Role == Both {
		have, _ := h.numbers(sysctlFile(rangeKey))
		return c.notNeeded(row(have), "on loopback every address of 127.0.0.0/8 has the whole range, and dormouse bench connects from as many as it needs")
	}
	low := int64(widestLow)
	if v, err := h.number("proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil && v <= widestHigh {
		low = max(low, v) // a lower one is refused (ipv4_local_port_range)
	}
	reserved, _ := h.reservedPorts()
	s.want = func(g Goal, _ int64) ([]int64, string) { return wantPorts(g, low) }
	s.holds = func(v []int64, g Goal, _ int64) int64 {
		return product(max(0, ports(v[0], v[1])-reserved.within(v[0], v[1])), g.routes())
	}
	f := s.examine(c, h, g)
	if f.Verdict == Unreadable || f.Holds >= g.Connections {
		return f
	}
	each := max(1, ports(low, widestHigh)-reserved.within(low, widestHigh))
	if n := reserved.within(low, widestHigh); n > 0 {
		f.Because += fmt.Sprintf("; ip_local_reserved_ports takes %s away", count(n))
	}
	if room := product(each, g.routes()); room < g.Connections {
		hint := fmt.Sprintf("%s pairs of an address to connect from and a target, in place of %s: one has %s ports at most "+
			"(ip address add, then dormouse bench --source; or more load generators)",
			count((g.Connections+each-1)/each), count(g.routes()), count(each))
		f.Now, f.ForGood = joined(f.Now, hint), joined(f.ForGood, hint)
		f.Verdict = Raise
	} else if f.Verdict == OK { // wide enough, but for the reserved ports
		f.Verdict, f.Needed = Raise, row([]int64{low, widestHigh})
		have, _ := h.numbers(sysctlFile(rangeKey))
		value := row(widest.merge(have, []int64{low, widestHigh}))
		f.Settings[0].Value = value
		f.Now, f.ForGood = sysctlNow(rangeKey, value), sysctlForGood(rangeKey, value)
	}
	return f
}

func joined(fix, more string) string {
	if fix == "" {
		return more
	}
	return fix + ", and " + more
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return count(int64(n)) + " addresses"
}

const reservedKey = "net.ipv4.ip_local_reserved_ports"

// A portSet is a list of ranges of ports, in order, with gaps between them.
type portSet [][2]int64

// parsePorts reads a list as 8080,9000-9010 (proc_do_large_bitmap in kernel/sysctl.c).
func parsePorts(s string) (portSet, bool) {
	var all portSet
	for item := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		if item == "" {
			continue
		}
		first, last, two := strings.Cut(item, "-")
		if !two {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || a > b {
			return nil, false
		}
		all = append(all, [2]int64{int64(a), int64(b)})
	}
	return all.normal(), true
}

// normal orders the ranges and makes one of those that touch, as the kernel does.
func (p portSet) normal() portSet {
	p = slices.Clone(p)
	slices.SortFunc(p, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	var n portSet
	for _, r := range p {
		if last := len(n) - 1; last >= 0 && r[0] <= n[last][1]+1 {
			n[last][1] = max(n[last][1], r[1])
			continue
		}
		n = append(n, r)
	}
	return n
}

// within is how many of the ports lie in a range.
func (p portSet) within(low, high int64) int64 {
	n := int64(0)
	for _, r := range p {
		n += max(0, min(r[1], high)-max(r[0], low)+1)
	}
	return n
}

// with adds a port.
func (p portSet) with(port int64) portSet {
	return append(slices.Clone(p), [2]int64{port, port}).normal()
}

// String writes the list as the kernel does.
func (p portSet) String() string {
	items := make([]string, len(p))
	for i, r := range p {
		items[i] = strconv.FormatInt(r[0], 10)
		if r[1] > r[0] {
			items[i] += "-" + strconv.FormatInt(r[1], 10)
		}
	}
	return strings.Join(items, ",")
}

func (h *Host) reservedPorts() (portSet, error) {
	name := sysctlFile(reservedKey)
	s, err := h.text(name)
	if err != nil {
		return nil, err
	}
	p, ok := parsePorts(s)
	if !ok {
		return nil, &GarbageError{Path: "/" + name, Content: clip(s)}
	}
	return p, nil
}

// servePort is where dormouse serve listens unless it is told otherwise.
const servePort = 4000

func reservedPortsCheck() Check {
	return Check{
		Name:   reservedKey,
		Why:    "A server cannot listen again, with EADDRINUSE, while a connection that this host made has its port out of the local range.",
		Source: "Documentation/networking/ip-sysctl.rst; inet_is_local_reserved_port in include/net/ip.h",
		Role:   Server,
		examine: func(c *Check, h *Host, _ Goal) Finding {
			return examineReservedPorts(c, h)
		},
	}
}

func examineReservedPorts(c *Check, h *Host) Finding {
	name := sysctlFile(reservedKey)
	reserved, err := h.reservedPorts()
	if err != nil {
		return c.unreadable(h, name, err)
	}
	value := reserved.String()
	if value == "" {
		value = "none"
	}
	local, err := h.numbers(sysctlFile(rangeKey))
	if err != nil || len(local) != 2 {
		return c.unreadable(h, sysctlFile(rangeKey), orGarbage(err, rangeKey))
	}
	if servePort < local[0] || servePort > local[1] {
		return c.notNeeded(value, fmt.Sprintf("ip_local_port_range, %d to %d, has not the port %d on which dormouse serve listens by default",
			local[0], local[1], servePort))
	}
	wanted := reserved.with(servePort).String()
	f := c.finding(OK)
	f.Value, f.Needed = value, wanted
	f.Because = fmt.Sprintf("dormouse serve listens on %d by default, and ip_local_port_range is %d to %d; another --addr needs its own port here",
		servePort, local[0], local[1])
	f.Settings = []Setting{{Key: reservedKey, Path: "/" + name, Value: wanted}}
	if wanted != reserved.String() {
		f.Verdict = Set
		f.Now, f.ForGood = sysctlNow(reservedKey, wanted), sysctlForGood(reservedKey, wanted)
	}
	return f
}

// orGarbage is err, or that the file of a setting does not hold as many numbers as it should.
func orGarbage(err error, key string) error {
	if err != nil {
		return err
	}
	return &GarbageError{Path: "/" + sysctlFile(key)}
}

func timeWaitReuseCheck() Check {
	return sysctl{
		key:   "net.ipv4.tcp_tw_reuse",
		order: exactly,
		want: func(g Goal, _ int64) ([]int64, string) {
			if g.Role == Both {
				return []int64{2}, "2, the default since Linux 4.19, reuses ports on loopback"
			}
			return []int64{1}, "a connection that this end closed keeps its port for 60 s in TIME_WAIT; with 1 a new one to the same target " +
				"takes it after 1 s, if both ends have TCP timestamps, so that one run can follow another"
		},
		skip: func(_ *Host, g Goal, have []int64) string {
			if g.Role == Both && len(have) == 1 && have[0] >= 1 {
				return "on loopback ports in TIME_WAIT are taken again with 1 as with 2"
			}
			return ""
		},
	}.check(Check{
		Why:    "Ports of connections that have just been closed are not free for new ones to the same target for 60 s unless the kernel may take them again.",
		Source: "Documentation/networking/ip-sysctl.rst; tcp_twsk_unique in net/ipv4/tcp_ipv4.c",
		Myth: "tcp_tw_recycle is often set with it: it broke clients behind NAT, and is gone since Linux 4.12. On a server " +
			"tcp_tw_reuse does nothing: it is for connections that this host makes.",
		Role: LoadGen,
	})
}
