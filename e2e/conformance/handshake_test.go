package conformance_test

import (
	"bytes"
	"strings"
	"testing"
)

// A request is a handshake that is changed in one place.
type request struct {
	name   string
	line   string   // the request line; "" is a valid one
	drop   string   // the name of a header that is left out
	add    []string // header lines
	plain  int      // the status at a mount of plain WebSockets
	socket int      // and at one of Phoenix Channels
}

func (r request) bytes(path string) []byte {
	line := "GET " + path + " HTTP/1.1"
	if r.line != "" {
		line = strings.ReplaceAll(r.line, "{path}", path)
	}
	out := []string{line}
	for _, h := range []string{
		"Host: server.example", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Key: " + sampleKey, "Sec-WebSocket-Version: 13",
	} {
		if name, _, _ := strings.Cut(h, ":"); name != r.drop {
			out = append(out, h)
		}
	}
	return []byte(strings.Join(append(out, r.add...), "\r\n") + "\r\n\r\n")
}

const (
	hHost, hConnection, hUpgrade = "Host", "Connection", "Upgrade"
	hKey, hVersion               = "Sec-WebSocket-Key", "Sec-WebSocket-Version"
)

// refusals: RFC 6455 section 4.2.1, in the order of its list, and what HTTP itself demands.
var refusals = []request{
	{name: "1 POST", line: "POST {path} HTTP/1.1", plain: 400, socket: 400},
	{name: "1 HEAD", line: "HEAD {path} HTTP/1.1", plain: 400, socket: 400},
	{name: "1 lower case method", line: "get {path} HTTP/1.1", plain: 400, socket: 400},
	{name: "1 HTTP/1.0", line: "GET {path} HTTP/1.0", plain: 400, socket: 400},
	{name: "1 HTTP/2.0", line: "GET {path} HTTP/2.0", plain: 505, socket: 505},
	{name: "1 HTTP/0.9", line: "GET {path}", plain: 400, socket: 400},
	{name: "2 no Host", drop: hHost, plain: 400, socket: 400},
	{name: "2 two Hosts", add: []string{"Host: other.example"}, plain: 400, socket: 400},
	{name: "2 empty Host", drop: hHost, add: []string{"Host:"}, plain: 400, socket: 400},
	{name: "2 Host that is none", drop: hHost, add: []string{"Host: a b/c"}, plain: 400, socket: 400},
	{name: "3 no Upgrade", drop: hUpgrade, plain: 400, socket: 400},
	{name: "3 Upgrade to something else", drop: hUpgrade, add: []string{"Upgrade: h2c"}, plain: 400, socket: 400},
	{name: "3 Upgrade to websockets", drop: hUpgrade, add: []string{"Upgrade: websockets"}, plain: 400, socket: 400},
	{name: "4 no Connection", drop: hConnection, plain: 400, socket: 400},
	{name: "4 Connection without upgrade", drop: hConnection, add: []string{"Connection: keep-alive"}, plain: 400, socket: 400},
	{name: "4 Connection with upgrade in a word", drop: hConnection, add: []string{"Connection: upgraded, noupgrade"}, plain: 400, socket: 400},
	{name: "5 no key", drop: hKey, plain: 400, socket: 400},
	{name: "5 empty key", drop: hKey, add: []string{"Sec-WebSocket-Key:"}, plain: 400, socket: 400},
	{name: "5 key of 15 bytes", drop: hKey, add: []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"}, plain: 400, socket: 400},
	{name: "5 key of 17 bytes", drop: hKey, add: []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="}, plain: 400, socket: 400},
	{name: "5 key that is not base64", drop: hKey, add: []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="}, plain: 400, socket: 400},
	{name: "5 key with two values", drop: hKey, add: []string{"Sec-WebSocket-Key: " + sampleKey + ", " + sampleKey}, plain: 400, socket: 400},
	{name: "11.3.1 key twice", add: []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="}, plain: 400, socket: 400},
	{name: "11.3.1 the same key twice", add: []string{"Sec-WebSocket-Key: " + sampleKey}, plain: 400, socket: 400},
	{name: "6 no version", drop: hVersion, plain: 426, socket: 400},
	{name: "6 empty version", drop: hVersion, add: []string{"Sec-WebSocket-Version:"}, plain: 426, socket: 400},
	{name: "4.4 version 0", drop: hVersion, add: []string{"Sec-WebSocket-Version: 0"}, plain: 426, socket: 400},
	{name: "4.4 version 8", drop: hVersion, add: []string{"Sec-WebSocket-Version: 8"}, plain: 426, socket: 400},
	{name: "4.4 version 12", drop: hVersion, add: []string{"Sec-WebSocket-Version: 12"}, plain: 426, socket: 400},
	{name: "4.4 version 14", drop: hVersion, add: []string{"Sec-WebSocket-Version: 14"}, plain: 426, socket: 400},
	{name: "4.4 version 013", drop: hVersion, add: []string{"Sec-WebSocket-Version: 013"}, plain: 426, socket: 400},
	{name: "11.3.5 version twice", add: []string{"Sec-WebSocket-Version: 8"}, plain: 400, socket: 400},
	{name: "9.1 extensions that are no list", add: []string{"Sec-WebSocket-Extensions: ;=;"}, plain: 101, socket: 101},
	{name: "9110 6.4 body with a length", add: []string{"Content-Length: 5"}, plain: 400, socket: 400},
	{name: "9110 6.4 chunked body", add: []string{"Transfer-Encoding: chunked"}, plain: 400, socket: 400},
	{name: "9112 5.1 space before the colon", add: []string{"X-Odd : 1"}, plain: 400, socket: 400},
	{name: "9112 5.2 folded line", add: []string{"X-Odd: 1", " folded"}, plain: 400, socket: 400},
	{name: "9112 5 line without a colon", add: []string{"odd"}, plain: 400, socket: 400},
	{name: "9110 5.5 NUL in a value", add: []string{"X-Odd: a\x00b"}, plain: 400, socket: 400},
	{name: "9112 3.2 fragment in the target", line: "GET {path}#x HTTP/1.1", plain: 400, socket: 400},
	{name: "9112 3.2 target of another scheme", line: "GET ftp://server.example{path} HTTP/1.1", plain: 400, socket: 400},
	{name: "9112 3.2.3 CONNECT", line: "CONNECT server.example:80 HTTP/1.1", plain: 501, socket: 501},
	{name: "9112 3 bad percent in the path", line: "GET {path}%zz HTTP/1.1", plain: 400, socket: 400},
	{name: "9112 3 two spaces", line: "GET  {path} HTTP/1.1", plain: 400, socket: 400},
}

// acceptances are as unusual, and right.
var acceptances = []request{
	{name: "the least"},
	{name: "3 upgrade list", drop: hUpgrade, add: []string{"Upgrade: h2c, WebSocket"}},
	{name: "3 two Upgrade lines", add: []string{"Upgrade: h2c"}},
	{name: "3 letter case of the value", drop: hUpgrade, add: []string{"Upgrade: WebSOCKET"}},
	{name: "4 connection list", drop: hConnection, add: []string{"Connection: keep-alive, Upgrade"}},
	{name: "4 connection list without spaces", drop: hConnection, add: []string{"connection:keep-alive,UPGRADE"}},
	{name: "4 two Connection lines", drop: hConnection, add: []string{"Connection: keep-alive", "Connection: Upgrade"}},
	{name: "9110 5.1 letter case of names", drop: hKey, add: []string{"SEC-WEBSOCKET-KEY: " + sampleKey}},
	{name: "9110 5.1 lower case names", drop: hVersion, add: []string{"sec-websocket-version: 13"}},
	{name: "9110 5.5 white space around values", drop: hKey, add: []string{"Sec-WebSocket-Key:\t " + sampleKey + " \t"}},
	{name: "9110 5.5 none before values", drop: hVersion, add: []string{"Sec-WebSocket-Version:13"}},
	{name: "9112 3.2.2 absolute target", line: "GET http://server.example{path} HTTP/1.1"},
	{name: "9112 2.2 empty line before", line: "\r\nGET {path} HTTP/1.1"},
	{name: "query", line: "GET {path}?vsn=2.0.0&a=%20b+c HTTP/1.1"},
	{name: "slash at the end", line: "GET {path}/ HTTP/1.1"},
	{name: "body of no length", add: []string{"Content-Length: 0"}},
	{name: "cookies of 6,000 bytes", add: []string{"Cookie: a=" + strings.Repeat("x", 6000)}},
	{name: "50 more headers", add: strings.Split(strings.Repeat("X-More: 1\n", 49)+"X-More: 1", "\n")},
	{name: "bytes above 127 in a value", add: []string{"X-Odd: caf\xc3\xa9 \xff"}},
	{name: "other extensions", add: []string{"Sec-WebSocket-Extensions: foo; bar=\"b z\", baz"}},
	{name: "a subprotocol that nobody asked for", add: []string{"Sec-WebSocket-Protocol: chat, superchat"}},
}

// TestRefusals: each has an answer, in HTTP, and an orderly end, at both kinds of mount.
func TestRefusals(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		echo, fixture := startEcho(t, engine).addr, startFixture(t, engine).addr
		for _, row := range refusals {
			t.Run(row.name, func(t *testing.T) {
				refusedWith(t, echo, row.bytes("/"), row.plain)
				refusedWith(t, fixture, row.bytes("/socket/websocket"), row.socket)
			})
		}
	})
}

func refusedWith(t *testing.T, addr string, head []byte, status int) {
	t.Helper()
	p := connect(t, addr)
	if status == 101 {
		p.send(head)
		p.upgraded()
		return
	}
	// Frames and a megabyte behind a refused head are no reason to lose the refusal.
	p.send(head, text("too early"), repeat('x', 1<<20))
	if bytes.HasPrefix(head, []byte("HEAD")) {
		if resp := p.response("HEAD"); resp.StatusCode != status {
			t.Fatalf("want status %d, got %s", status, resp.Status)
		}
		return
	}
	resp, _ := p.refused(status)
	if !resp.Close {
		t.Errorf("the refusal has no Connection: close: %v", resp.Header)
	}
	if status == 426 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("the refusal does not name the version: %v", resp.Header)
	}
}

// TestHandshakes: each is accepted, and frames in the same packet are handled.
func TestHandshakes(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		echo, fixture := startEcho(t, engine).addr, startFixture(t, engine).addr
		for _, row := range acceptances {
			t.Run(row.name, func(t *testing.T) {
				p := connect(t, echo)
				p.send(row.bytes("/"), text("early"), ping("p")[:3])
				h := p.upgraded()
				if h.Get("Sec-WebSocket-Extensions") != "" || h.Get("Sec-WebSocket-Protocol") != "" {
					t.Errorf("the answer names what was not agreed on: %v", h)
				}
				p.want(opText, []byte("early"))
				p.send(ping("p")[3:])
				p.want(opPong, []byte("p"))
				p = connect(t, fixture)
				p.send(row.bytes("/socket/websocket"), ping("early"))
				p.upgraded()
				p.want(opPong, []byte("early"))
			})
		}
	})
}

// TestHeadCuts cuts a head, with a frame behind it, at every byte.
func TestHeadCuts(t *testing.T) {
	head := append(upgradeHead("/", "Cookie: a=b"), text("behind")...)
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine, "-handshake-timeout", "1h").addr
		peers := make([]*peer, len(head))
		for i := range peers {
			peers[i] = connect(t, addr)
			peers[i].send(head[:i])
		}
		barrier(t, addr)
		for i, p := range peers {
			p.send(head[i:])
			p.upgraded()
			p.want(opText, []byte("behind"))
			p.c.Close()
		}
		p := connect(t, addr)
		p.dribble(head)
		p.upgraded()
		p.want(opText, []byte("behind"))
	})
}
