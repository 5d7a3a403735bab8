package tuning

import (
	"fmt"
	"strconv"
	"strings"
)

// listenChecks are the queues that connections pass before a server has them. They are no limit of how many
// it holds: they decide how a crowd fares that comes at once, as all clients do after the network was gone.
func listenChecks() []Check {
	return []Check{backlogCheck(), synBacklogCheck(), synCookiesCheck(), packetBacklogCheck(), abortOnOverflowCheck()}
}

// backlogMost is the longest queue of connections that wait for accept4(2) which is asked for: 0.65 s of
// 100,000 that come in a second. Full of connections without data it takes 185 MB: TCPv6 2,496
// bytes and request_sock_TCPv6 320 in /proc/slabinfo.
const backlogMost = 65_535

// storm is how many connections are to wait when all of a goal come at once.
func storm(g Goal) int64 { return min(g.Connections, backlogMost) }

func backlogCheck() Check {
	return sysctl{
		key: "net.core.somaxconn",
		want: func(g Goal, _ int64) ([]int64, string) {
			return []int64{storm(g)}, fmt.Sprintf("%s clients whose server comes back try again within 10 to 200 ms (phoenix.js's first five tries); "+
				"%s of them at most wait, 0.65 s of 100,000 a second. dormouse serve takes its backlog from here when it starts: restart it",
				count(g.Connections), count(backlogMost))
		},
	}.check(Check{
		Why:    "Beyond this many connections that wait to be accepted the kernel drops those that come, and their clients try again after a second.",
		Source: "Documentation/networking/ip-sysctl.rst; __sys_listen in net/socket.c, tcp_conn_request in net/ipv4/tcp_input.c, listen(2)",
		Myth: "It is set to a million as if it were a number of connections: those that are accepted do not count, and a queue " +
			"that is longer than the server's next few seconds holds clients that have given up. In a container it is 4096 " +
			"again, whatever the host has.",
		Role: Server,
	})
}

// synBacklog leaves room for n connections in the three quarters that strangers may use.
func synBacklog(n int64) int64 { return (n*4 + 2) / 3 }

func synBacklogCheck() Check {
	return sysctl{
		key: "net.ipv4.tcp_max_syn_backlog",
		want: func(g Goal, _ int64) ([]int64, string) {
			return []int64{synBacklog(storm(g))}, fmt.Sprintf("a backlog of %s is three quarters of it: without syncookies the last quarter is for known peers",
				count(storm(g)))
		},
		skip: func(h *Host, _ Goal, _ []int64) string {
			if v, err := h.number("proc/sys/net/ipv4/tcp_syncookies"); err == nil && v > 0 {
				return "while tcp_syncookies is on nothing reads it: as many half-open connections may wait as the backlog of listen(2) says"
			}
			return ""
		},
		leave: "nothing reads it while net.ipv4.tcp_syncookies is on",
	}.check(Check{
		Why:    "With syncookies off, connections from peers that the kernel does not know are dropped while three quarters of this many are half open.",
		Source: "tcp_conn_request in net/ipv4/tcp_input.c, inet_csk_reqsk_queue_is_full in include/net/inet_connection_sock.h",
		Myth: "It is raised on nearly every host, and does nothing there: tcp_conn_request looks at it only if tcp_syncookies is 0. " +
			"somaxconn is what bounds the queue.",
		Role: Server,
	})
}

func synCookiesCheck() Check {
	return sysctl{
		key:   "net.ipv4.tcp_syncookies",
		order: exactly,
		want: func(Goal, int64) ([]int64, string) {
			return []int64{1}, "1 sends cookies only while the queue is full; 2 always sends them, for tests; 0 drops what comes instead"
		},
		optional: true,
	}.check(Check{
		Why:    "When more clients come at once than the queue holds, a cookie lets them in that would be dropped.",
		Source: "Documentation/networking/ip-sysctl.rst; tcp_conn_request in net/ipv4/tcp_input.c, net/ipv4/syncookies.c",
		Myth: "They are turned off because they lose the options of TCP: that holds only for connections that came while the " +
			"queue was full, and with TCP timestamps not even then for window scaling and SACK.",
		Role: Server,
	})
}

// packetBacklogMost is what one processor is given at once at most: a million packets a second, which is about
// what it can receive, for the 16 ms that ksoftirqd may wait for its turn. Full of small packets it takes 20 MB.
const packetBacklogMost = 16_384

func packetBacklogCheck() Check {
	c := sysctl{
		key: "net.core.netdev_max_backlog",
		want: func(g Goal, _ int64) ([]int64, string) {
			return []int64{min(max(g.Connections, 1000), packetBacklogMost)}, fmt.Sprintf("a packet for each connection at once, "+
				"and %s at most: a million a second for 16 ms, which a busy processor may take to come to them", count(packetBacklogMost))
		},
		optional: true,
	}.check(Check{
		Why:    "Packets that wait for a processor, on loopback, on veth and tun, and behind RPS, are dropped beyond this many on each processor.",
		Source: "Documentation/admin-guide/sysctl/net.rst; enqueue_to_backlog in net/core/dev.c",
		Myth: "It is raised for fast network cards: a driver with NAPI and without RPS never uses this queue, and its own ring " +
			"(ethtool -g) and net.core.netdev_budget are what count.",
		Role: Both,
	})
	s := *c.setting
	c.examine = func(c *Check, h *Host, g Goal) Finding {
		f := s.examine(c, h, g)
		if n, ok := h.backlogDrops(); ok && f.Verdict != Unreadable {
			f.Because += fmt.Sprintf("; %s packets were dropped since boot (/proc/net/softnet_stat)", count(n))
		}
		return f
	}
	return c
}

// backlogDrops is how many packets netdev_max_backlog has cost since boot, over all processors.
func (h *Host) backlogDrops() (int64, bool) {
	s, err := h.text("proc/net/softnet_stat")
	if err != nil {
		return 0, false
	}
	return parseSoftnetStat(s)
}

// parseSoftnetStat adds up the second column, sd->dropped (softnet_seq_show in net/core/net-procfs.c): a line
// for each processor, of hexadecimal numbers of 32 bits.
func parseSoftnetStat(s string) (dropped int64, ok bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 2 {
			return 0, false
		}
		n, err := strconv.ParseUint(f[1], 16, 32)
		if err != nil {
			return 0, false
		}
		dropped, ok = dropped+int64(n), true
	}
	return dropped, ok
}

func abortOnOverflowCheck() Check {
	return sysctl{
		key:   "net.ipv4.tcp_abort_on_overflow",
		order: exactly,
		want: func(Goal, int64) ([]int64, string) {
			return []int64{0}, "0 keeps a client waiting that comes while the queue is full, and it is let in at its next try"
		},
	}.check(Check{
		Why:    "With 1 a client that comes while the queue of the server is full is reset, and all of a crowd try again together.",
		Source: "Documentation/networking/ip-sysctl.rst; tcp_check_req in net/ipv4/tcp_minisocks.c",
		Myth:   "1 is advised so that clients fail fast: the kernel's own documentation warns that it can harm them, since an overflow is mostly a burst.",
		Role:   Server,
	})
}
