package tuning

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// A membership is a line of /proc/self/cgroup: in which cgroup of a hierarchy a process is (cgroups(7)).
type membership struct {
	controllers []string // none: version 2
	path        string
}

// What is looked at of cgroups, so that a forged file costs little: all levels of each membership are looked for in
// each mount. The kernel itself writes paths of 4,096 bytes at most; a pod's is some 5 levels deep.
const (
	mostCgroupPath   = 4096 // bytes
	mostCgroupLevels = 64
	mostCgroupMounts = 256
)

// isCgroup reports whether a path can be one of a cgroup that is looked at.
func isCgroup(p string) bool {
	return strings.HasPrefix(p, "/") && len(p) <= mostCgroupPath && strings.Count(p, "/") <= mostCgroupLevels
}

// parseMemberships reads /proc/self/cgroup. What is not like that is left out.
func parseMemberships(s string) []membership {
	var all []membership
	for line := range strings.Lines(s) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 || !isCgroup(parts[2]) {
			continue
		}
		m := membership{path: parts[2]}
		if parts[1] != "" {
			m.controllers = strings.Split(parts[1], ",")
		}
		all = append(all, m)
	}
	return all
}

// A mount is where a hierarchy of cgroups is to be seen.
type mount struct {
	root, point string
	v2          bool
	options     []string // of version 1: its controllers among them
}

// parseMounts reads the cgroups' lines of /proc/self/mountinfo (proc(5)): two numbers, the device, the root, the
// mount point, options, some fields until a dash, then the type, the source and the options of the file system.
func parseMounts(s string) []mount {
	var all []mount
	for line := range strings.Lines(s) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 6 || len(what) < 3 || what[0] != "cgroup" && what[0] != "cgroup2" {
			continue
		}
		m := mount{root: unescape(where[3]), point: unescape(where[4]), v2: what[0] == "cgroup2"}
		if !isCgroup(m.point) {
			continue
		}
		m.options = strings.Split(what[2], ",")
		if all = append(all, m); len(all) == mostCgroupMounts {
			break
		}
	}
	return all
}

// unescape undoes what mountinfo does to space, tab, newline and backslash: three octal digits.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below returns where in the mount a cgroup is. In a container a path may be one of the host: then the mount's
// root is what can be seen of it.
func (m mount) below(group string) (rest string, ok bool) {
	root := strings.TrimSuffix(m.root, "/")
	rest, ok = strings.CutPrefix(path.Clean(group), root)
	if !ok || rest != "" && rest[0] != '/' {
		return "/", false
	}
	return path.Join("/", rest), true
}

// A hierarchy is the cgroups that a controller has this process in.
type hierarchy struct {
	dirs []string // as in io/fs, from its own to the root of what can be seen
	v2   bool
}

// hierarchy returns a controller's; one without dirs if there is none.
func (h *Host) hierarchy(controller string) hierarchy { return h.hierarchyOf("self", controller) }

// hierarchyOf is hierarchy for another process, as this one sees it.
func (h *Host) hierarchyOf(process, controller string) hierarchy {
	groups, _ := h.text("proc/" + process + "/cgroup")
	info, _ := h.text("proc/self/mountinfo")
	mounts := parseMounts(info)
	memberships := parseMemberships(groups)
	for _, v2 := range []bool{false, true} {
		for _, m := range memberships {
			if v2 != (len(m.controllers) == 0) || !v2 && !among(controller, m.controllers...) {
				continue
			}
			if dirs := dirsOf(mounts, m.path, controller, v2); dirs != nil {
				return hierarchy{dirs: dirs, v2: v2}
			}
		}
	}
	return hierarchy{}
}

// dirsOf returns a cgroup and those that it is in, by the mount that shows most of them; nil if none does.
func dirsOf(mounts []mount, group, controller string, v2 bool) []string {
	var best []string
	for _, m := range mounts {
		if m.v2 != v2 || !v2 && !among(controller, m.options...) {
			continue
		}
		rest, ok := m.below(group)
		var dirs []string
		for dir := rest; ; dir = path.Dir(dir) {
			dirs = append(dirs, strings.TrimPrefix(path.Join(m.point, dir), "/"))
			if dir == "/" {
				break
			}
		}
		if best == nil || ok && len(dirs) > len(best) {
			best = dirs
		}
	}
	return best
}

// cgroupVersion is v1, v2, both as hybrid, or none.
func (h *Host) cgroupVersion() string {
	info, _ := h.text("proc/self/mountinfo")
	mounts := parseMounts(info)
	v2 := slices.ContainsFunc(mounts, func(m mount) bool { return m.v2 })
	v1 := slices.ContainsFunc(mounts, func(m mount) bool {
		named := slices.ContainsFunc(m.options, func(o string) bool { return strings.HasPrefix(o, "name=") })
		return !m.v2 && !named // systemd's own hierarchy has a name and controls nothing
	})
	switch {
	case v1 && v2:
		return "hybrid"
	case v1:
		return "v1"
	case v2:
		return "v2"
	}
	return "none"
}
