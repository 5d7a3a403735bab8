package tuning

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where a Tuner keeps what it found, and the file by which it keeps others out.
const (
	stateDir  = "/var/lib/dormouse"
	stateFile = stateDir + "/tuning.json"
	lockFile  = stateDir + "/tuning.lock"
)

// A lock is held by the one who may change the host. The kernel takes it away from a process that ends.
type lock struct{ *os.File }

func (l lock) release() { l.Close() }

// lock takes the lock or says who has it. make makes the directory that it lies in; without, an error is
// fs.ErrNotExist where there is none.
func (t Tuner) lock(make bool) (lock, error) {
	// Each turn is lost to another Tuner that finished and took the file away between two calls here.
	for range 100 {
		if err := t.checkDir(make); make && errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return lock{}, err
		}
		f, err := os.OpenFile(t.at(lockFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return lock{}, notChanged(err, lockFile)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			err = busy(f, err)
			f.Close()
			return lock{}, err
		}
		if !t.isLock(f) {
			f.Close()
			continue
		}
		// For the message of the one who is kept out; nothing depends on it.
		if err := f.Truncate(0); err == nil {
			_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
		return lock{f}, nil
	}
	return lock{}, ErrBusy
}

// isLock reports whether f is what others find under the name of the lock: its last holder may have removed
// it after it was opened.
func (t Tuner) isLock(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	found, err := os.Lstat(t.at(lockFile))
	return err == nil && os.SameFile(mine, found)
}

// busy makes the error of a lock that another has.
func busy(f *os.File, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return os.NewSyscallError("flock", err)
	}
	text, _ := io.ReadAll(io.LimitReader(f, 20))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		return fmt.Errorf("%w (pid %d)", ErrBusy, pid)
	}
	return ErrBusy
}

// checkDir refuses a directory that somebody other than root and us can write to, or that is a link to one:
// whoever writes the state decides what a Revert by root writes.
func (t Tuner) checkDir(make bool) error {
	info, err := os.Lstat(t.at(stateDir))
	if errors.Is(err, fs.ErrNotExist) && make {
		if err := t.makeDir(); err != nil {
			return err
		}
		info, err = os.Lstat(t.at(stateDir))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		return notChanged(err, stateDir)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory but %s: nothing was changed. Move it away", stateDir, kindOf(info))
	case !ownedSafely(info):
		return fmt.Errorf("others than root can write to %s (%s): nothing was changed, as who writes there decides what "+
			"revert writes. Make it root's alone: chown root %[1]s; chmod 700 %[1]s", stateDir, info.Mode())
	}
	return nil
}

func (t Tuner) makeDir() error {
	parent := filepath.Dir(stateDir)
	if info, err := os.Stat(t.at(parent)); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no directory %s to save in what was found: nothing was changed. Make it; in a "+
			"container mount one that outlives it", parent)
	}
	err := t.sys().mkdir(t.at(stateDir), 0o700)
	if err == nil {
		err = t.sys().sync(t.at(parent))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		_ = t.sys().remove(t.at(stateDir))
		return notChanged(err, stateDir)
	}
	return nil
}

// ownedSafely reports whether a file is root's or ours, and nobody else may write to it.
func ownedSafely(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid()) && info.Mode().Perm()&0o022 == 0
}

func kindOf(info fs.FileInfo) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "a symbolic link"
	case info.IsDir():
		return "a directory"
	case info.Mode().IsRegular():
		return "a file"
	}
	return "a special file"
}

func notChanged(err error, name string) error {
	why, fix := explain(err, name)
	if fix != "" {
		why += ": " + fix
	}
	return fmt.Errorf("nothing was changed: %s (%w)", why, err)
}
