package tuning

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// cgroupChecks is about the limits of the cgroups that this process is in, from its own to the highest that can
// be seen. They are somebody's decision: the checks say what to do, and Apply leaves them alone.
func cgroupChecks() []Check {
	const v2, v1 = "Documentation/admin-guide/cgroup-v2.rst", "Documentation/admin-guide/cgroup-v1/memory.rst"
	return []Check{
		{
			Name: "memory.max",
			Why: "Sockets count towards it as the heap does (SLAB_ACCOUNT), and when it is reached the kernel kills the " +
				"process; under cgroup v1 its name is memory.limit_in_bytes.",
			Source: v2 + "; " + v1,
			Role:   Both, Blocks: true,
			examine: func(c *Check, h *Host, g Goal) Finding {
				limits, err := h.hardLimits(g)
				return c.memory(h, g, limits, err, "MemoryMax")
			},
		},
		{
			Name: "memory.high",
			Why: "Above it each thread is held up, by two seconds at a time, while the kernel looks for memory to take " +
				"back, and sockets it cannot take back.",
			Source: v2 + "; mem_cgroup_handle_over_high in mm/memcontrol.c",
			Role:   Both, Blocks: true,
			examine: func(c *Check, h *Host, g Goal) Finding {
				limits, err := h.highLimits(g)
				return c.memory(h, g, limits, err, "MemoryHigh")
			},
		},
		{
			Name: "memory.kmem.tcp.limit_in_bytes",
			Why: "Under cgroup v1 it bounds what the group's connections have under way, as tcp_mem does for the host, " +
				"but in bytes.",
			Source: v1 + "; memcg1_charge_skmem in mm/memcontrol-v1.c",
			Role:   Both, examine: examineTCPLimit,
		},
		{
			Name:   "pids.max",
			Why:    "It counts threads, and the Go runtime ends the process when it cannot start one.",
			Source: "Documentation/admin-guide/cgroup-v1/pids.rst; newosproc in Go's runtime/os_linux.go",
			Myth: "As many as there are connections: a connection has neither a thread nor, with the engine epoll, a " +
				"goroutine.",
			Role: Both, examine: examineThreads,
		},
		swapCheck("vm.swappiness", "Documentation/admin-guide/sysctl/vm.rst", func(h *Host) string {
			s, _ := h.text(sysctlFile("vm.swappiness"))
			return s
		}),
		swapCheck("memory.swap.max", v2, func(h *Host) string {
			for _, dir := range h.hierarchy("memory").dirs {
				if s, err := h.text(path.Join(dir, "memory.swap.max")); err == nil {
					return s
				}
			}
			return ""
		}),
	}
}

// noLimit is the value of a file that bounds nothing.
const noLimit = "no limit"

// memory holds what the goal needs against limits. property is systemd's name for it.
func (c *Check) memory(h *Host, g Goal, limits []limit, err error, property string) Finding {
	l, ok := tightest(limits)
	switch {
	case err != nil:
		f := c.finding(Unreadable)
		f.Reason = "not every limit can be read: " + err.Error()
		return f
	case !ok:
		return c.notNeeded(noLimit, "no cgroup of this process has such a limit")
	}
	m := newModel(h, g)
	total := m.total(g.Connections)
	f := c.finding(OK)
	f.Value = strconv.FormatInt(l.bound, 10)
	f.Holds = m.largest(l.left())
	need := roundUp(l.used+total, 1<<20) << 20
	f.Needed = strconv.FormatInt(need, 10)
	f.Because = fmt.Sprintf("%d in use in /%s + %d for %d connections, to the next MiB", l.used, l.dir, total, g.Connections)
	if total > l.left() {
		f.raise(h, l, property, need)
	}
	return f
}

// raise says how to raise a limit. property is systemd's name for it.
func (f *Finding) raise(h *Host, l limit, property string, need int64) {
	n := strconv.FormatInt(need, 10)
	f.Verdict = Raise
	f.Now = "echo " + n + " > " + quoted(l.path())
	if h.container() && among(property, "MemoryMax", "TasksMax") {
		// Inside, /sys/fs/cgroup is read-only as a rule, and in Kubernetes whoever made the pod has the last word.
		option := "--memory " + n + " --memory-swap " + n
		if property == "TasksMax" {
			option = "--pids-limit " + n
		}
		f.Now = "outside of the container: docker update " + option + " with its name; in Kubernetes for good alone"
	}
	unit := path.Base(l.dir)
	switch path.Ext(unit) {
	case ".service", ".slice", ".scope":
		if property != "" {
			f.ForGood = property + "=" + n + " for the unit " + unit + " (systemctl edit " + quoted(unit) + ")"
			return
		}
	}
	f.ForGood = "where the container or the group is made, to " + n +
		": as docker run --memory and --pids-limit, or resources.limits of the pod"
}

// quoted makes one word for a shell of what need not be one.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@+,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func examineTCPLimit(c *Check, h *Host, g Goal) Finding {
	y := h.hierarchy("memory")
	if y.v2 || y.dirs == nil {
		return c.notNeeded("", "only cgroup v1 has it")
	}
	limits, err := h.limits(y.dirs, c.Name, "memory.kmem.tcp.usage_in_bytes")
	l, ok := tightest(limits)
	switch {
	case err != nil:
		f := c.finding(Unreadable)
		f.Reason = "not every limit can be read: " + err.Error()
		return f
	case !ok:
		return c.notNeeded(noLimit, "no cgroup of this process has such a limit")
	}
	f := c.finding(OK)
	f.Value = strconv.FormatInt(l.bound, 10)
	need := g.Connections * g.ends() * messagePages(g, h.page) * h.page
	f.Needed = strconv.FormatInt(need, 10)
	f.Because = toAll(g, h.page)
	if l.bound < need {
		f.raise(h, l, "", need)
	}
	return f
}

// examineThreads counts the threads of one process, or two: of 8 threads that dormouse serve has on 2 processors,
// each processor accounts for two, one that runs and one in a system call, the runtime for the rest; 16 leave
// room for calls that block, as of files and of the resolver.
func examineThreads(c *Check, h *Host, g Goal) Finding {
	y := h.hierarchy("pids")
	limits, err := h.limits(y.dirs, "pids.max", "pids.current")
	l, ok := tightest(limits)
	switch {
	case err != nil:
		f := c.finding(Unreadable)
		f.Reason = "not every limit can be read: " + err.Error()
		return f
	case !ok:
		return c.notNeeded(noLimit, "no cgroup of this process has such a limit")
	}
	f := c.finding(OK)
	f.Value = strconv.FormatInt(l.bound, 10)
	threads := g.ends() * int64(2*h.cpus()+16)
	_, held := h.heldIn(g, l.dir, "pids")
	l.used = max(0, l.used-held)
	need := l.used + threads
	f.Needed = strconv.FormatInt(need, 10)
	f.Because = fmt.Sprintf("%d in use in /%s + %d processes x (2 x %d processors + 16 that wait in system calls)",
		l.used, l.dir, g.ends(), h.cpus())
	if l.bound < need {
		f.raise(h, l, "TasksMax", need)
	}
	return f
}

// swapCheck is for what bears on swap, which is no memory for connections.
func swapCheck(name, source string, value func(h *Host) string) Check {
	return Check{
		Name: name,
		Why: "It is about which of a process's pages go to disk first, and sockets, descriptors and buffers are the " +
			"kernel's own, which never do.",
		Source: source + "; Documentation/admin-guide/cgroup-v1/memory.rst, 2.7",
		Myth: "Swap, or swappiness of 0, 10 or 90, for more connections: about 4,100 of 4,400 bytes of each cannot be swapped " +
			"out, and the rest is a heap of which the collector reads every page again.",
		Role: Both,
		examine: func(c *Check, h *Host, _ Goal) Finding {
			return c.notNeeded(value(h), "the kernel's part of a connection cannot be swapped, and the heap must not be")
		},
	}
}
