package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// While a fan-out to 2,000 sockets is held up in its midst, everybody is served: others, and those who
// have got their message and those who have not.
func TestFanoutStarvesNobody(t *testing.T) {
	const half = 1000
	srv := servertest.Start(t, mount(script{in: echo}))
	var clients []*servertest.Client
	join := func() {
		for range half {
			c := srv.Dial(wsPath)
			c.Join("room:1", nil)
			clients = append(clients, c)
		}
	}
	entered, gate := make(chan bool), make(chan bool)
	join()
	defer srv.Stage("room:1", func() {
		entered <- true
		<-gate
	})()
	join()
	stranger := srv.Dial(wsPath)
	stranger.Join("room:2", nil)
	done := make(chan error)
	go func() { done <- srv.Broadcast("room:1", "news", nil) }()
	await(t, entered, "fan-out half way")
	for _, c := range []*servertest.Client{stranger, clients[0], clients[len(clients)-1]} {
		c.Heartbeat()
		topic := "room:1"
		if c == stranger {
			topic = "room:2"
		}
		if status, _ := c.Call(topic, "echo", nil); status != "ok" {
			t.Errorf("an echo during the fan-out: %s", status)
		}
	}
	stranger.Join("room:3", nil)
	if err := srv.Broadcast("room:3", "other", nil); err != nil {
		t.Fatal(err)
	}
	stranger.Expect(`[null,null,"room:3","other",{}]`)
	select {
	case <-done:
		t.Fatal("the fan-out was not held up: the test shows nothing")
	default:
	}
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.Expect(`[null,null,"room:1","news",{}]`)
	}
}

// Sections 3.3, 3.8 and 4.5: heartbeats are answered while the application's code blocks, so that no client falls back
// to long-polling for it; and other connections are served.
func TestHeartbeatWhileBlocked(t *testing.T) {
	entered, gate := make(chan bool), make(chan bool)
	block := func() {
		entered <- true
		<-gate
	}
	srv := servertest.Start(t, mount(script{
		join: func(c *server.Context, _ server.Payload) error {
			if c.Topic() == "room:slow" {
				block()
			}
			return nil
		},
		in: func(c *server.Context, event string, p server.Payload) error {
			if event == "slow" {
				block()
			}
			return c.Reply(p)
		},
	}))
	for _, path := range []string{wsPath, wsV1Path} {
		c, other := srv.Dial(path), srv.Dial(path)
		other.Join("room:1", nil)
		c.Join("room:1", nil)
		for _, slow := range []func() string{
			func() string { return c.Push("room:slow", "phx_join", nil) },
			func() string { return c.Push("room:1", "slow", nil) },
		} {
			ref := slow()
			await(t, entered, "blocking call")
			c.Heartbeat()
			if path == wsPath { // not as phoenix.js writes it
				c.Send(`[null, "77", "phoenix", "heartbeat", {}]`)
				c.Expect(`[null,"77","phoenix","phx_reply",{"status":"ok","response":{}}]`)
			}
			if status, _ := other.Call("room:1", "quick", nil); status != "ok" {
				t.Errorf("another connection: %s", status)
			}
			gate <- true
			if m := c.NextEvent("phx_reply"); m.Ref != ref {
				t.Errorf("received %s, want the reply to %s", m.Raw, ref)
			}
		}
	}
}

// Code of the user that runs during a handshake may block: the loop goes on.
func TestHandshakeBlocksNobody(t *testing.T) {
	entered, gate := make(chan bool), make(chan bool)
	cfg := mount(script{in: echo})
	asked := *cfg.Sockets[0]
	asked.Path = "/asked"
	asked.CheckOrigin = server.AllowOriginFunc(func(*url.URL) bool {
		entered <- true
		<-gate
		return false
	})
	cfg.Sockets = append(cfg.Sockets, &asked)
	cfg.Poller.Loops = 1
	srv := servertest.Start(t, cfg)
	c := srv.Dial(wsPath)
	refused := make(chan int, 1)
	go func() {
		conn, response, err := websocket.Dial(t.Context(), srv.URL("/asked/websocket"),
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://x.example"}}})
		if err == nil {
			_ = conn.CloseNow()
		}
		refused <- response.StatusCode
	}()
	await(t, entered, "CheckOrigin")
	c.Heartbeat()
	close(gate)
	if status := await(t, refused, "answer"); status != 403 {
		t.Errorf("status %d, want 403", status)
	}
}

// Section 3.8: a client that floods while HandleIn blocks is held up by TCP; nothing is lost, and the order kept.
func TestFloodIsHandledInOrder(t *testing.T) {
	const messages = 2000
	entered, gate := make(chan bool), make(chan bool)
	var got []string
	srv := servertest.Start(t, mount(script{in: func(c *server.Context, event string, p server.Payload) error {
		if len(got) == 0 {
			entered <- true
			<-gate
		}
		got = append(got, event)
		return c.Reply(nil)
	}}))
	c := srv.Dial(wsPath)
	c.Join("room:1", nil)
	pad := strings.Repeat("x", 16<<10) // 32 MB in all, more than the mailbox or the kernel takes
	sent := make(chan error, 1)
	go func() {
		for n := range messages {
			text := fmt.Sprintf(`["1","%d","room:1","e%d",{"pad":%q}]`, n, n, pad)
			if err := c.WebSocket().Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	await(t, entered, "first message")
	close(gate)
	for n := range messages {
		c.Expect(fmt.Sprintf(`["1","%d","room:1","phx_reply",{"status":"ok","response":{}}]`, n))
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	c.Drop() // or Stop would wait for it
	srv.Stop()
	for n, event := range got {
		if want := fmt.Sprint("e", n); event != want {
			t.Fatalf("message %d is %s, want %s", n, event, want)
		}
	}
	if st := srv.Stats().Engine; st.MailboxFull != 0 {
		t.Errorf("%d messages were refused", st.MailboxFull)
	}
}
