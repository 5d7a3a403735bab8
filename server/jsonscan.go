package server

import (
	"encoding/json"
	"unicode/utf8"
)

// maxJSONDepth is the nesting that encoding/json accepts; what it would refuse is refused here, so that
// every payload that passes can be decoded.
const maxJSONDepth = 10000

// The functions here walk over JSON text without building values. They take an index and return the
// index after what they took, or -1 when the text is not JSON there. They accept what json.Valid
// accepts; that strings are UTF-8 is checked elsewhere.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue takes one value at b[i], which is not white space. outer is how many arrays and objects it
// lies in.
func skipValue(b []byte, i, outer int) int {
	var n nesting
	for {
		if i < len(b) && (b[i] == '[' || b[i] == '{') {
			if outer+n.depth >= maxJSONDepth {
				return -1
			}
			var empty bool
			if i, empty = n.open(b, i); i < 0 {
				return -1
			}
			if !empty {
				continue
			}
		} else if i = skipScalar(b, i); i < 0 {
			return -1
		}
		if i = n.next(b, i); i < 0 || n.depth == 0 {
			return i
		}
	}
}

// A nesting is the stack of the arrays and objects that are open, one bit each, so that depth takes
// neither goroutine stack nor, up to 64, memory.
type nesting struct {
	depth int
	low   uint64
	deep  []uint64
}

// open enters the array or object at b[i] and goes to its first value. An empty one is left again.
func (n *nesting) open(b []byte, i int) (next int, empty bool) {
	object := b[i] == '{'
	i = skipSpace(b, i+1)
	if i < len(b) && (b[i] == '}' && object || b[i] == ']' && !object) {
		return i + 1, true
	}
	n.push(object)
	if object {
		i = skipKey(b, i)
	}
	return i, false
}

// next follows a value: it leaves what ends there and goes to the next value of what is open.
func (n *nesting) next(b []byte, i int) int {
	for n.depth > 0 {
		i = skipSpace(b, i)
		if i >= len(b) {
			return -1
		}
		object := n.top()
		switch {
		case b[i] == ',' && object:
			return skipKey(b, skipSpace(b, i+1))
		case b[i] == ',':
			return skipSpace(b, i+1)
		case b[i] == '}' && object, b[i] == ']' && !object:
			n.depth--
			i++
		default:
			return -1
		}
	}
	return i
}

func (n *nesting) push(object bool) {
	word, bit := n.word(n.depth)
	*word &^= bit
	if object {
		*word |= bit
	}
	n.depth++
}

func (n *nesting) top() (object bool) {
	word, bit := n.word(n.depth - 1)
	return *word&bit != 0
}

func (n *nesting) word(level int) (word *uint64, bit uint64) {
	bit = 1 << (level % 64)
	if level < 64 {
		return &n.low, bit
	}
	if n.deep == nil {
		n.deep = make([]uint64, maxJSONDepth/64)
	}
	return &n.deep[level/64-1], bit
}

// skipKey takes an object's key, the colon and the white space around it.
func skipKey(b []byte, i int) int {
	if i = skipString(b, i); i < 0 {
		return -1
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return skipSpace(b, i+1)
}

func skipScalar(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	}
	return skipNumber(b, i)
}

func skipWord(b []byte, i int, word string) int {
	if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
		return end
	}
	return -1
}

func skipString(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = skipEscape(b, i+1); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// skipEscape takes what follows a backslash and returns the index of its last byte.
func skipEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		if i+4 >= len(b) {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if unhex(c) < 0 {
				return -1
			}
		}
		return i + 4
	}
	return -1
}

func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = skipDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = skipDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		i = skipDigits(b, i)
	}
	return i
}

// skipDigits takes one digit at least.
func skipDigits(b []byte, i int) int {
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// unquote returns the value of a valid JSON string with its quotes. ok is false when raw is another
// JSON value. It allocates only if there are escapes; else the result is a part of raw.
func unquote(raw string) (s string, ok bool) {
	if raw == "" || raw[0] != '"' {
		return "", false
	}
	for i := 1; i < len(raw)-1; i++ {
		if raw[i] == '\\' {
			return unquoteEscapes(raw)
		}
	}
	return raw[1 : len(raw)-1], true
}

// unquoteEscapes is apart because the address of its result makes it escape to the heap.
func unquoteEscapes(raw string) (s string, ok bool) {
	err := json.Unmarshal([]byte(raw), &s)
	return s, err == nil
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. What is not UTF-8 in s becomes U+FFFD: the header fields of
// binary frames from clients before 1.8.7 may be Latin-1 (section 2.2).
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[start:i]...)
			if c < ' ' {
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			} else {
				dst = append(dst, '\\', c)
			}
			start = i + 1
		}
		i++
	}
	return append(append(dst, s[start:]...), '"')
}
