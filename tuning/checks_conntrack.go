package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// conntrackChecks are the limits of Netfilter's connection tracking, which has an entry for each connection
// once a rule of the network namespace asks for it.
func conntrackChecks() []Check {
	return []Check{conntrackMaxCheck(), conntrackBucketsCheck(), conntrackTimeoutCheck()}
}

const (
	conntrackMax     = "net.netfilter.nf_conntrack_max"
	conntrackBuckets = "net.netfilter.nf_conntrack_buckets"
	conntrackTimeout = "net.netfilter.nf_conntrack_tcp_timeout_established"

	conntrackSource = "Documentation/networking/nf_conntrack-sysctl.rst; net/netfilter/nf_conntrack_core.c"

	// conntrackEntryBytes is a struct nf_conn (256 bytes in nf_conntrack of /proc/slabinfo, 6.18, x86-64) and
	// its extensions for NAT, helpers and accounting, where rules use them (nf_ct_ext_add).
	conntrackEntryBytes = 256 + 128

	// conntrackSpare is how many entries other traffic has at once: DNS, SSH, health checks.
	conntrackSpare = 4096
)

// tracked is how many entries a goal needs: one for a connection, also if both its ends are here, since a
// packet on loopback keeps the entry that it got on its way out (nf_conntrack_in); a tenth for those that have
// closed and stay up to 120 s (TIME_WAIT); and those of others. A storm needs no more: when the table is
// full, closed ones go first (tcp_can_early_drop).
func tracked(g Goal) int64 { return g.Connections + g.Connections/10 + conntrackSpare }

// trackable is the most connections for which tracked is no more than entries.
func trackable(entries int64) int64 {
	n := max(0, entries-conntrackSpare)
	return n/11*10 + min(n%11, 9)
}

func conntrackMaxSysctl(others int64) sysctl {
	return sysctl{
		key:      conntrackMax,
		optional: true,
		skip:     untracked,
		want: func(g Goal, _ int64) ([]int64, string) {
			n := tracked(g) + others
			because := fmt.Sprintf("one entry for each of %s connections, 10 %% for closed ones, %s for other traffic",
				count(g.Connections), count(conntrackSpare))
			if others > 0 {
				because += fmt.Sprintf(", and %s that are in the table and no connections of this host's own", count(others))
			}
			return []int64{n}, because + "; full it takes " + byteCount(n*conntrackEntryBytes) + " and is not swapped"
		},
		holds: func(v []int64, _ Goal, _ int64) int64 {
			return trackable(v[0] - others)
		},
	}
}

func conntrackMaxCheck() Check {
	s := conntrackMaxSysctl(0)
	c := s.check(Check{
		Why: "Once the table of tracked connections is full, the first packet of each new one is dropped " +
			"(\"nf_conntrack: table full, dropping packet\"), and whoever connects sees a time-out.",
		Source: conntrackSource,
		Myth: "Unloading the module, or lowering nf_conntrack_tcp_timeout_established to make room: the first breaks the " +
			"rules that need it, the second cuts idle connections off. To spare a port the tracking, add a rule (nft: " +
			"\"tcp dport 4000 notrack\" in a chain of hook prerouting and \"tcp sport 4000 notrack\" in one of hook output, " +
			"both of priority raw), unless NAT brings the connections to it.",
		Role:   Both,
		Blocks: true,
	})
	c.examine = examineConntrackMax
	return c
}

func examineConntrackMax(c *Check, h *Host, g Goal) Finding {
	others := conntrackOthers(h, g)
	s := conntrackMaxSysctl(others)
	if v, err := h.number(sysctlFile(conntrackMax)); err == nil && v < tracked(g)+others {
		// How many there are changes from one look to the next: what is set is to be enough for both.
		room := conntrackMaxSysctl(min(others+others/4, maxConntrack-tracked(g)))
		s.want = room.want
	}
	if v, err := h.number(sysctlFile(conntrackMax)); err == nil && v == 0 && untracked(h, g, nil) == "" {
		f := c.finding(OK)
		f.Value, f.Because = "0", "0 is no limit (__nf_conntrack_alloc)"
		return f
	}
	f := s.examine(c, h, g)
	if entries, err := h.number(sysctlFile("net.netfilter.nf_conntrack_count")); f.bad() && err == nil && entries == 0 {
		f.Because += ". It is idle, so that it cannot be told whether a rule asks for tracking at all"
	}
	return conntrackFix(h, f, "echo nf_conntrack > /etc/modules-load.d/90-dormouse.conf, so that it is there "+
		"before sysctl.d(5) is read, and "+f.ForGood)
}

// conntrackFix says who can make a change, and when.
func conntrackFix(h *Host, f Finding, forGood string) Finding {
	if h.container() {
		f.Settings = nil
	}
	switch {
	case !f.bad():
	case h.container():
		f.Now = "on the host of this container, since the value is one for all network namespaces: " + f.Now
		f.ForGood = "on the host: " + forGood
	default:
		f.ForGood = forGood
	}
	return f
}

// untracked says why no packet is tracked, "" if some may be. Nothing in /proc says that a hook is registered
// (nf_ct_netns_get, since Linux 4.10); a connection that is open and has no entry does.
func untracked(h *Host, _ Goal, _ []int64) string {
	elsewhere := ""
	if h.container() {
		elsewhere = "; the host of this container may track its connections too: look there"
	}
	if _, err := h.files.ReadFile(sysctlFile(conntrackMax)); errors.Is(err, fs.ErrNotExist) {
		return "nf_conntrack is not loaded, so nothing is tracked" + elsewhere
	}
	entries, err := h.number(sysctlFile("net.netfilter.nf_conntrack_count"))
	if err != nil || entries > 0 {
		return ""
	}
	if used, err := h.number("sys/module/nf_conntrack/refcnt"); err == nil && used == 0 {
		return "nf_conntrack is loaded, and no module with rules uses it" + elsewhere
	}
	if open, ok := tcpEstablished(h); ok && open > 0 {
		return fmt.Sprintf("no rule of this network namespace asks for tracking: there are 0 entries beside %s",
			plural(open, "open connection")) + elsewhere
	}
	return ""
}

// conntrackOthers is how many entries are of packets that are forwarded, of other protocols, or of connections
// that have closed: those beyond the TCP connections that are open here. 0 if it is not known.
func conntrackOthers(h *Host, g Goal) int64 {
	entries, err := h.number(sysctlFile("net.netfilter.nf_conntrack_count"))
	ends, ok := tcpEstablished(h)
	if err != nil || !ok {
		return 0
	}
	// Of those on loopback there are two ends to an entry. For a Server it is left open how many these are.
	return max(0, min(entries-ends/g.ends()-conntrackSpare, maxConntrack-tracked(g)))
}

// maxConntrack is the largest value that the kernel takes (nf_ct_sysctl_table).
const maxConntrack = 1<<31 - 1

// tcpEstablished is CurrEstab of /proc/net/snmp: TCP sockets of this network namespace in ESTABLISHED or
// CLOSE_WAIT (RFC 4022).
func tcpEstablished(h *Host) (int64, bool) {
	s, err := h.text("proc/net/snmp")
	if err != nil {
		return 0, false
	}
	var names []string
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "Tcp:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names {
			if name == "CurrEstab" && i < len(f) {
				v, err := strconv.ParseInt(f[i], 10, 64)
				if err != nil || v < 0 {
					return 0, false
				}
				return v, true
			}
		}
	}
	return 0, false
}

// Bounds of a hash table: kvcalloc takes 2^31-1 bytes (nf_ct_alloc_hashtable), of 8 for a bucket, and the number
// is rounded up to fill pages.
const (
	bucketBytes = 8
	maxBuckets  = 1 << 27
)

func conntrackBucketsCheck() Check {
	s := sysctl{
		key:      conntrackBuckets,
		optional: true,
		skip:     untracked,
		want: func(g Goal, page int64) ([]int64, string) {
			slots := page / bucketBytes
			n := min((tracked(g)+slots-1)/slots*slots, maxBuckets)
			return []int64{n}, fmt.Sprintf("as many as entries: each is in the table twice, so chains have 2 on "+
				"average, as the kernel makes them by itself; %s", byteCount(n*bucketBytes))
		},
		// An entry is dropped when its chain has 50 to 79 (MIN_CHAINLEN, MAX_CHAINLEN). Chains of 25 on
		// average are that long once in 100,000: 12.5 entries to a bucket.
		holds: func(v []int64, _ Goal, _ int64) int64 { return max(0, v[0]) / 2 * 25 },
	}
	c := s.check(Check{
		Why: "Every packet looks its connection up in a hash table, walking a chain that is 2 entries/buckets long, and " +
			"a new connection whose chain has 50 or more is dropped.",
		Source: conntrackSource + " (nf_conntrack_init_start, MIN_CHAINLEN)",
		Myth: "Raising nf_conntrack_max alone: the table keeps the buckets that it was loaded with, at most 262144 by " +
			"default.",
		Role: Both,
	})
	c.examine = func(c *Check, h *Host, g Goal) Finding {
		f := s.examine(c, h, g)
		f.Blocks = f.Holds < g.Connections // long chains hurt, and longer ones stop the goal
		return conntrackFix(h, f, "options nf_conntrack hashsize="+f.Needed+" in /etc/modprobe.d/90-dormouse.conf if it is "+
			"a module (nf_conntrack_max is then 8 times that, before sysctl.d(5)), else "+f.ForGood)
	}
	return c
}

func conntrackTimeoutCheck() Check {
	return sysctl{
		key:      conntrackTimeout,
		optional: true,
		skip:     untracked,
		want: func(Goal, int64) ([]int64, string) {
			return []int64{establishedSeconds}, "seconds: heartbeats come every 30, and a peer that is silent for 60 is closed; five times that"
		},
	}.check(Check{
		Why: "An entry that saw no packet for so many seconds is forgotten, and then rules that let established " +
			"connections alone pass, or NAT, drop the next packet of a connection that both ends take for open.",
		Source: "Documentation/networking/nf_conntrack-sysctl.rst; RFC 5382, REQ-5, which asks a NAT for connections without heartbeats for 7440 s",
		Myth: "Lowering it to 600 or less \"so that the table does not fill\": an open connection needs its entry, and a " +
			"closed one is under nf_conntrack_tcp_timeout_time_wait (120 s). The default of 5 days does no harm.",
		Role: Both,
	})
}

const establishedSeconds = 5 * 60
