package tuning

// A Prediction is the memory that a Goal needs on a host.
type Prediction struct {
	// Kernel has what the kernel keeps for one end of an idle connection; KernelBytes is the sum over
	// the ends on this host, as ProcessBytes is what the process (or the two) keeps at rest, and
	// ProcessPeak while connections come and the collector has not caught up.
	Kernel       []Part `json:"kernel"`
	KernelBytes  int64  `json:"kernelBytes"`
	ProcessBytes int64  `json:"processBytes"`
	ProcessPeak  int64  `json:"processPeak"`

	// Base is what the process needs without a connection.
	Base int64 `json:"base"`

	// Buffers is what messages on their way hold in the kernel, over all connections.
	Buffers int64 `json:"buffers"`

	// Total is what the goal needs: Base, Buffers, and for each connection KernelBytes and ProcessPeak.
	Total int64 `json:"total"`

	// Available is what may be used, in bytes, and AvailableFrom who says so: MemAvailable, a cgroup's
	// memory.max, --memory. Unbounded and "" if it cannot be read.
	Available     int64  `json:"available"`
	AvailableFrom string `json:"availableFrom"`

	// Largest is the largest number of connections for which Total is no more than Available.
	Largest int64 `json:"largest"`

	// Pressure is the number of connections at which TCP comes under memory pressure (tcp(7), tcp_mem)
	// when each of them has one message under way; 0 if tcp_mem cannot be read.
	Pressure int64 `json:"pressure,omitzero"`
}

// A Part is what one kind of object costs.
type Part struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // for one connection's end
	From  string `json:"from"`  // slabinfo, or table
}

// placeholder until predict.go is filled
func predict(h *Host, g Goal) Prediction { return Prediction{Available: Unbounded, Largest: Unbounded} }

func (h *Host) cgroupVersion() string { return "none" }
