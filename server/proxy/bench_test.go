package proxy_test

import (
	"net/netip"
	"testing"

	"github.com/dormouse-ws/dormouse/server/proxy"
)

func headers() map[string]string {
	return map[string]string{
		"v1":          "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
		"v2":          v2(relay, 0x11, inet),
		"v2-checksum": summed(v2(relay, 0x21, inet6, tlv(1, "h2"), tlv(3, "\x00\x00\x00\x00"))),
	}
}

func BenchmarkParse(b *testing.B) {
	for name, s := range headers() {
		b.Run(name, func(b *testing.B) {
			header := []byte(s)
			b.ReportAllocs()
			for range b.N {
				if _, _, err := proxy.Parse(header); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkClientAddr(b *testing.B) {
	some, peer := trusted(b, "10.0.0.0/8", "fd00::/8"), netip.MustParseAddr("10.0.0.1")
	for name, values := range map[string][]string{
		"one":        {"203.0.113.7"},
		"three":      {"203.0.113.7, 10.0.0.3", "10.0.0.2"},
		"worst-case": {string(make([]byte, 1<<20)), longest()},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				some.ClientAddr(peer, values)
			}
		})
	}
}

// longest is 64 elements of 256 bytes.
func longest() string {
	var s []byte
	for range 64 {
		element := make([]byte, 257)
		for i := range element {
			element[i] = ' '
		}
		copy(element, ",10.0.0.2")
		s = append(s, element...)
	}
	return string(s)
}

func TestAllocations(t *testing.T) {
	for name, s := range headers() {
		header, most := []byte(s), 0.0
		if name == "v1" {
			most = 2 // net/netip parses strings: two addresses
		}
		if n := testing.AllocsPerRun(100, func() { _, _, _ = proxy.Parse(header) }); n > most {
			t.Errorf("%s: %v allocations, more than %v", name, n, most)
		}
	}
	some, peer := trusted(t, "10.0.0.0/8"), netip.MustParseAddr("10.0.0.1")
	values := []string{`for="[2001:db8::7]:80"`, `for=10.0.0.2;proto=https`}
	if n := testing.AllocsPerRun(100, func() { some.Forwarded(peer, values) }); n != 0 {
		t.Errorf("Forwarded: %v allocations", n)
	}
	values = []string{"[2001:db8::7]:80, 10.0.0.3", "10.0.0.2"}
	if n := testing.AllocsPerRun(100, func() { some.ClientAddr(peer, values) }); n != 0 {
		t.Errorf("ClientAddr: %v allocations", n)
	}
}
