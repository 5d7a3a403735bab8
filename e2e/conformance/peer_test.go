package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A peer is a client that sends what it is told, valid or not, and accepts from the server nothing
// that RFC 6455 does not allow. It belongs to one goroutine; the sends may be another's.
type peer struct {
	t    testing.TB
	c    conn
	r    *bufio.Reader
	sent []byte // the beginning of what was sent after the handshake, for messages

	deflate  bool // permessage-deflate was agreed on
	deflated int  // messages that came compressed
}

// A conn is a TCP connection each of whose reads and writes may take patience, however long the test does.
type conn struct{ *net.TCPConn }

func (c conn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c.TCPConn.Read(b)
}

func (c conn) Write(b []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	return c.TCPConn.Write(b)
}

// connect opens a TCP connection.
func connect(t testing.TB, addr string) *peer {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := conn{nc.(*net.TCPConn)}
	return &peer{t: t, c: c, r: bufio.NewReader(c)}
}

// sampleKey and sampleAccept are those of RFC 6455 section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// upgradeHead is a valid handshake; further lines come before its end.
func upgradeHead(path string, lines ...string) []byte {
	return []byte(strings.Join(append([]string{
		"GET " + path + " HTTP/1.1", "Host: server.example", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Key: " + sampleKey, "Sec-WebSocket-Version: 13",
	}, lines...), "\r\n") + "\r\n\r\n")
}

// dial opens a WebSocket.
func dial(t testing.TB, addr, path string, lines ...string) *peer {
	t.Helper()
	p := connect(t, addr)
	p.send(upgradeHead(path, lines...))
	p.upgraded()
	p.sent = nil
	return p
}

// upgraded reads a response that must be 101.
func (p *peer) upgraded() http.Header {
	p.t.Helper()
	resp := p.response("GET")
	if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != sampleAccept ||
		!strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") || !strings.EqualFold(resp.Header.Get("Connection"), "upgrade") {
		p.t.Fatalf("want 101 with accept %s, got %s %v", sampleAccept, resp.Status, resp.Header)
	}
	p.deflate = strings.HasPrefix(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	return resp.Header
}

// response reads the head of an HTTP response.
func (p *peer) response(method string) *http.Response {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("no HTTP response to %s: %v", short(p.sent), err)
	}
	return resp
}

// refused reads a response and the server's orderly end of the connection.
func (p *peer) refused(status int) (*http.Response, string) {
	p.t.Helper()
	resp := p.response("GET")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatalf("body of the refusal: %v", err)
	}
	if resp.StatusCode != status {
		p.t.Fatalf("want status %d, got %s %q\nto %s", status, resp.Status, body, short(p.sent))
	}
	p.eof()
	return resp, string(body)
}

func (p *peer) send(frames ...[]byte) {
	p.t.Helper()
	b := join(frames...)
	p.note(b)
	if _, err := p.c.Write(b); err != nil {
		p.t.Fatalf("write of %s: %v", short(b), err)
	}
}

func (p *peer) note(b []byte) {
	if room := 256 - len(p.sent); room > 0 {
		p.sent = append(p.sent, b[:min(room, len(b))]...)
	}
}

// dribble sends one byte at a time.
func (p *peer) dribble(b []byte) {
	p.t.Helper()
	p.note(b)
	for i := range b {
		if _, err := p.c.Write(b[i : i+1]); err != nil {
			p.t.Fatalf("write of byte %d of %s: %v", i, short(b), err)
		}
	}
}

// next reads a frame and checks what holds for every frame of a server: no mask (section 5.1), the
// shortest length (5.2), no reserved bits without an extension, whole short control frames (5.5).
func (p *peer) next() (frame, error) {
	var h [10]byte
	if _, err := io.ReadFull(p.r, h[:2]); err != nil {
		return frame{}, err
	}
	n := uint64(h[1])
	least := uint64(0)
	switch h[1] {
	case 126:
		if _, err := io.ReadFull(p.r, h[2:4]); err != nil {
			return frame{}, noEOF(err)
		}
		n, least = uint64(binary.BigEndian.Uint16(h[2:])), 126
	case 127:
		if _, err := io.ReadFull(p.r, h[2:10]); err != nil {
			return frame{}, noEOF(err)
		}
		n, least = binary.BigEndian.Uint64(h[2:]), 65536
	}
	f := frame{b0: h[0]}
	switch {
	case h[1]&0x80 != 0:
		return f, errors.New("the server's frame is masked")
	case n < least || n > 1<<30:
		return f, fmt.Errorf("the server's frame has the length % x", h[1:])
	case h[0]&(rsv2|rsv3) != 0 || h[0]&rsv1 != 0 && (!p.deflate || f.op() == opCont || f.op() >= opClose):
		return f, fmt.Errorf("the server's frame has reserved bits: %#02x", h[0])
	case f.op() >= opClose && (n > 125 || h[0]&fin == 0):
		return f, fmt.Errorf("the server's control frame begins % x", h[:2])
	}
	f.payload = make([]byte, n)
	if _, err := io.ReadFull(p.r, f.payload); err != nil {
		return f, noEOF(err)
	}
	if h[0]&rsv1 == 0 {
		return f, nil
	}
	p.deflated++
	f.b0 &^= rsv1
	var err error
	f.payload, err = inflated(f.payload)
	return f, err
}

// noEOF is for places where the end of the stream is the middle of a frame.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// want reads one frame, which must be this one.
func (p *peer) want(op byte, payload []byte) {
	p.t.Helper()
	want := frame{fin | op, payload}
	got, err := p.next()
	if err != nil {
		p.t.Fatalf("want %v\n got %v\nsent %s", want, err, short(p.sent))
	}
	if got.b0 != want.b0 || !bytes.Equal(got.payload, want.payload) {
		p.t.Fatalf("want %v\n got %v\nsent %s%s", want, got, short(p.sent), difference(got.payload, payload))
	}
}

// difference says where two payloads of the same length part.
func difference(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("\nfirst difference at byte %d", i)
		}
	}
	return ""
}

// wantClose reads a Close frame with that code, 0 for none, and the server's orderly end: FIN and never
// RST, so that the frame cannot be lost (section 7.1.1).
func (p *peer) wantClose(code int) {
	p.t.Helper()
	f, err := p.next()
	if err != nil {
		p.t.Fatalf("want close %d\n got %v\nsent %s", code, err, short(p.sent))
	}
	got := 0
	if len(f.payload) >= 2 {
		got = int(binary.BigEndian.Uint16(f.payload))
	}
	if f.op() != opClose || got != code || len(f.payload) == 1 {
		p.t.Fatalf("want close %d\n got %v\nsent %s", code, f, short(p.sent))
	}
	if code != 0 && !utf8.Valid(f.payload[2:]) {
		p.t.Fatalf("the reason is not UTF-8: %v", f)
	}
	p.eof()
}

// eof is the server's FIN with nothing before it.
func (p *peer) eof() {
	p.t.Helper()
	b, err := p.r.ReadByte()
	if err == nil {
		p.t.Fatalf("want the end of the connection, got byte %#02x\nsent %s", b, short(p.sent))
	}
	if err != io.EOF {
		p.t.Fatalf("want the end of the connection, got %v\nsent %s", err, short(p.sent))
	}
}

// alive shows that the connection still works and that nothing else was sent on it.
func (p *peer) alive() {
	p.t.Helper()
	p.send(text("still here?"))
	p.want(opText, []byte("still here?"))
}

// barrier lets the server see everything that was sent before, on whatever loop: each of a few
// connections opened after it makes a round trip.
func barrier(t testing.TB, addr string) {
	t.Helper()
	for range 8 {
		p := dial(t, addr, "/")
		p.alive()
		p.c.Close()
	}
}
