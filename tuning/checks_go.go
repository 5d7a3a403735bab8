package tuning

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// goChecks is about the Go runtime's own settings, as the environment of the process that asks has them. That of
// a service may be another.
func goChecks() []Check {
	return []Check{
		{
			Name: "GOMEMLIMIT",
			Why: "Under a cgroup's limit the heap may grow to twice what lives before it is collected, and the kernel " +
				"kills the process; with GOMEMLIMIT the collector runs in time.",
			Source: "go doc runtime/debug.SetMemoryLimit; https://go.dev/doc/gc-guide",
			Myth: "GOMEMLIMIT at the cgroup's limit, or at 90 % of it: the limit counts sockets too, and with a million " +
				"connections these are 4 GB that the runtime does not see.",
			Role:    Both,
			examine: examineMemoryLimit,
		},
		{
			Name: "GOGC",
			Why: "It is by how many percent the heap may grow over what lives before it is collected; off and with no " +
				"GOMEMLIMIT it is never collected.",
			Source:  "go doc runtime; https://go.dev/doc/gc-guide",
			Role:    Both,
			examine: examineGOGC,
		},
		{
			Name: "GOMAXPROCS",
			Why: "With more threads than the cgroup's quota has processors, the quota is spent early in each period and " +
				"all connections wait for the next.",
			Source: "go doc runtime.GOMAXPROCS; Documentation/scheduler/sched-bwc.rst",
			Myth: "Setting it, or importing a package that does: since Go 1.25 the runtime follows a cgroup's quota by " +
				"itself, and its changes too, which it no longer does once the variable is set.",
			Role:    Both,
			examine: examineGOMAXPROCS,
		},
	}
}

// notSet is the value of a variable that is not in the environment.
const notSet = "not set"

func orNotSet(s string) string {
	if s == "" {
		return notSet
	}
	return s
}

// variable fills in what is to be done about a variable of the environment.
func (f *Finding) variable(verdict Verdict, needed, because string) {
	f.Verdict, f.Needed, f.Because = verdict, needed, because
	f.Now = "export " + f.Name + "=" + needed + ", and start the process anew"
	f.ForGood = "Environment=" + f.Name + "=" + needed + " in the [Service] section of the unit, or the same in the " +
		"environment of the container"
}

// A goMemory is what GOMEMLIMIT is held against, for the process that needs more, in bytes.
type goMemory struct {
	bound      int64 // that nothing can exceed: a cgroup's limit, or the memory that there is
	from       string
	cgroup     bool
	room       int64 // for one process: bound less what is in use of it and the kernel's share
	rest, peak int64 // what it needs
}

func (h *Host) goMemory(g Goal) (goMemory, error) {
	m := newModel(h, g)
	v := goMemory{bound: math.MaxInt64}
	left := v.bound
	if total, ok := h.meminfo("MemTotal"); ok {
		v.bound, v.from, left = total, "MemTotal", total // whoever uses it
	}
	limits, err := h.memoryLimits(g)
	if l, ok := tightest(limits); ok && l.left() < left {
		v.bound, v.from, v.cgroup, left = l.bound, l.String(), true, l.left()
	}
	v.room = (left - m.kernelTotal(g.Connections) - m.buffers) / int64(len(m.processes))
	for _, p := range m.processes {
		v.rest = max(v.rest, baseBytes+g.Connections*p.rest)
		v.peak = max(v.peak, baseBytes+g.Connections*p.peak)
	}
	return v, err
}

const malformed = "a Go program ends at its start with a value that is no number of bytes with B, KiB, MiB, GiB or TiB"

// examineMemoryLimit judges GOMEMLIMIT: below what lives the collector runs all the time, above what the kernel
// leaves it never does in time.
func examineMemoryLimit(c *Check, h *Host, g Goal) Finding {
	env := h.env("GOMEMLIMIT")
	limit, set, bad := parseMemoryLimit(env)
	v, err := h.goMemory(g)
	f := c.finding(OK)
	f.Value = orNotSet(env)
	arithmetic := fmt.Sprintf(
		"%d bytes (%s) less what is in use and the kernel's share leave a process %d; it needs %d at rest and %d at most",
		v.bound, v.from, v.room, v.rest, v.peak)
	needed := func(b int64) string { return strconv.FormatInt(b>>20, 10) + "MiB" }
	switch {
	case bad != nil && v.cgroup && v.room >= v.rest:
		f.variable(Set, needed(min(v.room, 2*v.rest)), malformed)
	case bad != nil:
		f.variable(Set, "off", malformed)
	case err != nil:
		f = c.finding(Unreadable)
		f.Reason = "the cgroup's limit of memory cannot be read: " + err.Error()
	case v.from == "":
		f = c.finding(Unreadable)
		f.Reason = "how much memory there is cannot be read"
	case !set && !v.cgroup:
		return c.notNeeded(f.Value, "no cgroup limits the memory, so the collector has nothing to keep below")
	case v.room < v.rest:
		return c.notNeeded(f.Value, "the memory is not enough even with the heap just collected: no value helps")
	case set && limit < v.rest:
		f.variable(Raise, needed(min(v.room, 2*v.rest)), arithmetic+", so that the collector runs all the time")
	case v.peak > v.room && (!set || limit > v.room), set && limit > v.bound:
		f.variable(Set, needed(v.room), arithmetic)
	default:
		f.Because = arithmetic
	}
	return f
}

// parseMemoryLimit reads GOMEMLIMIT as the runtime does (parseByteCount in runtime/string.go); false if it is not
// set, or off.
func parseMemoryLimit(s string) (limit int64, set bool, err error) {
	if s == "" || s == "off" {
		return 0, false, nil
	}
	digits, shift := s, 0
	if before, ok := strings.CutSuffix(s, "B"); ok {
		digits = before
		for i, unit := range []string{"Ki", "Mi", "Gi", "Ti"} {
			if before, ok := strings.CutSuffix(digits, unit); ok {
				digits, shift = before, 10*(i+1)
				break
			}
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || bits.Len64(uint64(n))+shift > 63 {
		return 0, false, errors.New("no number of bytes")
	}
	return n << shift, true, nil
}

// frequentGC is the GOGC, in percent, from which on downwards collecting is most of the work: at 25 it is done four
// times as often as by default.
const frequentGC = 25

func examineGOGC(c *Check, h *Host, _ Goal) Finding {
	env := h.env("GOGC")
	percent, on := parseGCPercent(env)
	_, limited, err := parseMemoryLimit(h.env("GOMEMLIMIT"))
	f := c.finding(OK)
	f.Value = orNotSet(env)
	switch {
	case !on && limited && err == nil:
		f.Because = "off, but GOMEMLIMIT bounds the heap"
	case !on:
		f.variable(Set, "100", "off, and no GOMEMLIMIT bounds the heap: it grows until the kernel kills the process")
	case percent < frequentGC:
		f.variable(Raise, "100", "the heap is collected each time that it has grown by "+strconv.FormatInt(percent, 10)+
			" %, and each time all records of all connections are looked at")
	default:
		f.Because = fmt.Sprintf("the heap may grow by %d %% between two collections", percent)
	}
	return f
}

// parseGCPercent reads GOGC as the runtime does (readGOGC in runtime/mgcpacer.go); false if it is off.
func parseGCPercent(s string) (percent int64, on bool) {
	if s == "off" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 100, true
	}
	return n, n >= 0
}

func examineGOMAXPROCS(c *Check, h *Host, _ Goal) Finding {
	env := h.env("GOMAXPROCS")
	cpus := h.cpus()
	quota, dir := h.quota()
	// As of adjustCgroupGOMAXPROCS in runtime/cgroup_linux.go.
	allowed := int(min(float64(cpus), max(2, math.Ceil(quota))))
	f := c.finding(OK)
	f.Value = orNotSet(env)
	f.Because = fmt.Sprintf("%d processors to run on", cpus)
	if !math.IsInf(quota, 1) {
		f.Because += fmt.Sprintf(", a quota of %.2f from /%s, rounded up and 2 at least", quota, dir)
	}
	n, err := strconv.ParseInt(env, 10, 32)
	if err != nil || n < 1 || n <= int64(allowed) {
		return f
	}
	f.Verdict, f.Needed = Set, strconv.Itoa(allowed)
	f.Now = "unset GOMAXPROCS, and start the process anew: Go then takes " + f.Needed
	f.ForGood = "take GOMAXPROCS out of the unit or of the environment of the container"
	return f
}
