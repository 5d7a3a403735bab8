package tuning

import (
	"fmt"
	"math"
)

// memory writes what the goal needs, part by part, beside what there is.
func (p *printer) memory(r *Report) {
	m := r.Prediction
	p.heading("Memory for " + plural(r.Goal.Connections, "connection"))
	n := r.Goal.Connections
	g := grid{align: "lrrl", most: []int{40, 0, 0, 40}, firm: 1}
	g.add("", "each", "in all", "")
	ends := ""
	if r.Goal.ends() > 1 {
		ends = ", both ends"
	}
	g.add("kernel"+ends, byteCount(m.KernelBytes), byteCount(product(m.KernelBytes, n)), "")
	for _, part := range m.Kernel {
		g.add("  "+part.Name, byteCount(part.Bytes*r.Goal.ends()), byteCount(product(part.Bytes*r.Goal.ends(), n)), from(part.From))
	}
	g.add("process, while they come", byteCount(m.ProcessPeak), byteCount(product(m.ProcessPeak, n)), "")
	g.add("  at rest", byteCount(m.ProcessBytes), byteCount(product(m.ProcessBytes, n)), "")
	g.add("process without a connection", "", byteCount(m.Base), "")
	g.add("messages on their way", "", byteCount(m.Buffers), messages(r.Goal))
	g.add("total", "", byteCount(m.Total), "")
	if m.Available == Unbounded {
		g.add("available", "", "unknown", "cannot be read here")
	} else {
		g.add("available", "", byteCount(m.Available), "from "+m.AvailableFrom)
	}
	for p := range (Goal{held: r.Held}).known {
		g.add("  held already", "", byteCount(p.Memory+p.Kernel), p.String()+", "+plural(p.Descriptors, "descriptor"))
	}
	p.grid(g, nil)
	if m.Largest < Unbounded {
		p.WriteString("\n")
		said := fmt.Sprintf("That memory is enough for %s.", plural(m.Largest, "connection"))
		if m.Largest < n {
			said = fmt.Sprintf("That memory is enough for %s, not %s: %s are missing.",
				plural(m.Largest, "connection"), count(n), byteCount(m.Total-m.Available))
		}
		p.paragraph(said, "  ", "  ")
	}
	p.pressure(m.Pressure, n)
}

// pressure says when TCP comes under memory pressure; it does not know if that is 0.
func (p *printer) pressure(at, goal int64) {
	switch {
	case at == 0 || at == Unbounded:
	case at < goal:
		p.paragraph(fmt.Sprintf("TCP comes under memory pressure (net.ipv4.tcp_mem) when %s have a message under way at once.",
			plural(at, "connection")), "  ", "  ")
	default:
		p.paragraph(fmt.Sprintf("TCP comes under memory pressure (net.ipv4.tcp_mem) no sooner than with %s that have a message under way at once.",
			plural(at, "connection")), "  ", "  ")
	}
}

// from is where a number comes from.
func from(source string) string {
	if source == "computed" {
		return source
	}
	return "from " + source
}

func messages(g Goal) string {
	if g.MessageRate == 0 {
		return "none: idle connections"
	}
	return fmt.Sprintf("%s/s of %s", count(int64(math.Ceil(g.MessageRate))), byteCount(g.MessageBytes))
}
