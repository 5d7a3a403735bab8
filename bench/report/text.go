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

// WriteText writes the summary of a run for a terminal: the verdict, what limited the run, then its
// figures. colour allows escape sequences, for the verdict alone.
func WriteText(w io.Writer, r *bench.Result, colour bool) error {
	p := &printer{Writer: bufio.NewWriter(w), colour: colour}
	p.verdict(r)
	if g := latencyGrid(r); len(g.Rows) > 0 {
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
	for _, line := range wrap(clean(oneLine(r)), lineWidth) {
		p.WriteString(line + "\n")
	}
	return p.Flush()
}

// A printer writes the parts of a summary. An error of its Writer stays until Flush.
type printer struct {
	*bufio.Writer
	colour bool
}

// verdict is as: INVALID  broadcast: 15,000 connections in 2m 00s.
func (p *printer) verdict(r *bench.Result) {
	p.WriteString(p.paint(r.Verdict))
	of := fmt.Sprintf("%s in %s", title(r), duration(r.Elapsed))
	if name := targetName(r.Target); name != "" {
		of += ", to " + name
	}
	p.paragraph(of, "  ", "")
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
	if !p.colour {
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
	for i, line := range wrap(clean(text), textWidth-len(rest)) {
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

// pairs prints names and values in three columns, read downwards.
func (p *printer) pairs(title string, list []pair) {
	if len(list) == 0 {
		return
	}
	const columns = 3
	rows := (len(list) + columns - 1) / columns
	g := grid{Title: title, Align: strings.Repeat("lr", columns)}
	for i := range rows {
		var cells []string
		for k := i; k < len(list); k += rows {
			cells = append(cells, list[k].Name, list[k].Value)
		}
		g.add(cells...)
	}
	p.grid(g)
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
