package bench

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// tree writes files below a directory of its own.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestQuota(t *testing.T) {
	type files = map[string]string
	none := math.Inf(1)
	for _, row := range []struct {
		name   string
		groups string // /proc/self/cgroup
		files  files
		want   float64
	}{
		{"v2", "0::/user.slice/run\n", files{"user.slice/run/cpu.max": "50000 100000\n"}, 0.5},
		{"v2, no limit", "0::/user.slice/run\n", files{"user.slice/run/cpu.max": "max 100000\n"}, none},
		{"v2, of the slice that it is in", "0::/user.slice/run\n",
			files{"user.slice/cpu.max": "150000 100000\n", "user.slice/run/cpu.max": "max 100000\n"}, 1.5},
		{"v2, the lowest counts", "0::/a/b\n", files{"a/cpu.max": "20000 100000\n", "a/b/cpu.max": "50000 100000\n"}, 0.2},
		{"v2, in a container that does not see its path", "0::/docker/4711\n", files{"cpu.max": "200000 100000\n"}, 2},
		{"v1", "4:memory:/m\n3:cpu,cpuacct:/a\n",
			files{"cpu/a/cpu.cfs_quota_us": "10000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 0.1},
		{"v1, no limit", "3:cpu:/a\n", files{"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, none},
		{"both", "1:cpu:/\n0::/a\n", files{"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n",
			"unified/a/cpu.max": "250000 100000\n"}, 2.5},
		{"garbage", "0::/a\n3:cpu:/a\n", files{"a/cpu.max": "x\n", "cpu/a/cpu.cfs_quota_us": "10", "cpu/a/cpu.cfs_period_us": "0"}, none},
		{"no files", "0::/a\n3:cpu:/a\n", nil, none},
		{"groups of garbage", "a\n", nil, none},
	} {
		proc := tree(t, files{"7/cgroup": row.groups})
		if err := os.Symlink("7", filepath.Join(proc, "self")); err != nil {
			t.Fatal(err)
		}
		if got := quota(proc, tree(t, row.files)); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
	if got := quota(t.TempDir(), t.TempDir()); got != none {
		t.Errorf("without a /proc: %v", got)
	}
}

func TestProcessors(t *testing.T) {
	if n := processors(); !(n > 0) || math.IsInf(n, 1) {
		t.Errorf("got %v", n)
	}
}
