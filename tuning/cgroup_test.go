package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"testing"
)

// Lines of /proc/self/mountinfo.
const (
	mountV2     = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountMemory = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	mountCPU    = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	mountPids   = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
	mountName   = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n"
	mountHybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
	mountRoot   = "23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
)

// with returns the union of some files.
func with(all ...map[string]string) map[string]string {
	u := map[string]string{}
	for _, m := range all {
		for k, v := range m {
			u[k] = v
		}
	}
	return u
}

// inV2 is a host that has this process in a cgroup of version 2.
func inV2(group string) map[string]string {
	return map[string]string{"proc/self/cgroup": "0::" + group + "\n", "proc/self/mountinfo": mountRoot + mountV2}
}

// inV1 is the same for version 1.
func inV1(group string) map[string]string {
	return map[string]string{
		"proc/self/cgroup":    fmt.Sprintf("9:pids:%[1]s\n4:memory:%[1]s\n2:cpu,cpuacct:%[1]s\n1:name=systemd:/\n", group),
		"proc/self/mountinfo": mountRoot + mountMemory + mountCPU + mountPids + mountName,
	}
}

func TestHierarchy(t *testing.T) {
	for _, c := range []struct {
		name, groups, mounts, controller string
		want                             []string
		v2                               bool
	}{
		{"v2", "0::/system.slice/a.service\n", mountV2, "memory",
			[]string{"sys/fs/cgroup/system.slice/a.service", "sys/fs/cgroup/system.slice", "sys/fs/cgroup"}, true},
		{"v2 of a container", "0::/\n", mountV2, "memory", []string{"sys/fs/cgroup"}, true},
		{"v1", "4:memory:/a/b\n", mountMemory, "memory",
			[]string{"sys/fs/cgroup/memory/a/b", "sys/fs/cgroup/memory/a", "sys/fs/cgroup/memory"}, false},
		{"v1 with two controllers in one", "2:cpu,cpuacct:/a\n", mountCPU, "cpu",
			[]string{"sys/fs/cgroup/cpu,cpuacct/a", "sys/fs/cgroup/cpu,cpuacct"}, false},
		{"hybrid, by the v1 part", "4:memory:/a\n0::/b\n", mountHybrid + mountMemory, "memory",
			[]string{"sys/fs/cgroup/memory/a", "sys/fs/cgroup/memory"}, false},
		{"hybrid, by the v2 part", "4:memory:/a\n0::/b\n", mountHybrid + mountMemory, "pids",
			[]string{"sys/fs/cgroup/unified/b", "sys/fs/cgroup/unified"}, true},
		{"the host's path, seen from a container", "4:memory:/docker/c0ffee\n",
			"1 2 0:1 /docker/c0ffee /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "memory",
			[]string{"sys/fs/cgroup/memory"}, false},
		{"below what the container sees", "4:memory:/docker/c0ffee/sub\n",
			"1 2 0:1 /docker/c0ffee /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "memory",
			[]string{"sys/fs/cgroup/memory/sub", "sys/fs/cgroup/memory"}, false},
		{"a name that only begins like it", "4:memory:/docker/c0ffee\n",
			"1 2 0:1 /docker/c0 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "memory",
			[]string{"sys/fs/cgroup/memory"}, false},
		{"outside the namespace", "0::/../../a\n", mountV2, "memory", []string{"sys/fs/cgroup/a", "sys/fs/cgroup"}, true},
		{"two mounts, of which one shows it", "4:memory:/a/b\n", "1 2 0:1 /x /mnt ro - cgroup cgroup rw,memory\n" + mountMemory, "memory",
			[]string{"sys/fs/cgroup/memory/a/b", "sys/fs/cgroup/memory/a", "sys/fs/cgroup/memory"}, false},
		{"a space in the mount point", "0::/\n", `1 2 0:1 / /mnt/a\040b rw - cgroup2 none rw` + "\n", "memory", []string{"mnt/a b"}, true},
		{"not mounted", "4:memory:/a\n", mountRoot, "memory", nil, false},
		{"no such controller", "4:memory:/a\n", mountMemory, "pids", nil, false},
		{"nothing", "", "", "memory", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := hostOf(t, map[string]string{"proc/self/cgroup": c.groups, "proc/self/mountinfo": c.mounts}).hierarchy(c.controller)
			if !slices.Equal(y.dirs, c.want) || y.v2 != c.v2 {
				t.Errorf("got %q, v2 %v; want %q, v2 %v", y.dirs, y.v2, c.want, c.v2)
			}
		})
	}
}

func TestCgroupVersion(t *testing.T) {
	for _, c := range []struct{ mounts, want string }{
		{"", "none"},
		{mountRoot, "none"},
		{mountName, "none"},
		{mountV2, "v2"},
		{mountV2 + mountName, "v2"},
		{mountMemory + mountName, "v1"},
		{mountMemory + mountHybrid, "hybrid"},
	} {
		if got := hostOf(t, map[string]string{"proc/self/mountinfo": c.mounts}).cgroupVersion(); got != c.want {
			t.Errorf("%q: got %s, want %s", c.mounts, got, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		content string
		want    int64
		ok      bool
		garbage bool
	}{
		{content: "max\n"},
		{content: "-1\n"},
		{content: "9223372036854771712\n"},  // pages of 4 KiB
		{content: "9223372036854710272\n"},  // of 64 KiB
		{content: "18446744073709551615\n"}, // of old kernels
		{content: "0\n", ok: true},
		{content: "2147483648\n", want: 2 << 30, ok: true},
		{content: "4611686018427387903\n", want: 1<<62 - 1, ok: true},
		{content: "4611686018427387904\n"},
		{content: "-2\n", garbage: true},
		{content: "\n", garbage: true},
		{content: "lots\n", garbage: true},
	} {
		got, ok, err := hostOf(t, map[string]string{"a": c.content}).limit("a")
		var garbage *GarbageError
		if ok != c.ok || ok && got != c.want || errors.As(err, &garbage) != c.garbage {
			t.Errorf("%q: got %d, %v, %v; want %d, %v", c.content, got, ok, err, c.want, c.ok)
		}
	}
	if _, ok, err := hostOf(t, nil).limit("a"); ok || err != nil {
		t.Errorf("a missing file: got %v, %v; want no limit", ok, err)
	}
	if _, _, err := hostOf(t, map[string]string{"a": "!EACCES"}).limit("a"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that may not be read: got %v", err)
	}
}

func TestTightestOfAllLevels(t *testing.T) {
	h := hostOf(t, with(inV2("/a/b"), map[string]string{
		"sys/fs/cgroup/a/b/memory.max":     "1000\n",
		"sys/fs/cgroup/a/b/memory.current": "100\n",
		"sys/fs/cgroup/a/memory.max":       "2000\n",
		"sys/fs/cgroup/a/memory.current":   "1500\n",
		"sys/fs/cgroup/a/memory.stat":      "anon 1\ninactive_file 300\nactive_file 7\n",
		"sys/fs/cgroup/a/b/memory.high":    "max\n",
	}))
	limits, err := h.memoryLimits(Goal{})
	if err != nil || len(limits) != 2 {
		t.Fatalf("got %v, %v; want two limits", limits, err)
	}
	l, ok := tightest(limits)
	if !ok || l.path() != "/sys/fs/cgroup/a/memory.max" || l.left() != 800 || l.String() != "memory.max of /sys/fs/cgroup/a" {
		t.Errorf("got %+v, %v; want that of a, with 2000 - (1500 - 300) left", l, ok)
	}
}

func TestQuota(t *testing.T) {
	v1 := func(quota, period string) map[string]string {
		return with(inV1("/a"), map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us":  quota,
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": period,
		})
	}
	none := math.Inf(1)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  float64
		dir   string
	}{
		{"none", nil, none, ""},
		{"v2", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/cpu.max": "250000 100000\n"}), 2.5, "sys/fs/cgroup/a"},
		{"v2 without", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/cpu.max": "max 100000\n"}), none, ""},
		{"v2, of the one above", with(inV2("/a/b"), map[string]string{
			"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}), 0.5, "sys/fs/cgroup/a"},
		{"v2, cut off", with(inV2("/a"), map[string]string{"sys/fs/cgroup/a/cpu.max": "250000\n"}), none, ""},
		{"v1", v1("300000\n", "100000\n"), 3, "sys/fs/cgroup/cpu,cpuacct/a"},
		{"v1 without", v1("-1\n", "100000\n"), none, ""},
		{"no period", v1("100000\n", "0\n"), none, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, dir := hostOf(t, c.files).quota(); got != c.want || dir != c.dir {
				t.Errorf("got %v of %q, want %v of %q", got, dir, c.want, c.dir)
			}
		})
	}
}

// Forged files cost little: a path of many levels, and many mounts to look for it in.
func TestCgroupsAreBounded(t *testing.T) {
	line := "42 31 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	for name, files := range map[string]map[string]string{
		"levels":    {"proc/self/cgroup": "0::" + strings.Repeat("/a", 1<<20) + "\n", "proc/self/mountinfo": line},
		"a mount":   {"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": strings.Replace(line, "/sys", strings.Repeat("/a", 1<<20), 1)},
		"mounts":    {"proc/self/cgroup": "0::" + strings.Repeat("/a", 64) + "\n", "proc/self/mountinfo": strings.Repeat(line, 100_000)},
		"long name": {"proc/self/cgroup": "0::/" + strings.Repeat("a", 4096) + "\n", "proc/self/mountinfo": line},
	} {
		h := hostOf(t, files)
		if dirs := h.hierarchy("memory").dirs; len(dirs) != 0 != (name == "mounts") || len(dirs) > mostCgroupLevels+1 {
			t.Errorf("%s: %d directories", name, len(dirs))
		}
		if n := len(parseMounts(files["proc/self/mountinfo"])); n > mostCgroupMounts {
			t.Errorf("%s: %d mounts", name, n)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"/a", "/a"}, {`/a\040b`, "/a b"}, {`\134040`, `\040`}, {`/a\04`, `/a\04`}, {`\`, `\`}, {`\999`, `\999`}, {`\777`, `\777`},
	} {
		if got := unescape(c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzHierarchy(f *testing.F) {
	f.Add("0::/system.slice/a.service\n", mountV2)
	f.Add("4:memory:/docker/a\n", mountMemory+mountHybrid)
	f.Add("0::/../..\n", `1 2 0:1 /.. /mnt/a\040b/../.. rw - cgroup2 none rw`)
	f.Fuzz(func(t *testing.T, groups, mounts string) {
		h := hostOf(t, map[string]string{"proc/self/cgroup": groups, "proc/self/mountinfo": mounts})
		for _, dir := range h.hierarchy("memory").dirs {
			if name := path.Join(dir, "memory.max"); path.IsAbs(name) || strings.HasPrefix(name, "../") {
				t.Fatalf("%q is not below the root", name)
			}
		}
		if !among(h.cgroupVersion(), "v1", "v2", "hybrid", "none") {
			t.Fatal(h.cgroupVersion())
		}
	})
}

func FuzzLimit(f *testing.F) {
	for _, s := range []string{"max", "-1", "0", "9223372036854771712", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok, err := hostOf(t, map[string]string{"a": s}).limit("a")
		if ok && (v < 0 || v >= 1<<62 || err != nil) {
			t.Fatalf("%q is a limit of %d, %v", s, v, err)
		}
	})
}
