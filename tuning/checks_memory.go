package tuning

import (
	"fmt"
	"strconv"
	"strings"
)

// memoryChecks are the settings of virtual memory that decide whether a process may have the memory that there
// is. How much that is, Prediction says.
func memoryChecks() []Check {
	return []Check{overcommitCheck(), mapsCheck(), hugePagesCheck(), hugeDefragCheck(), minFreeCheck()}
}

func overcommitCheck() Check {
	return Check{
		Name: "vm.overcommit_memory",
		Why: "With 2 the kernel refuses what goes over CommitLimit, used or not, and a Go program that is refused " +
			"memory ends with \"out of memory\"; 0 and 1 let it have what there is.",
		Source: "Documentation/admin-guide/sysctl/vm.rst; __vm_enough_memory in mm/util.c",
		Myth: "Setting it to 1 \"for many connections\": 0 refuses only a single mapping larger than all memory and swap, " +
			"and Go asks for 64 MiB at a time. Its large virtual size does not count either: what is reserved " +
			"with PROT_NONE is not accounted (accountable_mapping).",
		Role:    Both,
		Blocks:  true,
		examine: examineOvercommit,
	}
}

// overcommitReserve is what the kernel keeps out of CommitLimit for others: user_reserve_kbytes (128 MiB at most
// by default) and admin_reserve_kbytes (8 MiB).
const overcommitReserve = (128 + 8) << 20

// mappedBytes is what a process has mapped to write and not used: 8 MiB of stack for each thread, and the Go
// runtime's tables. 133 MiB are mapped so of a dormouse that uses 14, 657 of one with a million connections in 543.
const mappedBytes = 120 << 20

func examineOvercommit(c *Check, h *Host, g Goal) Finding {
	name := sysctlFile(c.Name)
	v, err := h.number(name)
	switch {
	case err != nil:
		return c.unreadable(h, name, err)
	case v < 0 || v > 2:
		return c.unreadable(h, name, &GarbageError{Path: "/" + name, Content: strconv.FormatInt(v, 10)})
	}
	f := c.finding(OK)
	f.Value, f.Needed = row([]int64{v}), "0 or 1"
	if v != 2 {
		return f
	}
	limit, ok := h.meminfo("CommitLimit")
	used, okUsed := h.meminfo("Committed_AS")
	if !ok || !okUsed {
		return c.unreadable(h, "proc/meminfo", &GarbageError{Path: "/proc/meminfo"})
	}
	used = max(0, used-g.heldCommitted())
	m := newModel(h, g)
	needed := func(n int64) int64 { return m.user(n) + int64(len(m.processes))*mappedBytes }
	left := max(0, limit-used-overcommitReserve)
	f.Needed = "0 or 1, or a CommitLimit that has room for the process"
	f.Because = fmt.Sprintf("CommitLimit %s less %s committed and %s that are kept for others leave %s; the process maps %s for %s connections",
		byteCount(limit), byteCount(used), byteCount(overcommitReserve), byteCount(left),
		byteCount(needed(g.Connections)), count(g.Connections))
	f.Holds = mostConnections(func(n int64) bool { return needed(n) <= left })
	if f.Holds < g.Connections {
		f.Verdict = Set
		more := (needed(g.Connections) - left + 1<<10 - 1) >> 10
		f.Now = fmt.Sprintf("sysctl -w vm.overcommit_memory=0, or if 2 is meant, room for %d kB more by vm.overcommit_kbytes or swap", more)
		f.ForGood = "the same in " + sysctlConf
	}
	return f
}

// mostConnections is the largest number of connections that fit, fits being true up to some number.
func mostConnections(fits func(n int64) bool) int64 {
	low, high := int64(0), int64(MaxConnections) // low fits or is 0
	if fits(high) {
		return high
	}
	for low+1 < high {
		if n := (low + high) / 2; fits(n) {
			low = n
		} else {
			high = n
		}
	}
	return low
}

func mapsCheck() Check {
	return sysctl{
		key: "vm.max_map_count",
		want: func(g Goal, _ int64) ([]int64, string) {
			arenas := g.Connections/arenaConnections + 1
			return []int64{spareMaps + 3*arenas}, fmt.Sprintf("%d for the program, its stacks and libraries, and 3 for each of %s arenas "+
				"of 64 MiB that the heap may have at most", spareMaps, count(arenas))
		},
		holds: func(v []int64, _ Goal, _ int64) int64 {
			return min(max(0, (v[0]-spareMaps)/3), MaxConnections)*arenaConnections - 1
		},
	}.check(Check{
		Why: "A process has at most so many maps of memory, and the Go runtime ends when it can have no more; " +
			"connections have none.",
		Source: "Documentation/admin-guide/sysctl/vm.rst; sysctl_max_map_count in mm/mmap.c",
		Myth: "262144 or more, which is advice for databases that map their files: sockets are not mapped, and a process " +
			"with a million of them has 80 maps of the 65530 that it may have.",
		Role:   Both,
		Blocks: true,
	})
}

// A process of dormouse has some 72 maps at rest, 80 with a million connections (bench drive, /proc/PID/maps, 0.5
// GiB), and as many with a goroutine for each of 200,000 (1.9 GiB): a heap is one map, or one for each
// arena of 64 MiB (heapArenaBytes) if others are in between, and three if huge pages differ within. An
// arena holds 4,096 connections of 16 KiB, which is twice what they take with TLS, as the heap may double.
const (
	spareMaps        = 256
	arenaConnections = 64 << 20 / (16 << 10)
)

const hugePages = "sys/kernel/mm/transparent_hugepage/"

func hugePagesCheck() Check {
	return Check{
		Name: "khugepaged/max_ptes_none",
		Why: "With transparent_hugepage at always, khugepaged fills a huge page of which a single small one is in use, " +
			"and so takes the memory again that the Go runtime has given back.",
		Source: "Documentation/admin-guide/mm/transhuge.rst; https://go.dev/doc/gc-guide#Linux_transparent_huge_pages",
		Myth: "Turning transparent huge pages off everywhere (never): heaps of 1 GiB and more are up to 10 % faster with " +
			"them, by Go's guide to its collector, and it is max_ptes_none that costs the memory. With madvise a Go " +
			"heap has none, and nothing needs to be set.",
		Role:    Both,
		examine: examineHugePages,
	}
}

func examineHugePages(c *Check, h *Host, _ Goal) Finding {
	if f, done := examineEnabled(c, h); done {
		return f
	}
	const name = hugePages + "khugepaged/max_ptes_none"
	v, err := h.number(name)
	if err != nil {
		return c.unreadable(h, name, err)
	}
	f := c.finding(OK)
	f.Value, f.Needed = row([]int64{v}), "0"
	f.Because = "enabled is always, and then no page may be empty of those that khugepaged puts together to a huge one"
	f.Settings = []Setting{{Path: "/" + name, Value: "0"}}
	if v != 0 {
		f.Verdict = Set
		f.Now, f.ForGood = sysNow(name, "0"), sysForGood(name, "0")
	}
	return f
}

// examineEnabled looks at what the checks of huge pages have in common: whether a Go heap has any.
func examineEnabled(c *Check, h *Host) (f Finding, done bool) {
	const name = hugePages + "enabled"
	if !h.exists(name) {
		return c.notNeeded("", "this kernel has no transparent huge pages"), true
	}
	text, err := h.text(name)
	if err != nil {
		return c.unreadable(h, name, err), true
	}
	switch mode := chosen(text); mode {
	case "always":
		return f, false
	case "madvise", "never":
		return c.notNeeded(mode, "transparent_hugepage/enabled is "+mode+", and the Go runtime asks for no huge pages for its heap"), true
	}
	return c.unreadable(h, name, &GarbageError{Path: "/" + name, Content: clip(text)}), true
}

// chosen returns the word in brackets, as in "always [madvise] never"; "" if there is none.
func chosen(s string) string {
	_, s, _ = strings.Cut(s, "[")
	s, _, ok := strings.Cut(s, "]")
	if !ok || strings.ContainsAny(s, " []") {
		return ""
	}
	return s
}

func hugeDefragCheck() Check {
	return Check{
		Name: "transparent_hugepage/defrag",
		Why: "With always, a thread that touches new memory waits until the kernel has compacted enough of it for a huge " +
			"page, and its connections wait with it.",
		Source:  "Documentation/admin-guide/mm/transhuge.rst; https://go.dev/doc/gc-guide#Linux_transparent_huge_pages",
		Role:    Both,
		examine: examineDefrag,
	}
}

func examineDefrag(c *Check, h *Host, _ Goal) Finding {
	if f, done := examineEnabled(c, h); done {
		return f
	}
	const name, want = hugePages + "defrag", "defer+madvise"
	text, err := h.text(name)
	if err != nil {
		return c.unreadable(h, name, err)
	}
	f := c.finding(OK)
	f.Value, f.Needed = chosen(text), want+", or any but always"
	switch f.Value {
	case "defer", "defer+madvise", "madvise", "never":
	case "always":
		f.Verdict, f.Needed = Set, want
		f.Because = "khugepaged puts the huge pages together in the background, and a program that asks for them gets them at once"
		f.Settings = []Setting{{Path: "/" + name, Value: want}}
		f.Now, f.ForGood = sysNow(name, want), sysForGood(name, want)
	default:
		return c.unreadable(h, name, &GarbageError{Path: "/" + name, Content: clip(text)})
	}
	return f
}

// sysNow is the command that writes a file below /sys.
func sysNow(name, value string) string { return "echo " + value + " > /" + name }

// sysForGood is the line of tmpfiles.d(5) that does so at boot.
func sysForGood(name, value string) string {
	return "w /" + name + " - - - - " + value + " in /etc/tmpfiles.d/90-dormouse.conf"
}

func minFreeCheck() Check {
	return Check{
		Name: "vm.min_free_kbytes",
		Why: "What arrives is put into memory that the kernel cannot wait for, out of this reserve if need be: where that " +
			"is used up in a storm of connections, packets are dropped though there is memory to be had.",
		Source: "Documentation/admin-guide/sysctl/vm.rst; calculate_min_free_kbytes in mm/page_alloc.c, " +
			"set_recommended_min_free_kbytes in mm/khugepaged.c",
		Myth: "Several per cent of the memory, or gigabytes: nothing else can use it, and \"setting this too high will OOM " +
			"your machine instantly\" (vm.rst). The kernel itself takes 5 % at most.",
		Role:    Both,
		examine: examineMinFree,
	}
}

const (
	// stormBytes is what a new connection takes in softirq before the server sees it: a TCPv6 of 2.5 KiB, a
	// request of 0.3 KiB and the skb of 1.3 KiB with what the client says first.
	stormBytes = 4 << 10

	// stormRate is how many come in a second at most on what one has measured: 100,000; and kswapd is
	// given 0.1 s to find memory.
	stormRate   = 100_000
	stormTenths = 10

	// Below minFreeGoal the storm is over before the reserve is.
	minFreeGoal = 100_000
)

// minFree is what is wanted in kB, of a memory in bytes: 39 MiB, or 1 % on a host of less than 4 GiB. Of the
// reserve, what arrives may use 7/8 while kswapd works: from 5/4, where it is woken, down to 3/8
// (setup_per_zone_wmarks, __zone_watermark_ok).
func minFree(memory int64) int64 { return min(stormRate/stormTenths*stormBytes, memory/100) >> 10 }

func examineMinFree(c *Check, h *Host, g Goal) Finding {
	name := sysctlFile(c.Name)
	v, err := h.number(name)
	if err != nil {
		return c.unreadable(h, name, err)
	}
	memory, ok := h.meminfo("MemTotal")
	if !ok {
		return c.unreadable(h, "proc/meminfo", &GarbageError{Path: "/proc/meminfo"})
	}
	if g.Connections < minFreeGoal {
		return c.notNeeded(row([]int64{v}), fmt.Sprintf("fewer than %s connections come in too short a time to use the reserve up", count(minFreeGoal)))
	}
	need := minFree(memory)
	f := c.finding(OK)
	f.Value, f.Needed = row([]int64{v}), row([]int64{need})
	f.Because = fmt.Sprintf("%s for each of %s handshakes in the 0.1 s in which kswapd frees more, and 1 %% of the memory at most, in kB",
		byteCount(stormBytes), count(stormRate/stormTenths))
	f.Settings = []Setting{{Key: c.Name, Path: "/" + name, Value: row([]int64{max(v, need)})}}
	if v < need {
		f.Verdict = Raise
		f.Now, f.ForGood = sysctlNow(c.Name, row([]int64{need})), sysctlForGood(c.Name, row([]int64{need}))
	}
	if most := memory / 20 >> 10; v > max(most, need) {
		f.Verdict, f.Settings = Set, nil
		f.Needed = fmt.Sprintf("%d to %d", need, most)
		f.Because = "5 % of the memory is what the kernel takes by itself at most: more is memory that connections cannot have"
		f.Now, f.ForGood = fmt.Sprintf("sysctl -w vm.min_free_kbytes=%d", max(need, 1024)), "take the line with it out of "+
			"/etc/sysctl.conf or /etc/sysctl.d"
	}
	return f
}
