package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// recordable is a host with one of everything that a recording holds.
func recordable(t testing.TB) *Host {
	h := hostOf(t, map[string]string{
		"proc/sys/kernel/osrelease":               "6.12.0\n",
		"proc/sys/fs/nr_open":                     "1048576\n",
		"proc/sys/fs/file-max":                    "9223372036854775807\n",
		"proc/sys/net/core/somaxconn":             "4096\n",
		"proc/sys/net/core/netdev_max_backlog":    "1000\n",
		"proc/sys/net/ipv4/ip_local_port_range":   "32768\t60999\n",
		"proc/sys/net/netfilter/nf_conntrack_max": "65536\n",
		"proc/meminfo":                            "MemTotal:        8000000 kB\nMemAvailable:    7000000 kB\n",
		"proc/slabinfo":                           "!EACCES",
		"proc/self/status":                        "Name:\tbash\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nCpus_allowed:\tff\n",
		"proc/self/limits":                        "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n",
		"proc/self/cgroup":                        "0::/user.slice\n",
		"sys/class/net/lo/queues/rx-0/rps_cpus":   "0\n",
	})
	return withEnv(h, "GOMEMLIMIT", "1GiB")
}

// eisdir is a tree in which a name is a directory that cannot be read as a file, as in a real one.
type eisdir struct {
	files
	name string
}

func (e eisdir) ReadFile(name string) ([]byte, error) {
	if name == e.name {
		return nil, &fs.PathError{Op: "read", Path: "/some/where/" + name, Err: syscall.EISDIR}
	}
	return e.files.ReadFile(name)
}

func TestRecordRoundTrip(t *testing.T) {
	for name, h := range map[string]*Host{
		"of files":      recordable(t),
		"empty":         hostOf(t, nil),
		"this":          {files: frozen(ThisHost().files), env: ThisHost().env, page: ThisHost().page},
		"no permission": {files: forbidden{}, env: func(string) string { return "" }, page: 65536},
	} {
		t.Run(name, func(t *testing.T) {
			g := Goal{Connections: 1_000_000, Role: Server}
			data, err := Record(h, g)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseRecording(data)
			if err != nil {
				t.Fatalf("%v in\n%s", err, data)
			}
			for _, g := range []Goal{g, {Connections: 1, Role: LoadGen, Sources: 3}, {Connections: 10_000_000, Role: Both}} {
				want, err := Examine(h, g)
				if err != nil {
					t.Fatal(err)
				}
				got, err := Examine(again, g)
				if err != nil {
					t.Fatal(err)
				}
				compareReports(t, got, want)
			}
			twice, err := Record(again, g)
			if err != nil || string(twice) != string(data) {
				t.Errorf("a recording of the recording: %v, and it is another one:\n%s\nwant\n%s", err, twice, data)
			}
		})
	}
}

func compareReports(t *testing.T, got, want *Report) {
	t.Helper()
	for i := range min(len(got.Findings), len(want.Findings)) {
		if !reflect.DeepEqual(got.Findings[i], want.Findings[i]) {
			t.Errorf("of the recording %+v\nof the host %+v", got.Findings[i], want.Findings[i])
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("of the recording %+v\nof the host %+v", got, want)
	}
}

// frozen is files that stay as they were when they were read first.
func frozen(from files) files {
	return &freezer{from: from, read: map[string]func() ([]byte, error){}, listed: map[string]func() ([]string, error){}}
}

type freezer struct {
	from   files
	read   map[string]func() ([]byte, error)
	listed map[string]func() ([]string, error)
}

func (f *freezer) ReadFile(name string) ([]byte, error) {
	if f.read[name] == nil {
		b, err := f.from.ReadFile(name)
		if strings.HasPrefix(name, "etc/security/") {
			b = []byte(trimmed(name, string(b))) // findings have the names of users that are there
		}
		f.read[name] = func() ([]byte, error) { return b, err }
	}
	return f.read[name]()
}

func (f *freezer) ReadDir(name string) ([]string, error) {
	if f.listed[name] == nil {
		names, err := f.from.ReadDir(name)
		f.listed[name] = func() ([]string, error) { return names, err }
	}
	return f.listed[name]()
}

// forbidden is files none of which may be read.
type forbidden struct{}

func (forbidden) ReadFile(name string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.EACCES}
}

func (forbidden) ReadDir(name string) ([]string, error) {
	return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.EACCES}
}

// recordOf reads names of files as Record would, and returns what becomes of them.
func recordOf(t testing.TB, from files, names, dirs []string) (*recorder, *Host) {
	t.Helper()
	r := &recorder{from: from, missing: map[string]bool{}, recording: newRecording()}
	for _, name := range names {
		r.ReadFile(name)
	}
	for _, name := range dirs {
		r.ReadDir(name)
	}
	data, err := r.format(func(string) string { return "" }, 4096)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseRecording(data)
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return r, h
}

// TestRecordedContent: contents that txtar does not give back as they are.
func TestRecordedContent(t *testing.T) {
	for _, content := range []string{
		"", "\n", "1\n", "1", "\n\n", "-- proc/stat --\n", "a\n-- proc/stat --\nb\n", "-- no marker\n", "a\n-- b\n",
		"a\r\n", "\x00", "\xff\n", "\uFFFD\n", "\"1\"\n", "größer\n", "`\n", "a\tb  c \n", "\u0085\n",
	} {
		_, h := recordOf(t, mapTree{"proc/meminfo": content}, []string{"proc/meminfo"}, nil)
		if b, err := h.files.ReadFile("proc/meminfo"); err != nil || string(b) != content {
			t.Errorf("of %q became %q, %v", content, b, err)
		}
	}
}

func TestRecordedErrorsAndDirectories(t *testing.T) {
	tree := eisdir{mapTree{
		"sys/class/net/lo/a": "1\n", "sys/class/net/eth0/a": "2\n", "proc/slabinfo": "!EACCES", "proc/stat": "cpu 0\n",
	}, "sys/class/net/lo"}
	r, h := recordOf(t, tree, []string{"sys/class/net/lo", "proc/slabinfo", "proc/stat", "proc/swaps"},
		[]string{"sys/class/net", "sys/class/block", "proc/stat"})
	for _, f := range []files{r, h.files} {
		if names, err := f.ReadDir("sys/class/net"); err != nil || fmt.Sprint(names) != "[eth0 lo]" {
			t.Errorf("the directory has %v, %v", names, err)
		}
		if _, err := f.ReadDir("sys/class/block"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing directory: %v", err)
		}
		if _, err := f.ReadDir("proc/stat"); err == nil {
			t.Error("a file was read as a directory")
		}
		if _, err := f.ReadFile("sys/class/net/lo"); err == nil || err.Error() != "read /sys/class/net/lo: is a directory" {
			t.Errorf("a directory read as a file: %v", err)
		}
		if _, err := f.ReadFile("proc/slabinfo"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("no permission: %v", err)
		}
		if _, err := f.ReadFile("proc/swaps"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing file: %v", err)
		}
	}
}

// TestRecordKeepsSecrets reads files with something in them that names a person, a machine or a peer.
func TestRecordKeepsSecrets(t *testing.T) {
	const secret = "s3cr3t"
	names := []string{
		"proc/self/environ", "proc/self/cmdline", "proc/self/comm", "proc/self/maps", "proc/1/comm", "proc/1/environ", "proc/self/stat",
		"proc/self/net/tcp", "proc/self/task/1/environ", "proc/net/tcp", "proc/net/tcp6", "proc/net/nf_conntrack",
		"proc/net/arp", "proc/net/route", "proc/cmdline", "proc/version", "proc/mounts", "proc/sys/kernel/hostname",
		"proc/sys/kernel/domainname", "proc/sys/kernel/random/boot_id", "proc/sys/kernel/core_pattern",
		"sys/class/net/eth0/address", "sys/class/dmi/id/product_serial", "run/user/1000/x", "run/secrets/key",
		"etc/passwd", "etc/hostname",
	}
	tree := mapTree{
		"etc/sysctl.conf":                              "# by " + secret + "\n;" + secret + "\n  # " + secret + "\nfs.nr_open = 1\n",
		"proc/self/status":                             "Name:\t" + secret + "\nGroups:\t" + secret + "\nNSpid:\t" + secret + "\nCapEff:\t00\n",
		"etc/security/limits.conf":                     "# " + secret + "\n" + secret + " - nofile 1000\n\t" + secret + "\thard nofile 5 # " + secret + "\n* - nofile 7\n@wheel - nofile 8\n",
		"etc/systemd/system/dormouse.service.d/a.conf": "[Service]\nEnvironment=TOKEN=" + secret + "\n#LimitNOFILE=" + secret + "\nLimitNOFILE=9\n",
		"usr/lib/systemd/system/dormouse.service":      "[Service]\nEnvironment=TOKEN=" + secret + "\nLimitNOFILE=9\n",
		"proc/self/mountinfo":                          "22 23 0:28 / /home/" + secret + "/root/proc rw - proc proc rw\n31 23 0:27 / /mnt rw - nfs4 " + secret + ":/home rw\n25 1 0:22 / /sys/fs/cgroup rw - cgroup2 none rw\n",
	}
	want := map[string]string{
		"etc/sysctl.conf":                              "fs.nr_open = 1\n",
		"proc/self/status":                             "CapEff:\t00\n",
		"etc/security/limits.conf":                     "somebody - nofile 1000\n\tsomebody\thard nofile 5 \n* - nofile 7\n@wheel - nofile 8\n",
		"etc/systemd/system/dormouse.service.d/a.conf": "[Service]\nLimitNOFILE=9\n",
		"usr/lib/systemd/system/dormouse.service":      "[Service]\nLimitNOFILE=9\n",
		"proc/self/mountinfo":                          "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 none rw\n",
	}
	for _, name := range names {
		tree[name] = secret + "\n"
	}
	for name := range want {
		names = append(names, name)
	}
	_, h := recordOf(t, tree, names, nil)
	for _, name := range names {
		b, err := h.files.ReadFile(name)
		if want[name] == "" && !errors.Is(err, fs.ErrPermission) || string(b) != want[name] {
			t.Errorf("%s holds %q, %v; want %q", name, b, err, want[name])
		}
	}
	env := map[string]string{"PASSWORD": secret, "GOGC": "50"}
	h = hostOf(t, nil)
	h.env = func(name string) string { return env[name] }
	if h.env = onlyRecorded(h.env); h.env("PASSWORD") != "" || h.env("GOGC") != "50" {
		t.Error("the environment is not that of the Go runtime")
	}
}

func TestRecordRefuses(t *testing.T) {
	if _, err := Record(hostOf(t, nil), Goal{}); err == nil {
		t.Error("a goal of no connections was recorded")
	}
	for _, name := range []string{"etc/sysctl.d/a b", "sys/a\nb", "tmp/x", "sys/" + strings.Repeat("a/", maxRecordedDepth) + "b"} {
		r := &recorder{from: mapTree{name: "1\n"}, missing: map[string]bool{}, recording: newRecording()}
		r.contents[name] = "1\n"
		if _, err := r.format(func(string) string { return "" }, 4096); err == nil {
			t.Errorf("%q was recorded", name)
		}
	}
	r := newRecording()
	for i := range maxRecordedNames + 1 {
		r.contents[fmt.Sprintf("sys/class/net/eth%d", i)] = "1\n"
	}
	if _, err := r.format(func(string) string { return "" }, 4096); err == nil {
		t.Errorf("%d names were recorded, and ParseRecording takes %d", len(r.contents), maxRecordedNames)
	}
}

func FuzzRecordedContent(f *testing.F) {
	f.Add("1\n")
	f.Add("a\n-- proc/stat --\n")
	f.Fuzz(func(t *testing.T, content string) {
		if content == "!EACCES" {
			return
		}
		_, h := recordOf(t, mapTree{"proc/meminfo": content}, []string{"proc/meminfo"}, nil)
		if b, err := h.files.ReadFile("proc/meminfo"); err != nil || string(b) != content {
			t.Errorf("of %q became %q, %v", content, b, err)
		}
	})
}
