package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/dormouse-ws/dormouse/bench"
)

// Named is a result with the name by which it is spoken of: that of its file.
type Named struct {
	Name string
	*bench.Result
}

// WriteCompareText sets the figures of two runs side by side.
func WriteCompareText(w io.Writer, a, b Named, colour bool) error {
	p := &printer{Writer: bufio.NewWriter(w), screen: Screen{Colour: colour}}
	for i, r := range []Named{a, b} {
		p.WriteString(runLetter(i) + "  " + p.paint(r.Verdict))
		p.paragraph(fmt.Sprintf("%s in %s", title(r.Result), duration(r.Elapsed)), "  ", "")
		p.paragraph(r.Name, "   ", "   ")
	}
	hard, soft := differences(a, b)
	if len(hard) > 0 {
		p.heading("These runs are not comparable:")
	}
	for _, d := range hard {
		p.item(d)
	}
	if len(soft) > 0 {
		p.heading("They differ in this:")
	}
	for _, d := range soft {
		p.item(d)
	}
	p.grid(comparison(a, b, len(hard) == 0))
	return p.Flush()
}

func runLetter(run int) string { return string(rune('a' + run)) }

// differences says what two runs do not have in common: hard ones make the figures of one say nothing
// about those of the other, of soft ones the reader must know.
func differences(a, b Named) (hard, soft []string) {
	for i, r := range []Named{a, b} {
		switch {
		case r.Verdict == bench.Invalid:
			hard = append(hard, "run "+runLetter(i)+" is INVALID: its figures are those of its generator")
		case r.Verdict == bench.Failed:
			hard = append(hard, "run "+runLetter(i)+" has FAILED")
		}
		if r.Stopped {
			hard = append(hard, "run "+runLetter(i)+" was interrupted")
		}
	}
	compare := func(list *[]string, what, of, and string) {
		if of != and {
			*list = append(*list, fmt.Sprintf("%s: a %s, b %s", what, orNone(of), orNone(and)))
		}
	}
	x, y := a.Config, b.Config
	compare(&hard, "the scenario", x.Scenario, y.Scenario)
	compare(&hard, "the number of connections", count(int64(x.Connections)), count(int64(y.Connections)))
	compare(&hard, "the protocol", string(x.Protocol), string(y.Protocol))
	compare(&hard, "the messages each second", number(x.Rate), number(y.Rate))
	compare(&hard, "the number of rooms", count(int64(x.Rooms)), count(int64(y.Rooms)))
	compare(&hard, "the share of slow readers", number(x.Slow), number(y.Slow))
	compare(&soft, "how users arrive", arrival(x), arrival(y))
	compare(&soft, "the time of the traffic", duration(x.Duration), duration(y.Duration))
	compare(&soft, "the bytes of a message", count(int64(x.Size)), count(int64(y.Size)))
	compare(&soft, "the number of generators", count(int64(len(a.Generators))), count(int64(len(b.Generators))))
	compare(&soft, "the target's engine", a.Target.Engine, b.Target.Engine)
	compare(&soft, "what the target calls itself", a.Target.Server, b.Target.Server)
	compare(&soft, "the machine", hostLine(a.Result), hostLine(b.Result))
	compare(&soft, "the version of the bench", a.Version, b.Version)
	return hard, soft
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func arrival(c bench.Config) string {
	if len(c.Phases) == 0 {
		return inUnit(c.ArrivalRate, unitRate)
	}
	var phases []string
	for _, p := range c.Phases {
		phases = append(phases, duration(p.Duration)+" at "+inUnit(p.Rate, unitRate))
	}
	return strings.Join(phases, ", ")
}

// hostLine is empty for a run of which the machine is not known.
func hostLine(r *bench.Result) string {
	if len(r.Generators) == 0 {
		return ""
	}
	h := r.Generators[0].Host
	return strings.TrimSpace(fmt.Sprintf("%s, %s, %s", plural(int64(h.CPUs), "processor"), h.CPU, h.Kernel))
}

// enough is the ratio from which a difference is worth a word: two runs of the same thing differ too.
const enough = 1.05

// comparison has a row for each figure of either run. judged says which run is better.
func comparison(a, b Named, judged bool) grid {
	g := grid{Title: "Figures", Head: []string{"", "a", "b", "b/a", ""}, Align: "lrrrl"}
	of, and := figures(a.Result), figures(b.Result)
	find := func(list []figure, name string) (figure, bool) {
		i := slices.IndexFunc(list, func(f figure) bool { return f.Name == name })
		if i < 0 {
			return figure{}, false
		}
		return list[i], true
	}
	for _, f := range merged(of, and) {
		x, inA := find(of, f.Name)
		y, inB := find(and, f.Name)
		cells := []string{f.Name, "", "", "", ""}
		if inA {
			cells[1] = inUnit(x.Value, x.Unit)
		}
		if inB {
			cells[2] = inUnit(y.Value, y.Unit)
		}
		if inA && inB && x.Unit == y.Unit && x.Value > 0 && y.Value > 0 {
			cells[3] = fmt.Sprintf("%.2f", y.Value/x.Value)
		}
		if inA && inB && judged {
			cells[4] = judge(x, y)
		}
		g.add(cells...)
	}
	return g
}

// merged has the figures of a, and those of b that a has not, each behind the one that it follows in b.
func merged(a, b []figure) []figure {
	all := slices.Clone(a)
	at := 0
	for _, f := range b {
		if i := slices.IndexFunc(all, func(x figure) bool { return x.Name == f.Name }); i >= 0 {
			at = i + 1
			continue
		}
		all = slices.Insert(all, at, f)
		at++
	}
	return all
}

// judge says of b whether it is better or worse than a.
func judge(a, b figure) string {
	if a.Good == 0 || a.Unit != b.Unit || math.Max(a.Value, b.Value) <= enough*math.Min(a.Value, b.Value) {
		return ""
	}
	if (b.Value > a.Value) == (a.Good > 0) {
		return "better"
	}
	return "worse"
}
