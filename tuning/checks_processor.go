package tuning

import (
	"fmt"
	"strconv"
	"strings"
)

// processorChecks are about who does the kernel's share of the work, and what the time costs. None of them limits
// how many connections there are.
func processorChecks() []Check {
	return []Check{clockCheck(), steeringCheck(), flowsCheck()}
}

const (
	clockDir  = "sys/devices/system/clocksource/clocksource0/"
	clockName = clockDir + "current_clocksource"
)

// fastClocks are the clock sources that the vDSO reads in user space (vdso_clock_mode in struct clocksource), the
// best of each architecture first. kvm-clock is one if the host says that the counters of its processors
// agree, as hosts with a usable TSC do.
func fastClocks() []string {
	return []string{
		"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", // x86
		"arch_sys_counter", "riscv_clocksource", "timebase", "tod", "Constant", "constant", // arm64, RISC-V, POWER, s390, LoongArch
	}
}

func clockCheck() Check {
	return Check{
		Name: "current_clocksource",
		Why: "Loops and the Go runtime ask for the time at every turn: of a TSC that takes 20 to 50 ns in user space, of hpet " +
			"or acpi_pm a system call that waits microseconds for a device.",
		Source: "vdso(7); vdso_clock_mode in include/linux/clocksource.h and in the drivers of the clock sources",
		Myth: "Forcing tsc with tsc=reliable where the kernel does not offer it: it has found that the counters of the " +
			"processors disagree, and with that clock the time jumps and timers fire wrong.",
		Role:    Both,
		examine: examineClock,
	}
}

func examineClock(c *Check, h *Host, _ Goal) Finding {
	current, err := h.text(clockName)
	if err == nil && (current == "" || strings.ContainsAny(current, " \n")) {
		err = &GarbageError{Path: "/" + clockName, Content: clip(current)}
	}
	if err != nil {
		return c.unreadable(h, clockName, err)
	}
	switch {
	case among(current, fastClocks()...):
		f := c.finding(OK)
		f.Value, f.Needed = current, current
		f.Because = "it is read in user space"
		return f
	case current == "xen":
		return c.notNeeded(current, "it is read in user space unless dmesg has \"xen: VDSO_CLOCKMODE_PVCLOCK not supported\", "+
			"as where the counters of the hypervisor's processors disagree")
	}
	available, err := h.text(clockDir + "available_clocksource")
	if err != nil {
		return c.unreadable(h, clockDir+"available_clocksource", err)
	}
	offered := strings.Fields(available)
	for _, fast := range fastClocks() {
		if !among(fast, offered...) {
			continue
		}
		f := c.finding(Set)
		f.Value, f.Needed = current, fast
		f.Because = "it is the first of those that the kernel offers (" + strings.Join(offered, ", ") + ") that is read in user space"
		f.Settings = []Setting{{Path: "/" + clockName, Value: fast}}
		f.Now, f.ForGood = sysNow(clockName, fast), sysForGood(clockName, fast)
		return f
	}
	return c.notNeeded(current, "each reading is a system call, and the kernel offers no other that is not: it has "+
		"found the TSC unreliable (dmesg says why), or the hypervisor does not show it")
}

// steeringGoal is from how many connections on one processor is too few for what arrives: a storm of 100,000 is
// 400,000 packets, more than one takes in a second.
const steeringGoal = 100_000

func steeringCheck() Check {
	return Check{
		Name: "rps_cpus",
		Why: "A network interface with one receive queue interrupts one processor, and all that arrives is worked on " +
			"there, whatever the others do; RPS spreads it over them by a hash of addresses and ports.",
		Source: "Documentation/networking/scaling.rst, RPS",
		Myth: "RPS on every interface: with a queue for each processor it is \"probably redundant and unnecessary\" " +
			"(scaling.rst) and costs an interrupt between processors for each batch; more queues are better " +
			"where the device has them (ethtool -l and -L).",
		Role:    Both,
		examine: examineSteering,
	}
}

func examineSteering(c *Check, h *Host, g Goal) Finding {
	if g.Role == Both {
		return c.notNeeded("", "both ends are on loopback, where the sender's processor does the work")
	}
	cpus, err := h.online()
	switch {
	case err != nil:
		return c.unreadable(h, onlineCPUs, err)
	case len(cpus) == 1:
		return c.notNeeded("", "there is one processor")
	}
	nics := h.nics()
	if len(nics) == 0 {
		return c.notNeeded("", "there is no network interface with a device under it: of veth, bridges and bonds the "+
			"work is done by what they stand on")
	}
	f := c.finding(OK)
	var values []string
	for _, n := range nics {
		value, setting, name, err := h.steering(n, cpus)
		if err != nil {
			return c.unreadable(h, name, err)
		}
		values = append(values, value)
		f.Settings = append(f.Settings, setting...)
	}
	f.Value = strings.Join(values, "; ")
	switch {
	case len(f.Settings) == 0:
		f.Because = "each interface has more queues than one, or RPS"
		return f
	case g.Connections < steeringGoal:
		return c.notNeeded(f.Value, fmt.Sprintf("one processor takes what fewer than %s connections send", count(steeringGoal)))
	}
	first := f.Settings[0]
	f.Verdict, f.Needed = Set, first.Value
	f.Because = fmt.Sprintf("%d processors are online, and one of them takes in the packets of %s", len(cpus),
		plural(int64(len(f.Settings)), "interface"))
	f.Now, f.ForGood = sysNow(first.Path[1:], first.Value), sysForGood(first.Path[1:], first.Value)
	if len(f.Settings) > 1 {
		f.Now += ", and so on for each"
		f.ForGood += ", and so on for each"
	}
	return f
}

// steering looks at one interface, and returns what should be written if it has one queue and no RPS. An error
// is one of the file name.
func (h *Host) steering(n nic, cpus []int) (value string, setting []Setting, name string, err error) {
	value = n.name + " (" + plural(int64(len(n.queues)), "queue") + ")"
	if len(n.queues) != 1 {
		return value, nil, "", nil
	}
	name = n.queues[0] + "/rps_cpus"
	mask, err := h.text(name)
	if err != nil {
		return "", nil, name, err
	}
	all, ok := maskLike(mask, cpus)
	if !ok {
		return "", nil, name, &GarbageError{Path: "/" + name, Content: clip(mask)}
	}
	if strings.Trim(mask, "0,") == "" {
		setting = []Setting{{Path: "/" + name, Value: all}}
	}
	return mask + " on " + value, setting, name, nil
}

// A nic is a network interface with a device under it.
type nic struct {
	name   string
	queues []string // the directories of its receive queues
}

// nics returns the interfaces that stand on a device, physical or virtio: of loopback, veth, bridges, bonds and
// tunnels /sys has none. Those that are down are left out.
func (h *Host) nics() []nic {
	const dir = "sys/class/net"
	var nics []nic
	for _, name := range h.dir(dir) {
		at := dir + "/" + name
		if state, err := h.text(at + "/operstate"); err == nil && state == "down" || len(h.dir(at+"/device")) == 0 {
			continue
		}
		n := nic{name: name}
		for _, q := range h.dir(at + "/queues") {
			if strings.HasPrefix(q, "rx-") {
				n.queues = append(n.queues, at+"/queues/"+q)
			}
		}
		if len(n.queues) > 0 {
			nics = append(nics, n)
		}
	}
	return nics
}

const onlineCPUs = "sys/devices/system/cpu/online"

// online returns the numbers of the processors that the host runs on, at least one.
func (h *Host) online() ([]int, error) {
	s, err := h.text(onlineCPUs)
	if err != nil {
		return nil, err
	}
	cpus, ok := parseCPUs(s)
	if !ok {
		return nil, &GarbageError{Path: "/" + onlineCPUs, Content: clip(s)}
	}
	return cpus, nil
}

// maxCPUs is NR_CPUS at most (arch/x86/Kconfig).
const maxCPUs = 8192

// parseCPUs reads a list as of cpuset(7), 0-3,8, that rises, with one number at least.
func parseCPUs(s string) (cpus []int, ok bool) {
	next := 0
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(from, 10, 16)
		b, errTo := a, error(nil)
		if isRange {
			b, errTo = strconv.ParseUint(to, 10, 16)
		}
		if err != nil || errTo != nil || int(a) < next || b < a || b >= maxCPUs {
			return nil, false
		}
		for n := a; n <= b; n++ {
			cpus = append(cpus, int(n))
		}
		next = int(b) + 1
	}
	return cpus, true
}

// maskLike writes a set of processors as the kernel does (%*pb: words of 32 bits in hexadecimal, the highest first),
// as wide as a mask that was read, so that it reads the same when it has been written. It is false if that
// is none, or too narrow.
func maskLike(mask string, cpus []int) (string, bool) {
	digits := []byte(strings.ReplaceAll(mask, ",", ""))
	for i, d := range digits {
		if _, err := strconv.ParseUint(string(d), 16, 4); err != nil {
			return "", false
		}
		digits[i] = 0
	}
	for _, cpu := range cpus {
		at := len(digits) - 1 - cpu/4
		if at < 0 {
			return "", false
		}
		digits[at] |= 1 << (cpu % 4)
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%8 == 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(d), 16))
	}
	return b.String(), b.Len() > 0
}

const flowEntries = "net.core.rps_sock_flow_entries"

func flowsCheck() Check {
	return Check{
		Name: flowEntries,
		Why: "RFS, on top of RPS, has a packet worked on where its connection was read last; it does nothing until both this " +
			"and rps_flow_cnt of a receive queue are set.",
		Source: "Documentation/networking/scaling.rst, RFS",
		Myth: "An entry for each connection: what counts is how many are active at a time, \"significantly less than the " +
			"number of open connections\", and 32768 works fairly well (scaling.rst).",
		Role:    Both,
		examine: examineFlows,
	}
}

func examineFlows(c *Check, h *Host, _ Goal) Finding {
	name := sysctlFile(flowEntries)
	v, err := h.number(name)
	switch {
	case err != nil && !h.exists(name):
		return c.notNeeded("", "not shown in this network namespace, or the kernel has no CONFIG_RPS")
	case err != nil:
		return c.unreadable(h, name, err)
	case v == 0:
		return c.notNeeded("0", "without it the processor is chosen by a hash, which is as good for connections that are mostly idle")
	}
	for _, n := range h.nics() {
		for _, queue := range n.queues {
			if flows, err := h.number(queue + "/rps_flow_cnt"); err == nil && flows > 0 {
				f := c.finding(OK)
				f.Value = row([]int64{v})
				return f
			}
		}
	}
	return c.notNeeded(row([]int64{v}), "it does nothing, as rps_flow_cnt is 0 on every receive queue, and nothing needs it")
}
