package main

import (
	"os"
	"testing"
)

// TestTerminal asks for colours on a terminal, the master's side of a pty, and elsewhere.
func TestTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer terminal.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, row := range []struct {
		name, term, noColor string
		out                 *os.File
		capable, colourful  bool
	}{
		{"terminal", "xterm", "", terminal, true, true},
		{"no colours", "xterm", "1", terminal, true, false},
		{"one that knows no escapes", "dumb", "", terminal, false, false},
		{"file", "xterm", "", file, false, false},
	} {
		t.Setenv("TERM", row.term)
		t.Setenv("NO_COLOR", row.noColor)
		if a, b := capable(row.out), coloured(row.out); a != row.capable || b != row.colourful {
			t.Errorf("%s: capable %v, colourful %v", row.name, a, b)
		}
	}
	if n := columns(file); n != 0 {
		t.Errorf("a file has %d columns", n)
	}
}
