package tuning

import (
	"math/bits"
	"strings"
	"testing"
)

func TestClosing(t *testing.T) {
	for _, c := range []struct {
		role    Role
		goal    int64
		have    string
		verdict Verdict
		needed  string
	}{
		{Server, 100_000, "99999", Raise, "100000"},
		{Server, 100_000, "100000", OK, "100000"},
		{Both, 100_000, "199999", Raise, "200000"},
		{Both, 100_000, "200000", OK, "200000"},
		{LoadGen, 262_143, "262142", Raise, "262143"},
		{Server, 10_000_000, "262143", Raise, "262144"},
		{Both, MaxConnections, "262144", OK, "262144"},
	} {
		for _, key := range []string{"net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_orphans"} {
			h := hostOf(t, map[string]string{sysctlFile(key): c.have})
			f := examineOne(t, closeChecks(), key, h, Goal{Connections: c.goal, Role: c.role})
			if f.Verdict != c.verdict || f.Needed != c.needed || f.Blocks || f.Holds != Unbounded {
				t.Errorf("%s, %s, %d with %s: %s, needed %s", key, c.role, c.goal, c.have, f.Verdict, f.Needed)
			}
		}
	}
}

func TestFinTimeout(t *testing.T) {
	for _, c := range []struct {
		have    string
		verdict Verdict
	}{{"5", NotNeeded}, {"59", NotNeeded}, {"60", NotNeeded}, {"61", Set}, {"x", Unreadable}} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_fin_timeout": c.have})
		f := examineOne(t, closeChecks(), "net.ipv4.tcp_fin_timeout", h, Goal{Connections: 5})
		if f.Verdict != c.verdict || !strings.Contains(f.Myth, "TIME_WAIT") {
			t.Errorf("%s s: %s, myth %q", c.have, f.Verdict, f.Myth)
		}
	}
}

func TestKeepalive(t *testing.T) {
	h := hostOf(t, map[string]string{
		"proc/sys/net/ipv4/tcp_keepalive_time": "7200\n", "proc/sys/net/ipv4/tcp_keepalive_intvl": "75\n", "proc/sys/net/ipv4/tcp_keepalive_probes": "9\n",
	})
	f := examineOne(t, closeChecks(), "net.ipv4.tcp_keepalive_time", h, Goal{Connections: 5})
	if f.Verdict != NotNeeded || f.Value != "7200 75 9" || !strings.Contains(f.Reason, "SO_KEEPALIVE") {
		t.Errorf("%s, %q, %q", f.Verdict, f.Value, f.Reason)
	}
}

func TestHashChains(t *testing.T) {
	for _, c := range []struct {
		role    Role
		goal    int64
		have    string
		verdict Verdict
		needed  string
	}{
		{Server, 1_000_000, "262144", OK, "250000"},
		{Server, 1_048_576, "262144", OK, "262144"},
		{Server, 1_048_577, "262144", Raise, "524288"},
		{Server, 10_000_000, "524288", Raise, "4194304"},
		{Server, 1_048_576, "131072", Raise, "262144"},
		{Both, 524_288, "262144", OK, "262144"},
		{Both, 524_289, "262144", Raise, "524288"},
		{Server, 1_048_576, "-262144", OK, "262144"},
		{Server, 1_048_577, "-262144", Raise, "524288"},
		{Server, 1, "1", OK, "1"},
		{Server, 1, "0", Unreadable, ""},
		{Server, 1, "-99999999999999999999", Unreadable, ""},
		{Server, 1, "x", Unreadable, ""},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_ehash_entries": c.have})
		f := examineOne(t, closeChecks(), "net.ipv4.tcp_ehash_entries", h, Goal{Connections: c.goal, Role: c.role})
		if f.Verdict != c.verdict || f.Needed != c.needed {
			t.Errorf("%s, %d with %s: %s, needed %s", c.role, c.goal, c.have, f.Verdict, f.Needed)
		}
		if f.Verdict != Raise {
			continue
		}
		if f.Now != "" || !strings.Contains(f.ForGood, "thash_entries="+c.needed) {
			t.Errorf("now %q, for good %q", f.Now, f.ForGood)
		}
		if own := strings.Contains(f.ForGood, "tcp_child_ehash_entries"); own != strings.HasPrefix(c.have, "-") {
			t.Errorf("with %s: for good %q", c.have, f.ForGood)
		}
	}
	// A power of two, as the kernel makes it, whose chains are short enough.
	for n := int64(1); n <= MaxConnections; n = n*3 + 1 {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_ehash_entries": "1"})
		f := examineOne(t, closeChecks(), "net.ipv4.tcp_ehash_entries", h, Goal{Connections: n})
		h = hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_ehash_entries": f.Needed})
		v, err := h.number("proc/sys/net/ipv4/tcp_ehash_entries")
		again := examineOne(t, closeChecks(), "net.ipv4.tcp_ehash_entries", h, Goal{Connections: n})
		if err != nil || bits.OnesCount64(uint64(v)) != 1 || again.Verdict != OK {
			t.Errorf("%d: %s chains, %s", n, f.Needed, again.Verdict)
		}
	}
}
