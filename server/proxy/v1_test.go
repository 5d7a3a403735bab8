package proxy_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server/proxy"
)

// A wire is the beginning of a connection and what Parse is to make of it.
type wire struct {
	name string
	b    string
	want proxy.Header
	n    int // 0: all of b
	err  error
}

// run parses b whole, and in every part from its beginning.
func (w wire) run(t *testing.T) {
	h, n, err := proxy.Parse([]byte(w.b))
	if w.err == nil && w.n == 0 {
		w.n = len(w.b)
	}
	if h != w.want || n != w.n || !errors.Is(err, w.err) {
		t.Errorf("%q:\n got %+v, %d, %v\nwant %+v, %d, %v", w.b, h, n, err, w.want, w.n, w.err)
	}
	checkSplits(t, []byte(w.b))
}

// checkSplits holds promise 3: no beginning of b has a verdict that b has not.
func checkSplits(t *testing.T, b []byte) {
	t.Helper()
	h, n, err := proxy.Parse(b)
	for i := range b {
		part, pn, perr := proxy.Parse(b[:i:i])
		if perr == proxy.ErrMore {
			if part != (proxy.Header{}) || pn != 0 {
				t.Fatalf("%q is not complete, but: %+v, %d", b[:i], part, pn)
			}
			continue
		}
		if part != h || pn != n || perr != err {
			t.Fatalf("of %q, the first %d bytes:\n%+v, %d, %v; all:\n%+v, %d, %v", b, i, part, pn, perr, h, n, err)
		}
		if err == nil && i < n {
			t.Fatalf("%q: %d bytes of a header of %d are enough", b, i, n)
		}
	}
}

func tcp(version int, src, dst string) proxy.Header {
	h := proxy.Header{Version: version, Family: proxy.Inet6, Transport: proxy.Stream,
		Source: netip.MustParseAddrPort(src), Destination: netip.MustParseAddrPort(dst)}
	if h.Source.Addr().Is4() {
		h.Family = proxy.Inet
	}
	return h
}

func TestV1(t *testing.T) {
	tcp4 := tcp(1, "192.0.2.1:56324", "198.51.100.7:443")
	tcp6 := tcp(1, "[2001:db8::1]:56324", "[2001:db8::2]:443")
	full := tcp(1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
	mapped := tcp(1, "192.0.2.1:1", "192.0.2.2:2")
	mapped.Family = proxy.Inet6
	unknown := proxy.Header{Version: 1}
	const all6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	for _, w := range []wire{
		{name: "TCP4", b: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", want: tcp4},
		{name: "TCP4, a request after it", b: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET / HTTP/1.1\r\n", want: tcp4, n: 45},
		{name: "TCP4, longest: 56 bytes", b: "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", n: 56,
			want: tcp(1, "255.255.255.255:65535", "255.255.255.255:65535")},
		{name: "TCP4, shortest", b: "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", want: tcp(1, "0.0.0.0:0", "0.0.0.0:0")},
		{name: "TCP6", b: "PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n", want: tcp6},
		{name: "TCP6, longest: 104 bytes", b: "PROXY TCP6 " + all6 + " " + all6 + " 65535 65535\r\n", want: full, n: 104},
		{name: "TCP6, as inet_ntop writes mapped addresses", b: "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n", want: mapped},
		{name: "UNKNOWN, short: 15 bytes", b: "PROXY UNKNOWN\r\n", want: unknown, n: 15},
		{name: "UNKNOWN, worst case: 107 bytes", b: "PROXY UNKNOWN " + all6 + " " + all6 + " 65535 65535\r\n", want: unknown, n: 107},
		{name: "UNKNOWN, anything before the CRLF is ignored", b: "PROXY UNKNOWN \r \n \xff\x00\r\nx", want: unknown, n: 22},
		{name: "UNKNOWN, 108 bytes", b: "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", err: proxy.ErrTooLong},
		{name: "no CRLF in 107 bytes", b: "PROXY TCP4 " + strings.Repeat("1", 96), err: proxy.ErrTooLong},
		{name: "no CRLF in 106 bytes", b: "PROXY TCP4 " + strings.Repeat("1", 95), err: proxy.ErrMore},
		{name: "nothing", b: "", err: proxy.ErrMore},
		{name: "one byte", b: "P", err: proxy.ErrMore},
		{name: "CR and not yet LF", b: "PROXY UNKNOWN\r", err: proxy.ErrMore},
		{name: "a request", b: "GET / HTTP/1.1\r\n\r\n", err: proxy.ErrSignature},
		{name: "a request with P", b: "POST / HTTP/1.1\r\n\r\n", err: proxy.ErrSignature},
		{name: "PROPFIND", b: "PROPFIND", err: proxy.ErrSignature},
		{name: "lower case", b: "Proxy UNKNOWN\r\n", err: proxy.ErrSignature},
		{name: "a tab", b: "PROXY\tUNKNOWN\r\n", err: proxy.ErrSignature},
		{name: "UNKNOWNX", b: "PROXY UNKNOWNX\r\n", err: proxy.ErrLine},
		{name: "UDP4", b: "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", err: proxy.ErrLine},
		{name: "no protocol", b: "PROXY \r\n", err: proxy.ErrLine},
		{name: "two spaces before the protocol", b: "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", err: proxy.ErrLine},
		{name: "two spaces before an address", b: "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", err: proxy.ErrLine},
		{name: "a space at the end", b: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", err: proxy.ErrLine},
		{name: "no addresses", b: "PROXY TCP4\r\n", err: proxy.ErrLine},
		{name: "no ports", b: "PROXY TCP4 192.0.2.1 192.0.2.2\r\n", err: proxy.ErrLine},
		{name: "one port", b: "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", err: proxy.ErrLine},
		{name: "three ports", b: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", err: proxy.ErrLine},
		{name: "LF alone does not end the line", b: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET\r\n", err: proxy.ErrPort},
		{name: "CR alone does not end the line", b: "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rGET\r\n", err: proxy.ErrPort},
	} {
		t.Run(w.name, w.run)
	}
}

func TestV1Fields(t *testing.T) {
	for _, bad := range []string{
		"192.0.2", "192.0.2.1.1", "192.0.2.256", "192.0.2.01", "192.0.2.1.", "0xc0.0.2.1", "+1.0.2.1", "2001:db8::1", "",
		"192.0.2.1/32", strings.Repeat("1", 46),
	} {
		for _, b := range []string{
			"PROXY TCP4 " + bad + " 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.2 " + bad + " 1 2\r\n",
		} {
			if _, _, err := proxy.Parse([]byte(b)); err != proxy.ErrAddress {
				t.Errorf("%q: %v", b, err)
			}
		}
	}
	for _, bad := range []string{
		"192.0.2.1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "1::2::3", "12345::", "::g", "fe80::1%1", "[::1]", ":", ":::",
	} {
		for _, b := range []string{"PROXY TCP6 " + bad + " ::1 1 2\r\n", "PROXY TCP6 ::1 " + bad + " 1 2\r\n"} {
			if _, _, err := proxy.Parse([]byte(b)); err != proxy.ErrAddress {
				t.Errorf("%q: %v", b, err)
			}
		}
	}
	for _, port := range []string{"65536", "99999", "100000", "00", "01", "-1", "+1", "1.", "0x1", "a", "1_0"} {
		for _, b := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 " + port + " 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 " + port + "\r\n"} {
			if _, _, err := proxy.Parse([]byte(b)); err != proxy.ErrPort {
				t.Errorf("%q: %v", b, err)
			}
		}
	}
}
