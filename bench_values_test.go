package main

// In the package: the values are the program's own.

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A reading is what a flag's text is read as, or a part of the error.
type reading struct{ text, want string }

func testReadings[T any](t *testing.T, name string, parse func(string) (T, error), rows []reading) {
	t.Helper()
	for _, row := range rows {
		got := ""
		v, err := parse(row.text)
		if got = fmt.Sprint(v); err != nil {
			got = err.Error()
		}
		if wrong, ok := strings.CutPrefix(row.want, "!"); ok && (err == nil || !strings.Contains(got, wrong)) || !ok && got != row.want {
			t.Errorf("%s %q: %s, want %s", name, row.text, got, row.want)
		}
	}
}

func TestValues(t *testing.T) {
	testReadings(t, "count", parseCount, []reading{
		{"0", "0"}, {"15000", "15000"}, {"15_000", "15000"}, {"15k", "15000"}, {"1.1k", "1100"}, {"1M", "1000000"},
		{"1000m", "1000000000"}, {"", "!want a whole number"}, {"k", "!want"}, {"-1", "!want"}, {"1.5", "!want"},
		{"1.0001k", "!want"}, {"1001m", "!want"}, {"1km", "!want"}, {"nan", "!want"}, {"inf", "!want"}, {"x", "!15k"},
	})
	testReadings(t, "rate", parseRate, []reading{
		{"1", "1"}, {"0.5", "0.5"}, {"10k/s", "10000"}, {"100/s", "100"}, {"0", "!above 0"}, {"-1", "!above 0"},
		{"1/m", "!above 0"}, {"", "!above 0"}, {"NaN", "!above 0"},
	})
	testReadings(t, "share", parseShare, []reading{
		{"0.1", "0.1"}, {"10%", "0.1"}, {"0", "!between"}, {"1", "!between"}, {"100%", "!between"}, {"x", "!as 0.1 or 10%"}, {"nan", "!between"},
	})
	testReadings(t, "time", parseTime, []reading{
		{"30s", "30s"}, {"0", "0s"}, {"1m30s", "1m30s"}, {"-1s", "!unit"}, {"30", "!unit"}, {"", "!unit"},
	})
	testReadings(t, "span", parseSpan, []reading{{"30s", "30s"}, {"0s", "!more than 0"}, {"30", "!unit"}})
	testReadings(t, "url", parseURL, []reading{
		{"ws://localhost:4000", "ws://localhost:4000"}, {"wss://a/socket?x=1", "wss://a/socket?x=1"},
		{"http://localhost:4000/", "!try ws://localhost:4000/"}, {"https://a", "!try wss://a"}, {"localhost:4000", "!want ws://"},
		{"ws://", "!want ws://"}, {"tcp://a", "!want ws://"}, {"ws://a b", "!want ws://"}, {"", "!want ws://"}, {"localhost", "!want ws://"},
	})
	testReadings(t, "protocol", parseProtocol, []reading{{"phoenix", "phoenix"}, {"websocket", "websocket"}, {"ws", "!phoenix or websocket"}})
	testReadings(t, "list", parseList, []reading{{"a", "[a]"}, {"a,b", "[a b]"}, {"a,", "!commas"}, {"", "!commas"}})
}

// A zero that a person asks for is not the zero that stands for the default.
func TestOrElse(t *testing.T) {
	d := time.Second
	set := orElse(&d, -1)
	if set(0); d != -1 {
		t.Errorf("0 is %v", d)
	}
	if set(2); d != 2 {
		t.Errorf("2 is %v", d)
	}
}

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"15k", "1_000", "0.5/s", "1e3", "-1", "infinity"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseCount(s); err == nil && (n < 0 || n > maxCount) {
			t.Errorf("the count %q is %d", s, n)
		}
		if r, err := parseRate(s); err == nil && !(r > 0 && r <= maxCount) {
			t.Errorf("the rate %q is %g", s, r)
		}
		if r, err := parseShare(s); err == nil && !(r > 0 && r < 1) {
			t.Errorf("the share %q is %g", s, r)
		}
	})
}
