package server_test

import (
	"runtime"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A Leave that ends its goroutine, as t.Fatal does, takes nothing with it: the other channels of the
// connection are told too, and nothing stays subscribed (servertest.Start checks that).
func TestLeaveEndsItsGoroutine(t *testing.T) {
	left := make(chan string, 8)
	s := servertest.Start(t, server.Config{Sockets: []*server.Socket{{
		Path:   "/socket",
		Routes: []server.Route{{Topic: "*", Channel: func() server.Channel { return exiter{left} }}},
	}}})
	c := s.Dial("/socket/websocket?vsn=2.0.0")
	for _, topic := range []string{"a", "b", "c"} {
		c.Join(topic, nil)
	}
	c.Close()
	for range 3 {
		<-left
	}
}

type exiter struct{ left chan<- string }

func (exiter) Join(*server.Context, server.Payload) error             { return nil }
func (exiter) HandleIn(*server.Context, string, server.Payload) error { return nil }
func (e exiter) Leave(c *server.Context, _ error) {
	e.left <- c.Topic()
	runtime.Goexit()
}
