package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/server"
)

// A counter is a channel whose fields are its state.
type counter struct{ n int }

func (k *counter) Join(c *server.Context, _ server.Payload) error {
	if c.Topic() == "counter:secret" {
		return server.Refuse(map[string]string{"reason": "unauthorized"})
	}
	return c.Reply(map[string]int{"n": k.n})
}

func (k *counter) HandleIn(c *server.Context, event string, p server.Payload) error {
	var by struct{ By int }
	if err := p.Decode(&by); err != nil {
		return c.ReplyError(map[string]string{"reason": "want {by: number}"})
	}
	k.n += by.By
	return c.Reply(map[string]int{"n": k.n})
}

func (k *counter) Leave(*server.Context, error) {}

func ExampleChannel() {
	counters := &server.Socket{Path: "/socket", Routes: []server.Route{
		{Topic: "counter:*", Channel: func() server.Channel { return &counter{} }},
	}}
	talk(server.Config{Sockets: []*server.Socket{counters}}, "/socket/websocket?vsn=2.0.0",
		`["1","1","counter:a","phx_join",{}]`,
		`["1","2","counter:a","add",{"by":2}]`,
		`["3","3","counter:secret","phx_join",{}]`,
	)
	// Output:
	// ["1","1","counter:a","phx_reply",{"status":"ok","response":{"n":0}}]
	// ["1","2","counter:a","phx_reply",{"status":"ok","response":{"n":2}}]
	// ["3","3","counter:secret","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]
}

// Connect knows the client, and names the connection, so that it can be closed from elsewhere.
func ExampleSocket() {
	users := &server.Socket{
		Path: "/socket",
		Connect: func(c *server.Connect) error {
			user := c.Params.Get("user")
			if user == "" {
				return server.ErrRefused
			}
			c.ID, c.Assigns = "users:"+user, user
			return nil
		},
		Routes: []server.Route{{Topic: "me", Channel: func() server.Channel {
			return script{join: func(c *server.Context, _ server.Payload) error { return c.Reply(c.Assigns()) }}
		}}},
	}
	talk(server.Config{Sockets: []*server.Socket{users}}, "/socket/websocket?vsn=2.0.0&user=jo",
		`["1","1","me","phx_join",{}]`)
	// Output:
	// ["1","1","me","phx_reply",{"status":"ok","response":"jo"}]
}

// A masked is a channel that changes what its client is to see.
type masked struct{ script }

func (masked) HandleOut(c *server.Context, event string, _ server.Payload) error {
	return c.Push(event, map[string]string{"body": "***"})
}

func ExampleInterceptor() {
	rooms := &server.Socket{Path: "/socket", Routes: []server.Route{{
		Topic: "rooms:*",
		Channel: func() server.Channel {
			return masked{script{in: func(c *server.Context, event string, p server.Payload) error { return c.Broadcast(event, p) }}}
		},
		Intercept: []string{"secret"},
	}}}
	talk(server.Config{Sockets: []*server.Socket{rooms}}, "/socket/websocket?vsn=2.0.0",
		`["1","1","rooms:a","phx_join",{}]`,
		`["1","2","rooms:a","secret",{"body":"hello"}]`)
	// Output:
	// ["1","1","rooms:a","phx_reply",{"status":"ok","response":{}}]
	// ["1",null,"rooms:a","secret",{"body":"***"}]
}

// A slow answer is given later, from any goroutine; the connection goes on meanwhile.
func ExampleRef() {
	work := func(c *server.Context, _ string, p server.Payload) error {
		ref := c.Ref()
		go func() { _ = ref.Reply(map[string]string{"done": "yes"}) }()
		return nil
	}
	jobs := &server.Socket{Path: "/socket", Routes: []server.Route{
		{Topic: "jobs", Channel: func() server.Channel { return script{in: work} }},
	}}
	talk(server.Config{Sockets: []*server.Socket{jobs}}, "/socket/websocket?vsn=2.0.0",
		`["1","1","jobs","phx_join",{}]`,
		`["1","2","jobs","start",{}]`)
	// Output:
	// ["1","1","jobs","phx_reply",{"status":"ok","response":{}}]
	// ["1","2","jobs","phx_reply",{"status":"ok","response":{"done":"yes"}}]
}

// Plain messages, without channels.
func ExampleWebSocket() {
	shout := &server.WebSocket{Path: "/shout", Message: func(c *server.Conn, text bool, data []byte) {
		_ = c.Send(text, append(data, '!'))
	}}
	talk(server.Config{WebSockets: []*server.WebSocket{shout}}, "/shout", "hello")
	// Output:
	// hello!
}

// The server takes part in a program as an http.Server does.
func ExampleServer() {
	s, err := server.New(server.Config{HTTP: http.NotFoundHandler()})
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			fmt.Println(err)
		}
	}()
	fmt.Println(errors.Is(s.Serve(l), http.ErrServerClosed))
	// Output:
	// true
}

// talk sends each message and prints what comes back for it.
func talk(cfg server.Config, path string, messages ...string) {
	s, err := server.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := chat(ctx, "ws://"+l.Addr().String()+path, messages); err != nil {
		fmt.Println(err)
	}
	_ = s.Shutdown(ctx)
	<-served
}

func chat(ctx context.Context, url string, messages []string) error {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	for _, m := range messages {
		if err := conn.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			return err
		}
		_, answer, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", answer)
	}
	return nil
}
