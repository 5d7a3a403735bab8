package sample

// The tests of this package are inside it, to look at a recorded /proc instead of the machine's.

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// recorded is a copy of the recorded /proc, with a process 4711 that has six descriptors, of which one
// is a listener. Files can be broken in it.
func recorded(t *testing.T) string {
	t.Helper()
	mount := t.TempDir()
	if err := os.CopyFS(mount, os.DirFS("testdata/proc")); err != nil {
		t.Fatal(err)
	}
	fds := filepath.Join(mount, "4711", "fd")
	if err := os.Mkdir(fds, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, to := range []string{"/dev/null", "/dev/null", "/dev/null", "anon_inode:[eventpoll]", "socket:[18211596]", "socket:[18211777]"} {
		if err := os.Symlink(to, filepath.Join(fds, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	return mount
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path ...string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

var recordedProcess = Process{
	PID: 4711, RSS: 70356 << 10, PeakRSS: 70356 << 10, CPU: 230 * time.Millisecond,
	Waited: 14898998 + 20428898, Threads: 5, FDs: 6, FDLimit: 20000,
}

func TestReadProcess(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(mount string)
		want   func(p *Process) // how it differs from the recorded one
		err    error
	}{
		{name: "as recorded"},
		{name: "another user's descriptors", change: func(m string) { remove(t, m, "4711/fd") }, want: func(p *Process) { p.FDs = 0 }},
		{name: "no limits", change: func(m string) { remove(t, m, "4711/limits") }, want: func(p *Process) { p.FDLimit = 0 }},
		{name: "limits of garbage", change: func(m string) { write(t, "a\nb\n", m, "4711/limits") }, want: func(p *Process) { p.FDLimit = 0 }},
		{name: "no scheduler statistics", change: func(m string) { remove(t, m, "4711/task") }, want: func(p *Process) { p.Waited = 0 }},
		{name: "a thread that has ended", change: func(m string) { remove(t, m, "4711/task/4712/schedstat") }, want: func(p *Process) { p.Waited = 14898998 }},
		{name: "scheduler statistics of garbage", change: func(m string) { write(t, "\x00", m, "4711/task/4712/schedstat") },
			want: func(p *Process) { p.Waited = 14898998 }},
		{name: "a kernel thread, without memory", change: func(m string) { write(t, "Name:\tkthreadd\nPid:\t4711\n", m, "4711/status") },
			want: func(p *Process) { p.RSS, p.PeakRSS = 0, 0 }},
		{name: "no process", change: func(m string) { remove(t, m, "4711") }, err: fs.ErrNotExist},
		{name: "a process that ends meanwhile", change: func(m string) { remove(t, m, "4711/stat") }, err: fs.ErrNotExist},
		{name: "a zombie", change: func(m string) { replace(t, " S ", " Z ", m, "4711/stat") }, err: os.ErrProcessDone},
	} {
		t.Run(row.name, func(t *testing.T) {
			mount := recorded(t)
			if row.change != nil {
				row.change(mount)
			}
			got, err := readProcess(mount, 4711)
			if !errors.Is(err, row.err) || (err != nil) != (row.err != nil) {
				t.Fatalf("the error is %v, want %v", err, row.err)
			}
			want := recordedProcess
			if row.want != nil {
				row.want(&want)
			}
			if err == nil && got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func replace(t *testing.T, from, to string, path ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	write(t, strings.Replace(string(b), from, to, 1), path...)
}

func TestReadProcessOfGarbage(t *testing.T) {
	mount := recorded(t)
	write(t, "4711 srv\x00", mount, "4711/stat")
	if p, err := readProcess(mount, 4711); err == nil {
		t.Errorf("stat is garbage, and it reads %+v", p)
	}
}

func TestReadPSS(t *testing.T) {
	mount := recorded(t)
	if got, err := readPSS(mount, 4711); err != nil || got != 69065<<10 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := readPSS(mount, 4712); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no process: %v", err)
	}
	remove(t, mount, "4711/smaps_rollup")
	if got, err := readPSS(mount, 4711); err == nil {
		t.Errorf("without the file: %d", got)
	}
}

func TestGone(t *testing.T) {
	if err := gone(7, &fs.PathError{Op: "read", Path: "/proc/7/stat", Err: syscall.ESRCH}); !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

func TestReadEndedProcess(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Skip(err)
	}
	_, err := ReadProcess(cmd.Process.Pid)
	if !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}

// This process, before and after it has filled 32 MiB.
func TestReadThisProcess(t *testing.T) {
	before, err := ReadProcess(0)
	if err != nil {
		t.Fatal(err)
	}
	const size = 32 << 20
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(b) }()
	for i := range b {
		b[i] = 1
	}
	f, err := os.Open("testdata")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	after, err := ReadProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The runtime may give back or take some of its own meanwhile.
	if grown := after.RSS - before.RSS; grown < size*3/4 || grown > 2*size {
		t.Errorf("resident memory has grown by %d, want about %d", grown, size)
	}
	if after.FDs <= before.FDs || after.FDLimit < int64(after.FDs) || after.Threads < 1 || after.PID != os.Getpid() {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	if after.CPU < before.CPU || after.PeakRSS < after.RSS*9/10 {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	if pss, err := ReadPSS(0); err != nil || pss < size {
		t.Errorf("PSS is %d, %v", pss, err)
	}
}

func TestCountEntries(t *testing.T) {
	dir := t.TempDir()
	const n = listBatch + 3
	for i := range n {
		write(t, "", dir, strconv.Itoa(i))
	}
	if got := countDescriptors(dir); got != n {
		t.Errorf("got %d, want %d", got, n)
	}
}

func TestReadRuntime(t *testing.T) {
	g := ReadRuntime()
	if g.HeapAlloc <= 0 || g.HeapInuse < g.HeapAlloc || g.StackInuse <= 0 || g.Sys < g.HeapInuse || g.Goroutines < 2 {
		t.Errorf("got %+v", g)
	}
}
