package tuning

import (
	"fmt"
	"math"
	"math/bits"
)

// fileChecks are the limits of descriptors: of a process, of what is started as a service or by a login, of
// all processes, and of what epoll watches.
func fileChecks() []Check {
	return []Check{openFilesCheck(), serviceLimitCheck(), loginLimitCheck(), nrOpenCheck(), fileMaxCheck(), watchesCheck()}
}

// spareDescriptors is how many descriptors a process is given beyond its connections. It needs a listener, an
// epoll and an eventfd descriptor for each loop (512 on 256 processors), its log and standard streams, a
// few to brokers and for the metrics; the rest are connections that are accepted only to be refused.
const spareDescriptors = 1024

// descriptors is how many descriptors one process needs for a goal, be it the server or the load generator.
func descriptors(g Goal) int64 { return g.Connections + spareDescriptors }

func openFilesCheck() Check {
	return Check{
		Name:   "RLIMIT_NOFILE",
		Why:    "A connection is a file descriptor, and a process has no more of them than its limit, which it gets from what starts it.",
		Source: "getrlimit(2); do_prlimit in kernel/sys.c",
		Myth: "The soft limit of 1024 is said to stop a server: a Go program raises it to the hard one as it starts " +
			"(since Go 1.19), so that the hard one counts, and ulimit -Sn changes nothing.",
		Role:    Both,
		Blocks:  true,
		examine: examineOpenFiles,
	}
}

func examineOpenFiles(c *Check, h *Host, g Goal) Finding {
	const name = "proc/self/limits"
	text, err := h.text(name)
	if err != nil {
		return c.unreadable(h, name, err)
	}
	limit, ok := parseOpenFiles(text)
	if !ok {
		return c.unreadable(h, name, &GarbageError{Path: "/" + name, Content: clip(text)})
	}
	need := descriptors(g)
	f := c.finding(OK)
	f.Value, f.Needed = limit.String(), row([]int64{need})
	f.Because = fmt.Sprintf("%s connections in one process and %s descriptors for listeners, epoll, logs, brokers and those that are refused",
		count(g.Connections), count(spareDescriptors))
	f.Holds = max(0, limit.hard-spareDescriptors)
	if limit.hard < need {
		f.Verdict = Raise
		f.Now, f.ForGood = raiseOpenFiles(h, need)
		if l, ok := h.unitLimit(dormouseUnit); ok && l.hard >= need && h.underSystemd() {
			f.Because += fmt.Sprintf(". This is the limit of what is started from here: %s has %s of its own (%s)", dormouseUnit, l, l.from)
		}
	}
	return f
}

// String writes the hard limit, and the soft one if it is another.
func (l descriptorLimit) String() string {
	word := func(v int64) string {
		if v == math.MaxInt64 {
			return "unlimited"
		}
		return row([]int64{v})
	}
	if l.soft == l.hard {
		return word(l.hard)
	}
	return word(l.hard) + " (soft " + word(l.soft) + ")"
}

// raiseOpenFiles says how the limit of what is started from here is raised to need, by whom.
func raiseOpenFiles(h *Host, need int64) (now, forGood string) {
	command := fmt.Sprintf("prlimit --pid $$ --nofile=%d:%d", need, need)
	if v, err := h.number("proc/sys/fs/nr_open"); err == nil && v < need {
		command = fmt.Sprintf("sysctl -w fs.nr_open=%d && %s", nrOpen(need), command)
	}
	switch {
	case h.mayRaiseLimits():
		now = command
	case h.rootMayRaiseLimits():
		now = "as root, for this process has no CAP_SYS_RESOURCE: " + command
	default:
		now = fmt.Sprintf("nobody in this session can, root neither: it has no CAP_SYS_RESOURCE. Who started it has to: "+
			"docker run --ulimit nofile=%d:%d, or LimitNOFILE=%d in the unit of the service or of the container "+
			"runtime (containerd, for Kubernetes), or prlimit --nofile=%d:%d --pid with the number of this shell, as root of the host",
			need, need, need, need, need)
		return now, fmt.Sprintf("the same: LimitNOFILE=%d in the unit, or --ulimit nofile=%d:%d at the container", need, need, need)
	}
	if limits, err := h.loginLimits(); err == nil {
		for _, l := range limits {
			if l.hard >= need {
				return now, "log in again: " + l.from + " has " + l.String() + " for " + l.domain +
					fmt.Sprintf("; a service has LimitNOFILE=%d in its unit", need)
			}
		}
	}
	return now, fmt.Sprintf("for a service LimitNOFILE=%d in its unit; for logins \"* hard nofile %d\", in Debian not for root, "+
		"in /etc/security/limits.d/90-dormouse.conf, once fs.nr_open is as high, and a new login", need, need)
}

// dormouseUnit is the service as which dormouse is taken to run.
const dormouseUnit = "dormouse.service"

func serviceLimitCheck() Check {
	return Check{
		Name:   "DefaultLimitNOFILE",
		Why:    "A service gets its limit of descriptors from its unit or else from systemd's default, and not from the shell in which it was tried.",
		Source: "systemd-system.conf(5), systemd.exec(5), setrlimit_closest in systemd's src/basic/rlimit-util.c",
		Myth: "LimitNOFILE=infinity is said to be without limit: the kernel refuses more than fs.nr_open, and systemd " +
			"then gives what it has itself, which is fs.nr_open as it was at boot.",
		Role:    Server,
		examine: examineServiceLimit,
	}
}

// systemdHard is the hard limit of a service for which nothing is set, since systemd 240: HIGH_RLIMIT_NOFILE.
const systemdHard = 512 << 10

func examineServiceLimit(c *Check, h *Host, g Goal) Finding {
	if !h.underSystemd() {
		return c.notNeeded("", "systemd does not run this host")
	}
	need := descriptors(g)
	limit, found := h.unitLimit(dormouseUnit)
	if !found {
		limit, found = h.defaultLimit()
	}
	if !found {
		limit = descriptorLimit{soft: 1024, hard: systemdHard, from: "systemd's own default since version 240"}
	}
	f := c.finding(OK)
	f.Value, f.Needed = limit.String(), row([]int64{need})
	f.Because = fmt.Sprintf("%s connections in one process and %s other descriptors; the value is from %s",
		count(g.Connections), count(spareDescriptors), limit.from)
	if limit.hard == math.MaxInt64 { // infinity
		limit.hard = systemdOwn(h)
	}
	if limit.hard >= need {
		return f
	}
	f.Verdict = Raise
	f.Now = fmt.Sprintf("prlimit --pid $(systemctl show -p MainPID --value dormouse) --nofile=%d:%d", need, need)
	f.ForGood = fmt.Sprintf("LimitNOFILE=%d below [Service] in /etc/systemd/system/%s.d/90-limits.conf, once fs.nr_open is as high; "+
		"then systemctl daemon-reload and systemctl restart dormouse", need, dormouseUnit)
	return f
}

// systemdOwn is what systemd gives in place of infinity.
func systemdOwn(h *Host) int64 {
	text, err := h.text("proc/1/limits")
	if l, ok := parseOpenFiles(text); err == nil && ok {
		return l.hard
	}
	if v, err := h.number("proc/sys/fs/nr_open"); err == nil {
		return v
	}
	return math.MaxInt64
}

func loginLimitCheck() Check {
	return Check{
		Name:   "limits.conf",
		Why:    "pam_limits refuses a login if the kernel refuses one of its limits, and the kernel refuses a nofile above fs.nr_open.",
		Source: "limits.conf(5), pam_limits(8); do_prlimit in kernel/sys.c",
		Myth: "/etc/security/limits.conf is often edited for a service: systemd does not read it, and LimitNOFILE= of " +
			"the unit counts; nor does it change a session that is open already, and in Debian its * is not root.",
		Role:    Both,
		examine: examineLoginLimit,
	}
}

func examineLoginLimit(c *Check, h *Host, g Goal) Finding {
	limits, err := h.loginLimits()
	if err != nil {
		return c.unreadable(h, "etc/security/limits.conf", err)
	}
	if len(limits) == 0 {
		return c.notNeeded("", "none of its lines sets nofile, and a login has what RLIMIT_NOFILE says")
	}
	most := limits[0]
	for _, l := range limits[1:] {
		// "unlimited" is not the most: pam_limits takes fs.nr_open for it (since Linux-PAM 1.4).
		if most.hard == math.MaxInt64 || l.hard > most.hard && l.hard != math.MaxInt64 {
			most = l
		}
	}
	bound, err := h.number("proc/sys/fs/nr_open")
	if err != nil {
		return c.unreadable(h, "proc/sys/fs/nr_open", err)
	}
	if most.hard <= bound || most.hard == math.MaxInt64 {
		return c.notNeeded(most.String(), "what it gave this session is RLIMIT_NOFILE")
	}
	f := c.finding(Set)
	f.Value, f.Needed = most.String(), row([]int64{bound})
	f.Because = fmt.Sprintf("%s has %s for %s, which is above fs.nr_open: NOBODY TO WHOM THAT LINE APPLIES CAN LOG IN OR USE SUDO, "+
		"but in Debian, whose pam_limits goes on without the limit. Keep this session open until it is put right", most.from, count(most.hard), most.domain)
	f.ForGood = fmt.Sprintf("nofile of %d at most in %s", bound, most.from)
	if most.hard <= nrOpenMost {
		f.Now = sysctlNow("fs.nr_open", row([]int64{most.hard}))
		f.ForGood += ", or " + sysctlForGood("fs.nr_open", row([]int64{most.hard}))
	}
	return f
}

const (
	// nrOpenDefault is fs.nr_open of a kernel that nobody has asked for another (sysctl_nr_open in fs/file.c).
	nrOpenDefault = 1 << 20

	// nrOpenMost is the most that it takes on a 64-bit machine: sysctl_nr_open_max in fs/file.c.
	nrOpenMost = math.MaxInt32 &^ 63

	// mostSlots is the most that a process can use: alloc_fdtable in fs/file.c refuses a table of more than
	// INT_MAX bytes, at 8 for each slot.
	mostSlots = (math.MaxInt32 / 8) &^ 63
)

// nrOpen is the setting with which a process can have that many descriptors.
func nrOpen(descriptors int64) int64 {
	return min(max(nrOpenDefault, (descriptors+63)&^63), mostSlots)
}

// slots is how many descriptors a process can have with a setting of fs.nr_open. A table has a power of two
// of slots, or fs.nr_open rounded down to 64 if that is less (alloc_fdtable): a setting above mostSlots lets
// the kernel ask for 2^28 slots, which is too much, so that 2^27 are left.
func slots(nrOpen int64) int64 {
	if nrOpen >= 1<<28 {
		return 1 << 27
	}
	return nrOpen &^ 63
}

func nrOpenCheck() Check {
	return sysctl{
		key: "fs.nr_open",
		want: func(g Goal, _ int64) ([]int64, string) {
			need := descriptors(g)
			table := int64(1) << bits.Len64(uint64(need-1))
			return []int64{nrOpen(need)}, fmt.Sprintf("%s connections in one process and %s other descriptors, rounded up to 64, "+
				"and no less than the kernel's default; the process's table then has %s slots of 8 bytes and 2 bits, %s",
				count(g.Connections), count(spareDescriptors), count(table), byteCount(table*8+table/4))
		},
		holds: func(v []int64, _ Goal, _ int64) int64 { return slots(v[0]) - spareDescriptors },
	}.check(Check{
		Why:    "No process may have more descriptors than this, whatever its limit and its privileges.",
		Source: "Documentation/admin-guide/sysctl/fs.rst; alloc_fdtable in fs/file.c, do_prlimit in kernel/sys.c",
		Myth: "A very high value is often set to be safe: it makes LimitNOFILE=infinity very high too, and programs that " +
			"close all descriptors up to their limit then take minutes to start; from 268,435,456 on it even leaves fewer, 134,217,728.",
		Role:   Both,
		Blocks: true,
	})
}

// descriptorsOfEnds says how many descriptors a goal takes on this host.
func descriptorsOfEnds(g Goal) string {
	s := fmt.Sprintf("%s connections and %s other descriptors", count(g.Connections), count(spareDescriptors))
	if g.ends() > 1 {
		s += ", for either end of them"
	}
	return s
}

// spareFiles is what the rest of the host may open while the connections are there. Half of it is enough for what
// is set already: how many files are open changes from one look to the next, and the verdict must not.
const spareFiles = 64 << 10

func fileMaxCheck() Check {
	want := func(allocated int64) func(g Goal, _ int64) ([]int64, string) {
		return func(g Goal, _ int64) ([]int64, string) {
			who := "are"
			if g.heldDescriptors() > 0 {
				who = "others have"
			}
			return []int64{allocated + g.ends()*descriptors(g) + spareFiles}, fmt.Sprintf(
				"%s, %s files that %s open now (fs.file-nr), and %s for the rest of the host",
				descriptorsOfEnds(g), count(allocated), who, count(spareFiles))
		}
	}
	holds := func(allocated int64) func(v []int64, g Goal, _ int64) int64 {
		return func(v []int64, g Goal, _ int64) int64 {
			if v[0] == math.MaxInt64 {
				return Unbounded
			}
			return (v[0]-allocated-spareFiles/2)/g.ends() - spareDescriptors
		}
	}
	s := sysctl{
		key: "fs.file-max", want: want(0), holds: holds(0),
		leave: "systemd sets it to 9223372036854775807 at boot, and a number here would lower that",
	}
	c := s.check(Check{
		Why:    "The kernel refuses open files beyond this number, over all processes together, with ENFILE to all but root.",
		Source: "Documentation/admin-guide/sysctl/fs.rst; alloc_empty_file in fs/file_table.c",
		Myth: "It is said to raise the limit of a process: that is RLIMIT_NOFILE. And a number in sysctl.conf lowers it where " +
			"systemd has set it to the largest there is.",
		Role:   Both,
		Blocks: true,
	})
	c.examine = func(c *Check, h *Host, g Goal) Finding {
		now, err := h.numbers("proc/sys/fs/file-nr")
		if err != nil {
			now = []int64{0}
		}
		open := min(max(now[0]-g.heldDescriptors(), 0), math.MaxInt64/4)
		s := s
		s.want, s.holds = want(open), holds(open)
		if v, err := h.number(sysctlFile(c.Name)); err == nil && s.holds([]int64{max(v, 0)}, g, h.page) >= g.Connections {
			s.want = func(g Goal, page int64) ([]int64, string) {
				full, because := want(open)(g, page)
				if full[0] > v {
					return []int64{v}, because + ", of which half is enough where it is set"
				}
				return full, because
			}
		}
		return s.examine(c, h, g)
	}
	return c
}

// watchesFloor is what Fragments write at least: the default of a machine of 18 GiB. Less would be in the
// way of other programs of the same user.
const watchesFloor = 4 << 20

func watchesCheck() Check {
	s := sysctl{
		key: "fs.epoll.max_user_watches",
		want: func(g Goal, _ int64) ([]int64, string) {
			return []int64{g.ends() * descriptors(g)}, descriptorsOfEnds(g) + "; a watch takes 192 bytes of memory"
		},
		holds: func(v []int64, g Goal, _ int64) int64 { return v[0]/g.ends() - spareDescriptors },
	}
	c := s.check(Check{
		Why:    "Each connection is watched by epoll, and a user may have no more watches than this over all processes; then epoll_ctl fails with ENOSPC.",
		Source: "Documentation/admin-guide/sysctl/fs.rst; ep_insert and eventpoll_init in fs/eventpoll.c",
		Myth: "fs.inotify.max_user_watches is often raised in its place: that is for watching files. The default, 4 % of " +
			"memory, is enough for most hosts; containers whose processes are of one user of the host share it.",
		Role:   Both,
		Blocks: true,
	})
	printed := s
	printed.want = func(g Goal, page int64) ([]int64, string) {
		v, because := s.want(g, page)
		if v[0] < watchesFloor {
			because += fmt.Sprintf("; no less than %s, which a host of 18 GiB has by itself", count(watchesFloor))
		}
		return []int64{max(v[0], watchesFloor)}, because
	}
	c.setting = &printed
	return c
}
