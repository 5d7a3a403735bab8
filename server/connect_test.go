package server_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// refusal dials and fails the test unless the handshake is refused with this answer.
func refusal(t *testing.T, url string, status int, body string) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://x.example"}}})
	if err == nil {
		_ = conn.CloseNow()
		t.Fatalf("the handshake was accepted, want %d", status)
	}
	if response == nil {
		t.Fatalf("no answer, want %d: %v", status, err)
	}
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != status || string(text) != body {
		t.Errorf("refused with %d %q, want %d %q", response.StatusCode, text, status, body)
	}
}

var errBusy = errors.New("busy")

func connecting(connect func(c *server.Connect) error) server.Config {
	cfg := mount(script{in: echo})
	cfg.Sockets[0].Connect = connect
	return cfg
}

func TestConnectRefuses(t *testing.T) {
	answer := func(status int) func(error) (int, string) {
		return func(err error) (int, string) { return status, "sorry: " + err.Error() }
	}
	for _, row := range []struct {
		name    string
		err     error
		handler func(error) (int, string)
		status  int
		body    string
	}{
		{"1.6: without a reason", server.ErrRefused, answer(429), 403, ""},
		{"1.6: with a reason, the default", errBusy, nil, 403, ""},
		{"1.6: with a reason", errBusy, answer(429), 429, "sorry: busy"},
		{"no status of a refusal", errBusy, answer(200), 403, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := connecting(func(*server.Connect) error { return row.err })
			cfg.Sockets[0].WebSocket.ErrorHandler = row.handler
			srv := servertest.Start(t, cfg)
			refusal(t, srv.URL(wsPath), row.status, row.body)
			if st := srv.Stats(); st.Refused != 1 || st.Upgraded != 0 {
				t.Errorf("%d refused, %d upgraded", st.Refused, st.Upgraded)
			}
		})
	}
}

// Sections 3.1 and 3.3: a join sees the assigns of its connection and those of its route.
func TestConnectAssigns(t *testing.T) {
	cfg := connecting(func(c *server.Connect) error {
		c.Assigns = c.Params.Get("user")
		return nil
	})
	cfg.Sockets[0].Routes[0].Assigns = "of the route"
	cfg.Sockets[0].Routes[0].Channel = func() server.Channel {
		return script{join: func(c *server.Context, _ server.Payload) error {
			return c.Reply([]any{c.Assigns(), c.RouteAssigns(), c.Transport()})
		}}
	}
	srv := servertest.Start(t, cfg)
	c := srv.Dial(wsPath + "?user=jo")
	if r := c.Join("room:1", nil); string(r) != `["jo","of the route","websocket"]` {
		t.Errorf("assigns: %s", r)
	}
}

// Section 3.9.
func TestDisconnect(t *testing.T) {
	left := make(chan error, 8)
	cfg := connecting(func(c *server.Connect) error {
		if user := c.Params.Get("user"); user != "" {
			c.ID = "users:" + user
		}
		return nil
	})
	cfg.Sockets[0].Routes[0].Channel = func() server.Channel {
		return script{in: echo, leave: func(c *server.Context, reason error) {
			if err := c.Push("too late", nil); err == nil {
				reason = errors.New("a push to a client that is gone has no error")
			}
			left <- reason
		}}
	}
	srv := servertest.Start(t, cfg)
	first, second := srv.Dial(wsPath+"?user=jo"), srv.Dial(wsPath+"?user=jo")
	other, nobody := srv.Dial(wsPath+"?user=mo"), srv.Dial(wsPath)
	for _, c := range []*servertest.Client{first, second, other, nobody} {
		c.Join("room:1", nil)
	}
	if err := srv.Broadcast("users:jo", "another event", nil); err != nil {
		t.Fatal(err)
	}
	first.ExpectNothing()
	srv.Disconnect("users:jo")
	srv.Disconnect("")
	first.ExpectClose(1001)
	second.ExpectClose(1001)
	for range 2 {
		if err := await(t, left, "Leave"); err != server.ErrDisconnected {
			t.Errorf("Leave: %v, want ErrDisconnected", err)
		}
	}
	for _, c := range []*servertest.Client{other, nobody} {
		if status, _ := c.Call("room:1", "x", nil); status != "ok" {
			t.Errorf("a stranger was disconnected: %s", status)
		}
	}
}

// Section 3.10: however a channel ends, Leave is called once, with the reason.
func TestLeaveReasons(t *testing.T) {
	left := make(chan error, 8)
	srv := servertest.Start(t, mount(script{
		in: func(_ *server.Context, event string, _ server.Payload) error {
			if event == "stop" {
				return server.ErrStop
			}
			return errBusy
		},
		leave: func(_ *server.Context, reason error) { left <- reason },
	}))
	for _, row := range []struct {
		name string
		end  func(c *servertest.Client)
		want error
	}{
		{"leave", func(c *servertest.Client) { c.Leave("room:1") }, nil},
		{"stop", func(c *servertest.Client) { c.Push("room:1", "stop", nil) }, nil},
		{"error", func(c *servertest.Client) { c.Push("room:1", "x", nil) }, errBusy},
		{"displaced", func(c *servertest.Client) { c.Join("room:1", nil) }, server.ErrDisplaced},
		{"close", func(c *servertest.Client) { c.Close() }, server.ErrDisconnected},
		{"drop", func(c *servertest.Client) { c.Drop() }, server.ErrDisconnected},
	} {
		c := srv.Dial(wsPath)
		c.Join("room:1", nil)
		row.end(c)
		if err := await(t, left, "Leave"); err != row.want {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
		c.Drop()
		if row.name == "displaced" {
			await(t, left, "Leave of the second join")
		}
	}
	srv.Stop()
	if len(left) != 0 {
		t.Errorf("Leave was called %d times too often", len(left))
	}
}

// The connection dies while Connect runs: nothing of it is left, its id neither.
func TestConnectOutlivesConnection(t *testing.T) {
	entered, gate := make(chan bool), make(chan bool)
	srv := servertest.Start(t, connecting(func(c *server.Connect) error {
		c.ID = "users:jo"
		entered <- true
		<-gate
		return nil
	}))
	nc := dialTCP(t, srv.Addr())
	writeText(t, nc, "GET "+wsPath+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	await(t, entered, "Connect")
	if err := nc.SetLinger(0); err != nil { // reset, not FIN
		t.Fatal(err)
	}
	nc.Close()
	close(gate)
	servertest.Eventually(t, "the connection is forgotten", func() bool {
		st := srv.Stats()
		return st.Engine.Closed == 1 && st.Engine.Open == 0 && st.Hub.Subscriptions == 0
	})
}
