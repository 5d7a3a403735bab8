package tuning

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const limitName = "RLIMIT_NOFILE of bash (412)"

func TestApply(t *testing.T) {
	root := rootOf(t, nil)
	before := snapshot(t, root)
	u, f := tunerOf(root)
	steps := apply(t, u, fullReport(), ApplyOptions{Persist: true})
	for _, row := range []struct{ what, from, to string }{
		{"fs.nr_open", "1048576", "2001024"},
		{"net.ipv4.ip_local_port_range", "32768 60999", "1024 60999"},
		{"net.ipv4.tcp_mem", "100 200 300", "100 500 600"},
		{thpDefrag, "511", "0"},
		{thpFile, "madvise", "never"},
		{limitName, "1024:20000", "2001024:2001024"},
		{sysctlConf, "", ""}, {limitsConf, "", ""}, {dropIn, "", ""}, {tmpfilesConf, "", ""},
	} {
		if s := steps[row.what]; s.Outcome != Done || s.From != row.from || s.To != row.to {
			t.Errorf("%s: %+v", row.what, s)
		}
	}
	if s := steps["net.core.somaxconn"]; s.Outcome != Already || len(steps) != 11 {
		t.Errorf("somaxconn: %+v; %d steps", s, len(steps))
	}
	for name, want := range map[string]string{
		"proc/sys/fs/nr_open": "2001024", "proc/sys/net/ipv4/ip_local_port_range": "1024 60999",
		"proc/sys/net/ipv4/tcp_mem": "100 500 600", "proc/sys/net/core/somaxconn": "4096", thpDefrag: "0", thpFile: "never",
	} {
		if got := textAt(t, root, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := f.limits[shellPID]; got != (rlimit{2001024, 2001024}) {
		t.Errorf("the limit is %s", got)
	}
	saved := slices.Index(f.calls, "rename tuning.json")
	first := slices.IndexFunc(f.calls, func(c string) bool { return strings.HasPrefix(c, "write ") })
	if saved < 0 || first != saved+2 || f.calls[first] != "write nr_open" || slices.Index(f.calls, "prlimit") < first {
		t.Errorf("the state has to be saved and synced before the first write, and fs.nr_open written first: %q", f.calls)
	}
	checkDurable(t, f.calls)
	f.calls = nil
	revert(t, u)
	var order []string
	for _, c := range f.calls {
		if word, _, _ := strings.Cut(c, " "); among(word, "write", "prlimit") || c == "remove tuning.json" {
			order = append(order, c)
		}
	}
	if f.calls[0] != "remove 90-dormouse.conf" || !slices.Equal(order, []string{"prlimit", "write tcp_mem", "write ip_local_port_range",
		"write enabled", "write max_ptes_none", "write nr_open", "remove tuning.json"}) {
		t.Errorf("it does not go backwards: %q", f.calls)
	}
	if after := snapshot(t, root); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if got := f.limits[shellPID]; got != (rlimit{1024, 20000}) {
		t.Errorf("the limit is %s after Revert", got)
	}
	if _, err := u.Revert(false); !errors.Is(err, ErrNothingToRevert) {
		t.Errorf("a second Revert: %v", err)
	}
}

// checkDurable looks that every file is on the disk before it takes its name, and the name after.
func checkDurable(t *testing.T, calls []string) {
	t.Helper()
	renames := 0
	for i, c := range calls {
		name, ok := strings.CutPrefix(c, "rename ")
		if !ok {
			continue
		}
		renames++
		if calls[i-1] != "sync ."+name+".dormouse-new" || !strings.HasPrefix(calls[i+1], "sync ") {
			t.Errorf("%s is not synced: %q", name, calls[i-1:i+2])
		}
	}
	if renames < 5 {
		t.Errorf("%d renames: the test looks at the wrong thing", renames)
	}
}

func TestApplyTwiceIsOnce(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	apply(t, u, fullReport(), ApplyOptions{Persist: true})
	once, calls := snapshot(t, u.Root), len(f.calls)
	for what, s := range apply(t, u, fullReport(), ApplyOptions{Persist: true}) {
		if s.Outcome != Already {
			t.Errorf("%s: %+v", what, s)
		}
	}
	if twice := snapshot(t, u.Root); stateless(twice) != stateless(once) || len(f.calls) != calls {
		t.Errorf("once:\n%s\ntwice:\n%s\n%q", once, twice, f.calls[calls:])
	}
}

// stateless is a snapshot without the lock, in which the process is noted.
func stateless(snapshot string) string {
	lines := strings.Split(snapshot, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, lockFile[1:]) }), "\n")
}

func TestApplyNeverLowers(t *testing.T) {
	for _, row := range []struct{ name, now, key, want, after string }{
		{"higher", "9000000", "fs.nr_open", "2001024", "9000000"},
		{"the same", "2001024", "fs.nr_open", "2001024", "2001024"},
		{"one less", "2001023", "fs.nr_open", "2001024", "2001024"},
		{"one more", "2001025", "fs.nr_open", "2001024", "2001025"},
		{"more than fits", "18446744073709551615", "fs.nr_open", "2001024", "18446744073709551615"},
		{"a range, wider below", "100 50000", "net.ipv4.ip_local_port_range", "1024 60999", "100 60999"},
		{"a range, wider above", "32768 65535", "net.ipv4.ip_local_port_range", "1024 60999", "1024 65535"},
		{"a list of ports, with more", "8080", reservedKey, "4000", "4000,8080"},
		{"a list of ports, with them", "3999-4001,8080", reservedKey, "4000", "3999-4001,8080"},
		{"an empty list of ports", "", reservedKey, "4000", "4000"},
		{"a row, some higher", "700 200 900", "net.ipv4.tcp_mem", "100 500 600", "700 500 900"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, _ := tunerOf(rootOf(t, map[string]string{sysctlFile(row.key): row.now + "\n"}))
			apply(t, u, reportOf(10, raise(row.key, row.want)), ApplyOptions{})
			if got := textAt(t, u.Root, sysctlFile(row.key)); got != row.after {
				t.Errorf("it was %s, %s is wanted, and it is %s, not %s", row.now, row.want, got, row.after)
			}
		})
	}
}

// The goal grows, and what was found first is what Revert goes back to.
func TestApplyAgainWithMore(t *testing.T) {
	root := rootOf(t, nil)
	before := snapshot(t, root)
	u, f := tunerOf(root)
	apply(t, u, fullReport(), ApplyOptions{Persist: true})
	more := reportOf(4_000_000, raise("fs.nr_open", "4001024"), raise("net.core.somaxconn", "65535"))
	for what, s := range apply(t, u, more, ApplyOptions{Persist: true}) {
		if s.Outcome != Done {
			t.Errorf("%s: %+v", what, s)
		}
	}
	if got := f.limits[shellPID].Hard; got != 4001024 {
		t.Errorf("the hard limit is %d", got)
	}
	less := apply(t, u, fullReport(), ApplyOptions{Persist: true})
	if s := less[limitsConf]; s.Outcome != Already {
		t.Errorf("a smaller goal lowers a limit: %+v", s)
	}
	if text := textAt(t, root, sysctlConf); !strings.Contains(text, "fs.nr_open = 4001024\n") {
		t.Errorf("a smaller goal lowers what is set at boot:\n%s", text)
	}
	revert(t, u)
	if after := snapshot(t, root); after != before || f.limits[shellPID] != (rlimit{1024, 20000}) {
		t.Errorf("before:\n%s\nafter:\n%s\n%v", before, after, f.limits)
	}
}

func TestDryRun(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	before := snapshot(t, u.Root)
	steps := apply(t, u, fullReport(), ApplyOptions{Persist: true, DryRun: true})
	for _, what := range []string{"fs.nr_open", thpFile, limitName, sysctlConf, limitsConf, dropIn, tmpfilesConf} {
		if s := steps[what]; s.Outcome != Would {
			t.Errorf("%s: %+v", what, s)
		}
	}
	if _, err := u.Revert(true); !errors.Is(err, ErrNothingToRevert) {
		t.Error(err)
	}
	if after := snapshot(t, u.Root); after != before || len(f.calls) > 0 {
		t.Errorf("a dry run did something: %q\n%s", f.calls, after)
	}
	apply(t, u, fullReport(), ApplyOptions{Persist: true})
	before, f.calls = snapshot(t, u.Root), nil
	dry, err := u.Revert(true)
	if err != nil || len(dry) != 10 {
		t.Fatal(dry, err)
	}
	for _, s := range dry {
		if s.Outcome != Would {
			t.Errorf("%+v", s)
		}
	}
	if after := snapshot(t, u.Root); after != before || len(f.calls) > 0 {
		t.Errorf("a dry run did something: %q", f.calls)
	}
}

// A host that has everything needs no right to write.
func TestApplyNothing(t *testing.T) {
	u, f := tunerOf(rootOf(t, map[string]string{"var/lib/": "-"}))
	f.limits[shellPID] = rlimit{1 << 20, 1 << 20}
	for _, s := range apply(t, u, reportOf(100, raise("fs.nr_open", "1048576")), ApplyOptions{}) {
		if s.Outcome != Already {
			t.Errorf("%+v", s)
		}
	}
	if len(f.calls) > 0 {
		t.Error(f.calls)
	}
}

// What the kernel does not take as it is given is said, and undone all the same.
func TestApplyIsReadBack(t *testing.T) {
	for _, row := range []struct {
		name, made string
		outcome    Outcome
		why        string
	}{
		{"rounded up", "4194304", Done, "the kernel made 4194304 of 2001024"},
		{"cut", "1999999", Done, "the kernel made 1999999 of 2001024"},
		{"ignored", "1048576", Failed, "as before"},
	} {
		t.Run(row.name, func(t *testing.T) {
			root := rootOf(t, nil)
			before := snapshot(t, root)
			u, f := tunerOf(root)
			f.made = map[string]string{"fs/nr_open": row.made}
			s := apply(t, u, reportOf(10, raise("fs.nr_open", "2001024")), ApplyOptions{})["fs.nr_open"]
			if s.Outcome != row.outcome || s.To != row.made || !strings.Contains(s.Why, row.why) {
				t.Errorf("%+v", s)
			}
			f.made = nil
			revert(t, u)
			if after := snapshot(t, root); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

func TestApplyWhatCannotBe(t *testing.T) {
	u, _ := tunerOf(rootOf(t, map[string]string{"proc/sys/net/ipv4/tcp_mem": "garbage\n"}))
	outside := raise("net.core.x", "1")
	outside.Settings[0].Path = "/proc/sys/net/../../../etc/passwd"
	steps := apply(t, u, reportOf(10, raise("net.core.absent", "5"), raise("net.ipv4.tcp_mem", "1 2 3"), outside,
		raise("net.core.somaxconn", "5000; reboot"), raise("fs.nr_open", "2000000")), ApplyOptions{})
	for _, row := range []struct {
		what    string
		outcome Outcome
		why     string
	}{
		{"net.core.absent", Failed, "this kernel has no /proc/sys/net/core/absent"},
		{"net.ipv4.tcp_mem", Failed, "cannot be understood"},
		{"net.core.x", Failed, "not among the files"},
		{"net.core.somaxconn", Failed, "no value of it"},
		{"fs.nr_open", Done, ""},
	} {
		if s := steps[row.what]; s.Outcome != row.outcome || !strings.Contains(s.Why, row.why) {
			t.Errorf("%s: %+v", row.what, s)
		}
	}
}

func TestApplyErrors(t *testing.T) {
	u, _ := tunerOf(rootOf(t, nil))
	if _, err := u.Apply(nil, ApplyOptions{}); err == nil {
		t.Error("no report, no error")
	}
	if _, err := u.Apply(fullReport(), ApplyOptions{PID: -1}); err == nil {
		t.Error("no process has the number -1")
	}
}

// Where what was found cannot be saved, nothing is changed.
func TestApplyWithoutAPlaceForTheState(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(t *testing.T, root string)
		says  string
	}{
		{"no /var/lib", func(t *testing.T, root string) { remove(t, root, "var/lib") }, "no directory /var/lib"},
		{"a file", func(t *testing.T, root string) { put(t, root, stateDir, "") }, "not a directory but a file"},
		{"a link", func(t *testing.T, root string) {
			put(t, root, "elsewhere/", "")
			link(t, filepath.Join(root, "elsewhere"), filepath.Join(root, stateDir))
		}, "not a directory but a symbolic link"},
		{"others write to it", func(t *testing.T, root string) {
			put(t, root, stateDir+"/", "")
			mode(t, root, stateDir, 0o770)
		}, "chmod 700 /var/lib/dormouse"},
		{"others write to the state", func(t *testing.T, root string) {
			put(t, root, stateFile, "{}")
			mode(t, root, stateFile, 0o666)
		}, "others can write to it"},
		{"garbage", func(t *testing.T, root string) { put(t, root, stateFile, "{\"version\":") }, "/var/lib/dormouse/tuning.json cannot be understood"},
		{"the state is a link", func(t *testing.T, root string) {
			put(t, root, stateDir+"/", "")
			put(t, root, "x.json", `{"version":1}`)
			link(t, filepath.Join(root, "x.json"), filepath.Join(root, stateFile))
		}, "a symbolic link"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, _ := tunerOf(rootOf(t, nil))
			row.spoil(t, u.Root)
			before := snapshot(t, u.Root)
			for name, do := range map[string]func() error{
				"apply":  func() error { _, err := u.Apply(fullReport(), ApplyOptions{Persist: true}); return err },
				"revert": func() error { _, err := u.Revert(false); return err },
			} {
				err := do()
				if name == "revert" && errors.Is(err, ErrNothingToRevert) && row.name == "no /var/lib" {
					continue
				}
				if err == nil || !strings.Contains(err.Error(), row.says) {
					t.Errorf("%s: %v", name, err)
				}
			}
			_ = os.Remove(filepath.Join(u.Root, lockFile))
			if after := snapshot(t, u.Root); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

func remove(t *testing.T, root, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, root, name string, m os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(root, name), m); err != nil {
		t.Fatal(err)
	}
}

func TestOutcomeText(t *testing.T) {
	data, err := json.Marshal([]Outcome{Done, Already, Would, Left, Failed})
	if err != nil || !bytes.Equal(data, []byte(`["done","already","would","left","failed"]`)) {
		t.Errorf("%s, %v", data, err)
	}
}

// An empty list is a value like others, and is put back.
func TestApplyToAnEmptyValue(t *testing.T) {
	root := rootOf(t, map[string]string{sysctlFile(reservedKey): "\n"})
	before := snapshot(t, root)
	u, _ := tunerOf(root)
	s := apply(t, u, reportOf(10, raise(reservedKey, "4000")), ApplyOptions{})[reservedKey]
	if s.Outcome != Done || s.From != "(empty)" || s.To != "4000" {
		t.Errorf("%+v", s)
	}
	if s = revert(t, u)[reservedKey]; s.Outcome != Done || s.From != "4000" || s.To != "(empty)" || snapshot(t, root) != before {
		t.Errorf("%+v", s)
	}
}

// Why a write failed is said in words, with what to do.
func TestExplain(t *testing.T) {
	const key, conf = "/proc/sys/net/core/somaxconn", sysctlConf
	for _, row := range []struct {
		err  error
		name string
		why  string
		fix  string
	}{
		{unix.EROFS, key, "/proc/sys is read-only: this is a container without the right", "docker run --sysctl"},
		{unix.EROFS, thpFile, "/sys is read-only", "on the host"},
		{unix.EROFS, conf, "/etc/sysctl.d is on a read-only file system", "tune print"},
		{unix.EACCES, key, key, "root|on the host"}, {unix.EPERM, conf, conf, "root|on the host"},
		{unix.EINVAL, key, "the kernel refuses the value", "tune check"},
		{unix.ENOENT, key, "this kernel has no " + key, ""},
		{unix.ENOSPC, conf, "no space is left", "make room"}, {unix.ELOOP, conf, "symbolic link", ""},
		{unix.EIO, conf, "input/output error", ""},
	} {
		why, fix := explain(&os.PathError{Op: "open", Path: row.name, Err: row.err}, row.name)
		good := false
		for part := range strings.SplitSeq(row.fix, "|") {
			good = good || strings.Contains(fix, part)
		}
		if !strings.Contains(why, row.why) || !good || row.fix == "" && fix != "" {
			t.Errorf("%v of %s: %q, %q", row.err, row.name, why, fix)
		}
	}
}

// A set of processors is no number, though it may look like one: 4 is not more than 3.
func TestApplyMask(t *testing.T) {
	const file = "/sys/class/net/eth0/queues/rx-0/rps_cpus"
	for now, want := range map[string]Outcome{"0": Done, "4": Done, "3": Already, "00000000,00000003": Already} {
		u, _ := tunerOf(rootOf(t, map[string]string{file: now + "\n"}))
		s := apply(t, u, reportOf(10, Finding{Verdict: Raise, Settings: []Setting{{Path: file, Value: "3"}}}), ApplyOptions{})[file]
		if s.Outcome != want {
			t.Errorf("%s: %+v", now, s)
		}
	}
}
