package tuning

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

const snmpHead = "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs\nTcp: 1 200 120000 -1 5 6 7 8 "

// trackingHost is a host in the first network namespace with nf_conntrack in use.
func trackingHost(t testing.TB, change map[string]string) *Host {
	content := map[string]string{
		"proc/sys/net/core/netdev_max_backlog":                        "1000\n",
		"proc/sys/net/ipv4/ip_local_port_range":                       "32768\t60999\n",
		"proc/sys/net/netfilter/nf_conntrack_max":                     "262144\n",
		"proc/sys/net/netfilter/nf_conntrack_buckets":                 "262144\n",
		"proc/sys/net/netfilter/nf_conntrack_count":                   "17\n",
		"proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established": "432000\n",
		"proc/net/snmp": snmpHead + "3 9\n",
	}
	maps.Copy(content, change)
	for name, text := range change {
		if text == "" {
			delete(content, name)
		}
	}
	return hostOf(t, content)
}

func findConntrack(t testing.TB, name string, h *Host, n int64, r Role) Finding {
	t.Helper()
	return examineOne(t, conntrackChecks(), name, h, Goal{Connections: n, Role: r})
}

// TestConntrackMax looks at the value one below what is wanted, at it, and above.
func TestConntrackMax(t *testing.T) {
	for _, n := range []int64{1, 9, 10, 11, 15_000, 1_000_000, MaxConnections} {
		need := n + n/10 + 4096
		for _, c := range []struct {
			have    int64
			verdict Verdict
		}{{need - 1, Raise}, {need, OK}, {need + 1, OK}, {1, Raise}} {
			h := trackingHost(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": fmt.Sprintln(c.have)})
			for _, r := range []Role{Server, LoadGen, Both} {
				f := findConntrack(t, conntrackMax, h, n, r)
				if f.Verdict != c.verdict || f.Needed != fmt.Sprint(need) || (f.Holds >= n) != (c.have >= need) {
					t.Errorf("%d of %d for %d, %v: %v, needed %s, holds %d", c.have, need, n, r, f.Verdict, f.Needed, f.Holds)
				}
				if f.bad() && (f.Now != fmt.Sprintf("sysctl -w %s=%d", conntrackMax, need) || !strings.Contains(f.ForGood, "modules-load.d")) {
					t.Errorf("now %q, for good %q", f.Now, f.ForGood)
				}
			}
		}
	}
}

// TestTrackable: Holds is exact, so that one connection more would not fit.
func TestTrackable(t *testing.T) {
	for entries := int64(-5); entries < 5000; entries++ {
		n := trackable(entries)
		if n < 0 || n > 0 && tracked(Goal{Connections: n}) > entries || tracked(Goal{Connections: n + 1}) <= entries {
			t.Fatalf("%d entries: %d connections, which need %d", entries, n, tracked(Goal{Connections: n}))
		}
	}
}

func TestConntrackNotNeeded(t *testing.T) {
	const dir = "proc/sys/net/netfilter/nf_conntrack_"
	container := map[string]string{"proc/sys/net/core/netdev_max_backlog": ""}
	for _, c := range []struct {
		name   string
		change map[string]string
		reason string // "": it is needed
	}{
		{"in use", nil, ""},
		{"not loaded", map[string]string{dir + "max": ""}, "not loaded"},
		{"unreadable", map[string]string{dir + "max": "!EACCES", dir + "count": "!EACCES"}, ""},
		{"no rule asks for it", map[string]string{dir + "count": "0\n"}, "0 entries beside 3 open connections"},
		{"nothing is open", map[string]string{dir + "count": "0\n", "proc/net/snmp": snmpHead + "0 9\n"}, ""},
		{"nobody knows", map[string]string{dir + "count": "0\n", "proc/net/snmp": ""}, ""},
		{"no module uses it", map[string]string{dir + "count": "0\n", "proc/net/snmp": "", "sys/module/nf_conntrack/refcnt": "0\n"}, "no module with rules"},
		{"a module uses it", map[string]string{dir + "count": "0\n", "proc/net/snmp": "", "sys/module/nf_conntrack/refcnt": "1\n"}, ""},
		{"entries and no module", map[string]string{"sys/module/nf_conntrack/refcnt": "0\n"}, ""},
	} {
		for _, name := range []string{conntrackMax, conntrackBuckets, conntrackTimeout} {
			f := findConntrack(t, name, trackingHost(t, c.change), 15_000, Server)
			if (f.Verdict == NotNeeded) != (c.reason != "") || !strings.Contains(f.Reason, c.reason) || strings.Contains(f.Reason, "container") {
				t.Errorf("%s, %s: %v, %q", c.name, name, f.Verdict, f.Reason)
			}
			both := maps.Clone(container)
			maps.Copy(both, c.change)
			f = findConntrack(t, name, trackingHost(t, both), 15_000, Server)
			if c.reason != "" && !strings.Contains(f.Reason, "the host of this container") {
				t.Errorf("%s in a container, %s: %v, %q", c.name, name, f.Verdict, f.Reason)
			}
		}
	}
}

// TestConntrackIdle: a table without entries is raised to be sure, and the report says that this is a guess.
func TestConntrackIdle(t *testing.T) {
	for entries, guess := range map[string]bool{"0\n": true, "1\n": false} {
		h := trackingHost(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_count": entries, "proc/net/snmp": snmpHead + "0 9\n"})
		f := findConntrack(t, conntrackMax, h, 1_000_000, Server)
		if f.Verdict != Raise || strings.Contains(f.Because, "cannot be told") != guess {
			t.Errorf("%q entries: %v, %q", entries, f.Verdict, f.Because)
		}
	}
}

func TestConntrackUnlimited(t *testing.T) {
	h := trackingHost(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_max": "0\n"})
	if f := findConntrack(t, conntrackMax, h, 1_000_000, Server); f.Verdict != OK || f.Holds != Unbounded || f.Settings != nil {
		t.Errorf("0 is no limit, and it is %+v", f)
	}
}

// TestConntrackInContainer: the values of all network namespaces are those of the first, and read-only elsewhere.
func TestConntrackInContainer(t *testing.T) {
	h := trackingHost(t, map[string]string{"proc/sys/net/core/netdev_max_backlog": ""})
	for _, name := range []string{conntrackMax, conntrackBuckets} {
		f := findConntrack(t, name, h, 1_000_000, Server)
		if f.Verdict != Raise || f.Settings != nil || !strings.HasPrefix(f.Now, "on the host") || !strings.HasPrefix(f.ForGood, "on the host") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := findConntrack(t, conntrackTimeout, h, 1_000_000, Server); f.Verdict != OK || len(f.Settings) != 1 {
		t.Errorf("the time-out, which each network namespace has: %+v", f)
	}
}

// TestConntrackOthers: what a router forwards needs entries beside those of the connections.
func TestConntrackOthers(t *testing.T) {
	for _, c := range []struct {
		entries, open int64
		role          Role
		need          int64 // of 1,000 connections: 5196 and others
	}{
		{4096 + 3, 3, Server, 5196}, {4096 + 4, 3, Server, 5197}, {100_003, 3, Server, 5196 + 100_000 - 4096},
		{50_000, 50_000, Server, 5196}, {50_000, 100_000, Both, 5196}, {1 << 31, 0, Server, maxConntrack},
	} {
		h := trackingHost(t, map[string]string{
			"proc/sys/net/netfilter/nf_conntrack_count": fmt.Sprintln(c.entries),
			"proc/net/snmp": snmpHead + fmt.Sprintln(c.open, 9),
		})
		if f := findConntrack(t, conntrackMax, h, 1000, c.role); f.Needed != fmt.Sprint(c.need) {
			t.Errorf("%d entries, %d open, %v: needs %s, want %d", c.entries, c.open, c.role, f.Needed, c.need)
		}
	}
}

// How many entries others have changes: what was set for it is enough a moment later.
func TestConntrackOthersChange(t *testing.T) {
	at := func(entries int, most string) Finding {
		return findConntrack(t, conntrackMax, trackingHost(t, map[string]string{
			"proc/sys/net/netfilter/nf_conntrack_count": fmt.Sprintln(entries),
			"proc/sys/net/netfilter/nf_conntrack_max":   most,
			"proc/net/snmp": snmpHead + fmt.Sprintln(0, 9),
		}), 1000, Server)
	}
	first := at(24_096, "25195\n")
	if first.Verdict != Raise || first.Needed != "30196" { // 5,196 and 20,000 others, and a quarter of them
		t.Fatalf("%s, %s", first.Verdict, first.Needed)
	}
	for entries, want := range map[int]Verdict{24_096: OK, 29_096: OK, 29_097: Raise} {
		if f := at(entries, first.Needed+"\n"); f.Verdict != want || (f.Holds >= 1000) != (want == OK) {
			t.Errorf("%d entries: %s, holds %d", entries, f.Verdict, f.Holds)
		}
	}
}

func TestConntrackBuckets(t *testing.T) {
	for _, c := range []struct{ page, n, want int64 }{
		{4096, 1_000_000, 1_104_384}, // 1,104,096 entries, to fill pages of 512 buckets
		{65536, 1_000_000, 1_105_920},
		{4096, MaxConnections, maxBuckets},
	} {
		for _, have := range []int64{c.want - 1, c.want, c.want + 1} {
			h := trackingHost(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_buckets": fmt.Sprintln(have)})
			h.page = c.page
			f := findConntrack(t, conntrackBuckets, h, c.n, Server)
			if f.Needed != fmt.Sprint(c.want) || (f.Verdict == OK) != (have >= c.want) || f.Verdict != OK && f.Verdict != Raise || f.Holds < c.n || f.Blocks {
				t.Errorf("%d for %d: %v, needed %s, holds %d", have, c.n, f.Verdict, f.Needed, f.Holds)
			}
		}
	}
	h := trackingHost(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_buckets": "16384\n"})
	if f := findConntrack(t, conntrackBuckets, h, 1_000_000, Server); f.Holds != 204_800 || !f.Blocks || !strings.Contains(f.ForGood, "hashsize=1104384") {
		t.Errorf("chains of 122 hold %d connections, want 204,800; for good %q", f.Holds, f.ForGood)
	}
}

func TestConntrackTimeout(t *testing.T) {
	for have, want := range map[string]Verdict{"299\n": Raise, "300\n": OK, "432000\n": OK, "x\n": Unreadable, "!EACCES": Unreadable} {
		h := trackingHost(t, map[string]string{"proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established": have})
		if f := findConntrack(t, conntrackTimeout, h, 1000, LoadGen); f.Verdict != want {
			t.Errorf("%q: %v, want %v", have, f.Verdict, want)
		}
	}
}

func FuzzTCPEstablished(f *testing.F) {
	f.Add(snmpHead + "3 9\n")
	f.Add("Tcp: CurrEstab\nTcp:\n")
	f.Add("Tcp: CurrEstab\nTcp: 99999999999999999999\n")
	f.Add("Tcp: CurrEstab\nTcp: -1\n")
	f.Fuzz(func(t *testing.T, content string) {
		if n, ok := tcpEstablished(hostOf(t, map[string]string{"proc/net/snmp": content})); n < 0 || !ok && n != 0 {
			t.Errorf("%q: %d, %v", content, n, ok)
		}
	})
}
