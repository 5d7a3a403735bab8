package server_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/dormouse-ws/dormouse/server/servertest"
	"github.com/gobwas/ws"
)

// askingConfig tells of each call of Connect, which refuses those with the param busy, with a reason.
func askingConfig(asked chan<- bool) server.Config {
	cfg := connecting(func(c *server.Connect) error {
		asked <- true
		if c.Params.Get("busy") != "" {
			return errBusy
		}
		return nil
	})
	k := cfg.Sockets[0]
	k.AuthToken, k.CheckOrigin = true, server.AllowOrigins("//example.com")
	k.WebSocket.ErrorHandler = func(reason error) (int, string) { return 429, reason.Error() }
	return cfg
}

// Section 1.2: each row has a fault that none before it has, beside those of all rows behind it, which must not be
// what it is refused for.
func TestHandshakeOrder(t *testing.T) {
	const (
		path      = "/socket/websocket?"
		v2, v3    = "&vsn=2.0.0", "&vsn=3.0.0"
		origin    = "Origin: https://evil.example"
		offer     = "Sec-WebSocket-Protocol: "
		badToken  = offer + "sip, base64url.bearer.phx.!"
		foreign   = offer + "sip"
		busy, bad = "busy=1", "busy=1&a=%ff"
	)
	plain := func(query string, fields ...string) string { return request(path+query, fields...) }
	asked := make(chan bool, 1)
	srv := servertest.Start(t, askingConfig(asked))
	for _, row := range []struct {
		name, head string
		status     int
		body       string // "-" for a reason in plain text
		asks       bool   // Connect is called
	}{
		{"1.2.1: method", strings.Replace(plain(bad+v3, origin, badToken), "GET", "PUT", 1), 400, "", false},
		{"1.2.2: query", plain(bad+v3, origin, badToken), 400, "-", false},
		{"1.2.4: origin", plain(busy+v3, origin, badToken), 403, "", false},
		{"1.2.5: auth token", plain(busy+v3, badToken), 500, "", false},
		{"1.2.6: subprotocol", plain(busy+v3, foreign), 403, "", false},
		{"1.2.7, 1.3: version; connect is not called", plain(busy + v3), 403, "", false},
		{"1.2.8: connect", plain(busy + v2), 429, "busy", true},
		{"1.2.9: no upgrade, which connect is not told", plain(v2), 400, "-", true},
		{"1.2.10: nothing is wrong", upgrade(path+v2, "Origin: https://example.com", offer+"phoenix"), 101, "", true},
		{"1.4: no Origin", upgrade(path + v2), 101, "", true},
		{"1.4: of two Origins the first counts", upgrade(path+v2, "Origin: https://example.com", origin), 101, "", true},
		{"1.4: and is refused", upgrade(path+v2, origin, "Origin: https://example.com"), 403, "", false},
	} {
		a, _ := call(t, srv, here, row.head)
		wrong := a.body != row.body
		if row.body == "-" {
			wrong = a.body == ""
		}
		if a.status != row.status || wrong {
			t.Errorf("%s: %d %q, want %d %q", row.name, a.status, a.body, row.status, row.body)
		}
		if len(asked) > 0 != row.asks {
			t.Errorf("%s: Connect was called: %v", row.name, !row.asks)
		}
		if len(asked) > 0 {
			<-asked
		}
	}
}

// Sections 1.1 and 1.2: only GET upgrades, whatever else the request has; what has no mount is the application's.
func TestHandshakeMethods(t *testing.T) {
	srv := servertest.Start(t, mount(script{}))
	for method, want := range map[string]int{"POST": 400, "PUT": 400, "DELETE": 400, "OPTIONS": 400, "HEAD": 400, "GET": 101} {
		if a, _ := call(t, srv, here, strings.Replace(upgrade(handshake), "GET", method, 1)); a.status != want || a.body != "" {
			t.Errorf("1.2.1: %s: %d %q, want %d and no body", method, a.status, a.body, want)
		}
	}
	for _, path := range []string{"/socket", "/socket/longpoll", "/socket/websocket/more", "/"} {
		if a, _ := call(t, srv, here, upgrade(path)); a.status != 404 {
			t.Errorf("1.1: %s is not mounted (long-poll is off by default): %d, want 404", path, a.status)
		}
	}
}

// Section 1.2: what the upgrade request itself must have, each named in the answer.
func TestUpgradeValidation(t *testing.T) {
	srv := servertest.Start(t, mount(script{}))
	for _, row := range []struct{ name, old, new, reason string }{
		{"connection", "Connection: Upgrade", "Connection: keep-alive", "'connection'"},
		{"no connection", "Connection: Upgrade\r\n", "", "'connection'"},
		{"upgrade", "Upgrade: websocket", "Upgrade: h2c", "'upgrade'"},
		{"no upgrade", "Upgrade: websocket\r\n", "", "'upgrade'"},
		{"no key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "'sec-websocket-key'"},
		{"no version", "Sec-WebSocket-Version: 13\r\n", "", "'sec-websocket-version'"},
		{"version", "Version: 13", "Version: 8", "'sec-websocket-version'"},
		{"empty host", "Host: x", "Host:", "'host'"},
		{"lists, in any case", "Connection: Upgrade", "Connection: keep-alive, uPGRADE", ""},
		{"websocket in any case", "Upgrade: websocket", "Upgrade: h2c, WebSocket", ""},
	} {
		head := upgrade(handshake)
		if !strings.Contains(head, row.old) {
			t.Fatalf("%s: the handshake has no %q", row.name, row.old)
		}
		a, _ := call(t, srv, here, strings.Replace(head, row.old, row.new, 1))
		want := 400
		if row.reason == "" {
			want = 101
		}
		if a.status != want || !strings.Contains(a.body, row.reason) {
			t.Errorf("1.2.9: %s: %d %q, want %d and %s", row.name, a.status, a.body, want, row.reason)
		}
	}
}

// Section 1.9: the Close frame for each cause, and nothing before it: the server sends no pings of its own.
func TestCloseCodes(t *testing.T) {
	cfg := mount(script{})
	short := *cfg.Sockets[0]
	cfg.Sockets[0].WebSocket.MaxFrameSize = 1000
	short.Path, short.WebSocket.Timeout = "/short", 100*time.Millisecond
	cfg.Sockets = append(cfg.Sockets, &short)
	srv := servertest.Start(t, cfg)
	masked := func(op ws.OpCode, data string) []byte {
		return frame.AppendClient(nil, op, [4]byte{1, 2, 3, 4}, []byte(data))
	}
	closing := func(code ws.StatusCode) []byte { return masked(ws.OpClose, string(ws.NewCloseFrameBody(code, ""))) }
	for _, row := range []struct {
		name, path string
		sent       []byte
		code       ws.StatusCode
	}{
		{"1.9: cannot be decoded", handshake, masked(ws.OpText, "nonsense"), 1011},
		{"1.9: a bad binary header", handshake, masked(ws.OpBinary, "\x00\x01"), 1011},
		{"1.9: text that is not UTF-8", handshake, masked(ws.OpText, "\xff"), 1007},
		{"1.8, 1.9: above max_frame_size", handshake, masked(ws.OpText, strings.Repeat("x", 1001)), 1009},
		{"1.9: a violation: not masked", handshake, ws.MustCompileFrame(ws.NewTextFrame([]byte("x"))), 1002},
		{"1.8, 1.9: nothing was received for the timeout", "/short/websocket?vsn=2.0.0", nil, 1002},
		{"1.9: the client closes", handshake, closing(1000), 1000},
		{"1.9: with a code that must not appear on the wire", handshake, closing(1005), 1002},
	} {
		nc := dialTCP(t, srv.Addr())
		writeText(t, nc, upgrade(row.path)+string(row.sent))
		all, err := io.ReadAll(nc)
		_, frames, _ := strings.Cut(string(all), "\r\n\r\n")
		if err != nil || len(frames) < 4 || frames[0] != 0x88 || len(frames) != 2+int(frames[1]) {
			t.Errorf("%s: %q after the handshake, %v; want a Close frame and no more", row.name, frames, err)
			continue
		}
		if code := ws.StatusCode(frames[2])<<8 | ws.StatusCode(frames[3]); code != row.code {
			t.Errorf("%s: closed with %d, want %d", row.name, code, row.code)
		}
	}
}
