package server

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// appendJSONPacked appends JSON text as MessagePack. Integers of 64 bits keep every digit; any other number is
// what JavaScript reads it as, a float of 64 bits: the nearest, or an infinity. Keys that repeat are repeated.
// Errors: ErrNoMessagePack, with dst as it was.
func appendJSONPacked(dst, text []byte) ([]byte, error) {
	start := skipSpace(text, 0)
	var room [64]uint32
	counts, end := countJSON(room[:0], text, start, maxPackedDepth)
	if end < 0 || skipSpace(text, end) != len(text) {
		return dst, ErrNoMessagePack
	}
	return packTokens(dst, text[start:end], counts), nil
}

// countJSON takes one value at b[i], in which arrays and objects lie no deeper than depth, and appends to
// counts how many elements each of them has, in the order in which they begin: MessagePack has the number
// before the elements. next is the index after the value, or -1 when the text is not JSON.
func countJSON(counts []uint32, b []byte, i, depth int) (grown []uint32, next int) {
	if i >= len(b) || b[i] != '[' && b[i] != '{' {
		return counts, skipScalar(b, i)
	}
	if depth == 0 {
		return counts, -1
	}
	object, at := b[i] == '{', len(counts)
	counts = append(counts, 0)
	end := byte(']')
	if object {
		end = '}'
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == end {
		return counts, i + 1
	}
	for {
		if object {
			if i = skipKey(b, i); i < 0 {
				return counts, -1
			}
		}
		if counts, i = countJSON(counts, b, i, depth-1); i < 0 {
			return counts, -1
		}
		counts[at]++
		switch i = skipSpace(b, i); {
		case i < len(b) && b[i] == end:
			return counts, i + 1
		case i >= len(b) || b[i] != ',':
			return counts, -1
		}
		i = skipSpace(b, i+1)
	}
}

// packTokens appends JSON text token by token: keys and values stand in the same order in both forms.
func packTokens(dst, text []byte, counts []uint32) []byte {
	for i := 0; i < len(text); {
		start := i
		switch c := text[i]; c {
		case '[':
			dst, counts = msgp.AppendArrayHeader(dst, counts[0]), counts[1:]
			i++
		case '{':
			dst, counts = msgp.AppendMapHeader(dst, counts[0]), counts[1:]
			i++
		case '"':
			i = skipString(text, i)
			dst = packString(dst, text[start:i])
		case 't':
			i += len("true")
			dst = msgp.AppendBool(dst, true)
		case 'f':
			i += len("false")
			dst = msgp.AppendBool(dst, false)
		case 'n':
			i += len("null")
			dst = msgp.AppendNil(dst)
		default:
			if c != '-' && !isDigit(c) {
				i++ // white space, commas, colons, and the ends
				continue
			}
			i = skipNumber(text, i)
			dst = packNumber(dst, text[start:i])
		}
	}
	return dst
}

// packString appends a JSON string with its quotes. Each byte that is not UTF-8 in it becomes U+FFFD.
func packString(dst, quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		s, _ := unquote(string(quoted))
		return packText(dst, s)
	}
	s := quoted[1 : len(quoted)-1]
	if !utf8.Valid(s) {
		return packText(dst, string(s))
	}
	return msgp.AppendStringFromBytes(dst, s)
}

// packText appends s as a string; see packString.
func packText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return msgp.AppendString(dst, s)
}

// packNumber appends a JSON number.
func packNumber[T string | []byte](dst []byte, text T) []byte {
	digits := string(text)
	if !strings.ContainsAny(digits, ".eE") {
		if digits[0] != '-' {
			if u, err := strconv.ParseUint(digits, 10, 64); err == nil {
				return msgp.AppendUint64(dst, u)
			}
		} else if i, err := strconv.ParseInt(digits, 10, 64); err == nil && i != 0 { // -0 is a float
			return msgp.AppendInt64(dst, i)
		}
	}
	f, _ := strconv.ParseFloat(digits, 64) // out of range it is an infinity
	return msgp.AppendFloat64(dst, f)
}
