package bench

import (
	"bytes"
	"strings"
)

// A mark travels in a message, by which every copy of it is known again.
type mark struct {
	run  uint32 // tells runs against the same target apart
	room uint32
	seq  uint32 // of the message in its room; of a request, whatever its sender wants to find in the answer
	due  int64  // when it was to be sent: nanoseconds since 1970 on the conductor's clock
}

// A mark is written as dm1.rrrrrrrr.tttttttt.ssssssss.dddddddddddddddd. in lower-case hexadecimal: a form
// that no encoding of JSON changes, of a length that says where it ends.
const (
	markStart = "dm1."
	markSize  = len(markStart) + 3*len("rrrrrrrr.") + len("dddddddddddddddd.")
)

// appendMark appends m, and letters behind it up to size bytes.
func appendMark(dst []byte, m mark, size int) []byte {
	dst = append(dst, markStart...)
	dst = append(appendHex(dst, uint64(m.run), 8), '.')
	dst = append(appendHex(dst, uint64(m.room), 8), '.')
	dst = append(appendHex(dst, uint64(m.seq), 8), '.')
	dst = append(appendHex(dst, uint64(m.due), 16), '.')
	for n := size - markSize; n > 0; n -= len(padding) {
		dst = append(dst, padding[:min(n, len(padding))]...)
	}
	return dst
}

const padding = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"

// findMark returns the first whole mark in p, whatever else there is.
func findMark(p []byte) (mark, bool) {
	for {
		i := bytes.Index(p, []byte(markStart))
		if i < 0 || len(p)-i < markSize {
			return mark{}, false
		}
		p = p[i:]
		if m, ok := parseMark(p[:markSize]); ok {
			return m, true
		}
		p = p[len(markStart):]
	}
}

func parseMark(p []byte) (mark, bool) {
	run, ok1 := parseHex(p[4:12], p[12])
	room, ok2 := parseHex(p[13:21], p[21])
	seq, ok3 := parseHex(p[22:30], p[30])
	due, ok4 := parseHex(p[31:47], p[47])
	return mark{uint32(run), uint32(room), uint32(seq), int64(due)}, ok1 && ok2 && ok3 && ok4
}

// appendPayload appends template with m, padded to size bytes, in the place of every markVerb.
func appendPayload(dst []byte, template string, m mark, size int) []byte {
	for {
		before, after, found := strings.Cut(template, markVerb)
		dst = append(dst, before...)
		if !found {
			return dst
		}
		dst = appendMark(dst, m, size)
		template = after
	}
}

// appendHex appends the lowest digits of n.
func appendHex(dst []byte, n uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[n>>shift&15])
	}
	return dst
}

// parseHex reads digits, which end follows.
func parseHex(digits []byte, end byte) (n uint64, ok bool) {
	for _, c := range digits {
		d := unhex(c)
		if d < 0 || 'A' <= c && c <= 'F' {
			return 0, false
		}
		n = n<<4 | uint64(d)
	}
	return n, end == '.'
}
