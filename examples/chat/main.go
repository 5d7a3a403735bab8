// Chat serves Phoenix Channels: whoever joins a topic rooms:* hears what the others there push.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"

	"github.com/dormouse-ws/dormouse/server"
)

// A room is the channel of one client in one room. It needs no state.
type room struct{}

func (room) Join(*server.Context, server.Payload) error { return nil }
func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
	return c.Broadcast(event, p)
}
func (room) Leave(*server.Context, error) {}

// config serves the rooms to clients of ws://host/socket.
func config() server.Config {
	rooms := &server.Socket{Path: "/socket", Routes: []server.Route{
		{Topic: "rooms:*", Channel: func() server.Channel { return room{} }},
	}}
	return server.Config{Sockets: []*server.Socket{rooms}}
}

func main() {
	addr := flag.String("addr", "127.0.0.1:4000", "listen on this TCP `address`")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s, err := server.New(config())
	if err != nil {
		return err
	}
	fmt.Printf("chat: listening on ws://%s/socket\n", l.Addr())
	return s.Serve(l)
}
