package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The host that is tuned in these tests is a directory with plain files for those of the kernel.

const (
	thpDefrag = "/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none"
	thpFile   = "/sys/kernel/mm/transparent_hugepage/enabled"
	shellPID  = 412
)

// statOf is /proc/PID/stat.
func statOf(pid int, name string, parent int, start uint64) string {
	return fmt.Sprintf("%d (%s) S %d %d 1 0 -1 4194304 1 1 1 1 1 1 1 1 20 0 1 0 %d 1 1 1\n", pid, name, parent, pid, start)
}

// rootOf makes a host: a stock one with systemd and PAM, and the files given, of which "-" takes one away and
// a name that ends in / is a directory.
func rootOf(t testing.TB, files map[string]string) string {
	t.Helper()
	all := map[string]string{
		"proc/sys/fs/nr_open":                   "1048576\n",
		"proc/sys/net/core/somaxconn":           "4096\n",
		"proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
		"proc/sys/net/ipv4/tcp_mem":             "100\t200\t300\n",
		"proc/sys/kernel/random/boot_id":        "8f0f1c6e-0000-4000-8000-000000000001\n",
		thpFile[1:]:                             "always [madvise] never\n",
		thpDefrag[1:]:                           "511\n",
		"proc/self/stat":                        statOf(1000, "dormouse", 999, 9000),
		"proc/999/stat":                         statOf(999, "sudo", 998, 8999),
		"proc/998/stat":                         statOf(998, "sudo", shellPID, 8998),
		"proc/412/stat":                         statOf(shellPID, "bash", 1, 500),
		"proc/self/status":                      "CapEff:\t000001ffffffffff\n",
		"etc/sysctl.d/":                         "", "etc/security/limits.d/": "", "etc/systemd/system/": "", "var/lib/": "",
	}
	for name, text := range files {
		all[strings.TrimPrefix(name, "/")] = text
	}
	root := t.TempDir()
	for name, text := range all {
		if text != "-" {
			put(t, root, name, text)
		}
	}
	return root
}

// put writes a file of a host, or makes a directory if its name ends in /.
func put(t testing.TB, root, name, text string) {
	t.Helper()
	full := filepath.Join(root, name)
	dir := filepath.Dir(full)
	if strings.HasSuffix(name, "/") {
		dir = full
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir == full {
		return
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func textAt(t testing.TB, root, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// snapshot is everything below a root: modes and contents.
func snapshot(t testing.TB, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		fmt.Fprintf(&b, "%s %s", info.Mode(), rel)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text := string(data)
			if strings.HasPrefix(rel, "proc/") || strings.HasPrefix(rel, "sys/") {
				text = content("/"+rel, text) // tabs and spaces are the same there
			}
			fmt.Fprintf(&b, " %q", text)
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(name)
			fmt.Fprintf(&b, " -> %s", to)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// raise is a Finding that wants one number or a row of them.
func raise(key, value string) Finding {
	return Finding{Name: key, Verdict: Raise, Why: "It is too low for so many connections, which is said here in a sentence longer than a line.",
		Settings: []Setting{{Key: key, Path: "/" + sysctlFile(key), Value: value}}}
}

// reportOf is a Report for so many connections.
func reportOf(connections int64, findings ...Finding) *Report {
	return &Report{Goal: Goal{Connections: connections, Role: Server}, Findings: findings}
}

// fullReport wants something of every kind. fs.nr_open is not the first, but has to be written first.
func fullReport() *Report {
	fine := raise("net.core.somaxconn", "4096")
	fine.Verdict = OK
	words := Finding{Name: "transparent_hugepage", Verdict: Set, Why: "It costs memory.",
		Settings: []Setting{{Path: thpDefrag, Value: "0"}, {Path: thpFile, Value: "never"}}}
	return reportOf(2_000_000, raise("net.ipv4.ip_local_port_range", "1024 60999"), raise("fs.nr_open", "2001024"), fine,
		raise("net.ipv4.tcp_mem", "100 500 600"), words)
}

// A fault is what befalls a Tuner at one of its calls.
type fault uint8

const (
	none       fault = iota
	refused          // the call does nothing and returns an error
	broken           // a file is written half, and an error returned; other calls are done, and return an error
	killedHalf       // the process is gone half way through writing a file
	killedDone       // after the call
	killedReal       // before the call, by SIGKILL
)

var errFault = errors.New("a fault of the test's making")

// faulty is the kernel, but for one call, and for limits, which are numbers in memory: 20000 is the hard one.
type faulty struct {
	kernel
	at     int // the call that the fault is at, from 0
	fault  fault
	calls  []string // that would change something
	dead   bool
	limits map[int]rlimit
	weak   bool // no CAP_SYS_RESOURCE
	nrOpen func() uint64
	made   map[string]string // what the kernel makes of what is written, by the name's end
	before func(call string)
}

func (f *faulty) do(call string, whole, half func() error) error {
	if f.before != nil {
		f.before(call)
	}
	if f.dead {
		return errFault
	}
	f.calls = append(f.calls, call)
	if f.fault == none || len(f.calls)-1 != f.at {
		return whole()
	}
	switch f.fault {
	case broken:
		return errors.Join(errFault, half())
	case killedHalf:
		f.dead = true
		return errors.Join(errFault, half())
	case killedDone:
		f.dead = true
		return errors.Join(errFault, whole())
	case killedReal:
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {} // it does not return from there
	}
	return errFault
}

func (f *faulty) simple(call string, whole func() error) error { return f.do(call, whole, whole) }

func (f *faulty) write(name string, data []byte) error {
	if f.dead {
		return errFault
	}
	whole := func() error {
		for end, made := range f.made {
			if strings.HasSuffix(name, end) {
				data = []byte(made + "\n")
			}
		}
		return f.kernel.write(name, data)
	}
	// A setting is taken whole or not at all: no half.
	return f.do("write "+filepath.Base(name), whole, func() error { return nil })
}

func (f *faulty) create(name string, data []byte, mode fs.FileMode) error {
	return f.do("create "+filepath.Base(name), func() error { return f.kernel.create(name, data, mode) },
		func() error { return f.kernel.create(name, data[:len(data)/2], 0o600) })
}

// sync does not wait for the disk.
func (f *faulty) sync(name string) error {
	return f.simple("sync "+filepath.Base(name), func() error { return nil })
}

func (f *faulty) rename(from, to string) error {
	return f.simple("rename "+filepath.Base(to), func() error { return f.kernel.rename(from, to) })
}

func (f *faulty) remove(name string) error {
	return f.simple("remove "+filepath.Base(name), func() error { return f.kernel.remove(name) })
}

func (f *faulty) mkdir(name string, mode fs.FileMode) error {
	return f.simple("mkdir "+filepath.Base(name), func() error { return f.kernel.mkdir(name, mode) })
}

// prlimit has the rules of do_prlimit in kernel/sys.c.
func (f *faulty) prlimit(pid int, limit *rlimit) (rlimit, error) {
	was, ok := f.limits[pid]
	if !ok {
		return was, unix.ESRCH
	}
	if limit == nil {
		return was, nil
	}
	return was, f.simple("prlimit", func() error {
		if limit.Hard > f.nrOpen() || limit.Hard > was.Hard && f.weak {
			return unix.EPERM
		}
		f.limits[pid] = *limit
		return nil
	})
}

// tunerOf is a Tuner of a host with nothing wrong, and what it does it by.
func tunerOf(root string) (Tuner, *faulty) {
	t := Tuner{Root: root}
	f := &faulty{limits: map[int]rlimit{shellPID: {Soft: 1024, Hard: 20000}, 1: {Soft: 1024, Hard: 524288}}}
	f.nrOpen = func() uint64 {
		v, _ := t.host().number("proc/sys/fs/nr_open")
		return uint64(v)
	}
	t.calls = f
	return t, f
}

// apply is an Apply that must not return an error.
func apply(t testing.TB, u Tuner, r *Report, o ApplyOptions) map[string]Step {
	t.Helper()
	steps, err := u.Apply(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return byName(t, steps)
}

// revert is a Revert that must not return an error.
func revert(t testing.TB, u Tuner) map[string]Step {
	t.Helper()
	steps, err := u.Revert(false)
	if err != nil {
		t.Fatal(err)
	}
	return byName(t, steps)
}

func byName(t testing.TB, steps []Step) map[string]Step {
	t.Helper()
	all := map[string]Step{}
	for _, s := range steps {
		if _, twice := all[s.What]; twice {
			t.Errorf("two steps are called %s", s.What)
		}
		if s.Outcome >= Left && s.Why == "" {
			t.Errorf("%+v does not say why", s)
		}
		all[s.What] = s
	}
	return all
}
