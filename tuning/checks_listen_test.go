package tuning

import (
	"strings"
	"testing"
)

func TestBacklog(t *testing.T) {
	for _, c := range []struct {
		goal    int64
		have    string
		verdict Verdict
		needed  string
	}{
		{1000, "999", Raise, "1000"},
		{1000, "1000", OK, "1000"},
		{65_534, "4096", Raise, "65534"},
		{10_000_000, "65534", Raise, "65535"},
		{10_000_000, "65535", OK, "65535"},
		{10_000_000, "1000000", OK, "65535"},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/core/somaxconn": c.have})
		f := examineOne(t, listenChecks(), "net.core.somaxconn", h, Goal{Connections: c.goal})
		if f.Verdict != c.verdict || f.Needed != c.needed || f.Holds != Unbounded {
			t.Errorf("%d with %s: %s, needed %s, holds %d", c.goal, c.have, f.Verdict, f.Needed, f.Holds)
		}
		if !strings.Contains(f.Because, "restart it") {
			t.Error("nothing says that the server takes it when it starts")
		}
	}
}

// tcp_conn_request looks at it only where there are no syncookies.
func TestSynBacklog(t *testing.T) {
	const key = "net.ipv4.tcp_max_syn_backlog"
	for _, c := range []struct {
		cookies, have string
		verdict       Verdict
	}{
		{"0", "1333", Raise},
		{"0", "1334", OK},
		{"1", "1", NotNeeded},
		{"2", "1", NotNeeded},
		{"!EACCES", "1333", Raise},
		{"x", "1334", OK},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_max_syn_backlog": c.have, "proc/sys/net/ipv4/tcp_syncookies": c.cookies})
		if f := examineOne(t, listenChecks(), key, h, Goal{Connections: 1000}); f.Verdict != c.verdict {
			t.Errorf("%s with syncookies %s: %s", c.have, c.cookies, f.Verdict)
		}
	}
	// The kernel's own condition: a SYN is dropped when less than a quarter is free.
	for _, n := range []int64{1, 2, 3, 4, 1000, 65_535} {
		max := synBacklog(n)
		if dropped := max-(n-1) < max>>2; dropped {
			t.Errorf("with %d the last of %d is dropped", max, n)
		}
	}
}

func TestSwitches(t *testing.T) {
	for _, c := range []struct {
		key, have string
		verdict   Verdict
	}{
		{"net.ipv4.tcp_syncookies", "0", Set},
		{"net.ipv4.tcp_syncookies", "1", OK},
		{"net.ipv4.tcp_syncookies", "2", Set},
		{"net.ipv4.tcp_abort_on_overflow", "0", OK},
		{"net.ipv4.tcp_abort_on_overflow", "1", Set},
	} {
		h := hostOf(t, map[string]string{sysctlFile(c.key): c.have})
		if f := examineOne(t, listenChecks(), c.key, h, Goal{Connections: 5}); f.Verdict != c.verdict || f.Blocks {
			t.Errorf("%s = %s: %s", c.key, c.have, f.Verdict)
		}
	}
}

// As Linux 6.18 writes it, with 15 columns.
const softnetStat = "0a9023de 00004247 0000001b 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n" +
	"0afb867e 00002d42 00000016 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000\n"

func TestPacketBacklog(t *testing.T) {
	for _, c := range []struct {
		goal    int64
		have    string
		verdict Verdict
		needed  string
	}{
		{1, "1000", OK, "1000"},
		{1, "999", Raise, "1000"},
		{16_383, "16382", Raise, "16383"},
		{1_000_000, "16383", Raise, "16384"},
		{1_000_000, "16384", OK, "16384"},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/core/netdev_max_backlog": c.have, "proc/net/softnet_stat": softnetStat})
		f := examineOne(t, listenChecks(), "net.core.netdev_max_backlog", h, Goal{Connections: c.goal, Role: Both})
		if f.Verdict != c.verdict || f.Needed != c.needed || !strings.Contains(f.Because, "28,553 packets were dropped") {
			t.Errorf("%d with %s: %s, needed %s because %s", c.goal, c.have, f.Verdict, f.Needed, f.Because)
		}
	}
	h := hostOf(t, map[string]string{"proc/sys/net/ipv4/ip_local_port_range": "32768 60999"})
	f := examineOne(t, listenChecks(), "net.core.netdev_max_backlog", h, Goal{Connections: 5})
	if f.Verdict != Unreadable || !strings.Contains(f.Reason, "container") {
		t.Errorf("in a container: %s, %s", f.Verdict, f.Reason)
	}
}

func TestParseSoftnetStat(t *testing.T) {
	for _, c := range []struct {
		name, text string
		dropped    int64
		ok         bool
	}{
		{"two processors", softnetStat, 28_553, true},
		{"the most", "00000000 ffffffff\n00000000 ffffffff", 1<<33 - 2, true},
		{"no number", "00000000 0000000g", 0, false},
		{"too long", "00000000 100000000", 0, false},
		{"one column", "00000000", 0, false},
		{"empty", "", 0, false},
	} {
		if n, ok := parseSoftnetStat(c.text); ok != c.ok || ok && n != c.dropped {
			t.Errorf("%s: %d, %v", c.name, n, ok)
		}
	}
}

func FuzzParseSoftnetStat(f *testing.F) {
	f.Add(softnetStat)
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseSoftnetStat(s); ok && (n < 0 || n > int64(strings.Count(s, "\n")+1)<<32) {
			t.Errorf("%d dropped", n)
		}
	})
}
