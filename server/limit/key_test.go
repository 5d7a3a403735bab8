package limit_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server/limit"
)

func TestWhatCountsAsOneAddress(t *testing.T) {
	for _, row := range []struct {
		name   string
		v4, v6 int
		a, b   string
		same   bool
	}{
		{"IPv4 by address", 0, 0, "192.0.2.1", "192.0.2.2", false},
		{"IPv4 and itself mapped", 0, 0, "192.0.2.1", "::ffff:192.0.2.1", true},
		{"IPv4 mapped, two", 0, 0, "::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"IPv4 by /24, last of it", 24, 0, "192.0.2.0", "192.0.2.255", true},
		{"IPv4 by /24, next", 24, 0, "192.0.2.255", "192.0.3.0", false},
		{"IPv4 by /1", 1, 0, "128.0.0.0", "255.255.255.255", true},
		{"IPv4 by /1, next", 1, 0, "127.255.255.255", "128.0.0.0", false},
		{"IPv6 by /64, last of it", 0, 0, "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"IPv6 by /64, next", 0, 0, "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::", false},
		{"IPv6 by /56, last of it", 0, 56, "2001:db8::", "2001:db8:0:ff::", true},
		{"IPv6 by /56, next", 0, 56, "2001:db8:0:ff::", "2001:db8:0:100::", false},
		{"IPv6 by /48, last of it", 0, 48, "2001:db8::", "2001:db8:0:ffff::", true},
		{"zone", 0, 0, "fe80::1%eth0", "fe80::1%eth1", true},
		{"loopback of both families", 0, 0, "127.0.0.1", "::1", false},
		{"unspecified of both families", 0, 0, "0.0.0.0", "::", false},
		{"bits of one family in the other", 0, 0, "32.1.13.184", "2001:db8::", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, err := limit.KeyOf(row.v4, row.v6, netip.MustParseAddr(row.a))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := limit.KeyOf(row.v4, row.v6, netip.MustParseAddr(row.b))
			if (a == b) != row.same {
				t.Errorf("%s has %#x, %s has %#x", row.a, a, row.b, b)
			}
		})
	}
}

func TestPrefixBounds(t *testing.T) {
	for _, row := range []struct {
		v4, v6 int
		err    string
	}{
		{32, 64, ""}, {1, 1, ""}, {33, 64, "IPv4"}, {-1, 64, "IPv4"}, {32, 65, "/64"}, {32, -1, "IPv6"},
	} {
		_, err := limit.KeyOf(row.v4, row.v6, netip.IPv4Unspecified())
		if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%d and %d: error %v, want %q", row.v4, row.v6, err, row.err)
		}
	}
}
