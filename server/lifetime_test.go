package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// Section 7: Shutdown closes every WebSocket with 1012, joined or not, of channels or plain, so that clients return.
func TestShutdownCloses(t *testing.T) {
	left := make(chan error, 1)
	cfg := mount(script{leave: func(_ *server.Context, reason error) { left <- reason }})
	cfg.WebSockets = []*server.WebSocket{{Path: "/plain", Message: func(*server.Conn, bool, []byte) {}}}
	srv := servertest.Start(t, cfg)
	joined, idle, plain := srv.Dial(wsPath), srv.Dial(wsPath), srv.Dial("/plain")
	joined.Join("room:1", nil)
	done := make(chan bool)
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}()
	for _, c := range []*servertest.Client{joined, idle, plain} {
		c.ExpectClose(1012)
	}
	await(t, done, "end of Shutdown")
	if err := await(t, left, "Leave"); err != server.ErrDisconnected {
		t.Errorf("Leave: %v, want ErrDisconnected", err)
	}
	if err := srv.Shutdown(t.Context()); !errors.Is(err, poller.ErrShutdown) {
		t.Errorf("a second Shutdown: %v, want poller.ErrShutdown", err)
	}
}

// dialToTheEnd connects without waiting for it, and tells what the client's first read ends with, or its dial.
func dialToTheEnd(t *testing.T, srv *servertest.Server) <-chan error {
	ended := make(chan error, 1)
	go func() {
		conn, _, err := websocket.Dial(t.Context(), srv.URL(wsPath), nil)
		if err == nil {
			_, _, err = conn.Read(t.Context())
			_ = conn.CloseNow()
		}
		ended <- err
	}()
	return ended
}

// Shutdown waits for a Connect that is under way; the client is accepted and sent away with 1012, so that
// it returns. Healthz says 503 meanwhile.
func TestShutdownDuringConnect(t *testing.T) {
	entered, gate := make(chan bool), make(chan bool)
	cfg := connecting(func(*server.Connect) error {
		entered <- true
		<-gate
		return nil
	})
	srv := servertest.Start(t, cfg)
	if code := healthz(srv); code != 200 {
		t.Errorf("Healthz: %d, want 200", code)
	}
	ended := dialToTheEnd(t, srv)
	await(t, entered, "Connect")
	down := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
		defer cancel()
		down <- srv.Shutdown(ctx)
	}()
	servertest.Eventually(t, "Shutdown has begun", func() bool { return healthz(srv) == 503 })
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned %v while Connect ran", err)
	default:
	}
	close(gate)
	if err := <-ended; websocket.CloseStatus(err) != 1012 {
		t.Errorf("the client was sent away with %v, want 1012", err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func healthz(s *servertest.Server) int {
	w := httptest.NewRecorder()
	s.Healthz(w, httptest.NewRequest("GET", "/healthz", nil))
	return w.Code
}

// When its context ends first, Shutdown resets what is left, requests of net/http included.
func TestShutdownGivesUp(t *testing.T) {
	entered, gate := make(chan bool, 1), make(chan bool)
	cfg := server.Config{HTTP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
		close(gate)
	})}
	srv, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	nc := dialTCP(t, l.Addr().String())
	writeText(t, nc, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	await(t, entered, "request")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want context.Canceled", err)
	}
	await(t, gate, "end of the request's context")
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}

// A slowEngine takes its time for a connection that net/http gives back.
type slowEngine struct {
	poller.Engine
	asked, gate chan bool
}

func (e *slowEngine) Attach(nc net.Conn, h poller.Handler, early []byte) error {
	e.asked <- true
	<-e.gate
	return e.Engine.Attach(nc, h, early)
}

// A slowHandler takes its time for one that it gives to net/http.
type slowHandler struct {
	poller.Handler
	engine *slowEngine
}

func (h slowHandler) OnData(c poller.Conn, data []byte) int {
	return h.Handler.OnData(slowConn{c, h.engine}, data)
}

type slowConn struct {
	poller.Conn
	engine *slowEngine
}

func (c slowConn) Detach() (net.Conn, error) {
	nc, err := c.Conn.Detach()
	c.engine.asked <- true
	<-c.engine.gate
	return nc, err
}

// Shutdown waits for a connection that neither net/http nor the engine knows at the moment.
func TestShutdownWaitsForWhatIsHandedOver(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprint("back ", back), func(t *testing.T) {
			e := &slowEngine{asked: make(chan bool), gate: make(chan bool)}
			cfg := limited(server.Limits{})
			cfg.NewEngine = func(pc poller.Config) (_ poller.Engine, err error) {
				if accept := pc.Accept; !back {
					pc.Accept = func(c poller.Conn) poller.Handler { return slowHandler{accept(c), e} }
				}
				e.Engine, err = poller.New("goroutine", pc) // others wait for OnData by themselves
				return e, err
			}
			srv := servertest.Start(t, cfg)
			c := dialFrom(t, srv, here)
			writeText(t, c, request("/"))
			if back {
				c.answer()
				writeText(t, c, upgrade(handshake))
			}
			await(t, e.asked, "the connection")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v, and a connection is left", err)
			}
			close(e.gate)
			if b, _ := io.ReadAll(c); len(b) > 0 {
				t.Errorf("received %q", b)
			}
		})
	}
}

// Section 1.9: nothing was received for the mount's timeout.
func TestIdleTimeout(t *testing.T) {
	cfg := mount(script{})
	cfg.Sockets[0].WebSocket.Timeout = 50 * time.Millisecond
	srv := servertest.Start(t, cfg)
	srv.Dial(wsPath).ExpectClose(1002)
}

// Connect may take longer than the handshake may: the connection is ended, and comes to no harm.
func TestConnectIsTooSlow(t *testing.T) { windowtest.Run(t, 20*time.Millisecond, connectTooSlowly) }

func connectTooSlowly(t testing.TB, window time.Duration) {
	entered, gate := make(chan bool, 1), make(chan bool)
	open := sync.OnceFunc(func() { close(gate) })
	cfg := connecting(func(c *server.Connect) error {
		c.ID = "users:jo"
		entered <- true
		<-gate
		return nil
	})
	cfg.HandshakeTimeout = window
	srv := servertest.Start(t, cfg)
	t.Cleanup(open)
	nc := dialTCP(t, srv.Addr())
	writeText(t, nc, upgrade(handshake))
	servertest.Eventually(t, "Connect", func() bool { return len(entered) > 0 || srv.Stats().Engine.Closed > 0 })
	if len(entered) == 0 {
		t.Fatal("Connect was not called before the timeout")
	}
	idle := dialTCP(t, srv.Addr()) // its timeout comes after the first one's
	if n, err := idle.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes for a connection that said nothing", n)
	}
	open()
	servertest.Eventually(t, "both are closed", func() bool {
		st := srv.Stats()
		return st.Engine.Closed == 2 && st.Hub.Subscriptions == 0
	})
}

// Open comes before the first message and after the response, Close after the last message; both or none.
func TestPlainOpenAndClose(t *testing.T) {
	calls := make(chan string, 16)
	cfg := server.Config{WebSockets: []*server.WebSocket{{
		Path: "/plain",
		Open: func(c *server.Conn) {
			c.SetValue(1)
			_ = c.Send(true, []byte("welcome"))
			calls <- "open"
		},
		Message: func(c *server.Conn, text bool, data []byte) {
			c.SetValue(c.Value().(int) + 1)
			calls <- string(data)
			if c.Value() == 3 {
				c.CloseWith(4000, "enough")
			}
		},
		Close: func(c *server.Conn) { calls <- "close" },
	}}}
	srv := servertest.Start(t, cfg)
	for range 20 { // Open runs while the response is being sent, if it may
		c := srv.Dial("/plain")
		if _, data, err := c.WebSocket().Read(t.Context()); err != nil || string(data) != "welcome" {
			t.Fatalf("%q, %v", data, err)
		}
		c.Send("one")
		c.Send("two")
		c.ExpectClose(4000)
		for _, want := range []string{"open", "one", "two", "close"} {
			if got := await(t, calls, want); got != want {
				t.Fatalf("called %s, want %s", got, want)
			}
		}
	}
}
