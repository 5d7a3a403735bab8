package server

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// The functions here work on MessagePack as bytes, without building values: "packed" is what is in that
// form. They take what they work on off the beginning of b and return the rest of it.

// maxPackedDepth is how deep arrays and maps may lie in each other. The functions here recurse, and so do decoders of
// clients, whose stacks end sooner than the 10,000 that JSON may have here.
const maxPackedDepth = 512

// skipPacked takes one value, in which arrays and maps lie no deeper than depth. What it accepts may be passed
// on to any client and can be shown as JSON: strings are UTF-8, the keys of maps are strings or integers. A
// claim of more elements than bytes is refused when it is seen, and nothing is allocated.
func skipPacked(b []byte, depth int) (rest []byte, ok bool) {
	switch msgp.NextType(b) {
	case msgp.InvalidType:
		return nil, false
	case msgp.StrType:
		s, rest, err := msgp.ReadStringZC(b)
		return rest, err == nil && utf8.Valid(s)
	case msgp.ArrayType:
		n, rest, err := msgp.ReadArrayHeaderBytes(b)
		return skipElements(rest, uint64(n), depth, err == nil)
	case msgp.MapType:
		n, rest, err := msgp.ReadMapHeaderBytes(b)
		if err != nil || depth == 0 || 2*uint64(n) > uint64(len(rest)) {
			return nil, false
		}
		for ok = true; n > 0 && ok; n-- {
			if !isPackedKey(rest) {
				return nil, false
			}
			rest, ok = skipElements(rest, 2, depth, true)
		}
		return rest, ok
	}
	rest, err := msgp.Skip(b)
	return rest, err == nil
}

// skipElements takes the n elements of an array or map.
func skipElements(b []byte, n uint64, depth int, ok bool) ([]byte, bool) {
	if !ok || depth == 0 || n > uint64(len(b)) {
		return nil, false
	}
	for ; n > 0 && ok; n-- {
		b, ok = skipPacked(b, depth-1)
	}
	return b, ok
}

func isPackedKey(b []byte) bool {
	switch msgp.NextType(b) {
	case msgp.StrType, msgp.IntType, msgp.UintType:
		return true
	}
	return false
}

// appendPackedJSON appends one value as JSON text. b must have passed skipPacked. Integers keep every digit;
// numbers that JSON lacks (NaN, the infinities) are null, as in JavaScript; bytes are their base64; a key that
// is an integer is its digits; keys that repeat are repeated; for extensions see appendExtensionJSON. The
// text is up to ten times as long.
func appendPackedJSON(dst, b []byte) (out, rest []byte) {
	switch msgp.NextType(b) {
	case msgp.NilType:
		return append(dst, "null"...), b[1:]
	case msgp.BoolType:
		v, rest, _ := msgp.ReadBoolBytes(b)
		return strconv.AppendBool(dst, v), rest
	case msgp.IntType, msgp.UintType:
		return appendPackedDigits(dst, b)
	case msgp.Float64Type:
		f, rest, _ := msgp.ReadFloat64Bytes(b)
		return appendFloat(dst, f), rest
	case msgp.Float32Type:
		f, rest, _ := msgp.ReadFloat32Bytes(b)
		return appendFloat(dst, float64(f)), rest
	case msgp.StrType:
		s, rest, _ := msgp.ReadStringZC(b)
		return appendQuoted(dst, s), rest
	case msgp.BinType:
		data, rest, _ := msgp.ReadBytesZC(b)
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), data), '"'), rest
	case msgp.ArrayType:
		n, rest, _ := msgp.ReadArrayHeaderBytes(b)
		return appendArrayJSON(dst, rest, n)
	case msgp.MapType:
		n, rest, _ := msgp.ReadMapHeaderBytes(b)
		return appendMapJSON(dst, rest, n)
	}
	return appendExtensionJSON(dst, b)
}

func appendArrayJSON(dst, b []byte, n uint32) (out, rest []byte) {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, b = appendPackedJSON(dst, b)
	}
	return append(dst, ']'), b
}

func appendMapJSON(dst, b []byte, n uint32) (out, rest []byte) {
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if msgp.NextType(b) == msgp.StrType {
			dst, b = appendPackedJSON(dst, b)
		} else {
			dst, b = appendPackedDigits(append(dst, '"'), b)
			dst = append(dst, '"')
		}
		dst, b = appendPackedJSON(append(dst, ':'), b)
	}
	return append(dst, '}'), b
}

// appendPackedDigits appends an integer in decimal.
func appendPackedDigits(dst, b []byte) (out, rest []byte) {
	if msgp.NextType(b) == msgp.UintType {
		u, rest, _ := msgp.ReadUint64Bytes(b)
		return strconv.AppendUint(dst, u, 10), rest
	}
	i, rest, _ := msgp.ReadInt64Bytes(b)
	return strconv.AppendInt(dst, i, 10), rest
}

// appendFloat writes f as JavaScript does, but for the sign of zero, which is kept.
func appendFloat(dst []byte, f float64) []byte {
	format := byte('f')
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case abs != 0 && abs < 1e-6 || abs >= 1e21:
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

// appendQuoted is appendString for what is known to be UTF-8.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(append(dst, s[start:i]...), '\\')
			start = i
		case c < ' ':
			dst = append(append(dst, s[start:i]...), '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			start = i + 1
		}
	}
	return append(append(dst, s[start:]...), '"')
}

// appendExtensionJSON shows a timestamp as RFC 3339 has it, and any other extension as
// {"type":5,"data":"AQID"}, the data in base64.
func appendExtensionJSON(dst, b []byte) (out, rest []byte) {
	kind, data, rest := cutExtension(b)
	if t, ok := packedTime(kind, data); ok {
		return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), rest
	}
	dst = strconv.AppendInt(append(dst, `{"type":`...), int64(kind), 10)
	dst = base64.StdEncoding.AppendEncode(append(dst, `,"data":"`...), data)
	return append(dst, '"', '}'), rest
}

// cutExtension takes an extension apart.
func cutExtension(b []byte) (kind int8, data, rest []byte) {
	rest, _ = msgp.Skip(b)
	head := 2 // the code and the type
	switch b[0] {
	case 0xc7: // with a size of one byte
		head = 3
	case 0xc8:
		head = 4
	case 0xc9:
		head = 6
	}
	return int8(b[head-1]), b[head : len(b)-len(rest)], rest
}

// packedTime reads a timestamp in any of its three forms. Years that RFC 3339 cannot write are left alone.
func packedTime(kind int8, data []byte) (t time.Time, ok bool) {
	const timestamp = -1
	var seconds int64
	var nanos uint64
	switch {
	case kind != timestamp:
		return t, false
	case len(data) == 4:
		seconds = int64(binary.BigEndian.Uint32(data))
	case len(data) == 8:
		v := binary.BigEndian.Uint64(data)
		seconds, nanos = int64(v&(1<<34-1)), v>>34
	case len(data) == 12:
		nanos, seconds = uint64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint64(data[4:]))
	default:
		return t, false
	}
	const first, last = -62167219200, 253402300799 // the years 0 to 9999
	if nanos > 999_999_999 || seconds < first || seconds > last {
		return t, false
	}
	return time.Unix(seconds, int64(nanos)).UTC(), true
}
