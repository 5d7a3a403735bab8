package sample

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

const (
	// userHZ is the unit of times in proc_pid_stat(5): sysconf(_SC_CLK_TCK), 100 on all but Alpha.
	userHZ = 100

	// maxThreads bounds the files that a reading opens, one for each thread.
	maxThreads = 1000

	// maxListed bounds a count of descriptors on kernels before 6.2, which have to list them: about a
	// microsecond each.
	maxListed = 1 << 16
	listBatch = 512
)

// ReadProcess reads what proc(5) says of a process; 0 is this one. The error is [os.ErrProcessDone] or
// [fs.ErrNotExist] if there is none, or none any more; a value that alone cannot be read is 0.
//
// It costs some tenths of a millisecond whatever the process holds, and so leaves out PSS, for which the
// kernel walks its page tables: see [ReadPSS]. Before Linux 6.2 FDs is at most 65,536.
func ReadProcess(pid int) (Process, error) {
	return readProcess(procfs.DefaultMountPoint, pid)
}

func readProcess(mount string, pid int) (Process, error) {
	p, pid, err := open(mount, pid)
	if err != nil {
		return Process{}, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return Process{}, gone(pid, err)
	}
	stat, err := p.Stat()
	if err != nil {
		return Process{}, gone(pid, err)
	}
	if stat.State == "Z" || stat.State == "X" {
		return Process{}, gone(pid, os.ErrProcessDone)
	}
	dir := filepath.Join(mount, strconv.Itoa(pid))
	return Process{
		PID: pid, RSS: int64(status.VmRSS), PeakRSS: int64(status.VmHWM),
		CPU:     time.Duration(stat.UTime+stat.STime) * (time.Second / userHZ),
		Threads: stat.NumThreads, Waited: waited(dir, stat.NumThreads),
		FDs: countDescriptors(filepath.Join(dir, "fd")), FDLimit: descriptorLimit(dir),
	}, nil
}

// ReadPSS reads the proportional share of a process's memory, of proc_pid_smaps(5). The kernel walks all
// its pages for that, some ten milliseconds for each gigabyte, in which the process can map no memory: not
// something to do to a target while it is measured.
func ReadPSS(pid int) (int64, error) {
	return readPSS(procfs.DefaultMountPoint, pid)
}

func readPSS(mount string, pid int) (int64, error) {
	p, pid, err := open(mount, pid)
	if err != nil {
		return 0, err
	}
	s, err := p.ProcSMapsRollup()
	if err != nil {
		return 0, gone(pid, err)
	}
	return int64(s.Pss), nil
}

func open(mount string, pid int) (procfs.Proc, int, error) {
	if pid == 0 {
		pid = os.Getpid()
	}
	f, err := procfs.NewFS(mount)
	if err != nil {
		return procfs.Proc{}, pid, fmt.Errorf("sample: %w", err)
	}
	p, err := f.Proc(pid)
	if err != nil {
		return procfs.Proc{}, pid, gone(pid, err)
	}
	return p, pid, nil
}

// gone says of which process an error is. A read of /proc/PID that was open when it ended is ESRCH.
func gone(pid int, err error) error {
	switch {
	case errors.Is(err, syscall.ESRCH), errors.Is(err, os.ErrProcessDone):
		return fmt.Errorf("sample: process %d has ended: %w", pid, os.ErrProcessDone)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sample: there is no process %d: %w", pid, fs.ErrNotExist)
	}
	return fmt.Errorf("sample: process %d: %w", pid, err)
}

// waited sums the second field of schedstat over all threads. /proc/PID/schedstat is of the main thread
// alone (fs/proc/base.c), and what threads waited that have ended is gone: the sum can shrink.
func waited(dir string, threads int) time.Duration {
	if threads > maxThreads {
		return 0
	}
	d, err := os.Open(filepath.Join(dir, "task"))
	if err != nil {
		return 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxThreads)
	var sum int64
	var buf [128]byte
	for _, thread := range names {
		ns, _ := field(readFile(filepath.Join(dir, "task", thread, "schedstat"), buf[:]), 1)
		sum += ns
	}
	return time.Duration(sum)
}

// descriptorLimit reads the soft limit of open files; the largest number if it is unlimited.
func descriptorLimit(dir string) int64 {
	var buf [4096]byte
	_, line, _ := bytes.Cut(readFile(filepath.Join(dir, "limits"), buf[:]), []byte("\nMax open files "))
	if bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("unlimited")) {
		return math.MaxInt64
	}
	n, _ := field(line, 0)
	return n
}

// countDescriptors counts the entries of /proc/PID/fd. Since Linux 6.2 their number is the directory's
// size (proc_pid_fd(5)), which anybody may see.
func countDescriptors(dir string) int {
	var st unix.Stat_t
	var where unix.Statfs_t
	if unix.Stat(dir, &st) == nil && st.Size > 0 &&
		unix.Statfs(dir, &where) == nil && where.Type == unix.PROC_SUPER_MAGIC {
		return int(st.Size)
	}
	return countEntries(dir)
}

func countEntries(dir string) int {
	d, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer d.Close()
	for n := 0; ; {
		names, err := d.Readdirnames(listBatch)
		n += len(names)
		if err == io.EOF || n >= maxListed {
			return n
		}
		if err != nil {
			return 0
		}
	}
}
