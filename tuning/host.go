package tuning

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Host is what can be known of a host: the files below /proc, /sys, /etc, /run and of systemd below /usr
// that the checks read, and the environment of the process that asks. It is this machine ([ThisHost]) or a recording of another
// one ([ParseRecording]).
type Host struct {
	files files
	env   func(name string) string
	page  int64 // bytes
}

// files is a tree of files. Names are as in io/fs: proc/sys/fs/nr_open. Errors are as of package os, so that
// fs.ErrNotExist and fs.ErrPermission can be told.
type files interface {
	// ReadFile of proc/PID/fd, which is a directory, returns how many descriptors the process has.
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]string, error) // base names, sorted
}

// ThisHost is the machine that the program runs on. Nothing is read before it is asked for.
func ThisHost() *Host {
	return &Host{files: tree("/"), env: os.Getenv, page: int64(os.Getpagesize())}
}

// tree is the files below a directory.
type tree string

func (t tree) ReadFile(name string) ([]byte, error) {
	if ok, _ := path.Match("proc/*/fd", name); ok {
		return countDescriptors(path.Join(string(t), name))
	}
	return os.ReadFile(path.Join(string(t), name))
}

// countDescriptors counts what is in a directory as /proc/PID/fd. Since Linux 6.2 its size says so, to everybody
// (proc_fd_getattr in fs/proc/fd.c); before that it has to be read, by root or the process's own user.
func countDescriptors(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	var fs unix.Statfs_t
	if unix.Statfs(name, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC && info.Size() > 0 {
		return fmt.Appendln(nil, info.Size()), nil
	}
	d, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	n := 0
	for {
		names, err := d.Readdirnames(4096)
		n += len(names)
		if errors.Is(err, io.EOF) {
			return fmt.Appendln(nil, n), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t tree) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(path.Join(string(t), name))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// text returns a file's content without the space around it.
func (h *Host) text(name string) (string, error) {
	b, err := h.files.ReadFile(name)
	return strings.TrimSpace(string(b)), err
}

// numbers returns the whole numbers in a row that a file consists of, at least one. Numbers that do not fit,
// as the kernel's unlimited ones, are the largest that do.
func (h *Host) numbers(name string) ([]int64, error) {
	s, err := h.text(name)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return nil, &GarbageError{Path: "/" + name}
	}
	values := make([]int64, len(fields))
	for i, f := range fields {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // in which case v is the nearest that fits
			return nil, &GarbageError{Path: "/" + name, Content: clip(s)}
		}
		values[i] = v
	}
	return values, nil
}

// number is numbers for a file of one.
func (h *Host) number(name string) (int64, error) {
	v, err := h.numbers(name)
	if err == nil && len(v) != 1 {
		s, _ := h.text(name)
		err = &GarbageError{Path: "/" + name, Content: clip(s)}
	}
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// dir returns the names in a directory, none if it cannot be read.
func (h *Host) dir(name string) []string {
	names, err := h.files.ReadDir(name)
	if err != nil {
		return nil
	}
	return names
}

// exists reports whether a file is there, readable or not.
func (h *Host) exists(name string) bool {
	_, err := h.files.ReadFile(name)
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

// line returns the rest of the first line of a file that begins with a word and a colon, as in
// /proc/self/status; false if there is none.
func (h *Host) line(name, word string) (string, bool) {
	s, err := h.text(name)
	if err != nil {
		return "", false
	}
	for l := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(l, word+":"); ok {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// sysctlFile is where a setting of sysctl(8) lies.
func sysctlFile(key string) string {
	return "proc/sys/" + strings.ReplaceAll(key, ".", "/")
}

// Capabilities of capabilities(7), by their numbers in linux/capability.h.
const (
	capSysAdmin    = 21
	capSysResource = 24
)

// capable reports whether this process has a capability. What cannot be read, it has not.
func (h *Host) capable(capability uint) bool {
	s, ok := h.line("proc/self/status", "CapEff")
	set, err := strconv.ParseUint(s, 16, 64)
	return ok && err == nil && set>>capability&1 == 1
}

// cpus is how many processors this process may run on, 1 at least.
func (h *Host) cpus() int {
	s, ok := h.line("proc/self/status", "Cpus_allowed")
	n := 0
	for _, c := range s {
		v, err := strconv.ParseUint(string(c), 16, 4)
		if c == ',' {
			continue
		}
		if !ok || err != nil {
			return 1
		}
		n += int(v&1 + v>>1&1 + v>>2&1 + v>>3&1)
	}
	return max(n, 1)
}

// meminfo returns a line of /proc/meminfo in bytes.
func (h *Host) meminfo(word string) (int64, bool) {
	return h.kibibytes("proc/meminfo", word)
}

// kibibytes returns a line of a file that ends in kB, in bytes.
func (h *Host) kibibytes(name, word string) (int64, bool) {
	s, ok := h.line(name, word)
	s, unit := strings.CutSuffix(s, " kB")
	kib, err := strconv.ParseInt(s, 10, 64)
	return kib << 10, ok && unit && err == nil && kib >= 0 && kib < 1<<50
}

// container reports whether the process is in a network namespace that is not the first: there the kernel
// does not show net.core.netdev_max_backlog, nor tcp_mem (net/core/sysctl_net_core.c, net/ipv4/sysctl_net_ipv4.c).
func (h *Host) container() bool {
	return h.exists("proc/sys/net/ipv4/ip_local_port_range") && !h.exists("proc/sys/net/core/netdev_max_backlog")
}

// A GarbageError says that a file does not hold what it should.
type GarbageError struct {
	Path    string // absolute
	Content string // its beginning
}

func (e *GarbageError) Error() string {
	return fmt.Sprintf("%s holds %q, which cannot be understood", e.Path, e.Content)
}

// clip shortens what goes into an error.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// unread says why a value could not be read.
func (h *Host) unread(name string, err error) string {
	var garbage *GarbageError
	switch {
	case errors.As(err, &garbage):
		return garbage.Error()
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read /" + name + ": ask again as root"
	case errors.Is(err, fs.ErrNotExist) && h.container():
		return "not shown inside a container: look on its host"
	case errors.Is(err, fs.ErrNotExist):
		return "this kernel has no /" + name
	}
	return err.Error()
}

// among reports whether name is one of names.
func among(name string, names ...string) bool { return slices.Contains(names, name) }
