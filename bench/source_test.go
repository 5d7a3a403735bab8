package bench

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// resolved returns targets of addresses.
func resolved(t *testing.T, urls ...string) []*target {
	t.Helper()
	var list []*target
	for _, u := range urls {
		tg, err := newTarget(&Config{Protocol: WebSocket}, u)
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.resolve(context.Background()); err != nil {
			t.Fatal(err)
		}
		list = append(list, tg)
	}
	return list
}

func TestLoopbackSources(t *testing.T) {
	const four, other, far, six = "ws://127.0.0.1:1", "ws://127.0.0.1:2", "ws://192.0.2.1:1", "ws://[::1]:1"
	for _, row := range []struct {
		name               string
		urls               []string
		part, conns, ports int
		first              string // address
		n, room            int
	}{
		{"one", []string{four}, 0, 1, 1000, "127.0.0.1", 1, 1000},
		{"half of the ports", []string{four}, 0, 500, 1000, "127.0.0.1", 1, 1000},
		{"one more", []string{four}, 0, 501, 1000, "127.0.0.1", 2, 2000},
		{"default range", []string{four}, 0, 1_000_000, 28232, "127.0.0.1", 71, 71 * 28232},
		{"two ports of the target", []string{four, other}, 0, 1001, 1000, "127.0.0.1", 2, 4000},
		{"the same twice", []string{four, four}, 0, 1001, 1000, "127.0.0.1", 3, 3000},
		{"uneven", []string{four, four, four, other}, 0, 1200, 1000, "127.0.0.1", 2, 2666},
		{"half of it far away", []string{four, far}, 0, 2000, 1000, "127.0.0.1", 2, 2000},
		{"far away", []string{far}, 0, 2000, 1000, "", 0, 1000},
		{"IPv6", []string{six}, 0, 2000, 1000, "", 0, 1000},
		{"second generator", []string{four}, 1, 1000, 1000, "127.0.0.3", 2, 2000},
		{"many generators", []string{four}, 127, 1000, 1000, "127.0.1.1", 2, 2000},
		{"range unknown", []string{four}, 0, 1000, 0, "", 0, 0},
		{"one port", []string{four}, 0, 10, 1, "127.0.0.1", 10, 10},
		{"beyond the bound", []string{four}, 0, 1 << 30, 2, "127.0.0.1", maxSources, 2 * maxSources},
	} {
		targets := resolved(t, row.urls...)
		s, err := newSourcesWithin(&Config{Part: row.part}, targets, row.conns, row.ports)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		first := ""
		if len(s.loopback) > 0 {
			first = s.loopback[0].String()
		}
		if first != row.first || len(s.loopback) != row.n || s.room() != row.room {
			t.Errorf("%s: %d addresses from %q, room %d; want %d from %q, %d", row.name, len(s.loopback), first, s.room(), row.n, row.first, row.room)
		}
		if a := s.pick(0, targets[len(targets)-1].addrs[0]); a.IsValid() && !a.IsLoopback() {
			t.Errorf("%s: picked %v", row.name, a)
		}
	}
}

func TestLoopbackAddr(t *testing.T) {
	seen := map[netip.Addr]bool{}
	for i := range maxSources {
		a := loopbackAddr(i)
		if last := a.As4()[3]; !a.IsLoopback() || last == 0 || last == 255 || seen[a] {
			t.Fatalf("address %d is %v", i, a)
		}
		seen[a] = true
	}
	for i, want := range map[int]string{0: "127.0.0.1", 253: "127.0.0.254", 254: "127.0.1.1", 254*256 - 1: "127.0.255.254", 254 * 256: "127.1.0.1"} {
		if got := loopbackAddr(i).String(); got != want {
			t.Errorf("address %d is %s, want %s", i, got, want)
		}
	}
}

// TestPickEvenly looks at what each source gets towards each of several targets that take turns.
func TestPickEvenly(t *testing.T) {
	const each = 1000 // connections for each source and target
	remote := netip.MustParseAddrPort("127.0.0.1:80")
	for _, n := range []int{1, 2, 3, 8, 13, 71} {
		s := &sources{}
		for i := range n {
			s.loopback = append(s.loopback, loopbackAddr(i))
		}
		for turns := 1; turns <= 6; turns++ {
			counts := make([]int, turns*256)
			for i := range n * turns * each {
				counts[i%turns*256+int(s.pick(i, remote).As4()[3])]++
			}
			for at, got := range counts {
				if want := each; at%256 > 0 && at%256 <= n && (got < want*95/100 || got > want*105/100) {
					t.Errorf("%d sources, %d targets: %d connections from %v to target %d, want about %d", n, turns, got, s.loopback[at%256-1], at/256, want)
				}
			}
		}
	}
}

func TestExplicitSources(t *testing.T) {
	for _, row := range []struct {
		name, list string
		urls       string
		want       string // first-last
		n, room    int
	}{
		{"address", "127.0.0.9", "ws://127.0.0.1", "127.0.0.9-127.0.0.9", 1, 100},
		{"range", "127.0.0.9-127.0.0.12", "ws://127.0.0.1", "127.0.0.9-127.0.0.12", 4, 400},
		{"range over a byte", "127.0.0.254-127.0.1.1", "ws://127.0.0.1", "127.0.0.254-127.0.1.1", 4, 400},
		{"prefix", "127.0.7.0/24", "ws://127.0.0.1", "127.0.7.1-127.0.7.254", 254, 25400},
		{"prefix, host bits set", "127.0.7.9/30", "ws://127.0.0.1", "127.0.7.9-127.0.7.10", 2, 200},
		{"prefix of two", "127.0.7.8/31", "ws://127.0.0.1", "127.0.7.8-127.0.7.9", 2, 200},
		{"prefix of one", "127.0.7.8/32", "ws://127.0.0.1", "127.0.7.8-127.0.7.8", 1, 100},
		{"several, some twice", "127.0.0.4 127.0.0.3-127.0.0.5 127.0.0.2", "ws://127.0.0.1", "127.0.0.2-127.0.0.5", 4, 400},
		{"IPv4 in IPv6", "::ffff:127.0.0.2", "ws://127.0.0.1", "127.0.0.2-127.0.0.2", 1, 100},
		{"two targets", "127.0.0.2", "ws://127.0.0.1:1 ws://127.0.0.1:2", "127.0.0.2-127.0.0.2", 1, 200},
	} {
		targets := resolved(t, strings.Fields(row.urls)...)
		s, err := newSourcesWithin(&Config{Sources: strings.Fields(row.list)}, targets, 1000, 100)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		got := ""
		if len(s.four) > 0 {
			got = s.four[0].String() + "-" + s.four[len(s.four)-1].String()
		}
		if got != row.want || len(s.four) != row.n || s.room() != row.room {
			t.Errorf("%s: %d addresses, %s, room %d; want %d, %s, %d", row.name, len(s.four), got, s.room(), row.n, row.want, row.room)
		}
		if a := s.pick(7, targets[0].addrs[0]); !slices.Contains(s.four, a) {
			t.Errorf("%s: picked %v", row.name, a)
		}
	}
}

func TestAddressRange(t *testing.T) {
	for text, want := range map[string]string{
		"2001:db8::fffe-2001:db8::1:1": "2001:db8::fffe 2001:db8::1:1",
		"2001:db8::5/120":              "2001:db8:: 2001:db8::ff",
		"2001:db8::/32":                "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"10.0.0.0/8":                   "10.0.0.1 10.255.255.254",
		"0.0.0.0/0":                    "0.0.0.1 255.255.255.254",
	} {
		first, last, err := addressRange(text)
		if got := fmt.Sprint(first, last); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestSourceErrors(t *testing.T) {
	for _, row := range []struct{ list, says string }{
		{"here", "is no address"},
		{"", "is no address"},
		{"10.0.0.256", "is no address"},
		{"10.0.0.1-", "is no address"},
		{"10.0.0.0/33", "is no prefix"},
		{"10.0.0.9-10.0.0.8", "ends before it begins"},
		{"10.0.0.1-2001:db8::1", "from one address family to another"},
		{"fe80::1%lo", "has a zone"},
		{"127.0.0.0/15", "more than 65536 addresses"},
		{"127.0.0.1-127.0.255.0 127.1.0.0-127.1.2.0", "more than 65536 addresses"},
		{"192.0.2.1", "\"ip addr\""}, // RFC 5737: nobody's
		{"127.0.0.1 192.0.2.0/24", "192.0.2.1"},
	} {
		list := strings.Fields(row.list)
		if row.list == "" {
			list = []string{""}
		}
		_, err := newSourcesWithin(&Config{Sources: list}, resolved(t, "ws://127.0.0.1"), 1, 100)
		if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), "--source") {
			t.Errorf("%q: got the error %v, want one that says %s", row.list, err, row.says)
		}
	}
	_, err := newSourcesWithin(&Config{Sources: []string{"127.0.0.1"}}, resolved(t, "ws://[::1]"), 1, 100)
	if err == nil || !strings.Contains(err.Error(), "family of ::1") {
		t.Errorf("an IPv4 source for an IPv6 target: %v", err)
	}
}

// TestNewSources reads this host's range of ports.
func TestNewSources(t *testing.T) {
	targets := resolved(t, "ws://localhost:4000")
	s, err := newSources(&Config{}, targets, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if room := s.room(); room > 0 && room < 100_000 {
		t.Errorf("there is room for %d connections of 100,000", room)
	}
	if a := s.pick(1, targets[0].addrs[0]); a.IsValid() && !a.IsLoopback() {
		t.Errorf("picked %v", a)
	}
}

func TestPortCount(t *testing.T) {
	for text, want := range map[string]int{
		"32768\t60999\n": 28232, "1024 65535": 64512, "5 5": 1, "6 5": 0, "": 0, "1024": 0, "0 10": 0, "a b": 0, "1 65536": 0,
	} {
		if got := portCount(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestPickAllocations(t *testing.T) {
	s := &sources{loopback: []netip.Addr{loopbackAddr(0), loopbackAddr(1)}}
	remote := netip.MustParseAddrPort("127.0.0.1:80")
	if n := testing.AllocsPerRun(100, func() { s.pick(3, remote) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
