package tuning

import (
	"strconv"
	"strings"
	"testing"
)

// TestMemoryMax has limits about what 1,000 connections need.
func TestMemoryMax(t *testing.T) {
	g := goal(t, Goal{Connections: 1000})
	files := func(group, limit string) map[string]string {
		return with(inV2(group), map[string]string{
			"sys/fs/cgroup" + group + "/memory.max":     limit + "\n",
			"sys/fs/cgroup" + group + "/memory.current": "5000000\n",
			"sys/fs/cgroup" + group + "/memory.stat":    "inactive_file 1000000\n",
		})
	}
	const used = 4_000_000
	total := predict(hostOf(t, inV2("/")), g).Total
	for _, c := range []struct {
		name    string
		limit   int64
		verdict Verdict
		holds   int64
	}{
		{"enough", used + total, OK, 1000},
		{"a byte less", used + total - 1, Raise, 999},
		{"less than a process", used, Raise, 0},
		{"less than is used", used - 1, Raise, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hostOf(t, files("/system.slice/a.service", strconv.FormatInt(c.limit, 10)))
			f := examineOne(t, cgroupChecks(), "memory.max", h, g)
			if f.Verdict != c.verdict || f.Holds != c.holds || !f.Blocks || f.Settings != nil {
				t.Errorf("got %+v, want %v and %d", f, c.verdict, c.holds)
			}
			need, err := strconv.ParseInt(f.Needed, 10, 64)
			if err != nil || need < used+total || need >= used+total+1<<20 || need%(1<<20) != 0 {
				t.Errorf("got %s, want %d to the next MiB", f.Needed, used+total)
			}
		})
	}
}

func TestMemoryMaxWhatToDo(t *testing.T) {
	for _, c := range []struct{ group, now, forGood string }{
		{"/system.slice/a.service", "echo 29360128 > /sys/fs/cgroup/system.slice/a.service/memory.max",
			"MemoryMax=29360128 for the unit a.service (systemctl edit a.service)"},
		{"/docker/c0ffee", "echo 29360128 > /sys/fs/cgroup/docker/c0ffee/memory.max", "docker run --memory"},
		{"/a b;c.service", "echo 29360128 > '/sys/fs/cgroup/a b;c.service/memory.max'", "(systemctl edit 'a b;c.service')"},
	} {
		h := hostOf(t, with(inV2(c.group), map[string]string{"sys/fs/cgroup" + c.group + "/memory.max": "1\n"}))
		f := examineOne(t, cgroupChecks(), "memory.max", h, Goal{Connections: 500})
		if f.Verdict != Raise || f.Now != c.now || !strings.Contains(f.ForGood, c.forGood) {
			t.Errorf("%s: got %s, %s", c.group, f.Now, f.ForGood)
		}
	}
}

func TestMemoryLimitsElsewhere(t *testing.T) {
	g := Goal{Connections: 1000}
	for _, c := range []struct {
		name, check string
		files       map[string]string
		want        Verdict
	}{
		{"no cgroups", "memory.max", nil, NotNeeded},
		{"max", "memory.max", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/memory.max": "max\n"}), NotNeeded},
		{"unreadable", "memory.max", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/memory.max": "!EACCES"}), Unreadable},
		{"garbage", "memory.max", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/memory.max": "?\n"}), Unreadable},
		{"what is used is unreadable", "memory.max", with(inV2("/a"), map[string]string{
			"sys/fs/cgroup/a/memory.max": "99999999999\n", "sys/fs/cgroup/a/memory.current": "!EACCES"}), Unreadable},
		{"v1", "memory.max", with(inV1("/a"), map[string]string{"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1\n"}), Raise},
		{"v1 has no high", "memory.high", with(inV1("/a"), map[string]string{"sys/fs/cgroup/memory/a/memory.high": "1\n"}), NotNeeded},
		{"high", "memory.high", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/memory.high": "1\n"}), Raise},
		{"max is not high", "memory.high", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/memory.max": "1\n"}), NotNeeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := examineOne(t, cgroupChecks(), c.check, hostOf(t, c.files), g); f.Verdict != c.want {
				t.Errorf("got %+v, want %v", f, c.want)
			}
		})
	}
}

// In a container /sys/fs/cgroup is read-only: who made it has to raise the limit.
func TestLimitsOfAContainer(t *testing.T) {
	h := hostOf(t, with(inV2("/"), map[string]string{
		"sys/fs/cgroup/memory.max": "1\n", "sys/fs/cgroup/pids.max": "1\n", "sys/fs/cgroup/memory.high": "1\n",
		"proc/self/status": "Cpus_allowed:\tf\n", "proc/sys/net/ipv4/ip_local_port_range": "32768 60999\n",
	}))
	for name, now := range map[string]string{
		"memory.max": "docker update --memory 29360128 --memory-swap 29360128", "pids.max": "docker update --pids-limit 24", "memory.high": "echo ",
	} {
		if f := examineOne(t, cgroupChecks(), name, h, Goal{Connections: 500}); f.Verdict != Raise || !strings.Contains(f.Now, now) {
			t.Errorf("%s: %s, %q", name, f.Verdict, f.Now)
		}
	}
}

func TestTCPLimitOfV1(t *testing.T) {
	const file = "sys/fs/cgroup/memory/a/memory.kmem.tcp.limit_in_bytes"
	for _, c := range []struct {
		files map[string]string
		want  Verdict
	}{
		{nil, NotNeeded},
		{with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/memory.kmem.tcp.limit_in_bytes": "1\n"}), NotNeeded},
		{with(inV1("/a"), map[string]string{file: "9223372036854771712\n"}), NotNeeded},
		{with(inV1("/a"), map[string]string{file: "4096000\n"}), OK},
		{with(inV1("/a"), map[string]string{file: "4095999\n"}), Raise},
		{with(inV1("/a"), map[string]string{file: "!EACCES"}), Unreadable},
	} {
		f := examineOne(t, cgroupChecks(), "memory.kmem.tcp.limit_in_bytes", hostOf(t, c.files), Goal{Connections: 1000})
		if f.Verdict != c.want || f.Blocks {
			t.Errorf("%q: got %+v, want %v", c.files[file], f, c.want)
		}
	}
}

func TestThreads(t *testing.T) {
	const four = "CapEff:\t0\nCpus_allowed:\tf\n"
	for _, c := range []struct {
		name, limit string
		role        Role
		want        Verdict
	}{
		{"enough for 4 processors", "124", Server, OK}, // 100 + 2 x 4 + 16
		{"one less", "123", Server, Raise},
		{"two processes", "148", Both, OK},
		{"two processes, one less", "147", Both, Raise},
		{"max", "max", Both, NotNeeded},
		{"unreadable", "!EACCES", Server, Unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hostOf(t, with(inV2("/a.service"), map[string]string{
				"proc/self/status":                     four,
				"sys/fs/cgroup/a.service/pids.max":     c.limit,
				"sys/fs/cgroup/a.service/pids.current": "100\n",
			}))
			f := examineOne(t, cgroupChecks(), "pids.max", h, Goal{Connections: 1e7, Role: c.role})
			if f.Verdict != c.want {
				t.Errorf("got %+v, want %v", f, c.want)
			}
			if f.Verdict == Raise && !strings.Contains(f.ForGood, "TasksMax="+f.Needed) {
				t.Errorf("got %s", f.ForGood)
			}
		})
	}
}

func TestSwapIsNotNeeded(t *testing.T) {
	h := hostOf(t, with(inV2("/a"), map[string]string{"proc/sys/vm/swappiness": "60\n", "sys/fs/cgroup/a/memory.swap.max": "0\n"}))
	for name, value := range map[string]string{"vm.swappiness": "60", "memory.swap.max": "0"} {
		f := examineOne(t, cgroupChecks(), name, h, Goal{Connections: 1e7})
		if f.Verdict != NotNeeded || f.Value != value || f.Myth == "" {
			t.Errorf("got %+v", f)
		}
	}
}

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "/a/b-1.service": "/a/b-1.service", "a b": "'a b'", "a'b": `'a'\''b'`, "$(x)": "'$(x)'",
	} {
		if got := quoted(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
