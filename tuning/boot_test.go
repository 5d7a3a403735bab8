package tuning

import (
	"strings"
	"testing"
)

// fine is a Finding that has nothing to change.
func fine(key, value string) Finding {
	f := raise(key, value)
	f.Verdict = OK
	return f
}

// TestNeeded: what is more than the goal needs is still judged by what it needs.
func TestNeeded(t *testing.T) {
	h := hostOf(t, map[string]string{"proc/sys/net/core/somaxconn": "70000\n"})
	for _, w := range settingsOf(examined(t, h, Goal{Connections: 2_000_000})) {
		if w.Key == "net.core.somaxconn" && (w.Value != "70000" || w.need != "65535") {
			t.Errorf("%+v", w)
		}
	}
}

// Of what is fine already, a file of ours has what a boot would undo, and nothing else.
func TestPersistOnlyWhatWouldNotLast(t *testing.T) {
	const somaxconn, cookies, files = "net.core.somaxconn", "net.ipv4.tcp_syncookies", "fs.file-max"
	at := func(key string) string { return sysctlFile(key) }
	for _, row := range []struct {
		name    string
		key     string
		value   string
		now     map[string]string
		written bool
	}{
		{"the kernel's own", somaxconn, "4096", nil, false},
		{"set by hand", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n"}, true},
		{"set by hand, and the kernel's own is enough", somaxconn, "4096", map[string]string{at(somaxconn): "65535\n"}, false},
		{"of an earlier file", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "etc/sysctl.d/10-a.conf": somaxconn + "=65535\n"}, false},
		{"of a package's file, by a pattern", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "usr/lib/sysctl.d/50-a.conf": "net.core.*=65535\n"}, false},
		{"of a file that says less", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "etc/sysctl.d/10-a.conf": somaxconn + "=65534\n"}, true},
		{"of a file that a later one overrules", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "etc/sysctl.d/10-a.conf": somaxconn + "=65535\n",
			"etc/sysctl.d/20-b.conf": somaxconn + "=1\n"}, true},
		{"of a file that a boot removes", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "run/sysctl.d/10-a.conf": somaxconn + "=65535\n"}, true},
		{"of a file that systemd does not read", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "etc/sysctl.conf": somaxconn + "=65535\n"}, true},
		{"of the same, with a link to it", somaxconn, "65535", map[string]string{at(somaxconn): "65535\n", "etc/sysctl.conf": somaxconn + "=65535\n",
			"etc/sysctl.d/99-sysctl.conf": "#\n"}, false},
		{"of ours", somaxconn, "4096", map[string]string{sysctlConf: somaxconn + " = 4096\n"}, true},
		{"a switch as the kernel has it", cookies, "1", map[string]string{at(cookies): "1\n"}, false},
		{"a switch that the kernel has otherwise", "net.ipv4.tcp_tw_reuse", "1", map[string]string{at("net.ipv4.tcp_tw_reuse"): "1\n"}, true},
		{"a range as the kernel has it", rangeKey, "32768 60999", nil, false},
		{"a wider one", rangeKey, "1024 65535", map[string]string{at(rangeKey): "1024\t65535\n"}, true},
		{"what systemd sets", files, "9223372036854775807", map[string]string{at(files): "9223372036854775807\n"}, false},
		{"without systemd, what the memory is enough for", files, "1000", map[string]string{at(files): "1000\n", "proc/meminfo": "MemTotal: 10000 kB\n", "etc/systemd/system/": "-"}, false},
		{"without systemd, what it is not enough for", files, "1001", map[string]string{at(files): "1001\n", "proc/meminfo": "MemTotal: 10000 kB\n", "etc/systemd/system/": "-"}, true},
		{"what the memory is enough for", "net.ipv4.tcp_mem", "90 180 270", map[string]string{"proc/meminfo": "MemTotal: 16000 kB\n"}, false},
		{"what the memory is not enough for", "net.ipv4.tcp_mem", "100 200 300", map[string]string{"proc/meminfo": "MemTotal: 10000 kB\n"}, true},
		{"what the kernel tracks by itself", conntrackMax, "65536", map[string]string{at(conntrackMax): "65536\n", "proc/meminfo": "MemTotal: 2000000 kB\n"}, false},
		{"what it tracks with more memory", conntrackMax, "262144", map[string]string{at(conntrackMax): "262144\n", "proc/meminfo": "MemTotal: 4100000 kB\n"}, true},
		{"the same, with that memory", conntrackMax, "262144", map[string]string{at(conntrackMax): "262144\n", "proc/meminfo": "MemTotal: 4200000 kB\n"}, false},
		{"what a small host has no buckets for", conntrackBuckets, "32768", map[string]string{at(conntrackBuckets): "32768\n", "proc/meminfo": "MemTotal: 1000000 kB\n"}, true},
		{"not known", "net.ipv4.tcp_wmem", "4096 16384 99999999", map[string]string{at("net.ipv4.tcp_wmem"): "4096 16384 99999999\n"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, steps := persist(t, row.now, reportOf(10, fine(row.key, row.value)))
			if got := !u.missing(sysctlConf) && strings.Contains(textAt(t, u.Root, sysctlConf), row.key+" = "); got != row.written {
				t.Errorf("written: %v, want %v: %+v", got, row.written, steps)
			}
			if u.missing(sysctlConf) == row.written {
				t.Errorf("a file without a line")
			}
		})
	}
}

// What an Apply without Persist has raised is fine for the next one, and still is to last.
func TestPersistWhatWasApplied(t *testing.T) {
	const key = "net.ipv4.tcp_max_orphans"
	u, _ := tunerOf(rootOf(t, map[string]string{sysctlFile(key): "100\n", sysctlFile("net.ipv4.tcp_ehash_entries"): "2048\n"}))
	apply(t, u, reportOf(10, raise(key, "1000")), ApplyOptions{})
	apply(t, u, reportOf(10, fine(key, "1000")), ApplyOptions{Persist: true}) // which the kernel would have by itself
	if text := textAt(t, u.Root, sysctlConf); !strings.Contains(text, "-"+key+" = 1000") {
		t.Error(text)
	}
	if revert(t, u); !u.missing(sysctlConf) {
		t.Error("it is still there")
	}
}

// Logins get their limit where another file raises fs.nr_open, and do not where nothing does.
func TestPersistLoginsByAnotherFile(t *testing.T) {
	for name, want := range map[string]Outcome{"etc/sysctl.d/10-a.conf": Done, "run/sysctl.d/10-a.conf": Done} {
		u, steps := persist(t, map[string]string{"proc/sys/fs/nr_open": "3000000\n", name: "fs.nr_open = 3000000\n"}, reportOf(2_000_000, fine("fs.nr_open", "2001024")))
		if s := steps[limitsConf]; s.Outcome != want {
			t.Errorf("%s: %+v", name, s)
		}
		if ours := !u.missing(sysctlConf); ours != strings.HasPrefix(name, "run/") {
			t.Errorf("%s: our file is there: %v", name, ours)
		}
	}
}

// Below /sys the kernel's own is not what is wanted: another file has to say so.
func TestPersistTmpfiles(t *testing.T) {
	f := Finding{Name: "khugepaged/max_ptes_none", Verdict: OK, Settings: []Setting{{Path: thpDefrag, Value: "0"}}}
	for _, row := range []struct {
		name, file, line string
		written          bool
	}{
		{"nobody's", "etc/tmpfiles.d/a.conf", "", true},
		{"another's", "etc/tmpfiles.d/a.conf", "w " + thpDefrag + " - - - - 0\n", false},
		{"a package's", "usr/lib/tmpfiles.d/a.conf", "w " + thpDefrag + " - - - - 0\n", false},
		{"another's with another value", "etc/tmpfiles.d/a.conf", "w " + thpDefrag + " - - - - 1\n", true},
		{"not read", "etc/tmpfiles.d/a.txt", "w " + thpDefrag + " - - - - 0\n", true},
	} {
		u, _ := persist(t, map[string]string{thpDefrag: "0\n", row.file: row.line}, reportOf(10, f))
		if u.missing(tmpfilesConf) == row.written {
			t.Errorf("%s: written: %v", row.name, !row.written)
		}
	}
}
