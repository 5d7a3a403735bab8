package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/dormouse-ws/dormouse/bench"
)

// limitQuestion is what Result.Limit answers.
const limitQuestion = "What limited it?"

// Text is wrapped for a terminal of 80 columns; tables may take up to 100, and so may the last line.
const (
	textWidth = 78
	lineWidth = 100
)

// A Screen is where a text is read. Its zero value is a file, and as wide as most terminals.
type Screen struct {
	Colour  bool // escape sequences for colours are allowed
	Columns int  // of a terminal; 0: not known
}

// width is what a paragraph may take, at most textWidth.
func (s Screen) width() int {
	if s.Columns == 0 {
		return textWidth
	}
	return min(max(s.Columns-1, narrowest), textWidth)
}

// WriteText writes the summary of a run: the verdict, what limited the run, then its figures. Paragraphs fit
// on s, tables are as wide as they are. The verdict alone is coloured.
func WriteText(w io.Writer, r *bench.Result, s Screen) error {
	p := &printer{Writer: bufio.NewWriter(w), screen: s}
	p.verdict(r)
	if g := latencyGrid(r); len(g.Rows) > 0 {
		p.grid(g)
	}
	if g := slowGrid(r); len(g.Rows) > 0 {
		p.grid(g)
	}
	p.pairs("Counts", counts(r))
	p.pairs("Figures", scenarioFigures(r))
	p.errors(r.Errors)
	p.account(r.Account)
	if g := ledgerGrid(r.Ledger); len(g.Rows) > 0 {
		p.grid(g)
	}
	if len(r.Notes) > 0 {
		p.heading("Notes")
		for _, n := range r.Notes {
			p.item(n)
		}
	}
	if g := generatorGrid(r); len(g.Rows) > 0 {
		p.grid(g)
	}
	p.heading("")
	for _, line := range wrap(clean(oneLine(r)), p.lineWidth()) {
		p.WriteString(line + "\n")
	}
	return p.Flush()
}

// A printer writes the parts of a summary. An error of its Writer stays until Flush.
type printer struct {
	*bufio.Writer
	screen Screen
}

// lineWidth is what the last line and the pairs may take.
func (p *printer) lineWidth() int {
	if p.screen.Columns == 0 {
		return lineWidth
	}
	return min(max(p.screen.Columns-1, narrowest), lineWidth)
}

// verdict is as: INVALID  broadcast: 15,000 connections in 2m 00s.
func (p *printer) verdict(r *bench.Result) {
	of := fmt.Sprintf("%s in %s", title(r), duration(r.Elapsed))
	if name := targetName(r.Target); name != "" {
		of += ", to " + name
	}
	word := strings.Repeat("x", len([]rune(clean(verdict(r.Verdict))))+1) // as wide as the verdict with a space
	for i, line := range wrap(clean(word+" "+of), p.lineWidth()) {
		if rest, first := strings.CutPrefix(line, word); i == 0 && first {
			line = p.paint(r.Verdict) + " " + rest
		}
		p.WriteString(line + "\n")
	}
	for _, reason := range r.Reasons {
		p.item(reason)
	}
	if r.Stopped {
		p.item("It was interrupted: this is what was done so far.")
	}
	if r.Limit != "" {
		p.paragraph(limitQuestion+" "+sentence(r.Limit), "", "")
	}
}

// paint colours the word for a verdict.
func (p *printer) paint(v bench.Verdict) string {
	if !p.screen.Colour {
		return clean(verdict(v))
	}
	code := "1;33" // bold and yellow
	switch v {
	case bench.Valid:
		code = "1;32" // green
	case bench.Failed:
		code = "1;31" // red
	}
	return "\x1b[" + code + "m" + clean(verdict(v)) + "\x1b[0m"
}

func (p *printer) heading(s string) {
	p.WriteString("\n")
	if s != "" {
		p.WriteString(clean(s) + "\n")
	}
}

// paragraph wraps text; first goes before its first line and rest before each other.
func (p *printer) paragraph(text, first, rest string) {
	for i, line := range wrap(clean(text), max(p.screen.width()-len(rest), narrowest/2)) {
		if i > 0 {
			first = rest
		}
		p.WriteString(first + line + "\n")
	}
}

func (p *printer) item(text string) { p.paragraph(sentence(text), "  - ", "    ") }

func (p *printer) grid(g grid) {
	p.heading(g.Title)
	g.write(p)
	if g.Note != "" {
		p.paragraph(g.Note, "  ", "  ")
	}
}

// maxPairs is in how many columns pairs are printed at most.
const maxPairs = 3

// pairs prints names and values in columns, read downwards: as many as there is room for.
func (p *printer) pairs(title string, list []pair) {
	if len(list) == 0 {
		return
	}
	columns := maxPairs
	for columns > 1 && pairColumns(list, columns).width() > p.lineWidth() {
		columns--
	}
	g := pairColumns(list, columns)
	g.Title = title
	p.grid(g)
}

func pairColumns(list []pair, columns int) grid {
	rows := (len(list) + columns - 1) / columns
	g := grid{Align: strings.Repeat("lr", columns)}
	for i := range rows {
		var cells []string
		for k := i; k < len(list); k += rows {
			cells = append(cells, list[k].Name, list[k].Value)
		}
		g.add(cells...)
	}
	return g
}

func (p *printer) errors(list []bench.ErrorCount) {
	if len(list) == 0 {
		return
	}
	p.heading("Errors")
	width := 0
	for _, e := range list {
		width = max(width, len(count(e.Count)))
	}
	indent := strings.Repeat(" ", 2+width+2)
	for _, e := range list {
		p.paragraph(shorten(e.Kind, 240), fmt.Sprintf("  %*s  ", width, count(e.Count)), indent)
		if e.Example != "" && e.Example != e.Kind {
			p.paragraph(shorten(e.Example, 240), indent, indent)
		}
		if e.Fix != "" {
			p.paragraph("Fix: "+e.Fix, indent, indent)
		}
	}
}

func (p *printer) account(a bench.Account) {
	said, g := account(a)
	if said == "" {
		return
	}
	p.heading("Account")
	p.paragraph(said, "  ", "  ")
	if len(g.Rows) > 0 {
		p.grid(g)
	}
}

// oneLine is where and how a run was made.
func oneLine(r *bench.Result) string {
	var parts []string
	if len(r.Generators) > 0 {
		h := r.Generators[0].Host
		parts = append(parts, h.Name, h.Kernel)
		if !strings.Contains(r.Version, h.Go) {
			parts = append(parts, h.Go)
		}
	}
	parts = append(parts, r.Version, fmt.Sprintf("seed %d", r.Config.Seed), r.Started.Format("2006-01-02 15:04"))
	shown := parts[:0]
	for _, s := range parts {
		if s != "" {
			shown = append(shown, s)
		}
	}
	return strings.Join(shown, ", ")
}
