package tuning

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func persist(t *testing.T, files map[string]string, r *Report) (Tuner, map[string]Step) {
	t.Helper()
	u, _ := tunerOf(rootOf(t, files))
	return u, apply(t, u, r, ApplyOptions{Persist: true})
}

func TestPersistedText(t *testing.T) {
	u, _ := persist(t, nil, fullReport())
	const want = `# Written by dormouse tune apply --persist, for 2000000 connections (server).
# Nothing here was lower than what the host had. dormouse tune revert takes it back.
# What is enough at boot without a line has none.

# It is too low for so many connections, which is said here in a sentence
# longer than a line.
fs.nr_open = 2001024

# It is too low for so many connections, which is said here in a sentence
# longer than a line.
net.ipv4.ip_local_port_range = 1024 60999

# It is too low for so many connections, which is said here in a sentence
# longer than a line.
net.ipv4.tcp_mem = 100 500 600`
	if got := textAt(t, u.Root, sysctlConf); got != want {
		t.Errorf("%s", got)
	}
	for name, line := range map[string]string{
		tmpfilesConf: "\nw " + thpDefrag + " - - - - 0\n", dropIn: "LimitNOFILE=2001024", limitsConf: "nofile 2001024",
	} {
		if got := textAt(t, u.Root, name); !strings.Contains(got, line) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	for _, name := range []string{sysctlConf, limitsConf, dropIn, tmpfilesConf} {
		if info, err := os.Stat(filepath.Join(u.Root, name)); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(u.Root, stateFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Directories are made where what reads them is there, and nowhere else.
func TestPersistWhere(t *testing.T) {
	for _, row := range []struct {
		name  string
		files map[string]string
		what  string
		out   Outcome
		says  string
	}{
		{"no sysctl.d", map[string]string{"etc/sysctl.d/": "-"}, sysctlConf, Done, ""},
		{"no limits.d", map[string]string{"etc/security/limits.d/": "-", "etc/security/": ""}, limitsConf, Done, ""},
		{"no PAM", map[string]string{"etc/security/limits.d/": "-"}, limitsConf, Left, "there is no /etc/security on this host"},
		{"no systemd", map[string]string{"etc/systemd/system/": "-"}, dropIn, Left, "there is no /etc/systemd on this host"},
		{"no systemd", map[string]string{"etc/systemd/system/": "-"}, tmpfilesConf, Left, "no systemd"},
		{"systemd without units", map[string]string{"etc/systemd/system/": "-", "etc/systemd/": ""}, dropIn, Left, "there is no /etc/systemd/system"},
		{"a file in the way", map[string]string{"etc/sysctl.d/": "-", "etc/sysctl.d": ""}, sysctlConf, Left, "/etc/sysctl.d is a file"},
		{"a directory in the way", map[string]string{sysctlConf + "/": ""}, sysctlConf, Left, "it is a directory"},
		{"too large to save", map[string]string{sysctlConf: strings.Repeat("#", fileBytes+1)}, sysctlConf, Failed, "more than 1048576 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, f := tunerOf(rootOf(t, row.files))
			before := snapshot(t, u.Root)
			s := apply(t, u, fullReport(), ApplyOptions{Persist: true})[row.what]
			if s.Outcome != row.out || !strings.Contains(s.Why, row.says) {
				t.Errorf("%+v", s)
			}
			revert(t, u)
			if after := snapshot(t, u.Root); after != before {
				t.Errorf("before:\n%.9999s\nafter:\n%.9999s\n%q", before, after, f.calls)
			}
		})
	}
}

// A link is somebody's arrangement: to /dev/null it is how a file is switched off.
func TestPersistFollowsNoLink(t *testing.T) {
	for _, name := range []string{sysctlConf, "/etc/sysctl.d"} {
		u, _ := tunerOf(rootOf(t, map[string]string{"etc/sysctl.d/": "-", "outside/": "", "outside/90-dormouse.conf": "x = 1\n"}))
		to := "../outside"
		if name == sysctlConf {
			put(t, u.Root, "etc/sysctl.d/", "")
			to = "../../outside/90-dormouse.conf"
		}
		link(t, to, filepath.Join(u.Root, name))
		if s := apply(t, u, fullReport(), ApplyOptions{Persist: true})[sysctlConf]; s.Outcome != Left || !strings.Contains(s.Why, "symbolic link") {
			t.Errorf("%+v", s)
		}
		if got := textAt(t, u.Root, "outside/90-dormouse.conf"); got != "x = 1" {
			t.Errorf("%s was followed: %s", name, got)
		}
	}
}

// A FIFO that somebody put there is not waited for.
func TestPersistFIFO(t *testing.T) {
	u, _ := tunerOf(rootOf(t, nil))
	if err := unix.Mkfifo(filepath.Join(u.Root, sysctlConf), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := apply(t, u, fullReport(), ApplyOptions{Persist: true})[sysctlConf]; s.Outcome != Left || !strings.Contains(s.Why, "a special file") {
		t.Errorf("%+v", s)
	}
}

func TestPersistOverWhatWasEdited(t *testing.T) {
	u, _ := persist(t, nil, fullReport())
	put(t, u.Root, sysctlConf, "# edited\n")
	s := apply(t, u, fullReport(), ApplyOptions{Persist: true})[sysctlConf]
	if s.Outcome != Left || !strings.Contains(s.Why, "changed or removed by somebody else") || textAt(t, u.Root, sysctlConf) != "# edited" {
		t.Errorf("%+v", s)
	}
}

// What a file of ours says already is not lowered, whoever wrote it.
func TestPersistNeverLowers(t *testing.T) {
	u, steps := persist(t, map[string]string{
		sysctlConf: "-net/core/somaxconn=9999\nfs.nr_open = 1\nvm.other = 5\n", limitsConf: "* - nofile 2001025\n",
		dropIn:                      "[Service]\nLimitNOFILE=2001023\n",
		"proc/sys/net/ipv4/tcp_mem": "900 200 300\n", // raised since the Report was made
	}, fullReport())
	text := textAt(t, u.Root, sysctlConf)
	if !strings.Contains(text, "net.core.somaxconn = 9999") || !strings.Contains(text, "fs.nr_open = 2001024\n") ||
		!strings.Contains(text, "net.ipv4.tcp_mem = 900 500 600\n") {
		t.Error(text)
	}
	if s := steps[limitsConf]; s.Outcome != Already || !strings.Contains(s.Why, "2001025") {
		t.Errorf("%+v", s)
	}
	if s := steps[dropIn]; s.Outcome != Done || !strings.Contains(textAt(t, u.Root, dropIn), "LimitNOFILE=2001024") {
		t.Errorf("%+v", s)
	}
}

func TestNofileOf(t *testing.T) {
	for _, row := range []struct {
		text        string
		least, most int64
	}{
		{"", 0, 0}, {"# * - nofile 5\n", 0, 0}, {"* - nofile 5 # x\n", 5, 5}, {"* soft nofile 5\nroot hard nofile 7\n", 5, 7},
		{"LimitNOFILE=5:8\n", 5, 8}, {"LimitNOFILE=infinity\n", Unbounded, Unbounded}, {"* - nofile -1\n", Unbounded, Unbounded},
		{"* - nofile\n", 0, 0}, {"nofile 5\n", 0, 0}, {"* - nproc 5\n", 0, 0},
	} {
		if least, most := nofileOf(row.text); least != row.least || most != row.most {
			t.Errorf("%q: %d, %d", row.text, least, most)
		}
	}
}

// A limit for logins above fs.nr_open locks everybody out: it is not written.
func TestPersistLetsPeopleLogIn(t *testing.T) {
	for _, row := range []struct {
		name    string
		files   map[string]string
		stuck   bool // fs.nr_open cannot be raised
		goal    int64
		outcome Outcome
		says    string
	}{
		{"raised", nil, false, 2_000_000, Done, "for logins from now on"},
		{"as it is at boot", map[string]string{"etc/sysctl.d/": "-", "etc/sysctl.d": ""}, false, nrOpenDefault - spareDescriptors, Done, ""},
		{"one more", map[string]string{"etc/sysctl.d/": "-", "etc/sysctl.d": ""}, false, nrOpenDefault - spareDescriptors + 1, Left, "after the next boot"},
		{"lowered at boot by another file", map[string]string{"usr/lib/sysctl.d/99-z.conf": "fs.nr_open=1048576\n"}, false, 2_000_000, Left, "after the next boot"},
		{"set at boot by another file", map[string]string{"usr/lib/sysctl.d/99-z.conf": "fs.nr_open=3000000\n"}, false, 2_000_000, Done, ""},
		{"cannot be raised now", nil, true, 2_000_000, Left, "users could not log in"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, f := tunerOf(rootOf(t, row.files))
			if row.stuck {
				f.made = map[string]string{"fs/nr_open": "1048576"}
			}
			r := fullReport()
			r.Goal.Connections = row.goal
			s := apply(t, u, r, ApplyOptions{Persist: true})[limitsConf]
			if s.Outcome != row.outcome || !strings.Contains(s.Why, row.says) || s.Outcome == Left && !strings.Contains(s.Fix, "fs.nr_open") {
				t.Errorf("%+v", s)
			}
			if u.missing(limitsConf) != (row.outcome == Left) {
				t.Error("the file")
			}
		})
	}
}

// The file of sysctl.d(5) fails after it was planned: the one that depends on it is held back.
func TestPersistWithoutSysctls(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	f.before = func(call string) {
		if strings.HasPrefix(call, "create ") && strings.Contains(call, filepath.Base(sysctlConf)) && f.fault == none {
			f.fault, f.at = refused, len(f.calls)
		}
	}
	steps := apply(t, u, fullReport(), ApplyOptions{Persist: true})
	if s := steps[sysctlConf]; s.Outcome != Failed || s.Fix == "" {
		t.Errorf("%+v", s)
	}
	if s := steps[limitsConf]; s.Outcome != Left || !strings.Contains(s.Why, "could not be written") || !u.missing(limitsConf) {
		t.Errorf("%+v", s)
	}
}

func TestLaterSysctls(t *testing.T) {
	const key = "net.core.somaxconn"
	for _, row := range []struct {
		name  string
		files map[string]string
		from  string // the file that overrules ours; "": none
	}{
		{"none", nil, ""},
		{"earlier", map[string]string{"etc/sysctl.d/10-a.conf": key + "=1"}, ""},
		{"later", map[string]string{"etc/sysctl.d/99-a.conf": key + " = 128"}, "/etc/sysctl.d/99-a.conf"},
		{"later, the same", map[string]string{"etc/sysctl.d/99-a.conf": key + "=65535"}, ""},
		{"later, higher", map[string]string{"etc/sysctl.d/99-a.conf": key + "=65536"}, ""},
		{"later, one less", map[string]string{"etc/sysctl.d/99-a.conf": key + "=65534"}, "/etc/sysctl.d/99-a.conf"},
		{"of a package", map[string]string{"usr/lib/sysctl.d/99-a.conf": "net/core/somaxconn=1"}, "/usr/lib/sysctl.d/99-a.conf"},
		{"of a package, switched off", map[string]string{"usr/lib/sysctl.d/99-a.conf": key + "=1", "etc/sysctl.d/99-a.conf": ""}, ""},
		{"not .conf", map[string]string{"etc/sysctl.d/99-a": key + "=1"}, ""},
		{"the latest wins", map[string]string{"etc/sysctl.d/99-a.conf": key + "=1", "run/sysctl.d/99-b.conf": key + "=65535"}, ""},
		{"/etc/sysctl.conf", map[string]string{"etc/sysctl.conf": key + "=1"}, "/etc/sysctl.conf"},
		{"a pattern", map[string]string{"etc/sysctl.d/99-a.conf": "net.core.*=1"}, "/etc/sysctl.d/99-a.conf"},
		{"a pattern, but the key as well", map[string]string{"etc/sysctl.d/98-a.conf": key + "=65535", "etc/sysctl.d/99-a.conf": "net.core.*=1"}, ""},
		{"a comment", map[string]string{"etc/sysctl.d/99-a.conf": "# " + key + "=1\n; " + key + "=1\n" + key}, ""},
		{"ours alone", map[string]string{sysctlConf: key + "=1"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, steps := persist(t, row.files, reportOf(10, raise(key, "65535")))
			s, found := steps[key+" after the next boot"]
			if found != (row.from != "") || found && (s.Outcome != Left || !strings.HasPrefix(s.Why, row.from+" sets it to") || s.Fix == "") {
				t.Errorf("%+v", steps)
			}
		})
	}
}

func TestParseSysctls(t *testing.T) {
	for _, row := range []struct{ line, path, value string }{
		{"net.core.somaxconn = 5", "/proc/sys/net/core/somaxconn", "5"},
		{" -net/core/somaxconn=5\t 6 ", "/proc/sys/net/core/somaxconn", "5 6"},
		{"net.ipv4.conf.eth0/200.forwarding=1", "/proc/sys/net/ipv4/conf/eth0.200/forwarding", "1"},
		{"net/ipv4/conf/eth0.200/forwarding=1", "/proc/sys/net/ipv4/conf/eth0.200/forwarding", "1"},
		{"a=", "/proc/sys/a", ""}, {"a", "", ""}, {"=5", "", ""}, {"-net.x", "", ""}, {"#a=1", "", ""}, {"", "", ""},
	} {
		lines := parseSysctls(row.line)
		if len(lines) == 0 && row.path == "" {
			continue
		}
		if len(lines) != 1 || lines[0] != (sysctlLine{row.path, row.value}) {
			t.Errorf("%q: %+v", row.line, lines)
		}
	}
}

func FuzzParseSysctls(f *testing.F) {
	f.Add("net.core.somaxconn = 5\n# x\n-a.b=1 2\n", "net.core.somaxconn")
	f.Fuzz(func(t *testing.T, text, key string) {
		for _, l := range parseSysctls(text) {
			if !strings.HasPrefix(l.path, "/proc/sys/") || strings.ContainsAny(l.value, "\n\t") {
				t.Errorf("%q: %+v", text, l)
			}
		}
		w := wanted{Setting: Setting{Key: key, Path: "/" + sysctlFile(key), Value: "5"}}
		sysctlFiles{{"/x", parseSysctls(text)}}.overrules(w)
	})
}
