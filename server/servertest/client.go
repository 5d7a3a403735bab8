package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// A Client is one WebSocket connection that speaks Phoenix Channels. Its methods fail the test when
// they cannot do what they say.
type Client struct {
	t       testing.TB
	conn    *websocket.Conn
	v1      bool
	lastRef int
	joins   map[string]string // topic -> join_ref
	inbox   []Message         // received while something else was waited for
}

// Dial connects to a WebSocket URL. The parameter vsn chooses the version that the client speaks:
// 2.0.0, or 1.0.0, which is also what its absence means.
func Dial(t testing.TB, url string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		if response != nil {
			body, _ := io.ReadAll(response.Body)
			t.Fatalf("dial %s: %v: %s", url, err, body)
		}
		t.Fatalf("dial %s: %v", url, err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &Client{t: t, conn: conn, v1: !strings.Contains(url, "vsn=2"), joins: map[string]string{}}
}

// Send sends text as it is.
func (c *Client) Send(text string) {
	c.t.Helper()
	c.write(websocket.MessageText, []byte(text))
}

// SendBinary sends a binary frame as it is.
func (c *Client) SendBinary(data []byte) {
	c.t.Helper()
	c.write(websocket.MessageBinary, data)
}

func (c *Client) write(kind websocket.MessageType, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := c.conn.Write(ctx, kind, data); err != nil {
		c.t.Fatalf("send %.100q: %v", data, err)
	}
}

// Next returns the next message that has not been looked at.
func (c *Client) Next() Message {
	c.t.Helper()
	if len(c.inbox) > 0 {
		m := c.inbox[0]
		c.inbox = c.inbox[1:]
		return m
	}
	return c.read()
}

func (c *Client) read() Message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	kind, data, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	m, err := parse(data, kind == websocket.MessageBinary, c.v1)
	if err != nil {
		c.t.Fatalf("receive %.200q: %v", data, err)
	}
	return m
}

// Expect fails the test unless the next messages are these, in this order. They are compared as JSON:
// white space and the order of keys do not matter, and numbers are equal when they are written alike.
func (c *Client) Expect(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		m := c.Next()
		if m.Binary || !sameJSON(string(m.Raw), want) {
			c.t.Fatalf("received\n  %s\nwant\n  %s", m.Raw, want)
		}
	}
}

// ExpectBinary fails the test unless the next message is this binary frame.
func (c *Client) ExpectBinary(want []byte) {
	c.t.Helper()
	if m := c.Next(); !m.Binary || string(m.Raw) != string(want) {
		c.t.Fatalf("received\n  %q\nwant binary\n  %q", m.Raw, want)
	}
}

// ExpectNothing fails the test if the server has sent anything for what it was sent before. It does not
// wait: it asks for something that the server answers behind all of that, and must be told that first.
func (c *Client) ExpectNothing() {
	c.t.Helper()
	ref := c.ref()
	c.send(Message{JoinRef: "null", Ref: ref, Topic: nobodysTopic, Event: "ping", Payload: json.RawMessage(`{}`)})
	if m := c.Next(); m.Ref != ref || m.Topic != nobodysTopic {
		c.t.Fatalf("received\n  %s\nwant nothing", m.Raw)
	}
}

// nobodysTopic is never joined: an event on it is answered in the order of the requests.
const nobodysTopic = "servertest:nobody"

// ExpectClose fails the test unless the server closes the connection now, with this code.
func (c *Client) ExpectClose(code int) {
	c.t.Helper()
	if len(c.inbox) > 0 {
		c.t.Fatalf("received\n  %s\nwant a close with code %d", c.inbox[0].Raw, code)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err == nil {
		c.t.Fatalf("received\n  %s\nwant a close with code %d", data, code)
	}
	var ce websocket.CloseError
	if !errors.As(err, &ce) || int(ce.Code) != code {
		c.t.Fatalf("the connection ended with %v, want a close with code %d", err, code)
	}
}

// Close closes the connection with code 1000 and waits for the answer.
func (c *Client) Close() {
	c.t.Helper()
	if err := c.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		c.t.Fatalf("close: %v", err)
	}
}

// Drop ends the connection without a word, as a client does that loses its network.
func (c *Client) Drop() { _ = c.conn.CloseNow() }

// WebSocket returns the connection, for what Client cannot do.
func (c *Client) WebSocket() *websocket.Conn { return c.conn }

// ref returns the next reference, as raw JSON.
func (c *Client) ref() string {
	c.lastRef++
	return `"` + strconv.Itoa(c.lastRef) + `"`
}
