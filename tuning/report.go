package tuning

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Terminal is what a text is written for. The zero value is none, and 100 columns.
type Terminal struct {
	// Colour allows escape sequences, around words that say the same without them.
	Colour bool

	// Columns is how wide a line may be, commands apart, which are to be copied; [LeastColumns] at least.
	// 0: 100.
	Columns int
}

// LeastColumns is what tables need: what is narrower is written as for so many.
const LeastColumns = 60

// defaultColumns is the width of a terminal that is not the smallest.
const defaultColumns = 100

func newPrinter(w io.Writer, t Terminal) *printer {
	width := defaultColumns
	if t.Columns > 0 {
		width = max(t.Columns, LeastColumns)
	}
	return &printer{Writer: bufio.NewWriter(w), colour: t.Colour, width: width}
}

// WriteText writes the report: the verdict in one sentence, the table of what was looked at, what is to be changed
// and how, the memory, the next step.
func (r *Report) WriteText(w io.Writer, t Terminal) error {
	p := newPrinter(w, t)
	p.verdict(r)
	p.table(r)
	p.changes(r)
	p.reasons("Cannot be read here", r.Findings, Unreadable)
	p.reasons("Not needed", r.Findings, NotNeeded)
	p.myths(r.Findings)
	p.memory(r)
	p.next(r)
	return p.Flush()
}

// A printer writes the parts of a report. An error of its Writer stays until Flush.
type printer struct {
	*bufio.Writer
	colour bool
	width  int // in columns
}

// Colours of select graphic rendition (ECMA-48).
const (
	red    = "1;31"
	yellow = "1;33"
	green  = "1;32"
)

func (p *printer) paint(s, code string) string {
	if !p.colour || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) heading(s string) { p.WriteString("\n" + clean(s) + "\n") }

// paragraph wraps text; first goes before its first line and rest before each other.
func (p *printer) paragraph(text, first, rest string) {
	for i, line := range wrap(clean(text), p.width-len(rest)) {
		if i > 0 {
			first = rest
		}
		p.WriteString(first + line + "\n")
	}
}

// grid writes a table. code returns the colour of a cell, "" for none; nil: no cell has one.
func (p *printer) grid(g grid, code func(row, column int) string) {
	paint := func(row, column int, cell string) string {
		if code == nil {
			return cell
		}
		return p.paint(cell, code(row, column))
	}
	for _, line := range g.lines(p.width, paint) {
		p.WriteString(line + "\n")
	}
}

// verdict is what the report says in one sentence, what else stands in the way, and of which host it speaks.
func (p *printer) verdict(r *Report) {
	code := green
	switch {
	case r.Holds < r.Goal.Connections:
		code = red
	case !r.Reachable:
		code = yellow
	}
	lines := wrap(clean(r.verdict()), p.width)
	for _, line := range lines {
		p.WriteString(p.paint(line, code) + "\n")
	}
	for _, s := range append(r.remarks(), heldWords(r.Held)...) {
		p.paragraph(s, "", "")
	}
	m := r.Machine
	parts := []string{fmt.Sprintf("%s for %s", roleNoun(r.Goal.Role), plural(r.Goal.Connections, "connection"))}
	if m.Kernel != "" {
		parts = append(parts, "Linux "+shorten(m.Kernel, 40))
	}
	parts = append(parts, plural(int64(m.CPUs), "CPU"))
	if m.Memory > 0 {
		parts = append(parts, byteCount(m.Memory))
	}
	if m.Cgroup != "" && m.Cgroup != "none" {
		parts = append(parts, "cgroup "+m.Cgroup)
	}
	if m.Container {
		parts = append(parts, "in a container")
	}
	p.WriteString("\n")
	p.paragraph(strings.Join(parts, ", "), "", "")
}

func roleNoun(r Role) string {
	switch r {
	case LoadGen:
		return "A load generator"
	case Both:
		return "A server and its load generator"
	}
	return "A server"
}

// verdict is the first sentence.
func (r *Report) verdict() string {
	goal := plural(r.Goal.Connections, "connection")
	switch {
	case r.Holds < r.Goal.Connections:
		return fmt.Sprintf("This host can hold %s as it is, not %s: %s stops the next one.",
			plural(r.Holds, "connection"), count(r.Goal.Connections), r.StoppedBy)
	case !r.Reachable:
		return fmt.Sprintf("It cannot be told whether this host can hold %s: %s cannot be read here.", goal, list(r.Unknown, 4))
	}
	return fmt.Sprintf("This host can hold %s as it is.", goal)
}

// remarks are what has to be known beside the verdict.
func (r *Report) remarks() []string {
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	others, hurting := r.others()
	if r.Prediction.Available == Unbounded && !among(memoryName, r.Unknown...) {
		say("How much memory there is cannot be read here: it may be too little.")
	}
	switch {
	case r.Holds >= r.Goal.Connections:
		if hurting > 0 {
			say("Under load or in a storm it would suffer from what is to change below: %s.", plural(hurting, "setting"))
		}
		if r.Reachable && r.Holds == r.Goal.Connections {
			say("%s stops the next one.", r.StoppedBy)
		} else if r.Reachable && r.Holds < Unbounded {
			say("It could hold %s; then %s stops the next one.", count(r.Holds), r.StoppedBy)
		}
		return said
	case len(others) > 0:
		say("So would, after it, %s.", list(others, 4))
	}
	if len(r.Unknown) > 0 {
		say("%s cannot be read here and may stop it too.", list(r.Unknown, 4))
	}
	switch m := r.Prediction; {
	case m.Largest >= r.Goal.Connections:
	case r.StoppedBy == memoryName:
		say("That is the %s of %s.", byteCount(m.Available), m.AvailableFrom)
	default:
		say("Its memory, the %s of %s, is enough for %s.", byteCount(m.Available), m.AvailableFrom, plural(m.Largest, "connection"))
	}
	return said
}

// others are the names of what else is in the way, and how many things hurt only.
func (r *Report) others() (names []string, hurting int64) {
	for _, f := range r.Findings {
		switch {
		case !f.bad() || f.Name == r.StoppedBy:
		case !f.stops(r.Goal):
			hurting++
		case r.StoppedBy != memoryName || !strings.HasPrefix(f.Name, "memory."): // which is the same limit
			names = append(names, f.Name)
		}
	}
	return names, hurting
}

// memoryName is Report.StoppedBy where no setting stops it.
const memoryName = "memory"

// table has a row for each finding about which there is something to compare.
func (p *printer) table(r *Report) {
	g := grid{align: "llll", most: []int{36, 30, 30, 30}, firm: 1}
	g.add("setting", "value", "needed", "verdict")
	rows := []Finding{{}} // the first is the head's
	for _, f := range r.Findings {
		if f.Verdict == NotNeeded {
			continue
		}
		g.add(f.Name, shown(f.Name, f.Value), shown(f.Name, f.Needed), verdictWords(f, r.Goal))
		rows = append(rows, f)
	}
	if len(rows) == 1 {
		return
	}
	p.WriteString("\n")
	p.grid(g, func(row, column int) string {
		if row == 0 || column != 3 {
			return ""
		}
		return verdictColour(rows[row], r.Goal)
	})
}

// shown is a value of a finding for people. Bytes and ports have a look of their own.
func shown(name, value string) string {
	value = shorten(value, 120)
	if strings.Contains(name, "port") {
		return value
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && n < 1<<62 && strings.HasPrefix(name, "memory.") {
		return byteCount(n)
	}
	return kernelNumbers(value)
}

// verdictWords is a Verdict as short as a column wants it. What stops connections says so, and which.
func verdictWords(f Finding, g Goal) string {
	switch {
	case f.Verdict == Unreadable:
		return "unread"
	case f.bad() && f.Holds < g.Connections:
		return "stops at " + count(f.Holds)
	case f.stops(g):
		return f.Verdict.String() + ", stops it"
	}
	return f.Verdict.String()
}

// stops reports whether a finding puts the goal out of reach. One that allows less than it might, and still
// enough, does not.
func (f *Finding) stops(g Goal) bool {
	return f.bad() && (f.Holds < g.Connections || f.Blocks && f.Holds == Unbounded)
}

func verdictColour(f Finding, g Goal) string {
	switch {
	case f.stops(g):
		return red
	case f.bad() || f.Verdict == Unreadable && f.Blocks:
		return yellow
	case f.Verdict == OK:
		return green
	}
	return ""
}
