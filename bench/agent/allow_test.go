package agent

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestAllow(t *testing.T) {
	names := map[string][]string{
		"ws.example.com":   {"93.184.216.34"},
		"a.b.example.com":  {"93.184.216.34"},
		"example.com":      {"93.184.216.34"},
		"badexample.com":   {"93.184.216.34"},
		"both.example.com": {"93.184.216.34", "10.0.0.1"},
		"in.example.com":   {"10.0.0.1"},
		"here.example.com": {"127.0.0.1"},
		"meta.example.com": {"169.254.169.254"},
		"any.example.com":  {"0.0.0.0"},
		"localhost":        {"127.0.0.1", "::1"},
		"odd.localhost":    {"127.0.0.1"},
		"127.1":            {"127.0.0.1"},
	}
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		var addrs []netip.Addr
		for _, a := range names[strings.TrimSuffix(strings.ToLower(host), ".")] {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		return addrs, nil
	}
	for _, row := range []struct {
		allow  string // separated by spaces
		target string
		want   bool
	}{
		// Nothing is said: loopback.
		{"", "ws://127.0.0.1:4000/socket", true},
		{"", "ws://127.200.3.4/", true},
		{"", "ws://[::1]:4000/", true},
		{"", "ws://[::ffff:127.0.0.1]:4000/", true},
		{"", "ws://localhost:4000/", true},
		{"", "ws://127.1/", true},
		{"", "ws://here.example.com/", true},
		{"", "ws://10.0.0.1/", false},
		{"", "ws://0.0.0.0/", false},
		{"", "ws://[::]/", false},
		{"", "ws://[::ffff:10.0.0.1]/", false},
		{"", "ws://example.com/", false},
		{"", "ws://both.example.com/", false},
		{"localhost", "ws://127.0.0.1/", true},
		{"localhost:4000", "ws://[::1]:4001/", false},

		// Prefixes and addresses.
		{"10.0.0.0/8", "ws://10.200.0.1:99/", true},
		{"10.0.0.0/8", "ws://11.0.0.1/", false},
		{"10.0.0.0/8", "ws://[::ffff:10.0.0.1]/", true},
		{"10.0.0.0/8", "ws://127.0.0.1/", false}, // what is said replaces loopback
		{"10.0.0.0/8", "ws://in.example.com/", true},
		{"10.0.0.0/8", "ws://both.example.com/", false}, // not all of its addresses
		{"10.0.0.0/8 93.184.216.0/24", "ws://both.example.com/", true},
		{"10.1.2.3/8", "ws://10.200.0.1/", true}, // bits behind the prefix mean nothing
		{"10.0.0.1", "ws://10.0.0.1/", true},
		{"10.0.0.1", "ws://10.0.0.2/", false},
		{"::ffff:10.0.0.1", "ws://10.0.0.1/", true},
		{"fd00::/8", "ws://[fd12::1]:4000/", true},
		{"fd00::/8", "ws://[fe80::1%25eth0]:4000/", false},
		{"fe80::/10", "ws://[fe80::1%25eth0]:4000/", true},
		{"0.0.0.0/0", "ws://[fd12::1]/", false},

		// Ports.
		{"10.0.0.0/8:4000", "ws://10.0.0.1:4000/", true},
		{"10.0.0.0/8:4000", "ws://10.0.0.1:4001/", false},
		{"10.0.0.0/8:80", "ws://10.0.0.1/", true},
		{"10.0.0.0/8:443", "wss://10.0.0.1/", true},
		{"10.0.0.0/8:443", "ws://10.0.0.1/", false},
		{"[fd00::/8]:4000", "ws://[fd12::1]:4000/", true},
		{"[fd00::/8]:4000", "ws://[fd12::1]:4001/", false},
		{"[fd00::1]:4000", "ws://[fd00::1]:4000/", true},
		{"[fd00::1]", "ws://[fd00::1]:5000/", true},
		{"10.0.0.1:4000", "ws://10.0.0.1:99999/", false},

		// Names.
		{"ws.example.com", "ws://ws.example.com:4000/", true},
		{"ws.example.com", "ws://WS.Example.COM.:4000/", true},
		{"WS.example.com.", "ws://ws.example.com/", true},
		{"ws.example.com", "ws://93.184.216.34/", false},
		{"ws.example.com", "ws://example.com/", false},
		{"*.example.com", "ws://ws.example.com/", true},
		{"*.example.com", "ws://a.b.example.com/", true},
		{"*.example.com", "ws://example.com/", false},
		{"*.example.com", "ws://badexample.com/", false},
		{"*.example.com:4000", "ws://ws.example.com:4000/", true},
		{"*.example.com:4000", "ws://ws.example.com/", false},
		{"*.example.com", "ws://in.example.com/", true},    // a private network is what agents are for
		{"*.example.com", "ws://here.example.com/", false}, // but not what is on the agent's own machine
		{"*.example.com", "ws://meta.example.com/", false},
		{"*.example.com", "ws://any.example.com/", false},
		{"*.example.com 127.0.0.0/8", "ws://here.example.com/", true},

		// What is no target at all.
		{"0.0.0.0/0", "ws:///socket", false},
		{"0.0.0.0/0", "", false},
		{"0.0.0.0/0", "ws://nowhere.example/", false},
		{"0.0.0.0/0", "://", false},
	} {
		list, err := parseAllow(strings.Fields(row.allow))
		if err != nil {
			t.Errorf("%q: %v", row.allow, err)
			continue
		}
		if err := list.check(t.Context(), resolve, row.target); (err == nil) != row.want {
			t.Errorf("%q and the target %s: %v, want allowed: %v", row.allow, row.target, err, row.want)
		}
	}
}

func TestAllowRefuses(t *testing.T) {
	for _, s := range []string{"", " ", ":4000", "*", "*.", ".", "a.*.com", "10.0.0.0/33", "10.0.0.0/8:0x50", "a:b", "a:99999", "[fd00::1", "http://a", "a b", "fd00::zz"} {
		if list, err := parseAllow([]string{s}); err == nil {
			t.Errorf("%q is %+v", s, list)
		}
	}
}

func FuzzAllow(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8:4000", "[fd00::/8]:4000", "*.example.com", "localhost", "[::1%eth0]:1"} {
		f.Add(s, "ws://localhost:4000/")
	}
	nobody := errors.New("nobody")
	f.Fuzz(func(t *testing.T, pattern, target string) {
		list, err := parseAllow([]string{pattern})
		if err != nil {
			return
		}
		if len(list) == 0 {
			t.Fatalf("%q allows nothing, without an error", pattern)
		}
		_ = list.check(t.Context(), func(context.Context, string) ([]netip.Addr, error) { return nil, nobody }, target)
	})
}
