package server_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

type object = map[string]any

// A script is a channel made of functions; those that are nil do nothing.
type script struct {
	join  func(c *server.Context, p server.Payload) error
	in    func(c *server.Context, event string, p server.Payload) error
	out   func(c *server.Context, event string, p server.Payload) error
	leave func(c *server.Context, reason error)
}

func (s script) Join(c *server.Context, p server.Payload) error {
	if s.join == nil {
		return nil
	}
	return s.join(c, p)
}

func (s script) HandleIn(c *server.Context, event string, p server.Payload) error {
	if s.in == nil {
		return nil
	}
	return s.in(c, event, p)
}

func (s script) HandleOut(c *server.Context, event string, p server.Payload) error {
	if s.out == nil {
		return nil
	}
	return s.out(c, event, p)
}

func (s script) Leave(c *server.Context, reason error) {
	if s.leave != nil {
		s.leave(c, reason)
	}
}

// mount serves s on every topic "room:*" at /socket, intercepting the events given. A client may be slow: there is no
// timeout that a test would meet that does not set it.
func mount(s script, intercept ...string) server.Config {
	return server.Config{
		Sockets: []*server.Socket{{Path: "/socket", Routes: []server.Route{
			{Topic: "room:*", Channel: func() server.Channel { return s }, Intercept: intercept},
		}, WebSocket: server.WebSocketOptions{Timeout: patient}}},
		HandshakeTimeout: patient,
		Presence:         server.PresenceConfig{Resync: true},
		Log:              slog.New(slog.DiscardHandler),
	}
}

// echo answers every event with its payload.
func echo(c *server.Context, _ string, p server.Payload) error { return c.Reply(p) }

const (
	wsPath   = "/socket/websocket"
	wsV1Path = wsPath + "?vsn=1.0.0"
)

// events is what the channel of roomConfig does with each event.
var events = map[string]func(c *server.Context, event string, p server.Payload) error{
	"echo":   echo,
	"fail":   func(c *server.Context, _ string, p server.Payload) error { return c.ReplyError(p) },
	"custom": func(c *server.Context, _ string, p server.Payload) error { return c.ReplyStatus("custom", p) },
	"ack":    func(c *server.Context, _ string, _ server.Payload) error { return c.Reply(nil) },
	"nack":   func(c *server.Context, _ string, _ server.Payload) error { return c.ReplyError(nil) },
	"silent": func(*server.Context, string, server.Payload) error { return nil },
	"push":   func(c *server.Context, _ string, p server.Payload) error { return c.Push("pushed", p) },
	"bin": func(c *server.Context, _ string, _ server.Payload) error {
		return errors.Join(c.Push("chunk", server.Binary([]byte{0, 1})), c.Reply(server.Binary([]byte{1, 2, 0xfe})))
	},
	"long": func(c *server.Context, _ string, _ server.Payload) error {
		return c.Push(strings.Repeat("x", 256), server.Binary(nil))
	},
	"list": func(c *server.Context, _ string, _ server.Payload) error { return c.Push("pushed", []int{1}) },
	"push_reply": func(c *server.Context, _ string, _ server.Payload) error {
		return errors.Join(c.Push("pushed", object{"n": 1}), c.Push("pushed", object{"n": 2}), c.Reply(nil))
	},
	"bcast": func(c *server.Context, event string, p server.Payload) error {
		return errors.Join(c.Broadcast(event, p), c.Reply(nil))
	},
	"bcast_list": func(c *server.Context, event string, _ server.Payload) error {
		if err := c.Broadcast(event, []int{1}); !errors.Is(err, server.ErrPayloadNotObject) {
			return errors.New("want ErrPayloadNotObject")
		}
		return c.Reply(nil)
	},
	"bcast_from": func(c *server.Context, event string, p server.Payload) error {
		return errors.Join(c.BroadcastFrom(event, p), c.Reply(nil))
	},
	"new_msg": func(c *server.Context, event string, p server.Payload) error {
		return errors.Join(c.Broadcast(event, p), c.Reply(nil))
	},
	"stop":  func(*server.Context, string, server.Payload) error { return server.ErrStop },
	"boom":  func(*server.Context, string, server.Payload) error { panic("boom") },
	"error": func(*server.Context, string, server.Payload) error { return errors.New("an abnormal reason") },
	"stop_reply": func(c *server.Context, _ string, _ server.Payload) error {
		return errors.Join(c.Reply(object{"bye": 1}), server.ErrStop)
	},
	"stop_error": func(c *server.Context, _ string, _ server.Payload) error {
		return errors.Join(c.Reply(object{"bye": 1}), errors.New("an abnormal reason"))
	},
	// What a client may name as it likes.
	"phx_close": echo, "phx_error": echo, "phx_reply": echo,
}

// room is the channel of roomConfig.
var room = script{
	join: func(c *server.Context, p server.Payload) error {
		switch c.Topic() {
		case "room:deny":
			return server.Refuse(object{"reason": "unauthorized"})
		case "room:crash":
			panic("room:crash")
		case "room:error":
			return errors.New("an abnormal reason")
		case "room:reply":
			return c.Reply(object{"hello": "world", "got": p})
		case "room:binary":
			return c.Reply(server.Binary([]byte{9, 8, 7}))
		case "room:after":
			c.After(func(c *server.Context) error {
				return errors.Join(c.Broadcast("entered", nil), c.Push("joined", nil))
			})
		}
		return nil
	},
	in: func(c *server.Context, event string, p server.Payload) error {
		if handle, ok := events[event]; ok {
			return handle(c, event, p)
		}
		return errors.New("no handler for " + event)
	},
	out: func(c *server.Context, event string, p server.Payload) error {
		var v object
		if err := p.Decode(&v); err != nil {
			return err
		}
		v["for"] = c.Topic()
		return c.Push(event, v)
	},
	leave: func(c *server.Context, _ error) {
		if strings.HasPrefix(c.Topic(), "room:bye") {
			_ = c.Push("bye", nil)
		}
	},
}

// roomConfig is the application that the transcripts talk to.
func roomConfig() server.Config {
	cfg := mount(room, "new_msg")
	route := func(topic, says string) server.Route {
		return server.Route{Topic: topic, Assigns: says, Channel: func() server.Channel {
			return script{join: func(c *server.Context, _ server.Payload) error { return c.Reply(object{"says": c.RouteAssigns()}) }}
		}}
	}
	k := cfg.Sockets[0]
	k.Routes = append(k.Routes, route("exact", "exact"), route("food*", "food"), route("foo*", "foo"))
	k.WebSocket.MessagePack = true
	few := *k
	few.Path, few.MaxChannels = "/few", 1
	cfg.Sockets = append(cfg.Sockets, &few)
	return cfg
}

// A logBook collects what is logged.
type logBook struct {
	mu  sync.Mutex // protects the following
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// await receives, or fails the test.
func await[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	servertest.Eventually(t, what, func() bool {
		select {
		case v = <-ch:
			return true
		default:
			return false
		}
	})
	return v
}
