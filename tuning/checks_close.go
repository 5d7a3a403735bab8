package tuning

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// closeChecks are about connections that end, and about finding those that are there.
func closeChecks() []Check {
	return []Check{timeWaitCheck(), orphansCheck(), finTimeoutCheck(), keepaliveCheck(), hashCheck()}
}

// closingMost is what the kernel itself allows of connections in TIME_WAIT and of orphans where it has the
// most memory: half of the 524,288 chains of its largest table (tcp_sk_init, tcp_init).
const closingMost = 256 << 10

// closing is how many connections of a goal may be on their way out at once.
func closing(g Goal) int64 { return min(g.ends()*g.Connections, closingMost) }

func timeWaitCheck() Check {
	return sysctl{
		key: "net.ipv4.tcp_max_tw_buckets",
		want: func(g Goal, _ int64) ([]int64, string) {
			return []int64{closing(g)}, fmt.Sprintf("%s connections that end within 60 s, and no more than %s, which large hosts have "+
				"by default: 256 bytes each, 64 MiB", count(g.ends()*g.Connections), count(closingMost))
		},
	}.check(Check{
		Why:    "Beyond this many the kernel forgets a closed connection at once, and answers what of it is still under way with a reset.",
		Source: "Documentation/networking/ip-sysctl.rst; inet_twsk_alloc in net/ipv4/inet_timewait_sock.c",
		Myth: "It is lowered, to 5000 as a rule, to be rid of TIME_WAIT: the documentation says that it must not be. On a server " +
			"such a connection takes no port and no descriptor; tcp_tw_reuse does nothing about it there, and tcp_tw_recycle is gone since Linux 4.12.",
		Role: Both,
	})
}

func orphansCheck() Check {
	return sysctl{
		key: "net.ipv4.tcp_max_orphans",
		want: func(g Goal, _ int64) ([]int64, string) {
			return []int64{closing(g)}, fmt.Sprintf("%s connections whose peers are all gone at once, and no more than %s, which large hosts "+
				"have by default", count(g.ends()*g.Connections), count(closingMost))
		},
		optional: true,
	}.check(Check{
		Why:    "Connections that were closed and whose last bytes the peer has not acknowledged are reset beyond this many, so that those bytes are lost.",
		Source: "Documentation/networking/ip-sysctl.rst; tcp_check_oom and __tcp_close in net/ipv4/tcp.c",
		Myth: "Millions are advised as if it were a limit of connections: only those without a process count. Each may hold 64 KiB " +
			"of memory that cannot be swapped.",
		Role: Both,
	})
}

// timeWait is TCP_TIMEWAIT_LEN of include/net/tcp.h, in seconds.
const timeWait = 60

func finTimeoutCheck() Check {
	c := sysctl{
		key:   "net.ipv4.tcp_fin_timeout",
		order: exactly,
		want: func(Goal, int64) ([]int64, string) {
			return []int64{timeWait}, "up to 60 s, the default, 256 bytes of a closed connection are kept; beyond that the whole socket of 2,368"
		},
		skip: func(_ *Host, _ Goal, have []int64) string {
			if len(have) == 1 && have[0] <= timeWait {
				return "up to 60 s a connection in FIN_WAIT_2 takes 256 bytes and no descriptor"
			}
			return ""
		},
		leave: "the default is as it should be; it does not shorten TIME_WAIT",
	}.check(Check{
		Why:    "It is how long a closed connection waits in FIN_WAIT_2 for a peer that does not close its own side.",
		Source: "Documentation/networking/ip-sysctl.rst; tcp_rcv_state_process in net/ipv4/tcp_input.c, TCP_TIMEWAIT_LEN in include/net/tcp.h",
		Myth:   "It is lowered to shorten TIME_WAIT: that is 60 s whatever this says, a constant of the kernel.",
		Role:   Both,
	})
	s := *c.setting
	c.examine = func(c *Check, h *Host, g Goal) Finding {
		f := s.examine(c, h, g)
		f.Settings = nil // it is somebody's decision that would be lowered
		return f
	}
	return c
}

func keepaliveCheck() Check {
	return Check{
		Name:   "net.ipv4.tcp_keepalive_time",
		Why:    "With tcp_keepalive_intvl and tcp_keepalive_probes it says how the kernel finds dead peers of sockets that have SO_KEEPALIVE.",
		Source: "Documentation/networking/ip-sysctl.rst, tcp(7)",
		Myth: "They are lowered to be rid of dead connections: no socket without SO_KEEPALIVE cares, and with it the probes are " +
			"packets to every idle peer for what the heartbeat tells already.",
		Role: Both,
		examine: func(c *Check, h *Host, _ Goal) Finding {
			var values []string
			for _, key := range []string{"time", "intvl", "probes"} {
				if v, err := h.number("proc/sys/net/ipv4/tcp_keepalive_" + key); err == nil {
					values = append(values, strconv.FormatInt(v, 10))
				}
			}
			return c.notNeeded(strings.Join(values, " "),
				"heartbeats every 30 s and serve's --timeout find peers that are gone; the epoll engine sets no SO_KEEPALIVE, and where "+
					"package net of Go does (--engine goroutine, HTTP), it sets times of its own")
		},
	}
}

// chainLength is how many sockets a chain of the kernel's table may have on average. Each packet goes through
// half of one, at a cache miss or 0.1 us a socket: 4 cost a few per cent of what a packet takes.
const chainLength = 4

func hashCheck() Check {
	return Check{
		Name:    "net.ipv4.tcp_ehash_entries",
		Why:     "For each packet the kernel looks for its socket along a chain of the table of connections, which is the longer the fewer chains there are.",
		Source:  "Documentation/networking/ip-sysctl.rst, Documentation/admin-guide/kernel-parameters.txt (thash_entries=); tcp_init in net/ipv4/tcp.c",
		Role:    Both,
		examine: examineHash,
	}
}

func examineHash(c *Check, h *Host, g Goal) Finding {
	name := sysctlFile(c.Name)
	v, err := h.number(name)
	chains := max(v, -v) // negative: of the first network namespace, shared
	if err == nil && chains <= 0 {
		err = &GarbageError{Path: "/" + name, Content: row([]int64{v})}
	}
	if err != nil {
		return c.unreadable(h, name, err)
	}
	sockets := g.ends() * g.Connections
	need := (sockets + chainLength - 1) / chainLength
	power := int64(1) << bits.Len64(uint64(need-1))
	f := c.finding(OK)
	f.Value, f.Needed = row([]int64{chains}), row([]int64{need})
	f.Because = fmt.Sprintf("%s sockets, %d to a chain; the kernel makes a power of two of chains, at most 524,288 by itself", count(sockets), chainLength)
	if chains >= need {
		return f
	}
	f.Verdict, f.Needed = Raise, row([]int64{power})
	f.Because += fmt.Sprintf(". %s make chains of %s", count(chains), count((sockets+chains-1)/chains))
	f.ForGood = fmt.Sprintf("thash_entries=%d on the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub) and a boot: "+
		"8 bytes each, %s", power, byteCount(power*8))
	if v < 0 {
		f.ForGood += "; that is the host's. A container made after sysctl -w net.ipv4.tcp_child_ehash_entries has a table of its own"
	}
	return f
}
