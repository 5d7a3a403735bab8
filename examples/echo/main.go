// Echo sends every WebSocket message back, text as text and binary as binary. It is what frame-level
// conformance suites are run against.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9001", "listen on this TCP `address`")
	engine := flag.String("engine", "", "one of "+strings.Join(poller.Names(), ", ")+" (default the first)")
	path := flag.String("path", "", "serve this `path` only; default: every path of one segment, and /")
	compress := flag.Bool("compress", false, "accept permessage-deflate")
	handshake := flag.Duration("handshake-timeout", 0, "end a connection whose request head takes longer; 0: the server's default")
	flag.Parse()
	if err := run(*addr, *engine, *path, *compress, *handshake); err != nil {
		log.Fatal(err)
	}
}

func run(addr, engine, path string, compress bool, handshake time.Duration) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	echo := func(path string) *server.WebSocket {
		return &server.WebSocket{
			Path:        path,
			Message:     func(c *server.Conn, text bool, data []byte) { _ = c.Send(text, data) },
			CheckOrigin: server.AllowAnyOrigin(),
			Options:     server.WebSocketOptions{MaxFrameSize: 64 << 20, Compress: compress},
		}
	}
	mounts := []*server.WebSocket{echo(path)}
	if path == "" {
		mounts = []*server.WebSocket{echo("/"), echo("/:_any")}
	}
	s, err := server.New(server.Config{Engine: engine, WebSockets: mounts, HandshakeTimeout: handshake})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "echo: listening on ws://%s\n", l.Addr())
	return s.Serve(l)
}
