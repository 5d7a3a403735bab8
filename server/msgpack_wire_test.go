package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A packedClient is a client of MessagePack. What it sends and expects is written as JSON: the array of section
// 2.1.
type packedClient struct {
	t    testing.TB
	conn *websocket.Conn
}

func dialPacked(t testing.TB, url string, options websocket.DialOptions) *packedClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
	defer cancel()
	options.Subprotocols = append(options.Subprotocols, "phoenix.msgpack")
	conn, _, err := websocket.Dial(ctx, url, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(-1)
	if got := conn.Subprotocol(); got != "phoenix.msgpack" {
		t.Fatalf("the server speaks %q", got)
	}
	return &packedClient{t, conn}
}

func (c *packedClient) pack(text string) []byte {
	c.t.Helper()
	b, err := server.Raw(json.RawMessage(text)).MessagePack()
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return b
}

func (c *packedClient) send(text string) {
	c.t.Helper()
	c.write(websocket.MessageBinary, c.pack(text))
}

func (c *packedClient) write(kind websocket.MessageType, b []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
	defer cancel()
	if err := c.conn.Write(ctx, kind, b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *packedClient) read() (kind websocket.MessageType, b []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
	defer cancel()
	return c.conn.Read(ctx)
}

// expect compares values: the order of keys does not matter.
func (c *packedClient) expect(text string) {
	c.t.Helper()
	kind, b, err := c.read()
	got, want := server.MessagePack(b), server.MessagePack(c.pack(text))
	var g, w any
	if err := errors.Join(err, got.Decode(&g), want.Decode(&w)); err != nil || kind != websocket.MessageBinary || !reflect.DeepEqual(g, w) {
		c.t.Fatalf("received %v %v\n  %s\nwant\n  %s", kind, err, got.Bytes(), want.Bytes())
	}
}

func (c *packedClient) expectBytes(want []byte) {
	c.t.Helper()
	kind, got, err := c.read()
	if err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, want) {
		c.t.Fatalf("received %v %v\n  %s\nwant\n  %s", kind, err, server.MessagePack(got).Bytes(), server.MessagePack(want).Bytes())
	}
}

func (c *packedClient) expectClose(code int) {
	c.t.Helper()
	_, got, err := c.read()
	var ce websocket.CloseError
	if !errors.As(err, &ce) || int(ce.Code) != code {
		c.t.Fatalf("received %q, %v; want a close with code %d", got, err, code)
	}
}

// notPacked are the parts of a transcript that MessagePack has no form for: binary frames and their limit of 255
// bytes, what is no JSON, and topics and events that are no strings.
var notPacked = []string{"b→", "b←", `"long",{}`, "→ nonsense", `{"a":1},"phx_`}

// playPacked holds the conversation of a transcript in MessagePack, if that can say it.
func playPacked(t *testing.T, url string, row transcript) {
	if !strings.HasPrefix(row.lines, "\n") || strings.Contains(url, "vsn=1") {
		return
	}
	for _, text := range notPacked {
		if strings.Contains(row.lines, text) {
			return
		}
	}
	t.Run(row.name+", MessagePack", func(t *testing.T) {
		c := dialPacked(t, url, websocket.DialOptions{})
		for line := range strings.Lines(row.lines) {
			sign, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch sign {
			case "→":
				c.send(text)
			case "←":
				c.expect(text)
			case "·":
				c.send(`[null,"nothing","nobody","ping",{}]`)
				c.expect(`[null,"nothing","nobody","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`)
			case "×":
				code, err := strconv.Atoi(text)
				if err != nil {
					t.Fatal(err)
				}
				c.expectClose(code)
			}
		}
	})
}

// What one client sends reaches clients of every form: as it came where the form is the same, turned where it is
// not.
func TestPackedAmongOthers(t *testing.T) {
	cfg := roomConfig()
	cfg.Sockets[0].WebSocket.Compress = true
	srv := servertest.Start(t, cfg)
	const join, joined = `["1","1","room:1","phx_join",{}]`, `["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`
	v2 := servertest.Dial(t, srv.URL(wsPath))
	v2.Send(join)
	v2.Expect(joined)
	plain := dialPacked(t, srv.URL(wsPath), websocket.DialOptions{})
	small := dialPacked(t, srv.URL(wsPath), websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	for _, c := range []*packedClient{plain, small} {
		c.send(join)
		c.expect(joined)
	}
	const acked = `["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`

	// An extension and a number in too many bytes come out as they went in.
	payload := "\x82\xa1x\xd4\x05\x0a\xa1n\xcf\x00\x00\x00\x00\x00\x00\x00\x01"
	plain.write(websocket.MessageBinary, []byte("\x95\xa11\xa12\xa6room:1\xa5bcast"+payload))
	plain.expectBytes([]byte("\x95\xc0\xc0\xa6room:1\xa5bcast" + payload))
	plain.expect(acked)
	small.expectBytes([]byte("\x95\xc0\xc0\xa6room:1\xa5bcast" + payload))
	v2.Expect(`[null,null,"room:1","bcast",{"x":{"type":5,"data":"Cg=="},"n":1}]`)

	// From JSON, and long enough to be compressed.
	long := `{"big":18446744073709551615,"body":"` + strings.Repeat("sleep ", 1000) + `"}`
	v2.Send(`["1","2","room:1","bcast",` + long + `]`)
	v2.Expect(`[null,null,"room:1","bcast",`+long+`]`, acked)
	for _, c := range []*packedClient{plain, small} {
		c.expect(`[null,null,"room:1","bcast",` + long + `]`)
	}

	// An intercepting channel looks at the payload, and answers in its own words.
	small.write(websocket.MessageBinary, []byte("\x95\xa11\xa12\xa6room:1\xa7new_msg\x81\xa1t\xd6\xff\x5a\x49\x7a\x00"))
	small.expect(acked) // the broadcast waits its turn in the mailbox
	for _, c := range []*packedClient{plain, small} {
		c.expect(`["1",null,"room:1","new_msg",{"for":"room:1","t":"2018-01-01T00:00:00Z"}]`)
	}
	v2.Expect(`["1",null,"room:1","new_msg",{"for":"room:1","t":"2018-01-01T00:00:00Z"}]`)

	// Bytes as a payload are a bin here and a binary frame there.
	plain.write(websocket.MessageBinary, []byte("\x95\xa11\xa12\xa6room:1\xa5bcast\xc4\x02\x01\x02"))
	small.expectBytes([]byte("\x95\xc0\xc0\xa6room:1\xa5bcast\xc4\x02\x01\x02"))
	v2.ExpectBinary([]byte("\x02\x06\x05room:1bcast\x01\x02"))
}

// What a packed client sends elsewhere than to its topic keeps its form too.
func TestPackedPushTo(t *testing.T) {
	cfg := mount(script{in: func(c *server.Context, event string, p server.Payload) error {
		return c.Server().PushTo("user:7", "", event, p)
	}})
	cfg.Sockets[0].WebSocket.MessagePack = true
	cfg.Sockets[0].Connect = func(c *server.Connect) error { c.ID = "user:7"; return nil }
	srv := servertest.Start(t, cfg)
	c := dialPacked(t, srv.URL(wsPath), websocket.DialOptions{})
	c.send(`["1","1","room:1","phx_join",{}]`)
	c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
	c.write(websocket.MessageBinary, []byte("\x95\xa11\xa12\xa6room:1\xa1e\x81\xa1x\xd4\x05\x0a"))
	c.expectBytes([]byte("\x95\xa11\xc0\xa6room:1\xa1e\x81\xa1x\xd4\x05\x0a"))
}

func TestPackedErrorsEndTheConnection(t *testing.T) {
	srv := servertest.Start(t, roomConfig())
	for name, message := range map[string]string{
		"not MessagePack": "\xc1", "four elements": "\x94\xc0\xc0\xa1t\xa1e", "2^32-1 elements": "\xdd\xff\xff\xff\xff",
		"a payload nested 513": "\x95\xc0\xc0\xa1t\xa1e" + strings.Repeat("\x91", 513) + "\xc0",
		"a key of bytes":       "\x95\xc0\xc0\xa1t\xa1e\x81\xc4\x00\xc0",
		"a topic of bytes":     "\x95\xc0\xc0\xc4\x01t\xa1e\x80",
	} {
		t.Run(name, func(t *testing.T) {
			c := dialPacked(t, srv.URL(wsPath), websocket.DialOptions{})
			c.write(websocket.MessageBinary, []byte(message))
			c.expectClose(1011)
		})
	}
	t.Run("a text frame", func(t *testing.T) {
		c := dialPacked(t, srv.URL(wsPath), websocket.DialOptions{})
		c.write(websocket.MessageText, []byte(`["1","1","room:1","phx_join",{}]`))
		c.expectClose(1011)
	})
}

// MessagePack is spoken where the mount says so, with version 2, and only to those that ask.
func TestPackedIsNegotiated(t *testing.T) {
	cfg := roomConfig()
	silent := *cfg.Sockets[0]
	silent.Path, silent.WebSocket.MessagePack = "/json", false
	cfg.Sockets = append(cfg.Sockets, &silent)
	srv := servertest.Start(t, cfg)
	for _, row := range []struct {
		name, path string
		offer      []string
		status     int
		chosen     string
	}{
		{"offered", wsPath, []string{"phoenix.msgpack"}, 101, "phoenix.msgpack"},
		{"not offered", wsPath, nil, 101, ""},
		{"something else offered", wsPath, []string{"mqtt"}, 403, ""},
		{"version 1", wsV1Path, []string{"phoenix.msgpack"}, 403, ""},
		{"version 1, not offered", wsV1Path, nil, 101, ""},
		{"a mount without it", "/json/websocket", []string{"phoenix.msgpack"}, 101, ""},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
		conn, response, err := websocket.Dial(ctx, srv.URL(row.path), &websocket.DialOptions{Subprotocols: row.offer})
		cancel()
		if response == nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if response.StatusCode != row.status || response.Header.Get("Sec-WebSocket-Protocol") != row.chosen {
			t.Errorf("%s: %d %q, want %d %q", row.name, response.StatusCode, response.Header.Get("Sec-WebSocket-Protocol"),
				row.status, row.chosen)
		}
		if row.status == http.StatusSwitchingProtocols {
			_ = conn.CloseNow()
		}
	}
	plain := []*server.WebSocket{{Path: "/plain", Message: func(*server.Conn, bool, []byte) {},
		Options: server.WebSocketOptions{MessagePack: true}}}
	if _, err := server.New(server.Config{WebSockets: plain}); err == nil || !strings.Contains(err.Error(), "MessagePack") {
		t.Errorf("plain messages in MessagePack: %v", err)
	}
}
