package tuning

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// TestHosts asserts of each recording what it was made for; all the rest is in the golden files.
func TestHosts(t *testing.T) {
	const unread = "unread"
	for _, c := range []struct {
		host      string
		goal      Goal
		holds     int64  // -1: whatever
		stoppedBy string // or unread; "": whatever
		cgroup    string
		container bool
		verdicts  map[string]Verdict
	}{
		{"stock-debian", Goal{Connections: 2_000_000}, 524_288 - 1024, "RLIMIT_NOFILE", "v2", false, map[string]Verdict{
			"fs.nr_open": Raise, "fs.file-max": OK, "net.ipv4.tcp_max_syn_backlog": NotNeeded, "net.ipv4.tcp_mem": OK,
			"net.netfilter.nf_conntrack_max": NotNeeded, "net.ipv4.tcp_rmem": OK, "memory.max": NotNeeded,
		}},
		{"stock-debian", Goal{Connections: 15_000}, 524_288 - 1024, "RLIMIT_NOFILE", "v2", false, map[string]Verdict{
			"RLIMIT_NOFILE": OK, "fs.nr_open": OK, "fs.epoll.max_user_watches": OK,
		}},
		{"tuned-host", Goal{Connections: 2_000_000}, 2_000_000, "RLIMIT_NOFILE", "v2", false, map[string]Verdict{
			"fs.nr_open": OK, "net.netfilter.nf_conntrack_max": OK, "net.ipv4.tcp_mem": OK, "net.core.somaxconn": OK,
		}},
		{"tuned-host", Goal{Connections: 2_000_001}, 2_000_000, "RLIMIT_NOFILE", "v2", false, map[string]Verdict{"RLIMIT_NOFILE": Raise}},
		{"container-v1", Goal{Connections: 100_000}, -1, "", "v1", true, map[string]Verdict{
			"net.core.netdev_max_backlog": Unreadable, "net.ipv4.tcp_mem": Unreadable, "RLIMIT_NOFILE": OK, "memory.max": OK, "pids.max": OK,
		}},
		{"container-v2", Goal{Connections: 1_000_000}, -1, "memory", "v2", true, map[string]Verdict{
			"net.core.netdev_max_backlog": Unreadable, "memory.max": Raise, "pids.max": OK,
		}},
		{"no-conntrack", Goal{Connections: 100_000}, -1, "memory", "v2", false, map[string]Verdict{"net.netfilter.nf_conntrack_max": NotNeeded}},
		{"unreadable", Goal{Connections: 100_000}, -1, unread, "v2", false, map[string]Verdict{
			"fs.nr_open": Unreadable, "fs.file-max": Unreadable, "RLIMIT_NOFILE": Unreadable, "net.ipv4.tcp_mem": Unreadable,
		}},
		// 49152 to 60999 without 100 that are reserved, from 8 addresses to 2 targets.
		{"loadgen", Goal{Connections: 1_000_000, Role: LoadGen, Sources: 8, Targets: 2}, 11_748 * 16, "net.ipv4.ip_local_port_range", "v2", false, map[string]Verdict{
			"net.ipv4.ip_local_port_range": Raise, "RLIMIT_NOFILE": OK,
		}},
		{"advice", Goal{Connections: 2_000_000}, 4096 - 1024, "RLIMIT_NOFILE", "v2", false, map[string]Verdict{
			"fs.file-max": Raise, "net.ipv4.tcp_rmem": Raise, "net.ipv4.tcp_wmem": Raise, "net.ipv4.tcp_moderate_rcvbuf": Set, "net.ipv4.tcp_syncookies": Set,
			"limits.conf": Set, "net.netfilter.nf_conntrack_max": Raise, "net.core.somaxconn": Raise, "net.ipv4.tcp_abort_on_overflow": Set,
		}},
		{"beside", Goal{Connections: 10_000, Role: Both}, 20_000 - 1024, "RLIMIT_NOFILE", "hybrid", false, map[string]Verdict{"fs.file-max": OK}},
		{"vm-hybrid", Goal{Connections: 100_000, Role: Both}, 20_000 - 1024, "RLIMIT_NOFILE", "hybrid", false, map[string]Verdict{"fs.nr_open": OK}},
	} {
		r, err := Examine(recordedHost(t, c.host), c.goal)
		if err != nil {
			t.Fatal(err)
		}
		if c.holds >= 0 && r.Holds != c.holds {
			t.Errorf("%s for %d holds %d, want %d", c.host, c.goal.Connections, r.Holds, c.holds)
		}
		if c.stoppedBy == unread {
			if len(r.Unknown) == 0 || r.Reachable {
				t.Errorf("%s: nothing is unknown of it (reachable: %v)", c.host, r.Reachable)
			}
		} else if r.StoppedBy != cmp.Or(c.stoppedBy, r.StoppedBy) || len(r.Unknown) > 0 || r.Reachable != (r.Holds >= c.goal.Connections) {
			t.Errorf("%s for %d: stopped by %s, unknown %v, reachable %v, want %s", c.host, c.goal.Connections, r.StoppedBy, r.Unknown, r.Reachable, c.stoppedBy)
		}
		if r.Machine.Cgroup != c.cgroup || r.Machine.Container != c.container {
			t.Errorf("%s: cgroup %s, container %v, want %s, %v", c.host, r.Machine.Cgroup, r.Machine.Container, c.cgroup, c.container)
		}
		for name, want := range c.verdicts {
			i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Name == name })
			if i < 0 || r.Findings[i].Verdict != want {
				t.Errorf("%s for %d: %s is not %q", c.host, c.goal.Connections, name, want)
			}
		}
	}
}

// The limits of the cgroups are found, and named as the kernel's file is.
func TestHostsMemory(t *testing.T) {
	for host, want := range map[string]string{
		"container-v1": "memory.limit_in_bytes", "container-v2": "memory.max", "advice": "memory.max", "stock-debian": "MemAvailable",
	} {
		r, err := Examine(recordedHost(t, host), Goal{Connections: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Prediction.AvailableFrom; !strings.HasPrefix(got, want) {
			t.Errorf("%s: the memory is %d from %q, want it from %s", host, r.Prediction.Available, got, want)
		}
	}
}
