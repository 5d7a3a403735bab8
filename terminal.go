package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// descriptor is -1 for what is no file.
func descriptor(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		return int(f.Fd())
	}
	return -1
}

// capable reports whether w is a terminal that knows escape sequences.
func capable(w io.Writer) bool { return term.IsTerminal(descriptor(w)) && os.Getenv("TERM") != "dumb" }

// columns is the width of the terminal w; 0: it is none, or does not say.
func columns(w io.Writer) int {
	width, _, err := term.GetSize(descriptor(w))
	if err != nil {
		return 0
	}
	return width
}
