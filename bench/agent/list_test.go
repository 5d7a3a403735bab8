package agent

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseList(t *testing.T) {
	for _, row := range []struct {
		list string
		want []Entry
	}{
		{"a:9900", []Entry{{"a:9900", 1}}},
		{"a", []Entry{{"a:9900", 1}}},
		{"a:1,b:2=7", []Entry{{"a:1", 1}, {"b:2", 7}}},
		{" a:1 , b=2 ", []Entry{{"a:1", 1}, {"b:9900", 2}}},
		{"10.0.0.2,fd00::2,[fd00::3],[fd00::4]:5=1000000", []Entry{
			{"10.0.0.2:9900", 1}, {"[fd00::2]:9900", 1}, {"[fd00::3]:9900", 1}, {"[fd00::4]:5", 1_000_000}}},
		{"fe80::1%eth0,bücher.example", []Entry{{"[fe80::1%eth0]:9900", 1}, {"bücher.example:9900", 1}}},
	} {
		if got, err := ParseList(row.list); err != nil || !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q is %v, %v", row.list, got, err)
		}
	}
}

func TestParseListRefuses(t *testing.T) {
	for _, list := range []string{
		"", " ", ",", "a,", "a,,b", ":9900", "a:", "a:0", "a:65536", "a:x", "a:+1", "a=0", "a=-1", "a=x", "a=1.5", "a=1000001", "a=",
		"a,a:9900", "http://a:9900", "a/b", "a b", "[fd00::1", "fd00::1]:1", "[]:1", "user@a", "a:1:2", "[\r]", "a\x00", "a\xff",
		strings.Repeat("a,", 10),
	} {
		if got, err := ParseList(list); err == nil {
			t.Errorf("%q is %v", list, got)
		}
	}
	var many []string
	for i := range maxEntries + 1 {
		many = append(many, fmt.Sprintf("a%d", i))
	}
	if _, err := ParseList(strings.Join(many, ",")); err == nil {
		t.Errorf("%d agents are not too many", len(many))
	}
}

// FuzzParseList holds that what a list means can be written down as a list that means the same.
func FuzzParseList(f *testing.F) {
	f.Add("a:9900,b:9900=2")
	f.Add("[fd00::1]:1=3, c")
	f.Add("[\r]")
	f.Fuzz(func(t *testing.T, list string) {
		entries, err := ParseList(list)
		if err != nil {
			return
		}
		var again []string
		for _, e := range entries {
			again = append(again, fmt.Sprintf("%s=%d", e.Address, e.Weight))
		}
		got, err := ParseList(strings.Join(again, ","))
		if err != nil || !reflect.DeepEqual(got, entries) {
			t.Errorf("%q is %v, and written again %v, %v", list, entries, got, err)
		}
	})
}
