package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/tuning"
)

// openTerminal is a real one, of so many columns.
func openTerminal(t *testing.T, columns uint16) *os.File {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	t.Cleanup(func() { keyboard.Close() })
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be opened here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	return screen
}

func TestTerminalOf(t *testing.T) {
	for _, row := range []struct {
		name               string
		columns            int // of the terminal; -1: it is none
		env, noColour, how string
		want               tuning.Terminal
	}{
		{"a terminal", 132, "", "", "xterm", tuning.Terminal{Colour: true, Columns: 132}},
		{"its width is its own", 132, "70", "", "xterm", tuning.Terminal{Colour: true, Columns: 132}},
		{"one that does not know its width", 0, "70", "", "xterm", tuning.Terminal{Colour: true, Columns: 70}},
		{"NO_COLOR", 132, "", "1", "xterm", tuning.Terminal{Columns: 132}},
		{"TERM=dumb", 132, "", "", "dumb", tuning.Terminal{Columns: 132}},
		{"a pipe", -1, "", "", "xterm", tuning.Terminal{}},
		{"a pipe, and COLUMNS", -1, "70", "", "xterm", tuning.Terminal{Columns: 70}},
		{"COLUMNS that are none", -1, "x", "", "xterm", tuning.Terminal{}},
		{"COLUMNS below 0", -1, "-5", "", "xterm", tuning.Terminal{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv("COLUMNS", row.env)
			t.Setenv("NO_COLOR", row.noColour)
			t.Setenv("TERM", row.how)
			got := terminalOf(&bytes.Buffer{})
			if row.columns >= 0 {
				got = terminalOf(openTerminal(t, uint16(row.columns)))
			}
			if got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
		})
	}
}
