package conformance_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/server"
)

// plainGet is a request that no mount of the echo program is for.
const plainGet = "GET /no/mount HTTP/1.1\r\nHost: server.example\r\n\r\n"

// answered reads a whole response, which must leave the connection open.
func (p *peer) answered(status int) string {
	p.t.Helper()
	resp := p.response("GET")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || resp.Close {
		p.t.Fatalf("want status %d and the connection kept, got %s, close %v, %v", status, resp.Status, resp.Close, err)
	}
	return string(body)
}

// TestKeepAlive: an upgrade may follow plain requests on a connection, as a proxy sends it, in one packet
// or after the answer, with frames right behind it. The netpoll engine cannot, and says so.
func TestKeepAlive(t *testing.T) {
	absolute := request{line: "GET http://server.example{path} HTTP/1.1"}.bytes("/")
	list := request{drop: hConnection, add: []string{"Connection: keep-alive", "Connection: Upgrade"}}.bytes("/")
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine).addr
		for _, head := range [][]byte{upgradeHead("/"), upgradeHead("/?a=b%20c"), absolute, list} {
			p := connect(t, addr)
			p.send([]byte(plainGet))
			p.answered(404)
			p.send(head)
			if engine == "netpoll" {
				p.refused(503)
				continue
			}
			p.upgraded()
			p.alive()
			keptUpgrade(t, addr, head)
		}
		if engine == "netpoll" {
			return
		}
		for _, row := range refusals {
			if row.plain == 426 {
				p := connect(t, addr)
				p.send([]byte(plainGet))
				p.answered(404)
				p.send(row.bytes("/"))
				p.refused(426)
			}
		}
	})
}

// keptUpgrade sends everything at once.
func keptUpgrade(t *testing.T, addr string, head []byte) {
	t.Helper()
	p := connect(t, addr)
	p.send([]byte(plainGet), []byte(plainGet), head, text("early"), ping("p")[:4])
	p.answered(404)
	p.answered(404)
	p.upgraded()
	p.want(opText, []byte("early"))
	p.send(ping("p")[4:])
	p.want(opPong, []byte("p"))
	p.send(closeCode(1000))
	p.wantClose(1000)
}

// TestPlainHTTP: the bytes that the engine has read reach net/http, and those that it has not.
func TestPlainHTTP(t *testing.T) {
	mirror := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %v %s", r.Method, r.URL, err, body)
	})
	body := strings.Repeat("long ", 100_000)
	onEngines(t, func(t *testing.T, engine string) {
		addr := serve(t, server.Config{Engine: engine, HTTP: mirror})
		p := connect(t, addr)
		get := "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
		p.send([]byte(get + get))
		p.body("GET /a?b=c <nil> ")
		p.body("GET /a?b=c <nil> ")
		post := "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		p.send([]byte(post + "3\r\none\r\n"))
		barrierHTTP(t, addr)
		p.send([]byte("4\r\n-two\r\n0\r\n\r\n"))
		p.body("POST /p <nil> one-two")
		p.send(fmt.Appendf(nil, "PUT /l HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		p.body("PUT /l <nil> " + body)

		// The same as the first request, so that the engine has read the beginning of the body.
		p = connect(t, addr)
		p.send(fmt.Appendf(nil, "PUT /l HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		p.body("PUT /l <nil> " + body)
		p = connect(t, addr)
		p.dribble([]byte(post + "3\r\none\r\n0\r\n\r\n"))
		p.body("POST /p <nil> one")
	})
}

func (p *peer) body(want string) {
	p.t.Helper()
	if got := p.answered(200); got != want {
		p.t.Fatalf("want body %s\n     got %s", short([]byte(want)), short([]byte(got)))
	}
}

// barrierHTTP is barrier for a server without mounts.
func barrierHTTP(t *testing.T, addr string) {
	t.Helper()
	for range 8 {
		p := connect(t, addr)
		p.send([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
		p.answered(200)
		p.c.Close()
	}
}

// TestUnreadBody: the answer to a request whose body nobody reads gets through, whatever still comes.
func TestUnreadBody(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		p := connect(t, startEcho(t, engine).addr)
		p.send([]byte("POST /no/mount HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = p.c.Write(make([]byte, 9_000_000)) // cut short by the end of the connection
		}()
		p.refused(404)
		p.c.Close()
		<-done
	})
}

// TestSlowHead: the deadline of the handshake holds however steadily bytes come.
func TestSlowHead(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		windowtest.Run(t, 200*time.Millisecond, func(t testing.TB, window time.Duration) { slowHead(t, engine, window) })
	})
}

func slowHead(t testing.TB, engine string, window time.Duration) {
	addr := serve(t, server.Config{Engine: engine, HandshakeTimeout: window, WebSockets: []*server.WebSocket{{
		Path: "/", Message: func(c *server.Conn, text bool, data []byte) { _ = c.Send(text, data) },
	}}})
	upgraded := dial(t, addr, "/")
	silent, stuck := connect(t, addr), connect(t, addr)
	stuck.send([]byte("GET / HTTP/1.1\r\nHost: h\r\nX-"))

	slow := connect(t, addr)
	head := append([]byte("GET / HTTP/1.1\r\nHost: h\r\nX-Slow: "), bytes.Repeat([]byte("x"), 7000)...)
	answered, done := make(chan struct{}), make(chan struct{})
	stop := sync.OnceFunc(func() { close(answered); <-done })
	t.Cleanup(stop)
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := range head {
			select {
			case <-tick.C:
				_, _ = slow.c.Write(head[i : i+1])
			case <-answered:
				return
			}
		}
	}()
	slow.refused(408)
	stop()
	stuck.refused(408)
	silent.eof()
	upgraded.alive() // the deadline was the head's
}
