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

// A limit is what one cgroup allows, of which some is used.
type limit struct {
	dir, file   string // in io/fs, and the name in it
	bound, used int64
}

func (l limit) path() string   { return "/" + path.Join(l.dir, l.file) }
func (l limit) String() string { return l.file + " of /" + l.dir }

// left may be negative.
func (l limit) left() int64 { return l.bound - l.used }

// limits returns those that the cgroups of a hierarchy have in a file, with what the other file says is used, and
// a mistake if one of them cannot be read. A root has no such file.
func (h *Host) limits(dirs []string, file, used string) ([]limit, error) {
	var all []limit
	var failed error
	for _, dir := range dirs {
		bound, ok, err := h.limit(path.Join(dir, file))
		if err != nil {
			failed = errors.Join(failed, err)
		}
		if !ok {
			continue
		}
		u, _, err := h.limit(path.Join(dir, used))
		if err != nil {
			failed = errors.Join(failed, err)
		}
		all = append(all, limit{dir: dir, file: file, bound: bound, used: u})
	}
	return all, failed
}

// limit reads a file of one number; false if it is missing or no limit: max, -1, or in version 1 the largest
// number of whole pages, as 9223372036854771712.
func (h *Host) limit(name string) (int64, bool, error) {
	s, err := h.text(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case s == "max" || s == "-1":
		return 0, false, nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || v < 0 {
		return 0, false, &GarbageError{Path: "/" + name, Content: clip(s)}
	}
	return v, v < 1<<62, nil
}

// hardLimits returns memory.max, or memory.limit_in_bytes: beyond it a process is killed.
func (h *Host) hardLimits(g Goal) ([]limit, error) {
	y := h.hierarchy("memory")
	if y.v2 {
		return h.memoryLimitsIn(g, y, "memory.max")
	}
	return h.memoryLimitsIn(g, y, "memory.limit_in_bytes")
}

// highLimits returns memory.high: beyond it a process is held up. Version 1 has none.
func (h *Host) highLimits(g Goal) ([]limit, error) {
	y := h.hierarchy("memory")
	if !y.v2 {
		return nil, nil
	}
	return h.memoryLimitsIn(g, y, "memory.high")
}

// memoryLimits returns both.
func (h *Host) memoryLimits(g Goal) ([]limit, error) {
	hard, err := h.hardLimits(g)
	high, err2 := h.highLimits(g)
	return append(hard, high...), errors.Join(err, err2)
}

// memoryLimitsIn is limits for memory. Page cache that nothing has used lately is not taken for used: the kernel
// gives it up first. Neither is what holders of the goal in that cgroup have.
func (h *Host) memoryLimitsIn(g Goal, y hierarchy, file string) ([]limit, error) {
	used, cache := "memory.usage_in_bytes", "total_inactive_file"
	if y.v2 {
		used, cache = "memory.current", "inactive_file"
	}
	all, err := h.limits(y.dirs, file, used)
	for i, l := range all {
		held, _ := h.heldIn(g, l.dir, "memory")
		all[i].used = max(0, l.used-h.stat(path.Join(l.dir, "memory.stat"), cache)-held)
	}
	return all, err
}

// stat returns a number of a file of words and numbers, 0 if there is none.
func (h *Host) stat(name, word string) int64 {
	s, err := h.text(name)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(s) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == word {
			v, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil && v > 0 {
				return v
			}
		}
	}
	return 0
}

// tightest returns the limit that leaves least; false if there is none.
func tightest(limits []limit) (limit, bool) {
	if len(limits) == 0 {
		return limit{}, false
	}
	return slices.MinFunc(limits, func(a, b limit) int { return cmp.Compare(a.left(), b.left()) }), true
}

// quota is how many processors the cgroups allow; infinity if they do not say. dir is the one that does.
func (h *Host) quota() (processors float64, dir string) {
	y := h.hierarchy("cpu")
	processors = math.Inf(1)
	for _, d := range y.dirs {
		q := h.quotaV1(d)
		if y.v2 {
			q = h.quotaV2(d)
		}
		if q < processors {
			processors, dir = q, d
		}
	}
	return processors, dir
}

// quotaV2 reads cpu.max: microseconds, or max, and of which period.
func (h *Host) quotaV2(dir string) float64 {
	s, _ := h.text(path.Join(dir, "cpu.max"))
	quota, period, _ := strings.Cut(s, " ")
	return share(quota, period)
}

// quotaV1 reads the same of two files, where no limit is -1.
func (h *Host) quotaV1(dir string) float64 {
	quota, _ := h.text(path.Join(dir, "cpu.cfs_quota_us"))
	period, _ := h.text(path.Join(dir, "cpu.cfs_period_us"))
	return share(quota, period)
}

// share is infinity for what is no quota.
func share(quota, period string) float64 {
	q, err := strconv.ParseUint(quota, 10, 63)
	p, bad := strconv.ParseUint(period, 10, 63)
	if err != nil || bad != nil || q == 0 || p == 0 {
		return math.Inf(1)
	}
	return float64(q) / float64(p)
}
