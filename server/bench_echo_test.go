package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
)

// BenchmarkEcho measures round trips of a 64 byte message over loopback: our engines, and beside them the
// libraries that keep a goroutine for each connection, with the same client, in one run. One connection
// shows the latency, many show the throughput.
func BenchmarkEcho(b *testing.B) {
	for _, conns := range []int{1, 100, 1000} {
		for _, s := range echoServers() {
			b.Run(fmt.Sprintf("conns=%d/%s", conns, s.name), func(b *testing.B) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				defer s.serve(b, l)()
				msg := bytes.Repeat([]byte("x"), 64)
				benchmarkExchange(b, l.Addr().String(), "/", conns, msg, msg)
			})
		}
	}
}

// BenchmarkHeartbeat measures round trips of the Phoenix heartbeat, which the epoll engine answers on the
// loop; the libraries beside it answer it with a constant, without looking at it.
func BenchmarkHeartbeat(b *testing.B) {
	const beat = `[null,"7","phoenix","heartbeat",{}]`
	const reply = `[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`
	constant := func([]byte) []byte { return []byte(reply) }
	for _, conns := range []int{1, 100, 1000} {
		for _, s := range []echoServer{
			{"dormouse-epoll", func(b *testing.B, l net.Listener) func() { return serveDormouse(b, l, "epoll") }},
			{"gorilla", func(_ *testing.B, l net.Listener) func() { return serveHTTP(l, gorillaServer(constant)) }},
			{"gws", func(_ *testing.B, l net.Listener) func() { return serveHTTP(l, gwsServer(constant)) }},
		} {
			b.Run(fmt.Sprintf("conns=%d/%s", conns, s.name), func(b *testing.B) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				defer s.serve(b, l)()
				benchmarkExchange(b, l.Addr().String(), "/socket/websocket?vsn=2.0.0", conns, []byte(beat), []byte(reply))
			})
		}
	}
}

// An echoServer serves l; the function it returns ends that.
type echoServer struct {
	name  string
	serve func(b *testing.B, l net.Listener) (stop func())
}

func echoServers() []echoServer {
	var list []echoServer
	for _, engine := range poller.Names() {
		list = append(list, echoServer{"dormouse-" + engine, func(b *testing.B, l net.Listener) func() {
			return serveDormouse(b, l, engine)
		}})
	}
	return append(list,
		echoServer{"gorilla", func(_ *testing.B, l net.Listener) func() { return serveHTTP(l, gorillaServer(same)) }},
		echoServer{"gws", func(_ *testing.B, l net.Listener) func() { return serveHTTP(l, gwsServer(same)) }},
	)
}

func same(p []byte) []byte { return p }

func serveDormouse(b *testing.B, l net.Listener, engine string) (stop func()) {
	s, err := server.New(server.Config{Engine: engine, WebSockets: []*server.WebSocket{{
		Path:        "/",
		Message:     func(c *server.Conn, text bool, data []byte) { _ = c.Send(text, data) },
		CheckOrigin: server.AllowAnyOrigin(),
	}}, Sockets: []*server.Socket{{Path: "/socket"}}})
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	return func() {
		_ = s.Shutdown(context.Background())
		wg.Wait()
	}
}

func serveHTTP(l net.Listener, h http.HandlerFunc) (stop func()) {
	s := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	return func() {
		_ = s.Close()
		wg.Wait()
	}
}

func gorillaServer(answer func([]byte) []byte) http.HandlerFunc {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, answer(p)) != nil {
				return
			}
		}
	}
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	answer func([]byte) []byte
}

func (h gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, h.answer(m.Bytes()))
}

func gwsServer(answer func([]byte) []byte) http.HandlerFunc {
	up := gws.NewUpgrader(gwsHandler{answer: answer}, nil)
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}
}

// benchmarkExchange sends msg and waits for answer, b.N times in all over so many connections.
func benchmarkExchange(b *testing.B, addr, path string, conns int, msg, answer []byte) {
	out := frame.AppendClient(nil, ws.OpText, [4]byte{1, 2, 3, 4}, msg)
	want := frame.AppendServer(nil, ws.OpText, answer)
	clients := make([]net.Conn, conns)
	for i := range clients {
		clients[i] = openWebSocket(b, addr, path)
		defer clients[i].Close()
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range clients {
		n := b.N / conns
		if i < b.N%conns {
			n++
		}
		wg.Go(func() {
			in := make([]byte, len(want))
			for range n {
				if _, err := c.Write(out); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, in); err != nil {
					b.Error(err)
					return
				}
			}
			if n > 0 && !bytes.Equal(in, want) {
				b.Errorf("got %q", in)
			}
		})
	}
	wg.Wait()
}

// openWebSocket opens a WebSocket and returns the bare connection.
func openWebSocket(tb testing.TB, addr, path string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, addr)
	var got []byte
	for one := make([]byte, 1); !bytes.HasSuffix(got, []byte("\r\n\r\n")); {
		if _, err := c.Read(one); err != nil {
			tb.Fatalf("handshake: %v after %q", err, got)
		}
		got = append(got, one[0])
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 101 ")) {
		tb.Fatalf("handshake: %q", got)
	}
	return c
}
