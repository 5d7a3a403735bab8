// In-package: the scanner is nothing that the API shows.
package server

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func valid(text string) bool {
	b := []byte(text)
	i := skipValue(b, skipSpace(b, 0), 0)
	return i >= 0 && skipSpace(b, i) == len(b)
}

func TestSkipValue(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, text := range []string{
		`{}`, `[]`, ` [ ] `, `[[],{}]`, `{"a":[1,{"b":null}],"c":true}`, `"\u00e4\n\"\\\/"`, `-0.5e+10`, `0`, `1E5`, `false`,
		nested(64), nested(65), nested(129), nested(maxJSONDepth),
		`[` + strings.Repeat(`{"a":[`, 100) + strings.Repeat(`]}`, 100) + `]`,
		`[{"a":1},[1]]`, `{"a":[1],"b":{"c":1}}`, `[` + nested(63) + `,{"a":` + nested(64) + `}]`,
		strings.Repeat("[", 64) + `{"a":1}` + strings.Repeat("]", 64), strings.Repeat("[", 63) + `{"a":[1]}` + strings.Repeat("]", 63),
		// refused
		``, ` `, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{a:1}`, `{1:1}`,
		`{"a" 1}`, `[}`, `{]`, `[1}`, `{"a":1]`, `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u123g"`, "\"\n\"", `01`, `-`, `1.`, `.5`, `1e`, `1e+`, `+1`,
		`nul`, `True`, `truefalse`, `1 1`, `[] []`, nested(maxJSONDepth + 1), nested(64) + "]", strings.Repeat("[", 100),
		strings.Repeat(`{"a":[`, 100) + strings.Repeat(`]}`, 99) + `}]`,
	} {
		if valid(text) != json.Valid([]byte(text)) {
			t.Errorf("%.40q: %v", text, valid(text))
		}
	}
}

func FuzzSkipValue(f *testing.F) {
	f.Add([]byte(`[1.5e3,{"a":["\u0000",null,true]},""]`))
	f.Add([]byte(strings.Repeat(`[{"a":`, 40) + "0" + strings.Repeat("}]", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if valid(string(b)) != json.Valid(b) {
			t.Fatalf("%v, encoding/json %v", valid(string(b)), json.Valid(b))
		}
	})
}

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		``:            `""`,
		`room:1`:      `"room:1"`,
		`a"b\c`:       `"a\"b\\c"`,
		"\x00\n\x1f":  `"\u0000\u000a\u001f"`,
		"ä€😀\u2028":   "\"ä€😀\u2028\"",
		"<&>\x7f":     "\"<&>\x7f\"",
		"a\xe4b\xe4":  `"a\ufffdb\ufffd"`,
		"\ufffd\xf0a": "\"\ufffd\\ufffda\"",
	} {
		if got := string(appendString(nil, in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\xff€")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := appendString(nil, s)
		var got string
		if err := json.Unmarshal(quoted, &got); err != nil || !utf8.Valid(quoted) {
			t.Fatalf("%q: %v", quoted, err)
		}
		if got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Fatalf("%q became %q", s, got)
		}
		if plain, ok := unquote(string(quoted)); !ok || plain != got {
			t.Fatalf("unquote: %q", plain)
		}
	})
}
