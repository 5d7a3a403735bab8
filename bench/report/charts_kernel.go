package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// kernelCharts show what the kernel held, for all processes of its host.
func kernelCharts(t timeline) []chart {
	sockets := chart{ID: "sockets", Title: "TCP sockets of the host"}
	sockets.draw(t,
		ofKernel("in use", blue, func(k *sample.Kernel) float64 { return float64(k.TCPInUse) }),
		ofKernel("in TIME-WAIT", orange, func(k *sample.Kernel) float64 { return float64(k.TCPWaiting) }),
		ofKernel("orphans", red, func(k *sample.Kernel) float64 { return float64(k.TCPOrphans) }),
		ofKernel("tracked flows", violet, func(k *sample.Kernel) float64 { return float64(k.Conntrack) }))

	memory := chart{ID: "slabs", Title: "Kernel memory of sockets", Unit: unitBytes, Note: "By kind of object."}
	lines := slabLines(t)
	if len(lines) == 0 {
		memory.Note = "All kernel objects: the kinds of them cannot be read here."
		lines = append(lines, ofKernel("all slabs", blue, func(k *sample.Kernel) float64 { return known(k.SlabBytes) }))
	}
	lines = append(lines, ofKernel("TCP buffers", brown, func(k *sample.Kernel) float64 { return float64(k.TCPBytes) }))
	memory.draw(t, lines...)
	return drawn(sockets, memory)
}

// known is v, and NaN for 0, which stands for what cannot be read.
func known(v int64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return float64(v)
}

func ofKernel(name string, colour int, of func(*sample.Kernel) float64) line {
	return line{name, colour, level, func(p *bench.Point) float64 {
		if p.Kernel == nil {
			return math.NaN()
		}
		return of(p.Kernel)
	}}
}

// slabLines has the slabs that became the largest, one for each colour but that of the buffers.
func slabLines(t timeline) []line {
	largest := map[string]int64{}
	for _, points := range t.runs {
		for _, p := range points {
			if p.Kernel == nil {
				continue
			}
			for name, slab := range p.Kernel.Slabs {
				largest[name] = max(largest[name], slab.Bytes)
			}
		}
	}
	names := sortedKeys(largest)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(largest[b], largest[a]) })
	var lines []line
	for i, name := range names[:min(len(names), brown)] {
		lines = append(lines, ofKernel(name, i, func(k *sample.Kernel) float64 {
			if slab, ok := k.Slabs[name]; ok {
				return float64(slab.Bytes)
			}
			return math.NaN()
		}))
	}
	return lines
}
