package report

import (
	"fmt"
	"strings"

	"github.com/dormouse-ws/dormouse/bench"
)

// environment is what somebody needs to know who wants to do it again.
func environment(r *bench.Result) []pair {
	list := []pair{
		{"Command", strings.Join(r.Command, " ")},
		{"Version", r.Version},
		{"Started", r.Started.Format("2006-01-02 15:04:05 -07:00")},
		{"Took", duration(r.Elapsed)},
		{"Seed", fmt.Sprint(r.Config.Seed)},
		{"Target", strings.Join(r.Target.URLs, " ")},
		{"Server", targetProgram(r.Target)},
	}
	if r.Target.PeakRSS > 0 {
		list = append(list, pair{"Its peak memory", byteCount(float64(r.Target.PeakRSS))})
	}
	for _, g := range r.Generators {
		h, of := g.Host, ""
		if len(r.Generators) > 1 {
			of = " of " + g.Name
		}
		list = append(list,
			pair{"Machine" + of, machine(h)},
			pair{"Kernel" + of, h.Kernel},
			pair{"Limits" + of, limits(h)},
			pair{"Go" + of, h.Go})
	}
	shown := list[:0]
	for _, p := range list {
		if strings.TrimSpace(p.Value) != "" {
			shown = append(shown, p)
		}
	}
	return shown
}

// targetName is whom the users connected to, as short as it can be said.
func targetName(t bench.Target) string {
	switch {
	case t.Own && t.Engine != "":
		return "a server of its own, engine " + t.Engine
	case t.Own:
		return "a server of its own"
	}
	return strings.Join(t.URLs, ", ")
}

func targetProgram(t bench.Target) string {
	var parts []string
	if t.Name != "" {
		parts = append(parts, t.Name)
	}
	if t.PID > 0 {
		parts = append(parts, fmt.Sprintf("pid %d", t.PID))
	}
	if t.Own {
		parts = append(parts, "started by the bench")
	}
	if t.Engine != "" {
		parts = append(parts, "engine "+t.Engine)
	}
	if t.Server != "" {
		parts = append(parts, "says it is "+t.Server)
	}
	return strings.Join(parts, ", ")
}

func machine(h bench.Host) string {
	var parts []string
	if h.Name != "" {
		parts = append(parts, h.Name)
	}
	if h.CPUs > 0 {
		s := plural(int64(h.CPUs), "processor")
		if h.CPU != "" {
			s += " (" + h.CPU + ")"
		}
		parts = append(parts, s)
	}
	if h.Memory > 0 {
		parts = append(parts, byteCount(float64(h.Memory))+" of memory")
	}
	if h.Clock != "" {
		parts = append(parts, "clock "+h.Clock)
	}
	return strings.Join(parts, ", ")
}

func limits(h bench.Host) string {
	var parts []string
	if h.Descriptors > 0 {
		parts = append(parts, plural(h.Descriptors, "descriptor"))
	}
	if h.Ports != "" {
		parts = append(parts, "ports "+h.Ports)
	}
	return strings.Join(parts, ", ")
}
