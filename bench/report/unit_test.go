package report

// In the package: the words for numbers are used everywhere and exported nowhere.

import (
	"math"
	"slices"
	"testing"
)

func TestUnits(t *testing.T) {
	for _, row := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, unitNone, "0"}, {7, unitNone, "7"}, {999, unitNone, "999"}, {1000, unitNone, "1,000"}, {15_000, unitNone, "15,000"},
		{-1234567, unitNone, "-1,234,567"}, {0.126, unitNone, "0.13"}, {9.994, unitNone, "9.99"}, {9.996, unitNone, "10.0"},
		{99.94, unitNone, "99.9"}, {99.96, unitNone, "100"}, {1234.5, unitNone, "1,235"}, {1e30, unitNone, "1e+30"},
		{math.NaN(), unitNone, "unknown"}, {math.Inf(1), unitRate, "unknown/s"},

		{0, unitSeconds, "0"}, {350e-9, unitSeconds, "350 ns"}, {1e-6, unitSeconds, "1.00 µs"}, {812e-6, unitSeconds, "812 µs"},
		{999.6e-6, unitSeconds, "1.00 ms"}, {1.84e-3, unitSeconds, "1.84 ms"}, {0.41, unitSeconds, "410 ms"}, {0.9999, unitSeconds, "1.00 s"},
		{12.34, unitSeconds, "12.3 s"}, {59.96, unitSeconds, "1m 00s"}, {125, unitSeconds, "2m 05s"}, {7325, unitSeconds, "2h 02m"},
		{math.Inf(1), unitSeconds, "unknown"}, {-1.84e-3, unitSeconds, "-1.84 ms"}, {250, unitMillis, "250 ms"},

		{268.4, unitBytes, "268 B"}, {2368, unitBytes, "2,368 B"}, {9999.6, unitBytes, "9.77 KiB"}, {14_541, unitBytes, "14.2 KiB"},
		{1 << 20, unitBytes, "1 MiB"}, {1023.7 * 1024, unitBytes, "1.00 MiB"}, {3.2 * (1 << 30), unitBytes, "3.20 GiB"}, {1 << 60, unitBytes, "1,048,576 TiB"},

		{150_000, unitRate, "150,000/s"}, {9.87, unitRate, "9.87/s"}, {97, unitPercent, "97 %"}, {0.5, unitCPUs, "0.50"}, {3, "rooms", "3 rooms"},
	} {
		if got := inUnit(row.v, row.unit); got != row.want {
			t.Errorf("%v %s: %q, want %q", row.v, row.unit, got, row.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"ünïcode 界":            "ünïcode 界",
		"\x1b[31mred\x07":      "\uFFFD[31mred\uFFFD",
		"two\nlines\tand tabs": "two lines and tabs",
		"bad \xff utf-8":       "bad \uFFFD utf-8",
		"right-to-left\u202e":  "right-to-left\uFFFD",
		"c1 \u009b31m":         "c1 \uFFFD31m",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, row := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"  one  ", []string{"one"}},
		{"one two three", []string{"one two", "three"}},
		{"a-very-long-word then", []string{"a-very-long-word", "then"}},
		{"µµµ µµµ µ", []string{"µµµ µµµ", "µ"}},
	} {
		if got := wrap(row.in, 8); !slices.Equal(got, row.want) {
			t.Errorf("%q: %q, want %q", row.in, got, row.want)
		}
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"the CPU was busy":     "The CPU was busy.",
		"Done.":                "Done.",
		"rooms:lobby is empty": "rooms:lobby is empty.",
		"ws://x:1 refuses":     "ws://x:1 refuses.",
		"élan":                 "Élan.",
	} {
		if got := sentence(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
