package tuning

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A system is the calls by which a Tuner changes a host. Each method is one thing that can fail, or be the last
// that a killed process did: the tests fail and kill at every one. Names are below the Root already. The last
// component is never followed if it is a symbolic link.
type system interface {
	// read returns the content of a file, an error if that is more than fileBytes.
	read(name string) ([]byte, error)

	// write replaces the content of a file that is there, by one write(2): the kernel takes a setting whole.
	write(name string, data []byte) error

	// create makes a file that is not there.
	create(name string, data []byte, mode fs.FileMode) error

	// sync puts a file or a directory on the disk.
	sync(name string) error

	rename(from, to string) error
	remove(name string) error // a file, or an empty directory
	mkdir(name string, mode fs.FileMode) error

	// prlimit returns a process's RLIMIT_NOFILE, and sets it unless limit is nil.
	prlimit(pid int, limit *rlimit) (rlimit, error)
}

// fileBytes bounds what is read and saved of a file: a fragment of configuration has some kilobytes.
const fileBytes = 1 << 20

var errLarge = fmt.Errorf("has more than %d bytes", fileBytes)

// kernel is the real system.
type kernel struct{}

func (kernel) read(name string) ([]byte, error) {
	// O_NONBLOCK: to open a FIFO that somebody put there does not wait for a writer.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytes+1))
	if err == nil && len(data) > fileBytes {
		err = &fs.PathError{Op: "read", Path: name, Err: errLarge}
	}
	return data, err
}

func (kernel) write(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (kernel) create(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask
	}
	return errors.Join(err, f.Close())
}

func (kernel) sync(name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if info, _ := f.Stat(); info != nil && info.IsDir() && errors.Is(err, unix.EINVAL) {
		err = nil // a file system on which directories cannot be synced (fsync(2)), and need not be
	}
	return errors.Join(err, f.Close())
}

func (kernel) rename(from, to string) error              { return os.Rename(from, to) }
func (kernel) remove(name string) error                  { return os.Remove(name) }
func (kernel) mkdir(name string, mode fs.FileMode) error { return os.Mkdir(name, mode) }

func (kernel) prlimit(pid int, limit *rlimit) (rlimit, error) {
	var was unix.Rlimit
	var set *unix.Rlimit
	if limit != nil {
		set = &unix.Rlimit{Cur: limit.Soft, Max: limit.Hard}
	}
	err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, set, &was)
	return rlimit{Soft: was.Cur, Hard: was.Max}, os.NewSyscallError("prlimit", err)
}

// tempOf is the name under which a file is written before it takes its place. It is the same every time, so
// that what a killed process left is found again, and not one that sysctl.d(5) and its like would read.
func tempOf(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".dormouse-new")
}

// replace writes a file whole or not at all, synced: a reader, and whoever looks after a crash, sees the old
// content or the new. A symbolic link of that name is replaced, not followed.
func (t Tuner) replace(name string, data []byte, mode fs.FileMode) error {
	name = t.at(name)
	temp := tempOf(name)
	if err := t.discard(temp); err != nil {
		return err
	}
	err := t.sys().create(temp, data, mode)
	if err == nil {
		err = t.sys().sync(temp)
	}
	if err == nil {
		err = t.sys().rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, t.discard(temp))
	}
	return t.sys().sync(filepath.Dir(name))
}

// discard removes a file, if it is there. name is below the Root already.
func (t Tuner) discard(name string) error {
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := t.sys().remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// explain says in words why a file could not be written, and what the operator has to do. fix is "" if there
// is nothing to say that why does not.
func explain(err error, name string) (why, fix string) {
	proc, sys := strings.HasPrefix(name, "/proc/"), strings.HasPrefix(name, "/sys/")
	switch {
	case errors.Is(err, unix.EROFS) && (proc || sys):
		top := "/proc/sys"
		if sys {
			top = "/sys"
		}
		return top + " is read-only: this is a container without the right",
			"set it on the host; of net.* also docker run --sysctl, if the container has a network of its own"
	case errors.Is(err, unix.EROFS):
		return filepath.Dir(name) + " is on a read-only file system", "put it into the image of the host; tune print writes it"
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return "no permission to write " + name, "do it as root"
	case errors.Is(err, fs.ErrPermission):
		return "root may not write " + name + " here, as in a container without the capability", "set it on the host"
	case errors.Is(err, unix.EINVAL) && (proc || sys):
		return "the kernel refuses the value (EINVAL)", "see what else it depends on, as dormouse tune check says"
	case errors.Is(err, fs.ErrNotExist) && (proc || sys):
		return "this kernel has no " + name + " (any more)", ""
	case errors.Is(err, unix.ELOOP):
		return name + " is a symbolic link", ""
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "no space is left for " + name, "make room"
	}
	return err.Error(), ""
}
