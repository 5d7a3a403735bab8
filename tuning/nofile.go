package tuning

import (
	"cmp"
	"errors"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A descriptorLimit is RLIMIT_NOFILE as somebody sets it. A limit without a bound is math.MaxInt64.
type descriptorLimit struct {
	soft, hard int64
	from       string // the file, absolute
	domain     string // of limits.conf(5): whose logins
}

// parseOpenFiles finds RLIMIT_NOFILE in /proc/PID/limits.
func parseOpenFiles(limits string) (l descriptorLimit, ok bool) {
	for line := range strings.Lines(limits) {
		rest, found := strings.CutPrefix(line, "Max open files")
		if !found {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			return l, false
		}
		soft, okSoft := parseLimit(fields[0], "unlimited")
		hard, okHard := parseLimit(fields[1], "unlimited")
		return descriptorLimit{soft: soft, hard: hard}, okSoft && okHard && soft <= hard
	}
	return l, false
}

// parseLimit reads a number, or one of the words for none.
func parseLimit(s string, none ...string) (int64, bool) {
	if among(s, none...) {
		return math.MaxInt64, true
	}
	v, err := strconv.ParseUint(s, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt64, true
	}
	return int64(v), err == nil
}

// systemdRoots are the directories of systemd's configuration, the strongest first (systemd-system.conf(5),
// systemd.unit(5)).
func systemdRoots() []string {
	return []string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"}
}

// underSystemd reports whether systemd runs the host, as sd_booted(3) tells it.
func (h *Host) underSystemd() bool {
	return h.exists("run/systemd/system") || len(h.dir("run/systemd/system")) > 0
}

// defaultLimit returns DefaultLimitNOFILE= of system.conf and its drop-ins.
func (h *Host) defaultLimit() (descriptorLimit, bool) {
	return h.systemdLimit("system.conf", "DefaultLimitNOFILE")
}

// unitLimit returns LimitNOFILE= of a unit and its drop-ins.
func (h *Host) unitLimit(unit string) (descriptorLimit, bool) {
	return h.systemdLimit("system/"+unit, "LimitNOFILE")
}

// systemdLimit reads a setting as systemd does: the main file of the strongest directory that has one, then
// the drop-ins of all directories in the order of their names, of two with the same name the stronger. The
// last assignment wins. One that systemd would refuse is passed over, as systemd passes it over.
func (h *Host) systemdLimit(file, key string) (limit descriptorLimit, ok bool) {
	read := func(name string) {
		s, err := h.text(name)
		if err != nil {
			return
		}
		if l, found := parseSystemdLimit(s, key); found {
			limit, ok = l, true
			limit.from = "/" + name
		}
	}
	for _, root := range systemdRoots() {
		if name := root + "/" + file; h.exists(name) {
			read(name)
			break
		}
	}
	for _, name := range h.dropIns(file) {
		read(name)
	}
	return limit, ok
}

// dropIns returns the files of FILE.d in the order in which systemd reads them, and for a service those for all
// services, which are weaker: of two with the same name they give way (systemd.unit(5), service.d).
func (h *Host) dropIns(file string) []string {
	strongest := map[string]string{}
	dirs := []string{file + ".d"}
	if strings.HasSuffix(file, ".service") {
		dirs = append(dirs, "system/service.d")
	}
	for _, dir := range dirs {
		for _, root := range systemdRoots() {
			at := root + "/" + dir
			for _, base := range h.dir(at) {
				if _, taken := strongest[base]; !taken && strings.HasSuffix(base, ".conf") {
					strongest[base] = at + "/" + base
				}
			}
		}
	}
	var names []string
	for _, name := range strongest {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(path.Base(a), path.Base(b)) })
	return names
}

// parseSystemdLimit returns the last valid assignment of a limit in a file of systemd.syntax(7): one number
// for both limits, or soft:hard, or infinity.
func parseSystemdLimit(text, key string) (limit descriptorLimit, ok bool) {
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(line, "=")
		if !found || strings.TrimSpace(name) != key {
			continue
		}
		soft, hard, two := strings.Cut(strings.TrimSpace(value), ":")
		if !two {
			hard = soft
		}
		s, okSoft := parseLimit(soft, "infinity")
		l, okHard := parseLimit(hard, "infinity")
		if okSoft && okHard && s <= l {
			limit, ok = descriptorLimit{soft: s, hard: l}, true
		}
	}
	return limit, ok
}

// loginLimits returns the hard limits that pam_limits(8) gives to logins, in the order in which it reads
// them. A soft one is cut to the hard one, so that it does no harm. An error is that of limits.conf if it
// may not be read; a file that is missing has no lines.
func (h *Host) loginLimits() ([]descriptorLimit, error) {
	names := []string{"etc/security/limits.conf"}
	for _, base := range h.dir("etc/security/limits.d") {
		if strings.HasSuffix(base, ".conf") {
			names = append(names, "etc/security/limits.d/"+base)
		}
	}
	var all []descriptorLimit
	for _, name := range names {
		s, err := h.text(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return all, err
		}
		for _, l := range parseLoginLimits(s) {
			l.from = "/" + name
			all = append(all, l)
		}
	}
	return all, nil
}

// parseLoginLimits returns the lines of limits.conf(5) that set the hard limit of descriptors.
func parseLoginLimits(text string) []descriptorLimit {
	var limits []descriptorLimit
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(strings.ToLower(line))
		if len(f) < 4 || !among(f[1], "hard", "-") || f[2] != "nofile" || strings.HasPrefix(f[0], "%") {
			continue
		}
		// As strtoull(3) reads it: the digits in front, whatever follows.
		value := f[3]
		if !among(value, "-1", "-", "unlimited", "infinity") {
			value = value[:len(value)-len(strings.TrimLeft(value, "0123456789"))]
		}
		if v, ok := parseLimit(value, "-1", "-", "unlimited", "infinity"); ok {
			limits = append(limits, descriptorLimit{soft: v, hard: v, domain: strings.Fields(line)[0]})
		}
	}
	return limits
}

// mayRaiseLimits reports whether this process may raise hard limits: with CAP_SYS_RESOURCE, and that in the
// first user namespace, since do_prlimit in kernel/sys.c asks capable().
func (h *Host) mayRaiseLimits() bool {
	return h.capable(capSysResource) && h.firstUserNamespace()
}

// rootMayRaiseLimits reports whether root could in this session: whether CAP_SYS_RESOURCE is in the bounding
// set, out of which no program of this session can come.
func (h *Host) rootMayRaiseLimits() bool {
	s, ok := h.line("proc/self/status", "CapBnd")
	set, err := strconv.ParseUint(s, 16, 64)
	return ok && err == nil && set>>capSysResource&1 == 1 && h.firstUserNamespace()
}

// firstUserNamespace reports whether users are those of the host (user_namespaces(7)). It is taken to be so
// if it cannot be read.
func (h *Host) firstUserNamespace() bool {
	m, err := h.numbers("proc/self/uid_map")
	return err != nil || slices.Equal(m, []int64{0, 0, math.MaxUint32})
}
