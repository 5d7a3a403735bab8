package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A grid is a table, for the terminal and for the page.
type grid struct {
	Title string
	Head  []string // may be empty
	Align string   // l or r for each column
	Rows  []row
	Note  string
}

type row struct {
	Cells []string
	Total bool    // the rows below it are what it consists of
	Bar   float64 // share of the largest in its column, drawn on the page in the last column; 0: none
}

func (g *grid) add(cells ...string) { g.Rows = append(g.Rows, row{Cells: cells}) }

// write prints g for a terminal, indented by two. What is too long in the last column goes on below.
func (g *grid) write(w io.Writer) {
	lines, widths := g.measure()
	last := len(widths) - 1
	indent := 2
	for _, n := range widths[:last] {
		indent += n + 2
	}
	for _, cells := range lines {
		var below []string
		if len(cells) > last && g.Align[last] == 'l' && indent+utf8.RuneCountInString(cells[last]) > lineWidth {
			if parts := wrap(clean(cells[last]), max(lineWidth-indent, lineWidth/4)); len(parts) > 1 {
				cells, below = append(cells[:last:last], parts[0]), parts[1:]
			}
		}
		fmt.Fprintln(w, g.line(cells, widths))
		for _, more := range below {
			fmt.Fprintln(w, strings.Repeat(" ", indent)+more)
		}
	}
}

// measure returns all lines, with the head, and how wide each column is.
func (g *grid) measure() (lines [][]string, widths []int) {
	if len(g.Head) > 0 {
		lines = append(lines, g.Head)
	}
	for _, r := range g.Rows {
		lines = append(lines, r.Cells)
	}
	widths = make([]int, len(g.Align))
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(clean(c)))
		}
	}
	return lines, widths
}

// width is that of the longest line, if nothing is wrapped.
func (g grid) width() (n int) {
	_, widths := g.measure()
	for _, w := range widths {
		n += 2 + w
	}
	return n
}

func (g *grid) line(cells []string, widths []int) string {
	var b strings.Builder
	for i, c := range cells {
		c = clean(c)
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
		if g.Align[i] == 'r' {
			b.WriteString("  " + pad + c)
		} else {
			b.WriteString("  " + c + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
