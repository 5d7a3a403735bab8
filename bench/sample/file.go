package sample

import (
	"bytes"
	"io"
	"os"
	"strconv"
)

// A generator that samples itself each second sees its own garbage in what its users cost. What procfs
// would read with the most of it is read here instead: slabinfo alone is 230 kB there.

// readFile reads the beginning of a file into buf; nothing if it cannot.
func readFile(path string, buf []byte) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	n, err := io.ReadFull(f, buf)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil
	}
	return buf[:n]
}

// field returns the nth word of a line, from 0, as a number; false if it is none.
func field(line []byte, n int) (int64, bool) {
	for {
		line = bytes.TrimLeft(line, " \t")
		end := bytes.IndexAny(line, " \t\n")
		if end < 0 {
			end = len(line)
		}
		if n == 0 {
			v, err := strconv.ParseInt(string(line[:end]), 10, 64)
			return v, err == nil
		}
		line, n = line[end:], n-1
	}
}
