package tuning

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An assignment is a line of sysctl.d(5).
type assignment struct {
	key, value string
	optional   bool
}

// parseSysctl reads a file as both of its readers do: systemd's parse_file in src/sysctl/sysctl.c and
// procps's parse_setting_line in src/sysctl.c. What one of them would complain about, or they read
// differently, is an error: lines that are no assignment, globs, slashes, values of more than 4,095 bytes.
func parseSysctl(text string) ([]assignment, error) {
	var all []assignment
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' || l[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(l, "=")
		key, optional := strings.CutPrefix(key, "-")
		a := assignment{strings.TrimSpace(key), strings.TrimSpace(value), optional}
		switch {
		case !ok:
			return nil, fmt.Errorf("%q is no assignment", l)
		case a.key == "" || strings.ContainsAny(a.key, " \t/*?[-") || strings.Contains("."+a.key+".", ".."):
			return nil, fmt.Errorf("%q is no key", a.key)
		case a.value == "" || len(a.value) > 4095 || strings.Trim(a.value, "0123456789 ") != "":
			return nil, fmt.Errorf("%q is no row of numbers", a.value)
		}
		all = append(all, a)
	}
	return all, nil
}

func TestParseSysctl(t *testing.T) {
	for _, row := range []struct {
		text string
		want []assignment // nil: an error
	}{
		{"# a = 1\n ; b = 2\n\n  c.d\t=  3 4 \n", []assignment{{"c.d", "3 4", false}}},
		{"-c.d = 3\n", []assignment{{"c.d", "3", true}}},
		{"c.d\n", nil}, {"-c.d\n", nil}, {"c.* = 1\n", nil}, {"c/d = 1\n", nil}, {"c..d = 1\n", nil}, {"= 1\n", nil},
		{"c.d =\n", nil}, {"c.d = x\n", nil}, {"c.d = 1 # why\n", nil}, {"c.d = " + strings.Repeat("1", 4096), nil},
	} {
		got, err := parseSysctl(row.text)
		if (err != nil) != (row.want == nil) || !slices.Equal(got, row.want) {
			t.Errorf("%q: %v, %v", row.text, got, err)
		}
	}
}

// fixed is a row of a table for tests.
func fixed(c Check, s sysctl, values ...int64) Check {
	s.want = func(Goal, int64) ([]int64, string) { return values, "" }
	return s.check(c)
}

func TestSysctlFragmentRow(t *testing.T) {
	counted := sysctl{key: "a.b", want: func(g Goal, page int64) ([]int64, string) {
		return []int64{g.Connections * page, 7}, "connections times pages"
	}}
	for _, row := range []struct {
		name   string
		check  Check
		want   string // of the end of the text
		absent string
	}{
		{"all of it", counted.check(Check{Role: Both, Why: "It matters.", Source: "tcp(7)", Myth: "more is better: no"}),
			"\n\n# == T ==\n\n# It matters.\n# Value: connections times pages.\n# Source: tcp(7).\n# Myth: more is better: no.\na.b = 12288 7\n", ""},
		{"nothing but a key", fixed(Check{Role: Server, Why: "W."}, sysctl{key: "a.b"}, 1), "\n# W.\na.b = 1\n", "Myth"},
		{"optional", fixed(Check{Role: Server, Why: "W."}, sysctl{key: "a.b", optional: true}, 1), "\n# W.\n-a.b = 1\n", ""},
		{"left out", fixed(Check{Role: Server, Why: "W."}, sysctl{key: "a.b", leave: "it would lower it", optional: true}, 1),
			"\n# W.\n# Not set: it would lower it.\n#a.b = 1\n", "-e --system"},
		{"of a module", fixed(Check{Role: Server, Why: "W."}, sysctl{key: "net.netfilter.b"}, 1),
			"line nf_conntrack.\n\n# == T ==\n\n# W.\nnet.netfilter.b = 1\n", "-e --system"},
		{"of another role", fixed(Check{Role: LoadGen, Why: "W."}, sysctl{key: "a.b"}, 1), "reverted.\n", "a.b"},
		{"myth of another role", fixed(Check{Role: LoadGen, Why: "W.", Myth: "set x: it is gone."}, sysctl{key: "a.b"}, 1),
			"\n\n# == Not here ==\n\n# a.b: set x: it is gone.\n", "a.b ="},
		{"myth without a setting", Check{Role: Server, Name: "swap", Why: "W.", Myth: "swappiness"},
			"\n\n# == Not here ==\n\n# swap: swappiness.\n", "W."},
		{"neither", Check{Role: Server, Name: "swap", Why: "W."}, "reverted.\n", "swap"},
	} {
		text := sysctlText(Goal{Connections: 3, Role: Server}, []section{{"T", []Check{row.check}}})
		if !strings.HasSuffix(text, row.want) {
			t.Errorf("%s: the text ends with\n%s\nwant\n%s", row.name, text[max(0, len(text)-len(row.want)-40):], row.want)
		}
		if row.absent != "" && strings.Contains(text, row.absent) {
			t.Errorf("%s: %q is in\n%s", row.name, row.absent, text)
		}
	}
}

// A new group of checks must not be forgotten here.
func TestSectionsAreTheTable(t *testing.T) {
	var got, want []string
	for _, s := range sections() {
		for _, c := range s.checks {
			got = append(got, c.Name)
		}
	}
	for _, c := range Checks() {
		want = append(want, c.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("sections have %q, Checks has %q", got, want)
	}
}

// For every goal the file can be read, has each key at most once and in the order of the table, and what it
// has, or what the kernel has where it has nothing, is enough for what Examine would ask on a host with
// pages of 4 KiB.
func TestSysctlFragmentIsTheTable(t *testing.T) {
	for _, g := range goals() {
		got, err := parseSysctl(fragmentsOf(t, g)["sysctl"].Text)
		if err != nil {
			t.Fatalf("%v: %v", g, err)
		}
		full, err := g.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range Checks() {
			s := c.setting
			if s == nil || s.leave != "" || c.Role&g.Role == 0 {
				continue
			}
			want, _ := s.want(full, 4096)
			if len(got) == 0 || got[0].key != s.key {
				if own := kernelsOwn()[s.key]; own.grows || !s.order.enough(own.values, want) {
					t.Errorf("%v: %s is not set, want %d", g, s.key, want)
				}
				continue
			}
			if have := numbersOf(t, got[0].value); !s.order.enough(have, want) || got[0].optional != s.optional {
				t.Errorf("%v: %v, want %s = %d, optional %v", g, got[0], s.key, want, s.optional)
			}
			got = got[1:]
		}
		if len(got) > 0 {
			t.Errorf("%v: what is %v?", g, got)
		}
	}
}

func numbersOf(t *testing.T, s string) []int64 {
	t.Helper()
	v, err := hostOf(t, map[string]string{"n": s}).numbers("n")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A setting as it is when nobody sets it must not be lowered on a host of 16 GiB, whatever the goal. Values
// are Linux 6.12's there, by the sources that kernelsOwn names; tcp_tw_reuse is 2, and 1 is more than that.
func TestSysctlFragmentLowersNoDefault(t *testing.T) {
	untouched := map[string][]int64{
		"fs.nr_open": {1048576}, "vm.max_map_count": {65530}, "net.core.somaxconn": {4096},
		"net.core.netdev_max_backlog": {1000}, "net.ipv4.tcp_rmem": {4096, 131072, 6291456},
		"net.ipv4.tcp_wmem": {4096, 16384, 4194304}, "net.ipv4.tcp_mem": {190000, 254000, 381000},
		"net.ipv4.tcp_max_tw_buckets": {65536}, "net.ipv4.tcp_max_orphans": {65536},
		"net.netfilter.nf_conntrack_max": {262144}, "net.netfilter.nf_conntrack_buckets": {262144},
		"net.netfilter.nf_conntrack_tcp_timeout_established": {432000}, "fs.epoll.max_user_watches": {3600000},
		"net.ipv4.tcp_moderate_rcvbuf": {1}, "net.ipv4.tcp_syncookies": {1}, "net.ipv4.tcp_abort_on_overflow": {0},
		"net.ipv4.tcp_tw_reuse": {1}, "net.ipv4.ip_local_port_range": {32768, 60999},
	}
	for _, g := range goals() {
		got, err := parseSysctl(fragmentsOf(t, g)["sysctl"].Text)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			own, known := untouched[a.key]
			if !known {
				t.Errorf("%v: %v: is that more than the kernel's own? Say in this table what that is", g, a)
				continue
			}
			order := atLeast
			if a.key == "net.ipv4.ip_local_port_range" {
				order = widest
			}
			if !order.enough(numbersOf(t, a.value), own) {
				t.Errorf("%v: %v lowers %d", g, a, own)
			}
		}
	}
}

func TestPrintedIsNoLessThanTheKernelsOwn(t *testing.T) {
	for _, row := range []struct {
		key    string
		order  order
		want   []int64
		values []int64
		left   bool
	}{
		{"fs.nr_open", atLeast, []int64{1<<20 - 1}, []int64{1 << 20}, true},
		{"fs.nr_open", atLeast, []int64{1 << 20}, []int64{1 << 20}, true},
		{"fs.nr_open", atLeast, []int64{1<<20 + 1}, []int64{1<<20 + 1}, false},
		{"net.ipv4.tcp_rmem", atLeast, []int64{4096, 87380, 500000}, []int64{4096, 131072, 6291456}, true},
		{"net.ipv4.tcp_rmem", atLeast, []int64{4096, 87380, 8000000}, []int64{4096, 131072, 8000000}, false},
		{"net.ipv4.ip_local_port_range", widest, []int64{40000, 50000}, []int64{32768, 60999}, true},
		{"net.ipv4.ip_local_port_range", widest, []int64{1024, 50000}, []int64{1024, 60999}, false},
		{"net.ipv4.tcp_mem", atLeast, []int64{2, 2, 3}, []int64{196608, 262144, 393216}, false},
		{"net.netfilter.nf_conntrack_max", atLeast, []int64{262143}, []int64{262144}, false},
		{"net.netfilter.nf_conntrack_max", atLeast, []int64{262145}, []int64{262145}, false},
		{"not.in.the.table", atLeast, []int64{1}, []int64{1}, false},
	} {
		s := &sysctl{key: row.key, order: row.order, want: func(Goal, int64) ([]int64, string) { return row.want, "" }}
		values, because, leave := s.printed(Goal{Connections: 1})
		if !slices.Equal(values, row.values) || (leave != "") != row.left {
			t.Errorf("%s: %d, left out: %q; want %d, %v", row.key, values, leave, row.values, row.left)
		}
		if !row.left && !slices.Equal(row.values, row.want) && because == "" {
			t.Errorf("%s: %d is not %d, and nothing says why", row.key, row.values, row.want)
		}
	}
}

// Whoever looks for a setting finds it, or the reason why it is not there.
func TestSysctlFragmentSpeaksOf(t *testing.T) {
	for _, role := range []Role{Server, LoadGen, Both} {
		text := fragmentsOf(t, Goal{Connections: 2_000_000, Role: role})["sysctl"].Text
		for _, word := range []string{
			"fs.nr_open", "fs.file-max", "net.core.somaxconn", "tcp_max_syn_backlog", "tcp_tw_recycle", "tcp_tw_reuse",
			"tcp_fin_timeout", "tcp_keepalive_time", "tcp_mem", "tcp_rmem", "tcp_wmem", "net.core.rmem_max",
			"netdev_max_backlog", "nf_conntrack_max", "vm.swappiness", "vm.overcommit_memory",
		} {
			if !strings.Contains(text, word) {
				t.Errorf("%v: nothing is said of %s", role, word)
			}
		}
	}
}

// systemd sets fs.file-max to the largest number there is (bump_file_max_and_nr_open in src/core/main.c), and
// a file of sysctl.d is read after that: a smaller number would lower it.
func TestSysctlFragmentDoesNotLowerFileMax(t *testing.T) {
	for _, g := range goals() {
		all, err := parseSysctl(fragmentsOf(t, g)["sysctl"].Text)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			if a.key == "fs.file-max" && a.value != "9223372036854775807" {
				t.Errorf("%v: fs.file-max = %s", g, a.value)
			}
		}
	}
}
