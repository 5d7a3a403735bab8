// In-package: what goes from one form to the other, byte by byte.
package server

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// packed is bytes in hexadecimal, with spaces for the eye.
func packed(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The mapping, row by row of what MessagePack says, and what its documentation here says of it.
func TestPackedToJSON(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"nil", "c0", `null`}, {"false", "c2", `false`}, {"true", "c3", `true`},
		{"fixint", "7f", `127`}, {"negative fixint", "e0", `-32`},
		{"uint 8", "ccff", `255`}, {"uint 16", "cdffff", `65535`}, {"uint 32", "ceffffffff", `4294967295`},
		{"uint 64 keeps every digit", "cfffffffffffffffff", `18446744073709551615`},
		{"int 8", "d080", `-128`}, {"int 16", "d18000", `-32768`}, {"int 32", "d280000000", `-2147483648`},
		{"int 64 keeps every digit", "d38000000000000000", `-9223372036854775808`},
		{"an integer in more bytes than it needs", "cf0000000000000001", `1`},
		{"float 32 is exact", "ca3dcccccd", `0.10000000149011612`}, {"float 64", "cb3fb999999999999a", `0.1`},
		{"a float without a fraction", "cb4014000000000000", `5`}, {"minus zero", "cb8000000000000000", `-0`},
		{"large float", "cb4480f0cf064dd592", `1e+22`}, {"small float", "cb3e7ad7f29abcaf48", `1e-07`},
		{"NaN", "cb7ff8000000000000", `null`}, {"infinity", "cb7ff0000000000000", `null`},
		{"minus infinity, 32 bits", "caff800000", `null`},
		{"fixstr", "a2 6869", `"hi"`}, {"str 8", "d902 6869", `"hi"`}, {"str 16", "da0002 6869", `"hi"`},
		{"str 32", "db00000002 6869", `"hi"`}, {"str: escapes", "a5 22 5c 0a 00 2f", `"\"\\\u000a\u0000/"`},
		{"str: beyond ASCII", "a8 c3a4 f09f9880 7f 3c", `"ä😀` + "\x7f" + `<"`},
		{"bin 8", "c403 010203", `"AQID"`}, {"bin 16", "c50001 ff", `"/w=="`}, {"bin 32", "c600000000", `""`},
		{"fixarray", "93 01 c0 90", `[1,null,[]]`}, {"array 16", "dc0001 01", `[1]`}, {"array 32", "dd00000001 01", `[1]`},
		{"fixmap", "82 a161 01 a162 80", `{"a":1,"b":{}}`}, {"map 16", "de0001 a161 01", `{"a":1}`},
		{"map 32", "df00000001 a161 01", `{"a":1}`},
		{"keys that are integers", "82 2a 01 ff 02", `{"42":1,"-1":2}`},
		{"key of 64 bits", "81 cfffffffffffffffff c0", `{"18446744073709551615":null}`},
		{"keys that repeat", "82 a161 01 a161 02", `{"a":1,"a":2}`},
		{"timestamp 32", "d6ff 5a497a00", `"2018-01-01T00:00:00Z"`},
		{"timestamp 64", "d7ff 773594005a497a00", `"2018-01-01T00:00:00.5Z"`},
		{"timestamp 96, before 1970", "c70cff 00000001 ffffffffffffffff", `"1969-12-31T23:59:59.000000001Z"`},
		{"timestamp of too many nanoseconds", "c70cff ee6b2800 0000000000000000", `{"type":-1,"data":"7msoAAAAAAAAAAAA"}`},
		{"timestamp beyond the year 9999", "c70cff 00000000 7fffffffffffffff", `{"type":-1,"data":"AAAAAH//////////"}`},
		{"timestamp of another length", "d4ff 00", `{"type":-1,"data":"AA=="}`},
		{"fixext 1", "d405 01", `{"type":5,"data":"AQ=="}`}, {"fixext 16", "d805 00000000000000000000000000000000",
			`{"type":5,"data":"AAAAAAAAAAAAAAAAAAAAAA=="}`},
		{"ext 8", "c70380 010203", `{"type":-128,"data":"AQID"}`}, {"ext 16", "c8000303 010203", `{"type":3,"data":"AQID"}`},
		{"ext 32", "c90000000004", `{"type":4,"data":""}`},
	} {
		in := packed(t, row.in)
		rest, ok := skipPacked(append(in[:len(in):len(in)], 0xc0), maxPackedDepth)
		if !ok || len(rest) != 1 {
			t.Errorf("%s: refused, or %d bytes left", row.name, len(rest))
			continue
		}
		got, rest := appendPackedJSON(nil, in)
		if string(got) != row.want || len(rest) != 0 || !json.Valid(got) {
			t.Errorf("%s: %s, want %s; %d bytes left", row.name, got, row.want, len(rest))
		}
	}
}

func TestPackedFromJSON(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"literals", `[null,true,false]`, "93 c0 c3 c2"}, {"white space", " { \"a\" :\t[ ] }\n", "81 a161 90"},
		{"integers, in the fewest bytes", `[127,128,255,256,65536,4294967296]`,
			"96 7f cc80 ccff cd0100 ce00010000 cf0000000100000000"},
		{"negative ones", `[-32,-33,-129,-32769,-2147483649]`, "95 e0 d0df d1ff7f d2ffff7fff d3ffffffff7fffffff"},
		{"the largest", `18446744073709551615`, "cfffffffffffffffff"},
		{"the least", `-9223372036854775808`, "d38000000000000000"},
		{"an integer of more than 64 bits is the nearest float", `18446744073709551616`, "cb43f0000000000000"},
		{"-0", `-0`, "cb8000000000000000"}, {"1.0", `1.0`, "cb3ff0000000000000"}, {"exponent", `1E2`, "cb4059000000000000"},
		{"beyond floats", `[1e999,-1e999,1e-999]`, "93 cb7ff0000000000000 cbfff0000000000000 cb0000000000000000"},
		{"strings", `["","ä","\u00e4\n\"","\ud83d\ude00"]`, "94 a0 a2c3a4 a4c3a40a22 a4f09f9880"},
		{"half a surrogate pair", `"\ud83d"`, "a3efbfbd"}, {"not UTF-8", "\"a\xffb\"", "a5 61efbfbd62"},
		{"32 bytes", `"` + strings.Repeat("x", 32) + `"`, "d920" + strings.Repeat("78", 32)},
		{"16 elements", `[` + strings.Repeat("0,", 15) + `0]`, "dc0010" + strings.Repeat("00", 16)},
		{"nested", `{"a":[{"b":[]},{}],"c":{"a":1,"a":2}}`, "82 a161 92 81a16290 80 a163 82 a16101 a16102"},
	} {
		got, err := appendJSONPacked([]byte("dst"), []byte(row.in))
		if want := append([]byte("dst"), packed(t, row.want)...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x %v, want %x", row.name, got, err, want)
		}
	}
}

// What is refused of a client, since others could not be shown it, or would choke on it.
func TestPackedRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("91", n) + "c0" }
	for _, row := range []struct{ name, in string }{
		{"nothing", ""}, {"the code that never is", "c1"}, {"array without its elements", "92 01"},
		{"2^32-1 elements claimed in 5 bytes", "ddffffffff"}, {"2^32-1 pairs", "dfffffffff 01 02"},
		{"4 GiB of string", "dbffffffff 61"}, {"4 GiB of bytes", "c6ffffffff 61"}, {"4 GiB of extension", "c9ffffffff05 61"},
		{"array 16 cut short", "dc00"}, {"map without its value", "81 a161"}, {"number cut short", "cb00"},
		{"string that is not UTF-8", "a1 ff"}, {"key that is not UTF-8", "81 a1 ff 01"},
		{"key nil", "81 c0 01"}, {"key of bytes", "81 c40161 01"}, {"key array", "81 90 01"}, {"key float", "81 ca00000000 01"},
		{"nested 513", deep(513)}, {"nested 10,000,000", strings.Repeat("91", 1e5)},
		{"maps nested 513", strings.Repeat("81a0", 513) + "c0"},
	} {
		in := packed(t, row.in)
		if _, ok := skipPacked(in, maxPackedDepth); ok {
			t.Errorf("%s: taken", row.name)
		}
		if p := MessagePack(in); !errors.Is(p.Err(), ErrNotMessagePack) {
			t.Errorf("%s: MessagePack: %v", row.name, p.Err())
		}
		if n := testing.AllocsPerRun(10, func() { skipPacked(in, maxPackedDepth) }); n > 2 { // of an error
			t.Errorf("%s: %v allocations", row.name, n)
		}
	}
	if _, ok := skipPacked(packed(t, deep(512)), maxPackedDepth); !ok {
		t.Error("nested 512: refused")
	}
	if p := MessagePack(packed(t, "c0 c0")); p.Err() == nil {
		t.Error("two values are one payload")
	}
}

func TestPackedFromJSONRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, in := range []string{
		"", " ", "[1,]", "[1", "{", `{"a"}`, `{"a":1,}`, `{1:2}`, "tru", "01", `"`, `"\x"`, "[] []", "[1 2]", "nulll", "{]", "[}",
		deep(513), strings.Repeat("[", 1e6), strings.Repeat(`{"":`, 513) + "1" + strings.Repeat("}", 513),
	} {
		out, err := appendJSONPacked([]byte("dst"), []byte(in))
		if !errors.Is(err, ErrNoMessagePack) || string(out) != "dst" {
			t.Errorf("%.40q: %q %v", in, out, err)
		}
	}
	if _, err := appendJSONPacked(nil, []byte(deep(512))); err != nil {
		t.Error("nested 512:", err)
	}
}

// A payload in MessagePack answers every question that one of JSON does.
func TestPackedPayload(t *testing.T) {
	p := MessagePack(packed(t, "82 a161 cfffffffffffffffff a162 c403 010203"))
	const text = `{"a":18446744073709551615,"b":"AQID"}`
	var v struct {
		A uint64
		B []byte
	}
	if err := p.Decode(&v); err != nil || v.A != 1<<64-1 || string(v.B) != "\x01\x02\x03" {
		t.Errorf("decoded %+v %v", v, err)
	}
	if b, err := json.Marshal(map[string]any{"p": p}); err != nil || string(b) != `{"p":`+text+`}` {
		t.Errorf("marshalled %s %v", b, err)
	}
	if string(p.Bytes()) != text || p.IsBinary() || !p.isObject() || p.Err() != nil {
		t.Errorf("%s, binary %v, object %v, %v", p.Bytes(), p.IsBinary(), p.isObject(), p.Err())
	}
	if b, err := p.MessagePack(); err != nil || &b[0] != &p.data[0] {
		t.Errorf("%x %v: not as it came", b, err)
	}
	if p := MessagePack(packed(t, "93 010203")); p.isObject() {
		t.Error("an array is an object")
	}
	if p := MessagePack(packed(t, "c402 0102")); !p.IsBinary() || string(p.Bytes()) != "\x01\x02" {
		t.Errorf("bytes as a whole are %+v", p)
	}
	for _, row := range []struct {
		p    Payload
		want string
		err  error
	}{
		{Payload{}, "80", nil}, {Raw(nil), "80", nil}, {raw(`{"a":1}`), "81 a161 01", nil}, {Binary([]byte{1}), "c40101", nil},
		{Binary(nil), "c400", nil}, {raw(`{`), "", ErrNoMessagePack}, {MessagePack(nil), "", ErrNotMessagePack},
	} {
		if b, err := row.p.MessagePack(); !errors.Is(err, row.err) || !bytes.Equal(b, packed(t, row.want)) {
			t.Errorf("%+v: %x %v, want %s", row.p, b, err, row.want)
		}
	}
}
