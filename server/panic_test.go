package server_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A panic ends the channel that it is in, and nothing else; it is counted and logged with its stack.
func TestPanics(t *testing.T) {
	const joinCrashed = `["2","2","room:2","phx_reply",{"status":"error","response":{"reason":"join crashed"}}]`
	const crashed = `["2","2","room:2","phx_error",{"reason":"channel_crash"}]`
	const ok = `["2","2","room:2","phx_reply",{"status":"ok","response":{}}]`
	bad := func(c *server.Context) bool { return c.Topic() == "room:2" }
	for _, row := range []struct {
		in     string // the method, as the log names it
		script script
		expect []string // after join, event, broadcast and leave of room:2
	}{
		{"Join", script{join: func(c *server.Context, _ server.Payload) error {
			if bad(c) {
				panic("oops")
			}
			return nil
		}}, []string{joinCrashed}},
		{"After", script{join: func(c *server.Context, _ server.Payload) error {
			if bad(c) {
				c.After(func(*server.Context) error { panic("oops") })
			}
			return nil
		}}, []string{ok, crashed}},
		{"HandleIn", script{in: func(c *server.Context, _ string, _ server.Payload) error {
			if bad(c) {
				panic("oops")
			}
			return nil
		}}, []string{ok, crashed}},
		{"HandleOut", script{out: func(c *server.Context, _ string, _ server.Payload) error {
			if bad(c) {
				panic("oops")
			}
			return nil
		}}, []string{ok, crashed}},
		{"Do", script{in: func(c *server.Context, _ string, _ server.Payload) error {
			if bad(c) {
				return c.Handle().Do(func(*server.Context) error { panic("oops") })
			}
			return nil
		}}, []string{ok, crashed}},
		{"Leave", script{
			in:    func(*server.Context, string, server.Payload) error { return server.ErrStop },
			leave: func(*server.Context, error) { panic("oops") },
		}, []string{ok, `["2","2","room:2","phx_close",{}]`}},
	} {
		t.Run(row.in, func(t *testing.T) {
			var log logBook
			cfg := mount(row.script, "out")
			cfg.Log = log.logger()
			srv := servertest.Start(t, cfg)
			c := srv.Dial(wsPath)
			c.Send(`["1","1","room:1","phx_join",{}]`)
			c.Expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
			c.Send(`["2","2","room:2","phx_join",{}]`)
			c.Expect(row.expect[0])
			switch row.in {
			case "HandleOut":
				if err := srv.Broadcast("room:2", "out", nil); err != nil {
					t.Fatal(err)
				}
			case "HandleIn", "Do", "Leave":
				c.Send(`["2",null,"room:2","x",{}]`)
			}
			c.Expect(row.expect[1:]...)
			c.ExpectNothing() // room:1 and the connection live
			if err := srv.Broadcast("room:1", "alive", nil); err != nil {
				t.Fatal(err)
			}
			c.Expect(`[null,null,"room:1","alive",{}]`)
			if n := srv.Stats().Panics; n != 1 {
				t.Errorf("%d panics counted, want 1", n)
			}
			if text := log.String(); !strings.Contains(text, row.in+" of room:2") || !strings.Contains(text, "panic_test.go") {
				t.Errorf("the log names neither %s nor the line:\n%s", row.in, text)
			}
		})
	}
}

// A channel that cannot be made is a crashed join.
func TestPanicInFactory(t *testing.T) {
	cfg := mount(script{})
	cfg.Sockets[0].Routes[0].Channel = func() server.Channel { panic("oops") }
	cfg.Sockets[0].Routes = append(cfg.Sockets[0].Routes, server.Route{
		Topic: "nil", Channel: func() server.Channel { return nil },
	})
	srv := servertest.Start(t, cfg)
	c := srv.Dial(wsPath)
	for _, topic := range []string{"room:1", "nil"} {
		if status, response := c.TryJoin(topic, nil); status != "error" || string(response) != `{"reason":"join crashed"}` {
			t.Errorf("%s: %s %s", topic, status, response)
		}
	}
}

// What runs during the handshake refuses when it panics.
func TestPanicInHandshake(t *testing.T) {
	refuse := func(*server.Connect) error { return errors.New("a reason") }
	for _, row := range []struct {
		in   string
		edit func(k *server.Socket)
	}{
		{"Connect", func(k *server.Socket) { k.Connect = func(*server.Connect) error { panic("oops") } }},
		{"ErrorHandler", func(k *server.Socket) {
			k.Connect = refuse
			k.WebSocket.ErrorHandler = func(error) (int, string) { panic("oops") }
		}},
		{"CheckOrigin", func(k *server.Socket) {
			k.CheckOrigin = server.AllowOriginFunc(func(*url.URL) bool { panic("oops") })
		}},
	} {
		t.Run(row.in, func(t *testing.T) {
			var log logBook
			cfg := mount(script{})
			cfg.Log = log.logger()
			row.edit(cfg.Sockets[0])
			srv := servertest.Start(t, cfg)
			refusal(t, srv.URL(wsPath), 403, "")
			if st := srv.Stats(); st.Panics != 1 || st.Refused != 1 || !strings.Contains(log.String(), row.in) {
				t.Errorf("%d panics, %d refusals, log: %s", st.Panics, st.Refused, log.String())
			}
		})
	}
}

// A panic of a plain WebSocket closes its connection.
func TestPanicInMessage(t *testing.T) {
	closed := make(chan bool, 1)
	cfg := server.Config{WebSockets: []*server.WebSocket{{
		Path:    "/plain",
		Message: func(*server.Conn, bool, []byte) { panic("oops") },
		Close:   func(*server.Conn) { closed <- true },
	}}, Log: mount(script{}).Log}
	srv := servertest.Start(t, cfg)
	c := srv.Dial("/plain")
	if err := c.WebSocket().Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
		t.Fatal(err)
	}
	c.ExpectClose(1011)
	await(t, closed, "Close")
}

// A faulty handler stands for a bug of the server's own code, which a client has found.
type faulty struct{ poller.Handler }

func (faulty) OnData(poller.Conn, []byte) int { panic("a bug of ours") }

// A panic outside of application code resets the connection that met it; it is counted, and logged with its stack.
func TestOwnPanic(t *testing.T) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			var log logBook
			cfg := mount(script{})
			cfg.Log = log.logger()
			faults := make(chan bool, 2)
			cfg.NewEngine = func(pc poller.Config) (poller.Engine, error) {
				accept := pc.Accept
				pc.Accept = func(c poller.Conn) poller.Handler {
					if <-faults {
						return faulty{accept(c)}
					}
					return accept(c)
				}
				return poller.New(engine, pc)
			}
			srv, err := server.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = srv.Shutdown(t.Context()) }()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = srv.Serve(l) }()
			url := "ws://" + l.Addr().String() + wsPath + "?vsn=2.0.0"
			faults <- false
			bystander := servertest.Dial(t, url)
			defer bystander.Drop() // or Shutdown would wait for it
			faults <- true
			if nc, _, err := websocket.Dial(t.Context(), url, nil); err == nil {
				nc.CloseNow()
				t.Error("the faulty handler made a handshake")
			}
			bystander.Send(`["1","1","room:1","phx_join",{}]`)
			bystander.Expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
			if n := srv.Stats().Panics; n != 1 {
				t.Errorf("%d panics counted, want 1", n)
			}
			for _, want := range []string{"a bug of ours", "faulty.OnData", "peer=127.0.0.1:"} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log does not have %q:\n%s", want, log.String())
				}
			}
		})
	}
}
