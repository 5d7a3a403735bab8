package tuning

import (
	"cmp"
	"slices"
)

// A Report is what [Examine] found.
type Report struct {
	Goal     Goal      `json:"goal"`
	Machine  Machine   `json:"machine"`
	Findings []Finding `json:"findings"` // worst first

	Prediction Prediction `json:"prediction"`

	// Held has the processes that hold some of the connections already. What they use is not in what
	// Findings and Prediction call in use, and is in what is available.
	Held []Holder `json:"held,omitempty"`

	// Holds is how many connections the host can hold as it is, StoppedBy the name of what stops
	// the next one: a Finding's, or "memory".
	Holds     int64  `json:"holds"`
	StoppedBy string `json:"stoppedBy"`

	// Unknown has the names of what would stop connections if it were too low, and cannot be read.
	Unknown []string `json:"unknown,omitempty"`

	// Reachable says that the goal can be held with the host as it is. It is false if that is unknown.
	Reachable bool `json:"reachable"`
}

// Machine is what kind of a host it is.
type Machine struct {
	Kernel    string `json:"kernel"`
	CPUs      int    `json:"cpus"` // that the process may run on
	Memory    int64  `json:"memory"`
	Cgroup    string `json:"cgroup"` // v1, v2, both as hybrid, or none
	Container bool   `json:"container"`
}

// Examine holds the table of checks against a host. An error is one of the Goal; what is wrong with the host
// is in the Report.
func Examine(h *Host, g Goal) (*Report, error) {
	g, err := g.withDefaults()
	if err != nil {
		return nil, err
	}
	if g.held, err = findHolders(h, g); err != nil {
		return nil, err
	}
	r := &Report{Goal: g, Machine: h.machine(), Prediction: predict(h, g), Held: g.held}
	for _, c := range Checks() {
		if c.Role&g.Role == 0 {
			continue
		}
		f := c.examine(&c, h, g)
		r.Findings = append(r.Findings, f)
	}
	r.conclude()
	slices.SortStableFunc(r.Findings, worse)
	return r, nil
}

// conclude finds what stops the first connection that the host cannot hold. Findings are in the order of
// the table.
func (r *Report) conclude() {
	r.Holds, r.StoppedBy = r.Prediction.Largest, "memory"
	for _, f := range r.Findings {
		if f.Blocks && f.Verdict == Unreadable {
			r.Unknown = append(r.Unknown, f.Name)
		}
		if f.Holds < r.Holds {
			r.Holds, r.StoppedBy = f.Holds, f.Name
		}
	}
	if r.Prediction.Available == Unbounded {
		r.Unknown = append(r.Unknown, "memory")
	}
	r.Reachable = r.Holds >= r.Goal.Connections && len(r.Unknown) == 0
}

// worse orders findings: what stops the goal, the lowest first; what is unknown and might; what hurts; then
// what is unread, good, and not needed.
func worse(a, b Finding) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Holds, b.Holds))
}

func rank(f Finding) int {
	switch {
	case f.bad() && f.Blocks:
		return 0
	case f.Verdict == Unreadable && f.Blocks:
		return 1
	case f.bad():
		return 2
	case f.Verdict == Unreadable:
		return 3
	case f.Verdict == OK:
		return 4
	}
	return 5
}

func (h *Host) machine() Machine {
	kernel, _ := h.text("proc/sys/kernel/osrelease")
	memory, _ := h.meminfo("MemTotal")
	return Machine{Kernel: kernel, CPUs: h.cpus(), Memory: memory, Cgroup: h.cgroupVersion(), Container: h.container()}
}
