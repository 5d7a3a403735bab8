package poller

import (
	"os"

	"golang.org/x/sys/unix"
)

// RaiseDescriptorLimit raises the soft limit of descriptors of this process to the hard one
// (getrlimit(2)) and returns what it is then: the bound of the connections it can hold.
func RaiseDescriptorLimit() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	if r.Cur == r.Max {
		return r.Cur, nil
	}
	soft := r.Cur
	r.Cur = r.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return soft, os.NewSyscallError("setrlimit", err)
	}
	return r.Cur, nil
}
