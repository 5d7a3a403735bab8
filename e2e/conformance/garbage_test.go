package conformance_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// clientHello is how a TLS 1.3 client begins, as far as it matters.
const clientHello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "random random random random rand" + "\x20"

// garbage is what comes to an open port. A status of 0 is any from 400 on.
var garbage = []struct {
	name   string
	sent   string
	status int
	says   string
}{
	{"TLS", clientHello, 400, "TLS"},
	{"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505, ""},
	{"NULs", strings.Repeat("\x00", 5000), 400, ""},
	{"one NUL", "\x00", 400, ""},
	{"ones", strings.Repeat("\xff", 5000), 400, ""},
	{"lines that end in LF", "GET / HTTP/1.1\nHost: h\n\n", 400, ""},
	{"headers that end in LF", "GET / HTTP/1.1\r\nHost: h\n\n", 400, ""},
	{"lines that end in CR", "GET / HTTP/1.1\rHost: h\r\r", 400, ""},
	{"a word without an end", strings.Repeat("A", 100_000), 501, ""},
	{"a target without an end", "GET /" + strings.Repeat("a", 100_000), 414, ""},
	{"a target of 9,000 bytes", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414, ""},
	{"a query of 9,000 bytes", "GET /?" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414, ""},
	{"a header without an end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 100_000), 431, ""},
	{"a header name without an end", "GET / HTTP/1.1\r\n" + strings.Repeat("x", 100_000), 431, ""},
	{"65 headers", "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 65) + "\r\n", 431, ""},
	{"headers without an end", "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 100_000), 431, ""},
	{"empty lines without an end", strings.Repeat("\r\n", 100_000), 0, ""},
	{"frames without a handshake", string(text("hello")), 400, ""},
	{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", 400, ""},
	{"SMTP", "EHLO there\r\n\r\n", 400, ""},
	{"Redis", "*1\r\n$4\r\nPING\r\n", 400, ""},
	{"SOCKS5", "\x05\x01\x00", 400, ""},
	{"PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", 400, ""},
	{"a response", "HTTP/1.1 200 OK\r\n\r\n", 400, ""},
	{"version that is none", "GET / HTTP/1.x\r\n\r\n", 400, ""},
	{"HTTP/3.0", "GET / HTTP/3.0\r\n\r\n", 505, ""},
	{"method that is none", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
	{"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
	{"request smuggling: two lengths", "POST /no/mount HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, ""},
	{"request smuggling: bad chunked", "POST /no/mount HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, ""},
}

// TestGarbage: an answer that a person can read, an orderly end, and nothing else happens.
func TestGarbage(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		e := startEcho(t, engine)
		bystander := dial(t, e.addr, "/")
		for _, row := range garbage {
			t.Run(row.name, func(t *testing.T) {
				p := connect(t, e.addr)
				p.send([]byte(row.sent))
				p.turnedAway(row.status, row.says)
				if len(row.sent) > 1000 || strings.HasPrefix(row.name, "request smuggling") {
					return // the latter is answered by net/http, which does not wait for what still comes
				}
				p = connect(t, e.addr)
				for i := range len(row.sent) {
					if _, err := p.c.Write([]byte{row.sent[i]}); err != nil {
						t.Fatal(err)
					}
				}
				p.turnedAway(row.status, row.says)
			})
		}
		bystander.alive()
	})
}

// turnedAway reads an error response and the end of the connection.
func (p *peer) turnedAway(status int, says string) {
	p.t.Helper()
	resp := p.response("GET")
	body := new(bytes.Buffer)
	_, err := body.ReadFrom(resp.Body)
	switch {
	case err != nil:
		p.t.Fatalf("body: %v", err)
	case resp.StatusCode < 400 || status != 0 && resp.StatusCode != status:
		p.t.Fatalf("want status %d, got %s %q\nto %s", status, resp.Status, body, short(p.sent))
	case !resp.Close:
		p.t.Fatalf("no Connection: close: %v", resp.Header)
	case body.Len() == 0 || !strings.Contains(body.String(), says):
		p.t.Fatalf("the body %q does not say %q", body, says)
	}
	p.eof()
}

// TestRandomBytes sends noise, to the port and as frames. Frames of noise are masked by chance only, so
// nearly all of them end in a Close frame at once; a valid beginning is ended by what follows it.
func TestRandomBytes(t *testing.T) {
	const seed = 20
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	t.Logf("seed %d", seed)
	onEngines(t, func(t *testing.T, engine string) {
		e := startEcho(t, engine)
		r := rand.New(rand.NewPCG(seed, 0))
		for range rounds {
			p := connect(t, e.addr)
			p.send(payload(r, false, 4096))
			p.turnedAway(0, "")

			p = dial(t, e.addr, "/")
			p.send(payload(r, false, 512), plain(0xff, 0xff), repeat(0xff, 4096))
			p.ends()
		}
		dial(t, e.addr, "/").alive()
	})
}

// ends reads frames until a Close frame or, where the noise announced a long frame, gives up first.
func (p *peer) ends() {
	p.t.Helper()
	_ = p.c.CloseWrite()
	for {
		f, err := p.next()
		if err != nil {
			if err != io.EOF {
				p.t.Fatalf("after noise: %v\nsent %s", err, short(p.sent))
			}
			return
		}
		if f.op() == opClose {
			p.eof()
			return
		}
	}
}
