package tuning

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// limitsOf is /proc/PID/limits with these limits of descriptors.
func limitsOf(soft, hard string) string {
	return "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             96365                96365                processes \n" +
		"Max open files            " + soft + "                 " + hard + "                files     \n" +
		"Max locked memory         8388608              8388608              bytes     \n"
}

func TestParseOpenFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		soft, hard int64
		ok         bool
	}{
		{"as the kernel writes it", limitsOf("1024", "524288"), 1024, 524288, true},
		{"equal", limitsOf("20000", "20000"), 20000, 20000, true},
		{"unlimited", limitsOf("1024", "unlimited"), 1024, math.MaxInt64, true},
		{"soft above hard", limitsOf("2", "1"), 2, 1, false},
		{"negative", limitsOf("-1", "5"), 0, 5, false},
		{"too large", limitsOf("1", "99999999999999999999"), 1, math.MaxInt64, true},
		{"no number", limitsOf("x", "5"), 0, 5, false},
		{"cut off", "Max open files            1024", 0, 0, false},
		{"no line", "Max processes 1 1\n", 0, 0, false},
		{"empty", "", 0, 0, false},
	} {
		l, ok := parseOpenFiles(c.text)
		if ok != c.ok || ok && (l.soft != c.soft || l.hard != c.hard) {
			t.Errorf("%s: %d %d %v, want %d %d %v", c.name, l.soft, l.hard, ok, c.soft, c.hard, c.ok)
		}
	}
}

func FuzzParseOpenFiles(f *testing.F) {
	f.Add(limitsOf("1024", "524288"))
	f.Add("Max open files")
	f.Fuzz(func(t *testing.T, s string) {
		if l, ok := parseOpenFiles(s); ok && (l.soft < 0 || l.soft > l.hard) {
			t.Errorf("soft %d, hard %d", l.soft, l.hard)
		}
	})
}

func TestParseSystemdLimit(t *testing.T) {
	for _, c := range []struct {
		name, text string
		soft, hard int64
		ok         bool
	}{
		{"both", "[Service]\nLimitNOFILE=65536\n", 65536, 65536, true},
		{"soft and hard", "LimitNOFILE=1024:524288", 1024, 524288, true},
		{"spaces", "  LimitNOFILE = 4096 \n", 4096, 4096, true},
		{"infinity", "LimitNOFILE=infinity\n", math.MaxInt64, math.MaxInt64, true},
		{"soft and infinity", "LimitNOFILE=1024:infinity\n", 1024, math.MaxInt64, true},
		{"the last wins", "LimitNOFILE=1\nLimitNOFILE=2\n", 2, 2, true},
		{"a wrong one is passed over", "LimitNOFILE=1\nLimitNOFILE=lots\nLimitNOFILE=\nLimitNOFILE=3:2\n", 1, 1, true},
		{"comments", "#LimitNOFILE=1\n;LimitNOFILE=2\n", 0, 0, false},
		{"another setting", "DefaultLimitNOFILE=7\nLimitNPROC=8\n", 0, 0, false},
		{"a unit of size is none of a number", "LimitNOFILE=64K\n", 0, 0, false},
		{"empty", "", 0, 0, false},
	} {
		l, ok := parseSystemdLimit(c.text, "LimitNOFILE")
		if ok != c.ok || l.soft != c.soft || l.hard != c.hard {
			t.Errorf("%s: %d %d %v, want %d %d %v", c.name, l.soft, l.hard, ok, c.soft, c.hard, c.ok)
		}
	}
}

func FuzzParseSystemdLimit(f *testing.F) {
	f.Add("[Service]\nLimitNOFILE=1024:524288\n")
	f.Add("LimitNOFILE=infinity:")
	f.Fuzz(func(t *testing.T, s string) {
		l, ok := parseSystemdLimit(s, "LimitNOFILE")
		if l.soft < 0 || l.soft > l.hard || ok && !strings.Contains(s, "LimitNOFILE") {
			t.Errorf("soft %d, hard %d, %v", l.soft, l.hard, ok)
		}
	})
}

func TestSystemdPrecedence(t *testing.T) {
	const unit = "system/dormouse.service"
	line := func(n string) string { return "[Service]\nLimitNOFILE=" + n + "\n" }
	for _, c := range []struct {
		name  string
		files map[string]string
		hard  int64
		from  string
	}{
		{"nothing", nil, 0, ""},
		{"the unit", map[string]string{"etc/systemd/" + unit: line("1")}, 1, "/etc/systemd/" + unit},
		{"the unit in run", map[string]string{"run/systemd/" + unit: line("2")}, 2, "/run/systemd/" + unit},
		{"etc hides run", map[string]string{"etc/systemd/" + unit: "[Service]\n", "run/systemd/" + unit: line("2")}, 0, ""},
		{"a drop-in is stronger", map[string]string{
			"etc/systemd/" + unit: line("1"), "run/systemd/" + unit + ".d/10-a.conf": line("3"),
		}, 3, "/run/systemd/" + unit + ".d/10-a.conf"},
		{"the last name wins, wherever it is", map[string]string{
			"etc/systemd/" + unit + ".d/10-a.conf": line("4"), "run/systemd/" + unit + ".d/20-b.conf": line("5"),
		}, 5, "/run/systemd/" + unit + ".d/20-b.conf"},
		{"of one name etc wins", map[string]string{
			"etc/systemd/" + unit + ".d/10-a.conf": line("6"), "run/systemd/" + unit + ".d/10-a.conf": line("7"),
		}, 6, "/etc/systemd/" + unit + ".d/10-a.conf"},
		{"an empty file of that name masks it", map[string]string{
			"etc/systemd/" + unit + ".d/10-a.conf": "", "run/systemd/" + unit + ".d/10-a.conf": line("7"),
		}, 0, ""},
		{"the unit of a package", map[string]string{"usr/lib/systemd/" + unit: line("9")}, 9, "/usr/lib/systemd/" + unit},
		{"etc hides that of a package", map[string]string{
			"etc/systemd/" + unit: line("1"), "usr/lib/systemd/" + unit: line("9"),
		}, 1, "/etc/systemd/" + unit},
		{"a drop-in of a package", map[string]string{
			"usr/local/lib/systemd/" + unit: line("9"), "usr/lib/systemd/" + unit + ".d/10-a.conf": line("10"),
		}, 10, "/usr/lib/systemd/" + unit + ".d/10-a.conf"},
		{"a drop-in for all services", map[string]string{
			"etc/systemd/" + unit: line("1"), "usr/lib/systemd/system/service.d/10-a.conf": line("11"),
		}, 11, "/usr/lib/systemd/system/service.d/10-a.conf"},
		{"which gives way to one of the same name", map[string]string{
			"etc/systemd/system/service.d/10-a.conf": line("11"), "usr/lib/systemd/" + unit + ".d/10-a.conf": line("12"),
		}, 12, "/usr/lib/systemd/" + unit + ".d/10-a.conf"},
		{"other files are no drop-ins", map[string]string{"etc/systemd/" + unit + ".d/10-a.conf~": line("8")}, 0, ""},
		{"what may not be read is passed over", map[string]string{
			"etc/systemd/" + unit: line("1"), "etc/systemd/" + unit + ".d/1.conf": "!EACCES",
		}, 1, "/etc/systemd/" + unit},
	} {
		l, ok := hostOf(t, c.files).unitLimit("dormouse.service")
		if ok != (c.hard > 0) || l.hard != c.hard || l.from != c.from {
			t.Errorf("%s: %d from %q, %v; want %d from %q", c.name, l.hard, l.from, ok, c.hard, c.from)
		}
	}
}

func TestParseLoginLimits(t *testing.T) {
	const text = `# * hard nofile 1
* soft nofile 2
*	hard	nofile	3   # three
@Web - nofile 4
root - NOFILE unlimited
%all hard nofile 5
a hard nproc 6
b hard nofile
c hard nofile many
d hard nofile -1
e hard nofile 7x
`
	var got []string
	for _, l := range parseLoginLimits(text) {
		got = append(got, l.domain+" "+l.String())
	}
	want := []string{"* 3", "@Web 4", "root unlimited", "d unlimited", "e 7"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzParseLoginLimits(f *testing.F) {
	f.Add("* - nofile 1048576\n@a hard nofile -1 # x\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range parseLoginLimits(s) {
			if l.hard < 0 || l.domain == "" {
				t.Errorf("%q for %q", l, l.domain)
			}
		}
	})
}

// Capabilities are those of a status file: with CAP_SYS_RESOURCE, which is bit 24, and without it.
const (
	statusAll     = "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n"
	statusUser    = "CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n"
	statusWithout = "CapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\n"
)

func TestWhoMayRaiseLimits(t *testing.T) {
	for _, c := range []struct {
		name, status, uidMap string
		self, root           bool
	}{
		{"root of the host", statusAll, "         0          0 4294967295\n", true, true},
		{"root where user namespaces are not compiled in", statusAll, "", true, true},
		{"a user", statusUser, "0 0 4294967295\n", false, true},
		{"root without CAP_SYS_RESOURCE", statusWithout, "0 0 4294967295\n", false, false},
		{"root of a user namespace", statusAll, "0 1000 1\n", false, false},
		{"no status", "", "0 0 4294967295\n", false, false},
	} {
		files := map[string]string{"proc/self/status": c.status}
		if c.uidMap != "" {
			files["proc/self/uid_map"] = c.uidMap
		}
		h := hostOf(t, files)
		if self, root := h.mayRaiseLimits(), h.rootMayRaiseLimits(); self != c.self || root != c.root {
			t.Errorf("%s: %v and %v, want %v and %v", c.name, self, root, c.self, c.root)
		}
	}
}
