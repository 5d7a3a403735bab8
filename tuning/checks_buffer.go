package tuning

import "fmt"

// bufferChecks is about the memory of messages on their way. What an idle connection holds of it is nothing: since
// commit 4890b686f408 of 2022, which Linux 6.1 has, a socket gives back each whole page that it does not use
// (sk_mem_uncharge in include/net/sock.h).
func bufferChecks() []Check {
	return []Check{
		tcpMemCheck(), tcpRmemCheck(), tcpWmemCheck(),
		ceilingCheck("net.core.rmem_max", "SO_RCVBUF"), ceilingCheck("net.core.wmem_max", "SO_SNDBUF"),
		moderateCheck(),
	}
}

const ipSysctl = "Documentation/networking/ip-sysctl.rst"

// toAll is the arithmetic of a message that is under way to all connections at once.
func toAll(g Goal, page int64) string {
	connections := plural(g.Connections, "connection")
	if g.ends() > 1 {
		connections += fmt.Sprintf(" with %d ends here", g.ends())
	}
	return fmt.Sprintf("a message to all at once: %s x %s of %d bytes", connections, plural(messagePages(g, page), "page"), page)
}

func tcpMemCheck() Check {
	c := sysctl{
		key: "net.ipv4.tcp_mem",
		want: func(g Goal, page int64) ([]int64, string) {
			pressure := g.Connections * g.ends() * messagePages(g, page)
			// The kernel's own ratio, tcp_init_mem in net/ipv4/tcp.c: 3/4, 1 and 3/2.
			return []int64{roundUp(3*pressure, 4), pressure, roundUp(3*pressure, 2)},
				toAll(g, page) + ", of which the first number is 3/4 and the last 3/2"
		},
	}.check(Check{
		Why: "Above the second number, of pages, TCP gives each connection less room, above the third it refuses to " +
			"send and drops what arrives, until receivers have caught up.",
		Source: ipSysctl + "; tcp(7)",
		Myth: "Numbers in bytes, as \"786432 1697152 1945728\" for 1.9 MB: they are pages, so that this allows 7.4 GiB, " +
			"and a value in bytes allows 4,096 times what was meant, which is no limit at all. Nor does the number " +
			"bound idle connections: these hold no page.",
		Role: Both,
	})
	s := *c.setting
	c.examine = func(c *Check, h *Host, g Goal) Finding {
		s := s
		s.want = func(g Goal, page int64) ([]int64, string) { return h.tcpMem(c.setting, g, page) }
		return s.examine(c, h, g)
	}
	return c
}

// tcpMem is what is wanted of tcp_mem on a host: no more than the memory that the idle connections leave, and what
// there is already. It is what holds senders back when all receivers are stuck at once: set to more than there is,
// the kernel kills the process in place of that.
func (h *Host) tcpMem(s *sysctl, g Goal, page int64) ([]int64, string) {
	want, because := s.want(g, page)
	memory, known := h.meminfo("MemTotal")
	have, err := h.numbers(sysctlFile(s.key))
	if !known || err != nil || len(have) != len(want) {
		return want, because
	}
	m := newModel(h, g)
	idle := m.total(g.Connections) - m.buffers
	most := max(0, memory-idle) / page
	if have[2] < most && have[2] >= most/10*9 {
		most = have[2] // near enough: what an object costs is known to one who asks, and to another by a table
	}
	if want[2] <= most {
		return want, because
	}
	for i, bound := range []int64{most / 2, most / 3 * 2, most} {
		want[i] = min(want[i], max(bound, have[i]))
	}
	return want, because + fmt.Sprintf("; cut to what %s of memory leave beside idle connections, or to what it is: "+
		"with more, receivers that are stuck would use the memory up, and the kernel kill the process", byteCount(memory))
}

// What one connection's buffer should be able to grow to.
const (
	windowBytes = 500_000 // twice, as half of a buffer is overhead, 10 Mbit/s x 0.2 s across an ocean
	mostReceive = 6 << 20 // tcp_init in net/ipv4/tcp.c, where memory is no matter; Linux 6.18 has 32 MiB
	mostSend    = 4 << 20 // the same
)

// window is the buffer for a message in one round trip, no more than the kernel gives on a large machine, and how
// that comes about.
func window(g Goal, most int64) (int64, string) {
	return min(most, max(windowBytes, 2*g.MessageBytes)), fmt.Sprintf("the last: twice a message of %d bytes, or twice "+
		"10 Mbit/s x 0.2 s = %d bytes, whichever is more, as half of a buffer is overhead, and %d at most",
		g.MessageBytes, int64(windowBytes), most)
}

func tcpRmemCheck() Check {
	return sysctl{
		key: "net.ipv4.tcp_rmem",
		want: func(g Goal, _ int64) ([]int64, string) {
			last, because := window(g, mostReceive)
			return []int64{4096, 87380, last}, "the first two: the kernel's own before Linux 4.20; " + because
		},
	}.check(Check{
		Why: "The last number bounds what a sender may have under way to this host on one connection, and the second " +
			"what it may send in the first round trip.",
		Source: ipSysctl + "; tcp(7)",
		Myth: "\"4096 4096 16777216\" or \"1024 4096 16384\" to save memory: the numbers bound what may be queued, an idle " +
			"connection holds none of it, so nothing is saved; a low second number slows each new connection, a low last " +
			"one makes a message of 64 kB take many round trips.",
		Role: Both,
	})
}

func tcpWmemCheck() Check {
	return sysctl{
		key: "net.ipv4.tcp_wmem",
		want: func(g Goal, _ int64) ([]int64, string) {
			last, because := window(g, mostSend)
			return []int64{4096, 16384, last}, "the first two: the kernel's own; " + because
		},
	}.check(Check{
		Why: "The last number bounds what may be under way from this host on one connection: a larger message waits in " +
			"the process for writes that the kernel refuses.",
		Source: ipSysctl + "; tcp(7)",
		Myth: "\"4096 4096 16777216\" or \"1024 4096 16384\" to save memory: nothing is allocated before there is something " +
			"to send, and at the handshake a lower second number is raised (tcp_init_buffer_space) to what ten segments " +
			"need, so that lowering it does nothing, and lowering the last cuts large messages into many round trips.",
		Role: Both,
	})
}

// ceilingCheck is for what bounds an option of setsockopt(2) that the programs do not use.
func ceilingCheck(key, option string) Check {
	return Check{
		Name:   key,
		Why:    "It bounds " + option + ", which a program may ask for in place of the kernel's own choice.",
		Source: "Documentation/admin-guide/sysctl/net.rst; socket(7)",
		Myth: "Raising it to 16 MB for many connections: TCP sizes its buffers by the last number of tcp_rmem and tcp_wmem, " +
			"which this does not bound, and a program that sets " + option + " turns that off for its socket.",
		Role: Both,
		examine: func(c *Check, h *Host, _ Goal) Finding {
			have, err := h.numbers(sysctlFile(key))
			if err != nil {
				return c.notNeeded("", "neither dormouse serve nor dormouse bench sets "+option)
			}
			return c.notNeeded(row(have), "neither dormouse serve nor dormouse bench sets "+option)
		},
	}
}

func moderateCheck() Check {
	return sysctl{
		key:   "net.ipv4.tcp_moderate_rcvbuf",
		order: exactly,
		want: func(Goal, int64) ([]int64, string) {
			return []int64{1}, "the kernel's own: a buffer grows by what its connection receives, up to the last number of tcp_rmem"
		},
	}.check(Check{
		Why: "Without it each connection's receive buffer stays at the second number of tcp_rmem, however much it " +
			"receives.",
		Source: ipSysctl,
		Myth:   "0, to save memory: a buffer is a bound of what may be queued, not memory that is set aside.",
		Role:   Both,
	})
}
