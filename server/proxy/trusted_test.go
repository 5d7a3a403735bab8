package proxy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server/proxy"
)

func trusted(tb testing.TB, networks ...string) *proxy.Trusted {
	tb.Helper()
	t, err := proxy.ParseTrusted(networks)
	if err != nil {
		tb.Fatal(err)
	}
	return &t
}

func TestParseTrusted(t *testing.T) {
	for _, row := range []struct{ network, err string }{
		{"10.0.0.0/8", ""}, {"192.0.2.1", ""}, {"192.0.2.1/32", ""}, {"fd00::/8", ""}, {"::1", ""}, {"0.0.0.0/0", ""},
		{"::ffff:10.0.0.0/104", ""}, {"::ffff:10.0.0.1", ""}, {"fe80::1%eth0", ""},
		{"10.0.0.1/8", "bits beyond its prefix"}, {"fd00::1/8", "bits beyond its prefix"}, {"10.0.0.0/33", "33"}, {"10.0.0.0/08", "08"},
		{"proxy.example", "proxy.example"}, {"", `""`}, {"10.0.0.0/", ""}, {" 10.0.0.0/8", "10"}, {"::ffff:0.0.0.0/95", ""},
	} {
		_, err := proxy.ParseTrusted([]string{"127.0.0.1", row.network})
		bad := row.err != "" || row.network == "10.0.0.0/" || strings.HasSuffix(row.network, "/95")
		if (err != nil) != bad || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%q: %v, want an error with %q: %v", row.network, err, row.err, bad)
		}
	}
}

func TestContains(t *testing.T) {
	some := trusted(t, "10.0.0.0/8", "192.0.2.1", "fd00::/8", "::ffff:172.16.0.0/108", "fe80::1%eth0")
	for _, row := range []struct {
		addr string
		want bool
	}{
		{"9.255.255.255", false}, {"10.0.0.0", true}, {"10.255.255.255", true}, {"11.0.0.0", false},
		{"192.0.2.0", false}, {"192.0.2.1", true}, {"192.0.2.2", false}, {"::ffff:10.1.2.3", true}, {"::ffff:11.0.0.0", false},
		{"fcff::", false}, {"fd00::", true}, {"fdff::1%eth0", true}, {"fe00::", false},
		{"172.15.255.255", false}, {"172.16.0.0", true}, {"172.31.255.255", true}, {"172.32.0.0", false},
		{"fe80::1", true}, {"fe80::1%eth1", true}, {"fe80::2%eth0", false}, {"::a00:0", false},
	} {
		a := netip.MustParseAddr(row.addr)
		if got := some.Contains(a); got != row.want {
			t.Errorf("%s: %v", row.addr, got)
		}
		if new(proxy.Trusted).Contains(a) {
			t.Errorf("the zero Trusted trusts %s", row.addr)
		}
	}
	if some.Contains(netip.Addr{}) || trusted(t, "0.0.0.0/0", "::/0").Contains(netip.Addr{}) {
		t.Error("what is no address is trusted")
	}
}

// Trusted are 10.0.0.0/8 and 2001:db8:ffff::/48. C is the client, at 203.0.113.7.
func TestClientAddr(t *testing.T) {
	const c = "203.0.113.7"
	for _, row := range []struct {
		name, peer string
		values     []string
		want       string
	}{
		{"no proxy, no field", c, nil, c},
		{"the peer is not trusted", "198.51.100.1", []string{c}, "198.51.100.1"},
		{"the peer is not trusted, though it names a trusted one", "198.51.100.1", []string{c + ", 10.0.0.1"}, "198.51.100.1"},
		{"a proxy", "10.0.0.1", []string{c}, c},
		{"a proxy on a dual-stack socket", "::ffff:10.0.0.1", []string{c}, c},
		{"a proxy on IPv6", "2001:db8:ffff::1", []string{c}, c},
		{"a proxy, no field", "10.0.0.1", nil, "10.0.0.1"},
		{"a proxy, empty field", "10.0.0.1", []string{""}, "10.0.0.1"},
		{"a proxy, white space", "10.0.0.1", []string{" \t "}, "10.0.0.1"},
		{"two proxies", "10.0.0.1", []string{c + ", 10.0.0.2"}, c},
		{"two proxies, two fields", "10.0.0.1", []string{c, "10.0.0.2"}, c},
		{"what the client sent is not looked at", "10.0.0.1", []string{"6.6.6.6, " + c}, c},
		{"nor in a field before", "10.0.0.1", []string{"6.6.6.6", c}, c},
		{"nor with a trusted address between", "10.0.0.1", []string{"6.6.6.6, 10.0.0.9, " + c + ",10.0.0.2"}, c},
		{"all are trusted: the leftmost", "10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"no space, tab", "10.0.0.1", []string{"6.6.6.6,\t" + c + "\t,10.0.0.2 "}, c},
		{"empty elements", "10.0.0.1", []string{c + ", ,, 10.0.0.2,,", ","}, c},
		{"port", "10.0.0.1", []string{c + ":4711"}, c},
		{"IPv6", "10.0.0.1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6, brackets", "10.0.0.1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"IPv6, brackets and port", "10.0.0.1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"mapped", "10.0.0.1", []string{"::ffff:203.0.113.7"}, c},
		{"mapped, trusted", "10.0.0.1", []string{c + ", ::ffff:10.0.0.2"}, c},
		{"trusted with port", "10.0.0.1", []string{c + ", 10.0.0.2:80"}, c},
		{"unknown", "10.0.0.1", []string{"6.6.6.6, unknown"}, "10.0.0.1"},
		{"unknown beyond a proxy", "10.0.0.1", []string{"6.6.6.6, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"obfuscated", "10.0.0.1", []string{"6.6.6.6, _hidden"}, "10.0.0.1"},
		{"a name", "10.0.0.1", []string{"6.6.6.6, localhost"}, "10.0.0.1"},
		{"zone", "10.0.0.1", []string{"6.6.6.6, fe80::1%eth0"}, "10.0.0.1"},
		{"zone in brackets", "10.0.0.1", []string{"6.6.6.6, [fe80::1%eth0]:80"}, "10.0.0.1"},
		{"heading zeroes", "10.0.0.1", []string{"6.6.6.6, 203.0.113.07"}, "10.0.0.1"},
		{"port too large", "10.0.0.1", []string{"6.6.6.6, " + c + ":65536"}, "10.0.0.1"},
		{"port empty", "10.0.0.1", []string{"6.6.6.6, " + c + ":"}, "10.0.0.1"},
		{"IPv4 in brackets", "10.0.0.1", []string{"6.6.6.6, [203.0.113.7]"}, "10.0.0.1"},
		{"half a bracket", "10.0.0.1", []string{"6.6.6.6, [2001:db8::7"}, "10.0.0.1"},
		{"empty brackets", "10.0.0.1", []string{"6.6.6.6, []"}, "10.0.0.1"},
		{"unspecified", "10.0.0.1", []string{"6.6.6.6, 0.0.0.0"}, "10.0.0.1"},
		{"unspecified, IPv6", "10.0.0.1", []string{"6.6.6.6, ::"}, "10.0.0.1"},
		{"two addresses and no comma", "10.0.0.1", []string{"6.6.6.6 " + c}, "10.0.0.1"},
		{"quotes mean nothing", "10.0.0.1", []string{`"6.6.6.6", "` + c + `"`}, "10.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := trusted(t, "10.0.0.0/8", "2001:db8:ffff::/48").ClientAddr(netip.MustParseAddr(row.peer), row.values)
			if got.String() != row.want {
				t.Errorf("%v, want %s", got, row.want)
			}
			if got := new(proxy.Trusted).ClientAddr(netip.MustParseAddr(row.peer), row.values); got != netip.MustParseAddr(row.peer).Unmap() {
				t.Errorf("who trusts nobody gets %v", got)
			}
		})
	}
}

func TestClientAddrBounds(t *testing.T) {
	const c = "203.0.113.7"
	chain := func(n int) string { return strings.Repeat("10.0.0.2,", n-1) + "10.0.0.2" }
	for _, row := range []struct {
		name   string
		values []string
		want   string
	}{
		{"64 elements", []string{c + "," + chain(63)}, c},
		{"65 elements", []string{c + "," + chain(64)}, "10.0.0.2"},
		{"64 fields", append([]string{c}, strings.Split(chain(63), ",")...), c},
		{"65 fields", append([]string{c}, strings.Split(chain(64), ",")...), "10.0.0.2"},
		{"64 elements, the others empty", []string{c + strings.Repeat(",", 63)}, c},
		{"65 elements, the others empty", []string{c + strings.Repeat(",", 64)}, "10.0.0.1"},
		{"256 bytes", []string{"6.6.6.6," + strings.Repeat(" ", 256-len(c)) + c}, c},
		{"257 bytes", []string{"6.6.6.6," + strings.Repeat(" ", 257-len(c)) + c}, "10.0.0.1"},
		{"256 bytes of nothing", []string{c + "," + strings.Repeat(" ", 256)}, c},
		{"257 bytes of nothing", []string{c + "," + strings.Repeat(" ", 257)}, "10.0.0.1"},
		{"257 bytes of nothing in a field of their own", []string{c, strings.Repeat(" ", 257)}, "10.0.0.1"},
		{"a megabyte of trusted addresses", []string{c, chain(100_000)}, "10.0.0.2"},
		{"a megabyte of commas", []string{c, strings.Repeat(",", 1<<20)}, "10.0.0.1"},
		{"a megabyte of garbage", []string{c, strings.Repeat("x", 1<<20)}, "10.0.0.1"},
		{"a megabyte that is not looked at", []string{strings.Repeat("x", 1<<20) + "," + c}, c},
	} {
		got := trusted(t, "10.0.0.0/8").ClientAddr(netip.MustParseAddr("10.0.0.1"), row.values)
		if got.String() != row.want {
			t.Errorf("%s: %v, want %s", row.name, got, row.want)
		}
	}
}

func TestForwarded(t *testing.T) {
	const c = "203.0.113.7"
	for _, row := range []struct {
		name, value, want string
	}{
		{"address", "for=" + c, c},
		{"quoted, with port", `for="203.0.113.7:4711"`, c},
		{"IPv6", `for="[2001:db8::7]:4711"`, "2001:db8::7"},
		{"name in any case", "FoR=" + c, c},
		{"other parameters", `proto=https;for=203.0.113.7;by=10.0.0.1;host="a.example"`, c},
		{"two elements", "for=203.0.113.7, for=10.0.0.2", c},
		{"what the client sent is not looked at", "for=6.6.6.6, for=203.0.113.7;proto=http", c},
		{"a comma in quotes", `for=203.0.113.7;host="a,b", for=10.0.0.2`, c},
		{"a semicolon in quotes", `for=203.0.113.7;host="a;for=6.6.6.6"`, c},
		{"a quote that the client left open", `for=6.6.6.6;host=", for="[2001:db8::7]"`, "2001:db8::7"},
		{"a quote in the Host that the client sent", `for=203.0.113.7;host="a\",for=6.6.6.6;x=\""`, c},
		{"a backslash at its end", `for=203.0.113.7;host="a\\", for=10.0.0.2`, c},
		{"no for", "for=6.6.6.6, proto=https", "10.0.0.1"},
		{"two for", "for=203.0.113.7;for=6.6.6.6", "10.0.0.1"},
		{"unknown", "for=6.6.6.6, for=unknown", "10.0.0.1"},
		{"obfuscated", `for=6.6.6.6, for="_gazonk"`, "10.0.0.1"},
		{"obfuscated port", `for=6.6.6.6, for="203.0.113.7:_http"`, "10.0.0.1"},
		{"a space", "for=6.6.6.6, for= 203.0.113.7", "10.0.0.1"},
		{"half a quote", `for=6.6.6.6, for="203.0.113.7`, "10.0.0.1"},
		{"as X-Forwarded-For", c, "10.0.0.1"},
		{"empty", "", "10.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			some := trusted(t, "10.0.0.0/8")
			if got := some.Forwarded(netip.MustParseAddr("10.0.0.1"), []string{row.value}); got.String() != row.want {
				t.Errorf("%v, want %s", got, row.want)
			}
			if got := some.Forwarded(netip.MustParseAddr(c), []string{row.value}); got.String() != c {
				t.Errorf("%v, though the peer is not trusted", got)
			}
		})
	}
}

// FuzzClientAddr holds that nobody is believed who is not trusted: what a client sends before the
// element that a proxy adds changes nothing.
func FuzzClientAddr(f *testing.F) {
	f.Add("6.6.6.6", "unknown", false)
	f.Add("10.0.0.9, 10.0.0.8:80,", "[::1]", false)
	f.Add(`for=6.6.6.6;host="`, `for="\"`, true)
	f.Add("x,", "\\", true)
	f.Fuzz(func(t *testing.T, first, second string, forwarded bool) {
		some, peer, client := trusted(t, "10.0.0.0/8"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::7")
		read, added := some.ClientAddr, "2001:db8::7"
		if forwarded {
			read, added = some.Forwarded, `for="[2001:db8::7]:80";host="a\",for=1.1.1.1;b=\"",for=10.0.0.2;by=_x`
		}
		for _, values := range [][]string{
			{first, second, added}, {first, second + "," + added}, {first + ", " + added}, {second + "\t,\t" + added + " "},
		} {
			if got := read(peer, values); got != client {
				t.Fatalf("%q: %v", values, got)
			}
		}
		got := read(peer, []string{first, second})
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q, %q: %v", first, second, got)
		}
		if got := read(client, []string{first, second}); got != client {
			t.Fatalf("%q, %q: %v of a peer that is not trusted", first, second, got)
		}
		text := slices.ContainsFunc([]string{first, second}, func(s string) bool { return strings.ContainsAny(s, "0123456789:") })
		if !text && got != peer {
			t.Fatalf("%q, %q have no address, and yet: %v", first, second, got)
		}
	})
}
