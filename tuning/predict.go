package tuning

import (
	"math"
	"sort"
)

// A Prediction is the memory that a Goal needs on a host.
type Prediction struct {
	// Kernel has what the kernel keeps for one end of an idle connection; for [Both] the mean of the two.
	// KernelBytes is the sum over the ends on this host, as ProcessBytes is what the process (or the two)
	// keeps at rest, and ProcessPeak while connections come and the collector has not caught up. They are
	// rounded up.
	Kernel       []Part `json:"kernel"`
	KernelBytes  int64  `json:"kernelBytes"`
	ProcessBytes int64  `json:"processBytes"`
	ProcessPeak  int64  `json:"processPeak"`

	// Base is what the process (or the two) needs without a connection.
	Base int64 `json:"base"`

	// Buffers is what messages on their way hold in the kernel, over all connections.
	Buffers int64 `json:"buffers"`

	// Total is what the goal needs: Base, Buffers, and for each connection KernelBytes and ProcessPeak,
	// before those are rounded.
	Total int64 `json:"total"`

	// Available is what may be used, in bytes, with what Report.Held has of it already, and AvailableFrom who says so: MemAvailable, a cgroup's
	// memory.max, --memory. Unbounded and "" if it cannot be read.
	Available     int64  `json:"available"`
	AvailableFrom string `json:"availableFrom"`

	// Largest is the largest number of connections for which Total is no more than Available, and
	// MaxConnections at most; Unbounded if Available is.
	Largest int64 `json:"largest"`

	// Pressure is the number of connections at which TCP comes under memory pressure (tcp(7), tcp_mem)
	// when each of them has one message under way; 0 if tcp_mem cannot be read.
	Pressure int64 `json:"pressure,omitzero"`
}

// A Part is what one kind of object costs.
type Part struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // for one connection's end, rounded up
	From  string `json:"from"`  // slabinfo, table, or computed
}

func predict(h *Host, g Goal) Prediction {
	m := newModel(h, g)
	n := max(g.Connections, 1)
	p := Prediction{
		ProcessBytes: m.atRest(),
		ProcessPeak:  roundUp(m.user(n)-m.base(), n),
		Base:         m.base(),
		Buffers:      m.buffers,
		Total:        m.total(n),
		Pressure:     h.pressure(g),
	}
	for _, o := range m.kernel {
		part := Part{Name: o.name, Bytes: roundUp(o.total(n), n*g.ends()), From: o.from}
		p.Kernel = append(p.Kernel, part)
		p.KernelBytes += part.Bytes * g.ends()
	}
	p.Available, p.AvailableFrom = h.available(g)
	p.Largest = m.largest(p.Available)
	return p
}

// pressure is Prediction.Pressure.
func (h *Host) pressure(g Goal) int64 {
	mem, err := h.numbers(sysctlFile("net.ipv4.tcp_mem"))
	if err != nil || len(mem) != 3 {
		return 0
	}
	return max(0, mem[1]) / (messagePages(g, h.page) * g.ends())
}

// Bytes that a process keeps for each connection, as `make density` and `dormouse bench connect` measure them
// (README.md), joined to one topic with Go 1.26.
const (
	serverBytes  = 265 // dormouse serve with the engine epoll, at rest: 255 to 273 between 1,500 and 15,000, 247 at a million
	loadGenBytes = 264 // dormouse bench: 204 to 313 there, 196 at a million

	// tlsBytes is what crypto/tls keeps beside that in the Go process that ends the connection, which
	// dormouse serve is not: a proxy in front of it is. 7,440 B is the difference in resident memory of 2,000
	// connections accepted by tls.Listener and by net.Listener, TLS 1.3, a small certificate, nobody in Read;
	// a client's end is 6,700 B (TestTLSLinkMemory of package bench). A goroutine blocked in Read makes it
	// 14,000, as the handshake leaves it a stack of 8 KiB instead of 2.
	tlsBytes = 7440

	// baseBytes is a process without connections: 17 MiB of dormouse serve, 14 of them the program's own
	// file, and the 4 MiB from which on the collector looks at the heap, twice.
	baseBytes = 25 << 20
)

// A model is a Goal's memory as a function of the number of connections.
type model struct {
	kernel    []object
	processes []process
	buffers   int64
}

// A process is what one keeps in bytes for each connection.
type process struct {
	rest, peak int64
	limit      int64 // of the memory that the Go runtime keeps to while it can (GOMEMLIMIT)
}

// user is what a process needs with n connections: the peak, which the collector keeps below the limit as long
// as what lives is.
func (p process) user(n int64) int64 {
	return min(baseBytes+n*p.peak, max(p.limit, baseBytes+n*p.rest))
}

func newModel(h *Host, g Goal) *model {
	m := &model{kernel: kernelObjects(h, g), buffers: messageBuffers(g)}
	limit := int64(math.MaxInt64)
	if l, set, err := parseMemoryLimit(h.env("GOMEMLIMIT")); err == nil && set {
		limit = l
	}
	growth := gcPercent(h.env("GOGC"))
	add := func(rest int64) {
		if g.TLS {
			rest += tlsBytes
		}
		m.processes = append(m.processes, process{rest: rest, peak: rest + rest*growth/100, limit: limit})
	}
	if g.Role&Server != 0 {
		add(serverBytes)
	}
	if g.Role&LoadGen != 0 {
		add(loadGenBytes)
	}
	return m
}

// gcPercent is by how much the heap may grow, in percent of what lives, before the collector has caught up:
// GOGC. What is off is taken for the default, and the check of GOGC says so; beyond the most no host has the memory.
func gcPercent(gogc string) int64 {
	const standard, most = 100, 10_000
	n, on := parseGCPercent(gogc)
	if !on {
		return standard
	}
	return min(n, most)
}

func (m *model) base() int64 { return baseBytes * int64(len(m.processes)) }

// atRest is bytes for each connection.
func (m *model) atRest() (sum int64) {
	for _, p := range m.processes {
		sum += p.rest
	}
	return sum
}

// user is what the processes need with n connections.
func (m *model) user(n int64) (sum int64) {
	for _, p := range m.processes {
		sum += p.user(n)
	}
	return sum
}

// kernelTotal is what the kernel keeps for n idle connections.
func (m *model) kernelTotal(n int64) (sum int64) {
	for _, o := range m.kernel {
		sum += o.total(n)
	}
	return sum
}

// total never falls as n grows.
func (m *model) total(n int64) int64 { return m.user(n) + m.kernelTotal(n) + m.buffers }

// largest returns for how many connections available bytes are enough.
func (m *model) largest(available int64) int64 {
	if available == Unbounded {
		return Unbounded
	}
	return int64(sort.Search(MaxConnections, func(n int) bool { return m.total(int64(n)+1) > available }))
}

// reserveBytes is what of MemAvailable is left to the rest of the host: a twentieth, and 64 MiB at least. That is
// for what other programs grow by, for the slabs and buffers that each processor has in stock, and for
// MemAvailable being an estimate: it counts page cache that the programs themselves run from (si_mem_available in
// mm/show_mem.c).
func reserveBytes(available int64) int64 { return max(64<<20, available/20) }

// available is the least of what the host, the cgroups and the user leave, and which of them it is.
func (h *Host) available(g Goal) (bytes int64, from string) {
	bytes = Unbounded
	least := func(b int64, f string) {
		if b < bytes {
			bytes, from = max(b, 0), f
		}
	}
	if free, ok := h.meminfo("MemAvailable"); ok {
		free += g.heldMemory()
		least(free-reserveBytes(free), "MemAvailable")
	}
	limits, _ := h.memoryLimits(g) // what cannot be read, the checks of it say
	for _, l := range limits {
		least(l.left(), l.String())
	}
	if g.Memory > 0 {
		least(g.Memory, "--memory")
	}
	return bytes, from
}
