package tuning

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 15000: "15,000", 1_048_576: "1,048,576", -1: "-1", -1000: "-1,000", -999: "-999",
		math.MinInt64: "-9,223,372,036,854,775,808", Unbounded - 1: "9,223,372,036,854,775,806", Unbounded: "no limit",
	} {
		if got := count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// The look is that of bench/report, whose tests have the same pairs.
func TestByteCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 268: "268 B", 2368: "2,368 B", 9999: "9,999 B", 10_000: "9.77 KiB", 14_541: "14.2 KiB", 1 << 20: "1.00 MiB",
		999 << 10: "999 KiB", 1000 << 10: "0.98 MiB", 25 << 20: "25.0 MiB", 3_436_000_000: "3.20 GiB", 100 << 30: "100 GiB",
		5000 << 40: "5,000 TiB", -3_436_000_000: "-3.20 GiB", Unbounded: "no limit",
	} {
		if got := byteCount(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestKernelNumbers(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "4096": "4,096", "88560\t118080\t177120": "88,560 118,080 177,120", "9223372036854775807": "no limit",
		"9223372036854771712": "no limit", "4611686018427387903": "4,611,686,018,427,387,903", "-1": "-1", "524288 (soft 1024)": "524,288 (soft 1,024)", "max": "max", "+7": "+7", "00000000": "00000000", "0:1024 x2048": "0:1024 x2048",
	} {
		if got := kernelNumbers(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}

func TestList(t *testing.T) {
	for want, names := range map[string][]string{
		"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}, "a, b and 2 others": {"a", "b", "c", "d"},
	} {
		if got := list(names, 3); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, ""},
		{"one two", 7, "one two"},
		{"one two", 6, "one|two"},
		{"  a \n b ", 9, "a b"},
		{"net.netfilter.nf_conntrack_max", 20, "net.netfilter.|nf_conntrack_max"},
		{"abcdefgh", 3, "abc|def|gh"},
		{"ééé éé", 3, "ééé|éé"},
		{"ab", 0, "a|b"},
	} {
		if got := strings.Join(wrap(c.text, c.width), "|"); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

// A text without an end, as of a forged file, takes no time.
func TestWrapIsBounded(t *testing.T) {
	lines := wrap(strings.Repeat("a", 16<<20), 100)
	if len(lines) != 200 || !strings.HasSuffix(lines[199], "…") {
		t.Errorf("%d lines", len(lines))
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("net.netfilter.nf_conntrack_max is low", 12)
	f.Add("é\x80\xff ./.", 1)
	f.Fuzz(func(t *testing.T, s string, width int) {
		s = clean(s) // as every text is before it is wrapped; it is valid UTF-8 then
		width = width%200 + 1
		lines := wrap(s, width)
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > max(width, 1) || n == 0 {
				t.Errorf("%q has %d characters, want 1 to %d", l, n, width)
			}
		}
		if got, want := strings.Join(lines, ""), strings.Join(strings.Fields(s), ""); strings.Join(strings.Fields(got), "") != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}
