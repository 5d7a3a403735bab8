// Msgpack is a room whose clients speak MessagePack or JSON, as they like. msgpack.mjs is all that the phoenix client
// needs for it.
package main

import (
	"embed"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/dormouse-ws/dormouse/server"
)

//go:embed index.html msgpack.mjs
var page embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:4000", "listen on this TCP `address`")
	client := flag.String("phoenix", "e2e/node_modules/phoenix/priv/static/phoenix.mjs", "the phoenix client, for the page")
	flag.Parse()
	if err := run(*addr, *client); err != nil {
		log.Fatal(err)
	}
}

func run(addr, client string) error {
	files := http.NewServeMux()
	files.Handle("/", http.FileServerFS(page))
	files.HandleFunc("/phoenix.mjs", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, client) })
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{HTTP: files, Sockets: []*server.Socket{{
		Path:      "/socket",
		Routes:    []server.Route{{Topic: "room:*", Channel: func() server.Channel { return room{} }}},
		WebSocket: server.WebSocketOptions{MessagePack: true},
	}}})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "msgpack: open http://%s in two windows, one of them with ?json\n", l.Addr())
	return s.Serve(l)
}

// A room passes on what is said. Nobody looks into it, so it goes from one client of MessagePack to the next as it came.
type room struct{}

func (room) Join(*server.Context, server.Payload) error { return nil }

func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
	if event == "say" {
		return c.Broadcast("said", p)
	}
	return c.Reply(p)
}

func (room) Leave(*server.Context, error) {}
