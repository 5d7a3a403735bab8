// In-package: the head is nothing that the API shows.
package server

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

const browserHead = "GET /socket/websocket?token=a%20b&vsn=2.0.0 HTTP/1.1\r\n" +
	"Host: example.com:4000\r\n" +
	"Connection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: https://example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n" +
	"X-Forwarded-For: 10.0.0.1\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

// readHead scans and parses b, which is given in pieces of the sizes that sizes yields.
func readHead(b []byte, limits headLimits, piece func() int) (h *head, start, end int, err *httpError) {
	var s headScanner
	for given := 0; given < len(b); {
		given = min(given+max(piece(), 1), len(b))
		end, err = s.scan(b[:given], limits)
		if err != nil {
			return nil, 0, 0, err
		}
		if end > 0 {
			h = &head{}
			err = h.parse(b[s.start:end])
			return h, s.start, end, err
		}
	}
	return nil, 0, 0, nil
}

func whole() int  { return 1 << 30 }
func single() int { return 1 }

// A headRow is a rule, a head and the status it gets: 0 when it is accepted, -1 while it is incomplete.
type headRow struct {
	name, in string
	status   int
}

// line and with complete a request line, and header lines, to a head.
func line(s string) string      { return s + "\r\nHost: h\r\n\r\n" }
func with(fields string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n\r\n" }

func TestHeadRequestLine(t *testing.T) {
	testHeadRows(t, []headRow{
		{"RFC 9112 3: request line", line("GET / HTTP/1.1"), 0},
		{"RFC 9112 2.2: leading empty lines", "\r\n\r\n" + line("GET / HTTP/1.1"), 0},
		{"RFC 9112 2.2: half an empty line", "\rGET", 400},
		{"RFC 9112 2.2: bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
		{"RFC 9112 2.2: bare LF after a header", with("a: b\nc: d"), 400},
		{"RFC 9112 2.2: bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400},
		{"RFC 9112 2.2: bare CR", with("a: b\rc"), 400},
		{"RFC 9112 2.2: CR without LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\rX", 400},
		{"RFC 9112 3: two spaces", line("GET  / HTTP/1.1"), 400},
		{"RFC 9112 3: four words", line("GET / x HTTP/1.1"), 400},
		{"RFC 9112 3: no version", line("GET /"), 400},
		{"RFC 9112 3: empty target", line("GET  HTTP/1.1"), 400},
		{"RFC 9112 3: target above the limit", "GET /" + strings.Repeat("x", defaultHeadBytes), 414},
		{"RFC 9112 3: long method", strings.Repeat("M", maxMethodBytes+1), 501},
		{"RFC 9112 3: longest method", strings.Repeat("M", maxMethodBytes), -1},
		{"RFC 9112 2.3: 1.0 needs no host", "GET / HTTP/1.0\r\n\r\n", 0},
		{"RFC 9112 2.3: 1.2", line("GET / HTTP/1.2"), 505},
		{"RFC 9112 2.3: 2.0 with prior knowledge", "PRI * HTTP/2.0\r\n\r\n", 505},
		{"RFC 9112 2.3: lower case version", line("GET / http/1.1"), 400},
		{"RFC 9112 2.3: two digits", line("GET / HTTP/1.11"), 400},
		{"RFC 9112 3.2.1: fragment", line("GET /#x HTTP/1.1"), 400},
		{"RFC 9112 3.2.1: bad escape in the path", line("GET /%zz HTTP/1.1"), 400},
		{"RFC 9112 3.2.1: cut escape in the path", line("GET /%a HTTP/1.1"), 400},
		{"section 1.1: bad escape in the query", line("GET /?%zz HTTP/1.1"), 0},
		{"RFC 9112 3.2.2: absolute form", line("GET http://a:81/b?c HTTP/1.1"), 0},
		{"RFC 9112 3.2.2: absolute form, other scheme", line("GET ftp://a/ HTTP/1.1"), 400},
		{"RFC 9112 3.2.2: absolute form without host", line("GET http:///b HTTP/1.1"), 400},
		{"RFC 9110 4.2.4: absolute form with user", line("GET http://u@a/ HTTP/1.1"), 400},
		{"RFC 9112 3.2.3: authority form", line("CONNECT a:80 HTTP/1.1"), 501},
		{"RFC 9112 3.2.4: asterisk", line("OPTIONS * HTTP/1.1"), 0},
		{"RFC 9112 3.2.4: asterisk for GET", line("GET * HTTP/1.1"), 400},
		{"RFC 9112 3.2: neither", line("GET x HTTP/1.1"), 400},
	})
}

func TestHeadFields(t *testing.T) {
	testHeadRows(t, []headRow{
		{"RFC 9112 3.2: no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"RFC 9112 3.2: two hosts", with("host: h"), 400},
		{"RFC 9112 3.2: empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
		{"RFC 9112 3.2: host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"RFC 9112 3.2: host with user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
		{"RFC 9112 3.2: port too high", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 400},
		{"RFC 9112 3.2: signed port", "GET / HTTP/1.1\r\nHost: h:+1\r\n\r\n", 400},
		{"RFC 9112 3.2: IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
		{"RFC 9112 3.2: IPv6 without its end", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
		{"RFC 9112 3.2: IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", 400},
		{"RFC 9112 5.1: space before the colon", with("a : b"), 400},
		{"RFC 9112 5.1: no colon", with("abc"), 400},
		{"RFC 9110 5.1: empty name", with(": b"), 400},
		{"RFC 9110 5.1: name is no token", with("a(b: c"), 400},
		{"RFC 9110 5.1: name not ASCII", with("\xc3\xa4: c"), 400},
		{"RFC 9112 5.2: folded line", with("a: b\r\n c"), 400},
		{"RFC 9112 5.2: folded first line", "GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", 400},
		{"RFC 9110 5.5: NUL in a value", with("a: \x00"), 400},
		{"RFC 9110 5.5: DEL in a value", with("a: \x7f"), 400},
		{"RFC 9110 5.5: tab and obs-text in a value", with("a: b\tc\xff"), 0},
		{"RFC 9112 3: control character in the target", line("GET /\x01 HTTP/1.1"), 400},
		{"RFC 6585 5: head above the limit", "GET / HTTP/1.1\r\na: " + strings.Repeat("x", defaultHeadBytes), 431},
		{"RFC 6585 5: 64 fields", with(strings.Repeat("a: b\r\n", 62) + "a: b"), 0},
		{"RFC 6585 5: 65 fields", with(strings.Repeat("a: b\r\n", 63) + "a: b"), 431},
		{"no HTTP: TLS", "\x16\x03\x01", 400},
		{"no HTTP: SSH", "SSH-2.0-OpenSSH_9.6\r\n", 400},
		{"no HTTP: NUL", "\x00", 400},
		{"incomplete", "GET / HTTP/1.1\r\nHost: h\r\n", -1},
	})
}

func testHeadRows(t *testing.T, rows []headRow) {
	t.Helper()
	for _, row := range rows {
		for cut, piece := range map[string]func() int{"whole": whole, "bytes": single} {
			h, _, _, err := readHead([]byte(row.in), headLimits{}, piece)
			status := 0
			switch {
			case err != nil:
				status = err.status
			case h == nil:
				status = -1
			}
			if status != row.status {
				t.Errorf("%s (%s): status %d (%v), want %d", row.name, cut, status, err, row.status)
			}
		}
	}
}

func TestHeadRefusesEarly(t *testing.T) {
	for _, row := range []struct {
		name, in, reason string
		at               int
	}{
		{"TLS", "\x16\x03\x01\x02\x00\x01", "a TLS handshake came to a port that speaks plain HTTP", 1},
		{"bracket", "{\"json\":1}", "this is not HTTP", 1},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", "this is not HTTP", 20},
	} {
		var s headScanner
		for i := 1; i <= len(row.in); i++ {
			_, err := s.scan([]byte(row.in[:i]), headLimits{})
			if (err != nil) != (i >= row.at) {
				t.Fatalf("%s: after %d bytes: %v", row.name, i, err)
			}
			if err != nil {
				if err.reason != row.reason {
					t.Errorf("%s: %q", row.name, err.reason)
				}
				break
			}
		}
	}
}

func TestHeadLimits(t *testing.T) {
	size := len(browserHead)
	for _, row := range []struct {
		name   string
		limits headLimits
		ok     bool
	}{
		{"bytes at the limit", headLimits{bytes: size}, true},
		{"bytes above", headLimits{bytes: size - 1}, false},
		{"fields at the limit", headLimits{fields: 13}, true},
		{"fields above", headLimits{fields: 12}, false},
	} {
		h, _, end, err := readHead([]byte(browserHead+"rest"), row.limits, whole)
		if row.ok && (err != nil || h == nil || end != size) {
			t.Errorf("%s: %v, end %d", row.name, err, end)
		}
		if !row.ok && (err == nil || err.status != 431) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestHeadParts(t *testing.T) {
	for _, row := range []struct {
		name, line, path, query, host string
	}{
		{"origin form", "GET /a%20b?c=d?e HTTP/1.1", "/a%20b", "c=d?e", "h:1"},
		{"empty query", "GET /a? HTTP/1.1", "/a", "", "h:1"},
		{"two slashes are a path", "GET //x/y HTTP/1.1", "//x/y", "", "h:1"},
		{"absolute form wins over Host", "GET http://a:81/b?c HTTP/1.1", "/b", "c", "a:81"},
		{"absolute form without path", "GET HTTP://a?c HTTP/1.1", "/", "c", "a"},
		{"asterisk", "OPTIONS * HTTP/1.1", "*", "", "h:1"},
	} {
		h, _, _, err := readHead([]byte(row.line+"\r\nHost: h:1\r\n\r\n"), headLimits{}, whole)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if h.path != row.path || h.query != row.query || h.host != row.host {
			t.Errorf("%s: path %q query %q host %q", row.name, h.path, h.query, h.host)
		}
	}
}

func TestHeadAccess(t *testing.T) {
	in := "GET / HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nConnection: keep-alive\r\nconnection: x,\tUpGrade \r\nx-one:  2 \r\nContent-Length: 0\r\n\r\n"
	h, _, _, err := readHead([]byte(in), headLimits{}, whole)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := h.header("x-ONE"); v != "1" || !ok {
		t.Errorf("header: %q", v)
	}
	if _, ok := h.header("none"); ok {
		t.Error("header: found what is not there")
	}
	if v, ok := h.headerList("x-one"); v != "1, 2" || !ok {
		t.Errorf("headerList: %q", v)
	}
	want := Headers{{"x-one", "1"}, {"x-one", "2"}}
	if got := h.headersWithPrefix("x-"); !reflect.DeepEqual(got, want) {
		t.Errorf("headersWithPrefix: %v", got)
	}
	for token, has := range map[string]bool{"upgrade": true, "X": true, "keep-alive": true, "keep": false, "": false} {
		if h.hasToken("connection", token) != has {
			t.Errorf("hasToken(%q) = %v", token, !has)
		}
	}
	if h.hasBody() {
		t.Error("hasBody with length 0")
	}
	h.Reset()
	if h.fields = h.fields[:1]; h.host != "" || h.fields[0] != (headField{}) {
		t.Error("Reset left something")
	}
}

func TestEqualFoldIsASCII(t *testing.T) {
	if equalFold("webſocKet", "websocket") || equalFold("[", "{") || !equalFold("WebSocket", "websocket") {
		t.Error("equalFold folds more or less than ASCII letters")
	}
}

func TestSplitHostPort(t *testing.T) {
	for _, row := range []struct {
		in, scheme, host string
		port             int
	}{
		{"h", "http", "h", 80},
		{"h", "https", "h", 443},
		{"h:", "http", "h", 80},
		{"h:81", "https", "h", 81},
		{"[::1]", "http", "::1", 80},
		{"[::1]:81", "http", "::1", 81},
		{"", "http", "", 80},
	} {
		if host, port := splitHostPort(row.in, row.scheme); host != row.host || port != row.port {
			t.Errorf("%q: %q %d", row.in, host, port)
		}
	}
}

// FuzzHead: however a head is cut, the outcome is the same; and what is accepted net/http takes too, and
// understands alike. Exceptions: net/http refuses some bodies (Content-Length, Transfer-Encoding,
// Trailer), which are not this code's to judge, and adds Cache-Control to Pragma; it does not skip
// leading empty lines and so gets the head from its start.
func FuzzHead(f *testing.F) {
	f.Add([]byte(browserHead), uint8(1))
	f.Add([]byte("\r\nGET http://[::1]:80?a HTTP/1.0\r\nhost:x\r\nA:\t b \r\n\r\nrest"), uint8(7))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		h, start, end, err := readHead(in, headLimits{}, whole)
		for _, piece := range []func() int{single, func() int { return int(cut) }} {
			h2, start2, end2, err2 := readHead(in, headLimits{}, piece)
			if !reflect.DeepEqual(h, h2) || start != start2 || end != end2 || !reflect.DeepEqual(err, err2) {
				t.Fatalf("cut: %+v %d %d %v, whole: %+v %d %d %v", h2, start2, end2, err2, h, start, end, err)
			}
		}
		if h == nil || err != nil {
			return
		}
		compareWithNetHTTP(t, h, in[start:end])
	})
}

func compareWithNetHTTP(t *testing.T, h *head, raw []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		for _, name := range []string{"content-length", "transfer-encoding", "trailer"} {
			if _, ok := h.header(name); ok {
				return
			}
		}
		t.Fatalf("net/http refuses it: %v", err)
	}
	path := unescape(h.path, false)
	if r.URL.Path == "" {
		r.URL.Path = "/"
	}
	if r.Method != h.method || r.RequestURI != h.target || r.Host != h.host ||
		r.ProtoMinor != h.minor || r.URL.Path != path || r.URL.RawQuery != h.query {
		t.Fatalf("net/http: %q %q %q 1.%d %q %q; here: %+v", r.Method, r.RequestURI, r.Host, r.ProtoMinor, r.URL.Path, r.URL.RawQuery, h)
	}
	want := http.Header{}
	for _, field := range h.fields {
		want.Add(field.name, field.value)
	}
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer", "Content-Length", "Cache-Control"} {
		want.Del(name)
		r.Header.Del(name)
	}
	if !reflect.DeepEqual(r.Header, want) {
		t.Fatalf("headers: net/http %q, here %q", r.Header, want)
	}
}

func FuzzValidHost(f *testing.F) {
	f.Add("[::1]:80")
	f.Add("a.b:1")
	f.Fuzz(func(t *testing.T, host string) {
		if host == "" || !validHost(host) {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil || u.Host != host {
			t.Fatalf("net/url: %v, %v", u, err)
		}
		if name, port := splitHostPort(host, "http"); name != u.Hostname() || u.Port() != "" && strings.TrimLeft(u.Port(), "0") != "" && port == 80 && strings.TrimLeft(u.Port(), "0") != "80" {
			t.Fatalf("%q %d, net/url %q %q", name, port, u.Hostname(), u.Port())
		}
	})
}

func BenchmarkHead(b *testing.B) {
	in := []byte(browserHead)
	var h head
	b.ReportAllocs()
	for b.Loop() {
		var s headScanner
		end, err := s.scan(in, headLimits{})
		if err != nil || end != len(in) || h.parse(in) != nil {
			b.Fatal(err)
		}
	}
}
