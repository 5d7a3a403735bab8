// Package sample reads what a process and the kernel spend: memory, CPU, descriptors, sockets. It asks
// nothing of the process that it looks at, but for [ScrapeMetrics].
package sample

import "time"

// A Process is what proc(5) says of a process at one moment. A value that cannot be read is 0.
type Process struct {
	PID     int           `json:"pid"`
	RSS     int64         `json:"rss"`      // resident memory in bytes: VmRSS
	PSS     int64         `json:"pss"`      // proportional share of it, shared pages divided by their users
	PeakRSS int64         `json:"peak_rss"` // VmHWM
	CPU     time.Duration `json:"cpu"`      // user and system time since it started
	Waited  time.Duration `json:"waited"`   // time that its runnable threads waited for a processor, since they started
	Threads int           `json:"threads"`
	FDs     int           `json:"fds"`
	FDLimit int64         `json:"fd_limit"` // soft limit of descriptors

	Go *Go `json:"go,omitempty"` // nil if it does not tell
}

// Go is what a Go program tells of its runtime by its /metrics, in the names of client_golang's Go
// collector.
type Go struct {
	HeapAlloc  int64         `json:"heap_alloc"`  // bytes of live and not yet swept objects
	HeapInuse  int64         `json:"heap_inuse"`  // bytes in spans with at least one object
	StackInuse int64         `json:"stack_inuse"` // bytes of stacks
	Sys        int64         `json:"sys"`         // bytes obtained from the kernel
	Goroutines int           `json:"goroutines"`
	GCs        int64         `json:"gcs"`          // collections since the start
	GCPause    time.Duration `json:"gc_pause"`     // sum of their pauses since the start
	GCPauseMax time.Duration `json:"gc_pause_max"` // the longest that is remembered
}

// Kernel is what the kernel of this host holds, for all processes together.
type Kernel struct {
	Slabs     map[string]Slab `json:"slabs,omitempty"` // by name, those of sockets; nil: /proc/slabinfo cannot be read
	SlabBytes int64           `json:"slab_bytes"`      // all slabs: Slab of /proc/meminfo
	Free      int64           `json:"free"`            // MemFree
	Available int64           `json:"available"`       // MemAvailable

	TCPInUse   int   `json:"tcp_in_use"` // established and listening sockets, /proc/net/sockstat and sockstat6
	TCPOrphans int   `json:"tcp_orphans"`
	TCPWaiting int   `json:"tcp_waiting"` // in TIME-WAIT
	TCPBytes   int64 `json:"tcp_bytes"`   // socket buffers: mem, in bytes

	Conntrack      int64 `json:"conntrack"`       // tracked flows
	ConntrackLimit int64 `json:"conntrack_limit"` // 0: conntrack is not loaded, or cannot be read
}

// A Slab is one kind of kernel object.
type Slab struct {
	Active int64 `json:"active"` // objects in use
	Bytes  int64 `json:"bytes"`  // of all its slabs, the free objects in them included
}
