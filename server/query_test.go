// In-package: the decoder is nothing that the API shows.
package server

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseQuery(t *testing.T) {
	for _, row := range []struct {
		name, in, want string // want as JSON; empty: refused with 400
	}{
		{"1.1: plain", "a=1&t=true", `{"a":"1","t":"true"}`},
		{"1.1: nested", "d%5Be%5D=f%20g", `{"d":{"e":"f g"}}`},
		{"1.1: indexed keys are a map", "c%5B0%5D=1&c%5B1%5D=2", `{"c":{"0":"1","1":"2"}}`},
		{"1.1: empty piece", "a=1&&b=2", `{"a":"1","b":"2"}`},
		{"1.1: undefined", "x=undefined", `{"x":"undefined"}`},
		{"1.1: trailing ampersand", "a=1&", `{"a":"1"}`},
		{"1.1: list", "k[]=1&k[]=2", `{"k":["1","2"]}`},
		{"1.1: the last of equal keys", "a=1&a=2", `{"a":"2"}`},
		{"1.1: no equals sign", "a", `{"a":""}`},
		{"1.1: invalid UTF-8 in a value", "a=%ff", ""},
		{"1.1: invalid UTF-8 in a key", "%ff=a", ""},
		{"1.1: empty", "", `{}`},
		{"Plug: plus is a space", "a+b=c+d", `{"a b":"c d"}`},
		{"Plug: value with equals sign", "a=b=c", `{"a":"b=c"}`},
		{"Plug: empty key", "=a", `{"":"a"}`},
		{"Elixir: a percent sign that escapes nothing", "a=%zz%4&b=%", `{"a":"%zz%4","b":"%"}`},
		{"Plug: nested twice", "a[b][c]=1&a[b][d]=2", `{"a":{"b":{"c":"1","d":"2"}}}`},
		{"Plug: list of maps", "a[][b]=1&a[][c]=2", `{"a":[{"b":"1","c":"2"}]}`},
		{"Plug: list of lists", "a[][]=1", `{"a":[["1"]]}`},
		{"Plug: map after value", "a=1&a[b]=2", `{"a":{"b":"2"}}`},
		{"Plug: value after map", "a[b]=2&a=1", `{"a":"1"}`},
		{"Plug: value between", "a[b]=2&a=1&a[c]=3", `{"a":"1"}`},
		{"Plug: map after list", "a[]=1&a[b]=2", `{"a":{"b":"2"}}`},
		{"Plug: list after map", "a[b]=2&a[]=1", `{"a":["1"]}`},
		{"Plug: bracket first", "[]=1&[a]=2", `{"[]":"1","[a]":"2"}`},
		{"Plug: brackets that do not match", "a[b=1&c]=2&d[e]f=3", `{"a[b":"1","c]":"2","d[e]f":"3"}`},
		{"Plug: bracket within", "a[b]c]=1&e[[f]=2&g[]]=3", `{"a":{"b]c":"1"},"e":{"[f":"2"},"g":{"]":"3"}}`},
		{"limit: depth", "a" + strings.Repeat("[b]", maxQueryDepth-1) + "=1",
			`{"a":` + strings.Repeat(`{"b":`, maxQueryDepth-1) + `"1"` + strings.Repeat("}", maxQueryDepth)},
		{"limit: too deep", "a" + strings.Repeat("[b]", maxQueryDepth) + "=1", ""},
		{"limit: too many", strings.Repeat("a&", maxQueryPairs+1), ""},
		{"limit: many", strings.Repeat("a&", maxQueryPairs), `{"a":""}`},
	} {
		p, err := parseQuery(row.in)
		if row.want == "" {
			if err == nil || err.status != 400 {
				t.Errorf("%s: %v %v, want 400", row.name, p, err)
			}
			continue
		}
		if got, _ := json.Marshal(p); err != nil || string(got) != row.want {
			t.Errorf("%s: %s %v, want %s", row.name, got, err, row.want)
		}
	}
	if _, err := parseQuery(strings.Repeat("a", maxQueryBytes+1)); err == nil || err.status != 414 {
		t.Errorf("above a million bytes: %v", err)
	}
	if _, err := parseQuery(strings.Repeat("a", maxQueryBytes)); err != nil {
		t.Errorf("a million bytes: %v", err)
	}
}

func TestParamsGet(t *testing.T) {
	p, _ := parseQuery("a=1&b[c]=2")
	if p.Get("a") != "1" || p.Get("b") != "" || p.Get("c") != "" || p["b"].(Params).Get("c") != "2" {
		t.Errorf("%v", p)
	}
}

// FuzzParseQuery: no panic, everything is UTF-8, and for keys without brackets net/url agrees.
func FuzzParseQuery(f *testing.F) {
	f.Add("a[b][]=%20&c=d")
	f.Add("a[][b]=1&a[][b]=2&a=3")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := parseQuery(in)
		if err != nil {
			return
		}
		if !utf8Params(p) {
			t.Fatalf("not UTF-8: %q", p)
		}
		values, uerr := url.ParseQuery(in)
		if uerr != nil || strings.Contains(unescape(in, true), "[") {
			return
		}
		for key, list := range values {
			if p[key] != list[len(list)-1] {
				t.Fatalf("%q: %q, net/url %q", key, p[key], list)
			}
		}
	})
}

func utf8Params(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []any:
		for _, item := range v {
			if !utf8Params(item) {
				return false
			}
		}
		return len(v) > 0
	case Params:
		for key, item := range v {
			if !utf8.ValidString(key) || !utf8Params(item) {
				return false
			}
		}
		return true
	}
	return false
}

func BenchmarkParseQuery(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseQuery("token=SFMyNTY.g2gDYQF&vsn=2.0.0"); err != nil {
			b.Fatal(err)
		}
	}
}
