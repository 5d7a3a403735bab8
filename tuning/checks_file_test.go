package tuning

import (
	"strconv"
	"strings"
	"testing"
)

// decimal is n as the kernel writes it.
func decimal(n int64) string { return strconv.FormatInt(n, 10) + "\n" }

func TestOpenFiles(t *testing.T) {
	const n = 100_000
	for _, c := range []struct {
		name, hard string
		verdict    Verdict
		holds      int64
	}{
		{"one too few", "101023", Raise, n - 1},
		{"enough", "101024", OK, n},
		{"one more", "101025", OK, n + 1},
		{"fewer than are spare", "1000", Raise, 0},
		{"unlimited", "unlimited", OK, Unbounded - spareDescriptors},
	} {
		h := hostOf(t, map[string]string{"proc/self/limits": limitsOf("1000", c.hard)})
		for _, role := range []Role{Server, LoadGen, Both} { // each of two processes has its own
			f := examineOne(t, fileChecks(), "RLIMIT_NOFILE", h, Goal{Connections: n, Role: role})
			if f.Verdict != c.verdict || f.Holds != c.holds || f.Needed != "101024" {
				t.Errorf("%s, %s: %s, holds %d, needed %s", c.name, role, f.Verdict, f.Holds, f.Needed)
			}
		}
	}
	for name, content := range map[string]string{"garbage": "Max open files x y\n", "unreadable": "!EACCES"} {
		f := examineOne(t, fileChecks(), "RLIMIT_NOFILE", hostOf(t, map[string]string{"proc/self/limits": content}), Goal{Connections: n})
		if f.Verdict != Unreadable || f.Reason == "" {
			t.Errorf("%s: %s, %q", name, f.Verdict, f.Reason)
		}
	}
}

// The hard limit is what an operator has to raise, and it depends on the session who can.
func TestWhoRaisesOpenFiles(t *testing.T) {
	for _, c := range []struct {
		name, status, nrOpen string
		now                  []string
		not                  string
	}{
		{"root", statusAll, "1048576\n", []string{"prlimit --pid $$ --nofile=101024:101024"}, "nobody"},
		{"root, and fs.nr_open is in the way", statusAll, "65536\n",
			[]string{"sysctl -w fs.nr_open=1048576 && prlimit --pid $$ --nofile=101024:101024"}, "nobody"},
		{"a user", statusUser, "1048576\n", []string{"as root", "CAP_SYS_RESOURCE", "prlimit --pid $$"}, "nobody"},
		{"nobody", statusWithout, "1048576\n", []string{"nobody in this session", "no CAP_SYS_RESOURCE",
			"--ulimit nofile=101024:101024", "LimitNOFILE=101024"}, "ulimit -n"},
	} {
		h := hostOf(t, map[string]string{
			"proc/self/limits": limitsOf("1024", "4096"), "proc/self/status": c.status, "proc/sys/fs/nr_open": c.nrOpen,
		})
		f := examineOne(t, fileChecks(), "RLIMIT_NOFILE", h, Goal{Connections: 100_000})
		for _, want := range c.now {
			if !strings.Contains(f.Now, want) {
				t.Errorf("%s: now is %q, without %q", c.name, f.Now, want)
			}
		}
		if strings.Contains(f.Now, c.not) || f.ForGood == "" {
			t.Errorf("%s: now is %q, for good %q", c.name, f.Now, f.ForGood)
		}
	}
}

// A service has a limit of its own: that of the shell is no news of it.
func TestOpenFilesOfTheService(t *testing.T) {
	const unit = "etc/systemd/system/dormouse.service.d/90-limits.conf"
	for _, c := range []struct {
		name, systemd, unit string
		said                bool
	}{
		{"it has enough", "run/systemd/system/x", "LimitNOFILE=101024\n", true},
		{"one too few", "run/systemd/system/x", "LimitNOFILE=101023\n", false},
		{"no systemd", "run/x", "LimitNOFILE=101024\n", false},
		{"no unit", "run/systemd/system/x", "", false},
	} {
		h := hostOf(t, map[string]string{"proc/self/limits": limitsOf("1024", "4096"), c.systemd: "", unit: c.unit})
		f := examineOne(t, fileChecks(), "RLIMIT_NOFILE", h, Goal{Connections: 100_000})
		if f.Verdict != Raise || strings.Contains(f.Because, "/"+unit) != c.said {
			t.Errorf("%s: %s, %q", c.name, f.Verdict, f.Because)
		}
	}
}

// Once the line is written, a new login is all that is missing.
func TestOpenFilesAfterLimitsConf(t *testing.T) {
	h := hostOf(t, map[string]string{
		"proc/self/limits": limitsOf("1024", "4096"), "proc/self/status": statusAll, "proc/sys/fs/nr_open": "1048576",
		"etc/security/limits.d/90-dormouse.conf": "* hard nofile 101024\n",
	})
	f := examineOne(t, fileChecks(), "RLIMIT_NOFILE", h, Goal{Connections: 100_000})
	if !strings.HasPrefix(f.ForGood, "log in again: /etc/security/limits.d/90-dormouse.conf") {
		t.Errorf("for good: %q", f.ForGood)
	}
	f = examineOne(t, fileChecks(), "RLIMIT_NOFILE", h, Goal{Connections: 100_001})
	if strings.Contains(f.ForGood, "log in again") || !strings.Contains(f.ForGood, "* hard nofile 101025") {
		t.Errorf("for good: %q", f.ForGood)
	}
}

func TestServiceLimit(t *testing.T) {
	booted := map[string]string{"run/systemd/system/x": ""}
	with := func(more map[string]string) map[string]string {
		for name, content := range booted {
			more[name] = content
		}
		return more
	}
	unit := "etc/systemd/system/dormouse.service"
	for _, c := range []struct {
		name    string
		files   map[string]string
		goal    int64
		verdict Verdict
		value   string
	}{
		{"no systemd", map[string]string{unit: "LimitNOFILE=1\n"}, 1_000_000, NotNeeded, ""},
		{"its default is enough", booted, 523_264, OK, "524288 (soft 1024)"},
		{"its default is one too few", booted, 523_265, Raise, "524288 (soft 1024)"},
		{"system.conf", with(map[string]string{"etc/systemd/system.conf": "[Manager]\nDefaultLimitNOFILE=1024:2000\n"}), 977, Raise, "2000 (soft 1024)"},
		{"a drop-in of it", with(map[string]string{
			"etc/systemd/system.conf": "DefaultLimitNOFILE=1\n", "run/systemd/system.conf.d/a.conf": "DefaultLimitNOFILE=2000\n",
		}), 976, OK, "2000"},
		{"the unit is enough", with(map[string]string{unit: "LimitNOFILE=1001024\n"}), 1_000_000, OK, "1001024"},
		{"the unit is one too few", with(map[string]string{unit: "LimitNOFILE=1001023\n"}), 1_000_000, Raise, "1001023"},
		{"a unit without it", with(map[string]string{unit: "[Service]\nExecStart=/x\n"}), 1_000_000, Raise, "524288 (soft 1024)"},
		{"infinity", with(map[string]string{unit: "LimitNOFILE=infinity\n"}), 1_000_000, OK, "unlimited"},
		{"infinity is what systemd has itself", with(map[string]string{
			unit: "LimitNOFILE=infinity\n", "proc/1/limits": limitsOf("1048576", "1048576"), "proc/sys/fs/nr_open": "3000000",
		}), 2_000_000, Raise, "unlimited"},
		{"infinity, and only fs.nr_open can be read", with(map[string]string{
			unit: "LimitNOFILE=infinity\n", "proc/sys/fs/nr_open": "1048576",
		}), 2_000_000, Raise, "unlimited"},
	} {
		f := examineOne(t, fileChecks(), "DefaultLimitNOFILE", hostOf(t, c.files), Goal{Connections: c.goal})
		if f.Verdict != c.verdict || f.Value != c.value || f.Holds != Unbounded {
			t.Errorf("%s: %s, value %q, holds %d", c.name, f.Verdict, f.Value, f.Holds)
		}
		if fixed := strings.Contains(f.ForGood, "LimitNOFILE="); fixed != (c.verdict == Raise) {
			t.Errorf("%s: for good: %q", c.name, f.ForGood)
		}
	}
}

// A nofile above fs.nr_open locks everybody out: it is said before it happens.
func TestLoginLimit(t *testing.T) {
	const conf, drop = "etc/security/limits.conf", "etc/security/limits.d/90-x.conf"
	for _, c := range []struct {
		name    string
		files   map[string]string
		verdict Verdict
		value   string
	}{
		{"no file", nil, NotNeeded, ""},
		{"no line", map[string]string{conf: "* hard nproc 5\n"}, NotNeeded, ""},
		{"as much as the kernel takes", map[string]string{conf: "* hard nofile 1048576\n"}, NotNeeded, "1048576"},
		{"one more", map[string]string{conf: "* hard nofile 1048577\n"}, Set, "1048577"},
		{"in a drop-in", map[string]string{conf: "* hard nofile 5\n", drop: "root - nofile 2000000\n"}, Set, "2000000"},
		{"unlimited is fs.nr_open", map[string]string{conf: "* - nofile unlimited\nroot - nofile 5\n"}, NotNeeded, "5"},
		{"unlimited hides nothing", map[string]string{conf: "* - nofile 1048577\nroot - nofile unlimited\n"}, Set, "1048577"},
		{"a soft one is cut", map[string]string{conf: "* soft nofile 9999999\n"}, NotNeeded, ""},
		{"above what the kernel can be told", map[string]string{conf: "* - nofile 9999999999\n"}, Set, "9999999999"},
		{"may not be read", map[string]string{conf: "!EACCES"}, Unreadable, ""},
	} {
		files := map[string]string{"proc/sys/fs/nr_open": "1048576\n"}
		for name, content := range c.files {
			files[name] = content
		}
		f := examineOne(t, fileChecks(), "limits.conf", hostOf(t, files), Goal{Connections: 5})
		if f.Verdict != c.verdict || f.Value != c.value || f.Blocks {
			t.Errorf("%s: %s, value %q, blocks %v", c.name, f.Verdict, f.Value, f.Blocks)
		}
		if loud := strings.Contains(f.Because, "LOG IN"); loud != (c.verdict == Set) || loud && f.ForGood == "" {
			t.Errorf("%s: because %q, for good %q", c.name, f.Because, f.ForGood)
		}
		if possible := c.verdict == Set && len(c.value) < 10; (f.Now == "sysctl -w fs.nr_open="+c.value) != possible {
			t.Errorf("%s: now %q", c.name, f.Now)
		}
	}
}

func TestNrOpen(t *testing.T) {
	for _, c := range []struct {
		connections, have int64
		verdict           Verdict
		needed            string
		holds             int64
	}{
		{1, 1048576, OK, "1048576", 1047552},
		{1_047_552, 1048576, OK, "1048576", 1047552},
		{1_047_553, 1048576, Raise, "1048640", 1047552},
		{2_000_000, 2001024, OK, "2001024", 2_000_000},
		{2_000_000, 2001023, Raise, "2001024", 1_999_936},   // 64 fewer: the table is rounded down
		{2_000_000, 1073741816, OK, "2001024", 134_216_704}, // what systemd sets where it is built to
		{2_000_000, 268435392, OK, "2001024", 268_434_368},
		{2_000_000, 268435455, OK, "2001024", 268_434_368},
		{2_000_000, 268435456, OK, "2001024", 134_216_704},
		{MaxConnections, 268435392, OK, "268435392", 268_434_368}, // more than one process can have
		{1, 100, Raise, "1048576", 0},
	} {
		h := hostOf(t, map[string]string{"proc/sys/fs/nr_open": decimal(c.have)})
		f := examineOne(t, fileChecks(), "fs.nr_open", h, Goal{Connections: c.connections, Role: Both})
		if f.Verdict != c.verdict || f.Needed != c.needed || f.Holds != c.holds {
			t.Errorf("%d with %d: %s, needed %s, holds %d; want %s, %s, %d",
				c.connections, c.have, f.Verdict, f.Needed, f.Holds, c.verdict, c.needed, c.holds)
		}
	}
}

// A setting that is asked for is one that the kernel takes, and gives as many descriptors as are needed.
func TestNrOpenIsEnough(t *testing.T) {
	for _, need := range []int64{1, 1024, 1 << 20, 1<<20 + 1, 1_001_024, 10_001_024, 1 << 27, 1<<27 + 1, mostSlots - 1, mostSlots} {
		v := nrOpen(need)
		if v > nrOpenMost || v%64 != 0 || slots(v) < need {
			t.Errorf("%d descriptors: fs.nr_open = %d, which gives %d", need, v, slots(v))
		}
	}
}

func TestFileMax(t *testing.T) {
	const server, both, half = 1000 + 1_001_024 + 65_536, 1000 + 2*1_001_024 + 65_536, 32_768
	for _, c := range []struct {
		name    string
		role    Role
		have    int64
		verdict Verdict
		holds   int64
	}{
		{"one too few", Server, server - half - 1, Raise, 999_999},
		{"enough", Server, server - half, OK, 1_000_000},
		{"as it is set", Server, server, OK, 1_000_000 + half},
		{"one too few for both ends", Both, both - half - 1, Raise, 999_999},
		{"enough for both ends", Both, both - half, OK, 1_000_000},
		{"systemd's", Both, Unbounded, OK, Unbounded},
		{"fewer than are open", Server, 10, Raise, 0},
	} {
		h := hostOf(t, map[string]string{"proc/sys/fs/file-max": decimal(c.have), "proc/sys/fs/file-nr": "1000\t0\t99\n"})
		f := examineOne(t, fileChecks(), "fs.file-max", h, Goal{Connections: 1_000_000, Role: c.role})
		if f.Verdict != c.verdict || f.Holds != c.holds {
			t.Errorf("%s: %s, holds %d", c.name, f.Verdict, f.Holds)
		}
	}
	// What is set is enough also when more files are open at the next look.
	for have, open := range map[string]string{"500000": "1000", decimal(server): "33768"} {
		h := hostOf(t, map[string]string{"proc/sys/fs/file-max": have, "proc/sys/fs/file-nr": open + "\t0\t99\n"})
		f := examineOne(t, fileChecks(), "fs.file-max", h, Goal{Connections: 1_000_000})
		if want := decimal(server); f.Settings[0].Value+"\n" != want || (f.Verdict == OK) != (have == want) {
			t.Errorf("%s with %s open: %s, to be set to %s", have, open, f.Verdict, f.Settings[0].Value)
		}
	}
	h := hostOf(t, map[string]string{"proc/sys/fs/file-max": "18446744073709551615\n"}) // before Linux 5.1
	if f := examineOne(t, fileChecks(), "fs.file-max", h, Goal{Connections: 1}); f.Verdict != OK || f.Holds != Unbounded {
		t.Errorf("without file-nr: %s, holds %d", f.Verdict, f.Holds)
	}
	for _, c := range fileChecks() {
		if c.Name == "fs.file-max" && c.setting.leave == "" {
			t.Error("a file for the next boot would lower what systemd sets")
		}
	}
}

func TestWatches(t *testing.T) {
	for _, c := range []struct {
		role    Role
		have    int64
		verdict Verdict
		holds   int64
	}{
		{Server, 1_001_023, Raise, 999_999},
		{Server, 1_001_024, OK, 1_000_000},
		{LoadGen, 1_001_024, OK, 1_000_000},
		{Both, 2_002_047, Raise, 999_999},
		{Both, 2_002_048, OK, 1_000_000},
		{Both, 7, Raise, 0},
	} {
		h := hostOf(t, map[string]string{"proc/sys/fs/epoll/max_user_watches": decimal(c.have)})
		f := examineOne(t, fileChecks(), "fs.epoll.max_user_watches", h, Goal{Connections: 1_000_000, Role: c.role})
		if f.Verdict != c.verdict || f.Holds != c.holds {
			t.Errorf("%s with %d: %s, holds %d", c.role, c.have, f.Verdict, f.Holds)
		}
	}
}

// What is written for the next boot of any host must not lower what a large one has by itself.
func TestPrintedWatches(t *testing.T) {
	for _, c := range fileChecks() {
		if c.Name != "fs.epoll.max_user_watches" {
			continue
		}
		for connections, want := range map[int64]int64{1: 4_194_304, 4_193_280: 4_194_304, 4_193_281: 4_194_305, 10_000_000: 10_001_024} {
			v, because := c.setting.want(Goal{Connections: connections, Role: Server}, 4096)
			if v[0] != want || strings.Contains(because, "no less") != (connections < 4_193_280) {
				t.Errorf("%d connections: %d because %s", connections, v[0], because)
			}
		}
		return
	}
	t.Error("the check is not there")
}
