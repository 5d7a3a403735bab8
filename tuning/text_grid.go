package tuning

import (
	"strings"
	"unicode/utf8"
)

// A grid is a table for the terminal.
type grid struct {
	align string // l or r for each column
	most  []int  // how wide a column may get before its cells are wrapped; 0: as wide as it is
	firm  int    // how many columns from the left are not made narrower than that for the others while there is another way
	rows  [][]string
}

func (g *grid) add(cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	g.rows = append(g.rows, cells)
}

// lines returns the table in so many columns of the terminal, each cell wrapped into its column, indented by two. paint, if there is one, gets
// each padded cell to colour it.
func (g *grid) lines(width int, paint func(row, column int, cell string) string) []string {
	widths := g.widths(width)
	var lines []string
	for r, cells := range g.rows {
		wrapped := make([][]string, len(cells))
		height := 1
		for i, c := range cells {
			wrapped[i] = wrap(c, widths[i])
			if strings.HasPrefix(c, " ") { // an indented name, which is never long
				wrapped[i] = []string{c}
			}
			height = max(height, len(wrapped[i]))
		}
		for k := range height {
			var b strings.Builder
			for i := range cells {
				cell := ""
				if k < len(wrapped[i]) {
					cell = wrapped[i][k]
				}
				g.pad(&b, cell, widths[i], i, func(s string) string {
					if paint == nil || s == "" {
						return s
					}
					return paint(r, i, s)
				})
			}
			lines = append(lines, strings.TrimRight(b.String(), " "))
		}
	}
	return lines
}

// pad writes a cell into its column. What colours it sees no padding.
func (g *grid) pad(b *strings.Builder, cell string, width, column int, paint func(string) string) {
	space := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(cell)))
	b.WriteString("  ")
	if g.align[column] == 'r' {
		b.WriteString(space + paint(cell))
		return
	}
	b.WriteString(paint(cell) + space)
}

// widths are those of the columns. If they are too much for a line, the widest of those that may be wrapped
// give way first.
func (g *grid) widths(line int) []int {
	widths := make([]int, len(g.align))
	for _, cells := range g.rows {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	total := 0
	for i := range widths {
		if i < len(g.most) && g.most[i] > 0 {
			widths[i] = min(widths[i], g.most[i])
		}
		total += 2 + widths[i]
	}
	for _, pass := range []struct{ firm, least int }{{g.firm, 12}, {0, 8}} { // the second on a narrow terminal
		for total > line {
			widest := -1
			for i := pass.firm; i < min(len(widths), len(g.most)); i++ {
				if g.most[i] > 0 && widths[i] > pass.least && (widest < 0 || widths[i] > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
			total--
		}
	}
	return widths
}
