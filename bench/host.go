package bench

import (
	"cmp"
	"math"
	"os"
	"runtime"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// readHost reads what this process runs on. What cannot be read is empty.
func readHost() Host {
	return readHostAt(procfs.DefaultMountPoint, "/sys")
}

func readHostAt(proc, sys string) Host {
	h := Host{CPUs: runtime.GOMAXPROCS(0), CPU: runtime.GOARCH, Go: runtime.Version()}
	h.Name, _ = os.Hostname()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	if self, err := sample.ReadProcess(0); err == nil {
		h.Descriptors = self.FDLimit
	}
	h.Clock = line(sys, "devices/system/clocksource/clocksource0/current_clocksource")
	h.Ports = strings.Join(strings.Fields(line(proc, "sys/net/ipv4/ip_local_port_range")), "-")
	f, err := procfs.NewFS(proc)
	if err != nil {
		return h
	}
	if cpus, err := f.CPUInfo(); err == nil && len(cpus) > 0 {
		h.CPU = cmp.Or(cpus[0].ModelName, h.CPU)
	}
	if m, err := f.Meminfo(); err == nil && m.MemTotalBytes != nil {
		h.Memory = int64(min(*m.MemTotalBytes, math.MaxInt64))
	}
	return h
}
