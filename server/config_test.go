package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
)

// plainChannel has no HandleOut.
type plainChannel struct{}

func (plainChannel) Join(*server.Context, server.Payload) error             { return nil }
func (plainChannel) HandleIn(*server.Context, string, server.Payload) error { return nil }
func (plainChannel) Leave(*server.Context, error)                           {}

// Every mistake in a Config is an error that names the field.
func TestConfigErrors(t *testing.T) {
	channel := func() server.Channel { return plainChannel{} }
	socket := func(edit func(*server.Socket)) server.Config {
		k := &server.Socket{Path: "/socket", Routes: []server.Route{{Topic: "room:*", Channel: channel}}}
		edit(k)
		return server.Config{Sockets: []*server.Socket{k}}
	}
	route := func(r server.Route) server.Config {
		return socket(func(k *server.Socket) { k.Routes = []server.Route{r} })
	}
	message := func(*server.Conn, bool, []byte) {}
	for _, row := range []struct {
		names string // what the error names
		cfg   server.Config
	}{
		{"Config.MaxHeadBytes", server.Config{MaxHeadBytes: -1}},
		{"Config.MaxHeadFields", server.Config{MaxHeadFields: -1}},
		{"Config.MaxHTTPConns", server.Config{MaxHTTPConns: -1}},
		{"Config.HandshakeTimeout", server.Config{HandshakeTimeout: -1}},
		{"Config.SlowConsumer", server.Config{SlowConsumer: 7}},
		{"engine", server.Config{Engine: "steam"}},
		{"Config.Loops", server.Config{Poller: poller.Config{Loops: -1}}},
		{"Config.Sockets[0]", server.Config{Sockets: []*server.Socket{nil}}},
		{"Config.WebSockets[0]", server.Config{WebSockets: []*server.WebSocket{nil}}},
		{"Message", server.Config{WebSockets: []*server.WebSocket{{Path: "/"}}}},
		{"MaxChannels", socket(func(k *server.Socket) { k.MaxChannels = -1 })},
		{"MaxFrameSize", socket(func(k *server.Socket) { k.WebSocket.MaxFrameSize = -1 })},
		{"example.com", socket(func(k *server.Socket) { k.CheckOrigin = server.AllowOrigins("example.com") })},
		{"AllowOriginFunc", socket(func(k *server.Socket) { k.CheckOrigin = server.AllowOriginFunc(nil) })},
		{"a*b", socket(func(k *server.Socket) { k.Path = "/a*b" })},
		{"two mounts", server.Config{WebSockets: []*server.WebSocket{{Path: "/a", Message: message}, {Path: "/a/", Message: message}}}},
		{"Channel", route(server.Route{Topic: "room:*"})},
		{"topic", route(server.Route{Channel: channel})},
		{"room*:1", route(server.Route{Topic: "room*:1", Channel: channel})},
		{"HandleOut", route(server.Route{Topic: "room:*", Channel: channel, Intercept: []string{"e"}})},
		{"/socket", route(server.Route{Topic: "**", Channel: channel})},
	} {
		s, err := server.New(row.cfg)
		if err == nil {
			_ = s.Shutdown(context.Background())
			t.Errorf("%s: no error", row.names)
			continue
		}
		if !strings.Contains(err.Error(), row.names) {
			t.Errorf("the error does not name %s: %v", row.names, err)
		}
	}
}

// NewEngine is given the server's Accept with what Config.Poller says, and its error is New's.
func TestNewEngine(t *testing.T) {
	var given poller.Config
	s, err := server.New(server.Config{
		Poller: poller.Config{MaxConns: 7},
		NewEngine: func(pc poller.Config) (poller.Engine, error) {
			given = pc
			return poller.NewMemory(pc, false)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(context.Background()); err != nil || given.Accept == nil || given.MaxConns != 7 {
		t.Errorf("the engine was given %+v; Shutdown: %v", given, err)
	}
	mine := errors.New("mine")
	fails := func(poller.Config) (poller.Engine, error) { return nil, mine }
	if _, err := server.New(server.Config{NewEngine: fails}); err != mine {
		t.Errorf("New: %v, want the engine's error", err)
	}
}
