package bench

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// processors is how many processors this process may use: GOMAXPROCS, which minds the affinity, or what
// the quota of a cgroup leaves of it. Go rounds a quota up, and to two at least.
func processors() float64 {
	return min(float64(runtime.GOMAXPROCS(0)), quota(procfs.DefaultMountPoint, "/sys/fs/cgroup"))
}

// quota returns the least of the quotas of processors that this process is subject to, by the mount points
// of procfs and of the cgroups; infinity if there is none. See cgroups(7).
func quota(proc, cgroups string) float64 {
	least := math.Inf(1)
	f, err := procfs.NewFS(proc)
	if err != nil {
		return least
	}
	self, err := f.Self()
	if err != nil {
		return least
	}
	groups, err := self.Cgroups()
	if err != nil {
		return least
	}
	for _, g := range groups {
		switch {
		case len(g.Controllers) == 0:
			least = min(least, lowest(cgroups, g.Path, quotaV2), lowest(filepath.Join(cgroups, "unified"), g.Path, quotaV2))
		case slices.Contains(g.Controllers, "cpu"):
			least = min(least, lowest(filepath.Join(cgroups, "cpu"), g.Path, quotaV1))
		}
	}
	return least
}

// lowest returns the lowest quota of a group and those that it is in. In a container the path may be one of
// the host, where none of its parts but the root is to be seen.
func lowest(root, group string, quota func(dir string) float64) float64 {
	least := math.Inf(1)
	for dir := path.Join("/", group); ; dir = path.Dir(dir) {
		least = min(least, quota(filepath.Join(root, dir)))
		if dir == "/" {
			return least
		}
	}
}

// quotaV2 reads cpu.max: microseconds, or max, and of which period.
func quotaV2(dir string) float64 {
	limit, period, _ := strings.Cut(line(dir, "cpu.max"), " ")
	return ratio(limit, period)
}

// quotaV1 reads the same of two files, where no limit is -1.
func quotaV1(dir string) float64 {
	return ratio(line(dir, "cpu.cfs_quota_us"), line(dir, "cpu.cfs_period_us"))
}

func line(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b))
}

// ratio is infinity for what is no quota.
func ratio(limit, period string) float64 {
	l, err := strconv.ParseFloat(limit, 64)
	p, bad := strconv.ParseFloat(period, 64)
	if err != nil || bad != nil || !(l > 0 && p > 0) {
		return math.Inf(1)
	}
	return l / p
}
