package main

import (
	"io"
	"os"
	"strconv"

	"github.com/dormouse-ws/dormouse/tuning"
)

// terminalOf is what stdout is to be written for: a terminal's own width, or COLUMNS where there is none.
func terminalOf(stdout io.Writer) tuning.Terminal {
	t := tuning.Terminal{Colour: coloured(stdout), Columns: columns(stdout)}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && t.Columns == 0 {
		t.Columns = max(n, 0)
	}
	return t
}

// coloured reports whether stdout is to have colours: it is a terminal that has some, and nobody has said
// otherwise with NO_COLOR, of whatever value but none (no-color.org).
func coloured(stdout io.Writer) bool { return capable(stdout) && os.Getenv("NO_COLOR") == "" }
