package proxy_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server/proxy"
)

const signature = "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"

// v2 makes a header:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                signature, 12 bytes                            |
//	+-------+-------+-------+-------+-------------------------------+
//	|  ver  |  cmd  |  fam  | proto |            length             |
//	+-------+-------+-------+-------+-------------------------------+
//	|                addresses, TLVs                                |
func v2(command, family byte, block ...string) string {
	all := strings.Join(block, "")
	return signature + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(all)))) + all
}

func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// summed puts the checksum in place of the four zeroes after a TLV of type 3.
func summed(b string) string {
	at := strings.LastIndex(b, "\x03\x00\x04\x00\x00\x00\x00") + 3
	return b[:at] + string(binary.BigEndian.AppendUint32(nil, crc32c(b))) + b[at+4:]
}

const (
	local = 0x20
	relay = 0x21

	inet  = "\xc0\x00\x02\x01" + "\xc6\x33\x64\x07" + "\xdc\x04" + "\x01\xbb"
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\xdc\x04" + "\x01\xbb"
	mapped6 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x07" + "\xdc\x04" + "\x01\xbb"
)

func unspec(f proxy.Family, p proxy.Transport) proxy.Header {
	return proxy.Header{Version: 2, Family: f, Transport: p}
}

func TestV2(t *testing.T) {
	tcp4 := tcp(2, "192.0.2.1:56324", "198.51.100.7:443")
	tcp6 := tcp(2, "[2001:db8::1]:56324", "[2001:db8::2]:443")
	mapped := tcp4
	mapped.Family = proxy.Inet6
	here := proxy.Header{Version: 2, Local: true}
	unix := strings.Repeat("/", 216)
	for _, w := range []wire{
		{name: "TCP over IPv4", b: v2(relay, 0x11, inet), want: tcp4},
		{name: "TCP over IPv4, a request after it", b: v2(relay, 0x11, inet) + "GET /", want: tcp4, n: 28},
		{name: "TCP over IPv6", b: v2(relay, 0x21, inet6), want: tcp6, n: 52},
		{name: "TCP over IPv6, mapped", b: v2(relay, 0x21, mapped6), want: mapped},
		{name: "UDP over IPv4 falls back", b: v2(relay, 0x12, inet), want: unspec(proxy.Inet, proxy.Dgram)},
		{name: "UDP over IPv6 falls back", b: v2(relay, 0x22, inet6), want: unspec(proxy.Inet6, proxy.Dgram)},
		{name: "Unix stream falls back", b: v2(relay, 0x31, unix), want: unspec(proxy.Unix, proxy.Stream), n: 232},
		{name: "Unix datagram falls back", b: v2(relay, 0x32, unix), want: unspec(proxy.Unix, proxy.Dgram)},
		{name: "UNSPEC", b: v2(relay, 0x00), want: unspec(0, 0), n: 16},
		{name: "UNSPEC, addresses are skipped", b: v2(relay, 0x00, inet), want: unspec(0, 0), n: 28},
		{name: "UNSPEC protocol of IPv4", b: v2(relay, 0x10, "12345678"), want: unspec(proxy.Inet, 0)},
		{name: "UNSPEC family, STREAM", b: v2(relay, 0x01), want: unspec(0, proxy.Stream)},
		{name: "LOCAL", b: v2(local, 0x00), want: here, n: 16},
		{name: "LOCAL, the length is not assumed to be zero", b: v2(local, 0x00, inet) + "GET /", want: here, n: 28},
		{name: "LOCAL, the family is ignored", b: v2(local, 0x11, inet), want: here},
		{name: "LOCAL, the family is ignored, even a wrong one", b: v2(local, 0xff, "abc"), want: here},
		{name: "LOCAL, less than an address", b: v2(local, 0x21, "abc"), want: here},
		{name: "version 1", b: v2(0x11, 0x11, inet), err: proxy.ErrVersion},
		{name: "version 3", b: v2(0x31, 0x11, inet), err: proxy.ErrVersion},
		{name: "command 2", b: v2(0x22, 0x11, inet), err: proxy.ErrCommand},
		{name: "command 15", b: v2(0x2f, 0x11, inet), err: proxy.ErrCommand},
		{name: "family 4", b: v2(relay, 0x41, inet), err: proxy.ErrFamily},
		{name: "family 15", b: v2(relay, 0xf1, inet), err: proxy.ErrFamily},
		{name: "protocol 3", b: v2(relay, 0x13, inet), err: proxy.ErrFamily},
		{name: "protocol 15", b: v2(relay, 0x1f, inet), err: proxy.ErrFamily},
		{name: "IPv4, 11 bytes", b: v2(relay, 0x11, inet[:11]), err: proxy.ErrLength},
		{name: "IPv4, none", b: v2(relay, 0x12), err: proxy.ErrLength},
		{name: "IPv6, 35 bytes", b: v2(relay, 0x21, inet6[:35]), err: proxy.ErrLength},
		{name: "Unix, 215 bytes", b: v2(relay, 0x31, unix[:215]), err: proxy.ErrLength},
		{name: "signature, last byte", b: signature[:11] + "\x0d", err: proxy.ErrSignature},
		{name: "signature, first byte", b: "\x16\x03\x01", err: proxy.ErrSignature},
		{name: "an empty line before a request", b: "\r\nGET / HTTP/1.1", err: proxy.ErrSignature},
		{name: "signature alone", b: signature, err: proxy.ErrMore},
		{name: "all but the last byte", b: v2(relay, 0x11, inet)[:27], err: proxy.ErrMore},
	} {
		t.Run(w.name, w.run)
	}
}

func TestTLVs(t *testing.T) {
	tcp4 := tcp(2, "192.0.2.1:56324", "198.51.100.7:443")
	here := proxy.Header{Version: 2, Local: true}
	zeroSum, noop := tlv(3, "\x00\x00\x00\x00"), tlv(4, "")
	good := summed(v2(relay, 0x11, inet, tlv(1, "h2"), zeroSum, tlv(5, "id")))
	longest := proxy.MaxSize - 16 - 12 - 3
	for _, w := range []wire{
		{name: "skipped", b: v2(relay, 0x11, inet, tlv(1, "h2"), noop, tlv(0xee, "x")) + "GET", want: tcp4, n: 16 + 12 + 5 + 3 + 4},
		{name: "as long as may be", b: v2(relay, 0x11, inet, tlv(0x20, strings.Repeat("x", longest))), want: tcp4, n: proxy.MaxSize},
		{name: "longer", b: v2(relay, 0x11, inet, tlv(0x20, strings.Repeat("x", longest+1)))[:16], err: proxy.ErrTooLong},
		{name: "longest length, LOCAL", b: signature + "\x20\x00\xff\xff", err: proxy.ErrTooLong},
		{name: "one byte", b: v2(relay, 0x11, inet, "\x04"), err: proxy.ErrTLV},
		{name: "two bytes", b: v2(relay, 0x11, inet, "\x04\x00"), err: proxy.ErrTLV},
		{name: "three bytes, empty value", b: v2(relay, 0x11, inet, noop), want: tcp4},
		{name: "value cut", b: v2(relay, 0x11, inet, "\x04\x00\x02x"), err: proxy.ErrTLV},
		{name: "second cut", b: v2(relay, 0x11, inet, noop, "\x04\xff\xff"), err: proxy.ErrTLV},
		{name: "unique ID of 128", b: v2(relay, 0x11, inet, tlv(5, strings.Repeat("x", 128))), want: tcp4},
		{name: "unique ID of 129", b: v2(relay, 0x11, inet, tlv(5, strings.Repeat("x", 129))), err: proxy.ErrTLV},
		{name: "checksum", b: good, want: tcp4},
		{name: "checksum, the client's bytes are not in it", b: good + "GET", want: tcp4, n: len(good)},
		{name: "checksum alone", b: summed(v2(relay, 0x11, inet, zeroSum)), want: tcp4},
		{name: "checksum of zero is not none", b: v2(relay, 0x11, inet, zeroSum), err: proxy.ErrChecksum},
		{name: "checksum, an address changed", b: strings.Replace(good, inet, "\xc1"+inet[1:], 1), err: proxy.ErrChecksum},
		{name: "checksum, a value changed", b: strings.Replace(good, "id", "ie", 1), err: proxy.ErrChecksum},
		{name: "checksum of 3 bytes", b: v2(relay, 0x11, inet, tlv(3, "abc")), err: proxy.ErrTLV},
		{name: "checksum of 5 bytes", b: v2(relay, 0x11, inet, tlv(3, "abcde")), err: proxy.ErrTLV},
		{name: "two checksums", b: summed(v2(relay, 0x11, inet, zeroSum, zeroSum)), err: proxy.ErrTLV},
		{name: "checksum, LOCAL", b: summed(v2(local, 0x00, zeroSum)), want: here},
		{name: "wrong checksum, LOCAL", b: v2(local, 0x00, zeroSum), err: proxy.ErrChecksum},
		{name: "LOCAL with a family: the block is skipped", b: v2(local, 0x11, zeroSum), want: here},
		{name: "LOCAL, no whole TLVs", b: v2(local, 0x00, "\x04"), want: here},
		{name: "checksum, UNSPEC", b: summed(v2(relay, 0x00, zeroSum)), want: unspec(0, 0)},
		{name: "wrong checksum, UNSPEC", b: v2(relay, 0x00, zeroSum), err: proxy.ErrChecksum},
		{name: "checksum, Unix", b: summed(v2(relay, 0x31, strings.Repeat("/", 216), zeroSum)), want: unspec(proxy.Unix, proxy.Stream)},
		{name: "wrong checksum, UDP", b: v2(relay, 0x12, inet, zeroSum), err: proxy.ErrChecksum},
	} {
		t.Run(w.name, w.run)
	}
}

// crc32c is the definition, bit by bit (RFC 4960 appendix B), so that the code's is not tested by itself.
func crc32c(b string) uint32 {
	crc := ^uint32(0)
	for _, c := range []byte(b) {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	return ^crc
}

// RFC 3720 appendix B.4: 32 bytes of zeroes give aa 36 91 8a, the lowest byte of the sum first.
func TestCRC32C(t *testing.T) {
	if got := crc32c(string(make([]byte, 32))); got != 0x8a9136aa {
		t.Errorf("%#x", got)
	}
}

func TestClient(t *testing.T) {
	for _, row := range []struct {
		b    string
		want string
	}{
		{v2(relay, 0x11, inet), "192.0.2.1:56324"},
		{v2(relay, 0x21, mapped6), "192.0.2.1:56324"},
		{"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1"},
		{v2(local, 0x11, inet), ""}, {v2(relay, 0x12, inet), ""}, {v2(relay, 0x00, inet), ""}, {"PROXY UNKNOWN\r\n", ""},
	} {
		h, _, err := proxy.Parse([]byte(row.b))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := h.Client()
		if ok != (row.want != "") || ok && got.String() != row.want {
			t.Errorf("%q: %v, %v; want %q", row.b, got, ok, row.want)
		}
	}
}

// FuzzParse holds that no beginning says other than the whole, that a header lies within its bounds, and
// that the bytes are not written to.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET /", "PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n",
		"PROXY UNKNOWN \r\n", v2(relay, 0x11, inet, tlv(4, "pad")), v2(relay, 0x21, inet6), v2(local, 0, inet),
		summed(v2(relay, 0x11, inet, tlv(3, "\x00\x00\x00\x00"))), v2(relay, 0x31, strings.Repeat("/", 216)),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2*proxy.MaxSize {
			return
		}
		before := string(b)
		h, n, err := proxy.Parse(b)
		if string(b) != before {
			t.Fatal("Parse has written to its argument")
		}
		if len(b) >= proxy.MaxSize && err == proxy.ErrMore {
			t.Fatalf("%d bytes are not enough", len(b))
		}
		if len(b) <= 600 {
			checkSplits(t, b)
		}
		if err != nil {
			if n != 0 || h != (proxy.Header{}) {
				t.Fatalf("%v, and %+v, %d", err, h, n)
			}
			return
		}
		if n < 15 || n > len(b) || n > proxy.MaxSize || h.Version == 1 && n > proxy.MaxV1 {
			t.Fatalf("a header of %d bytes, version %d", n, h.Version)
		}
		if again, m, err := proxy.Parse(b[:n:n]); again != h || m != n || err != nil {
			t.Fatalf("the header alone is %+v, %d, %v, not %+v, %d", again, m, err, h, n)
		}
	})
}
