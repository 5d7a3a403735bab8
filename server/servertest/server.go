package servertest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
)

// Patience bounds every wait of a test that fails; one that passes does not wait for it.
const Patience = 60 * time.Second

// A Server serves a configuration on a loopback port for the time of a test.
type Server struct {
	*server.Server

	t      testing.TB
	addr   string
	served chan error
	once   sync.Once
}

// Start serves cfg until the test ends, or until Stop.
func Start(t testing.TB, cfg server.Config) *Server {
	t.Helper()
	if cfg.Poller.Recover == nil {
		cfg.Poller.Recover = func(_ poller.Conn, p any) { panic(p) } // a bug of the server is to be seen
	}
	srv, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = srv.Shutdown(context.Background())
		t.Fatal(err)
	}
	s := &Server{Server: srv, t: t, addr: l.Addr().String(), served: make(chan error, 1)}
	go func() { s.served <- srv.Serve(l) }()
	t.Cleanup(s.Stop)
	return s
}

// Addr returns the host and port that the server listens on.
func (s *Server) Addr() string { return s.addr }

// URL returns the WebSocket URL of a path, with version 2.0.0 of the protocol unless the path has a
// parameter vsn.
func (s *Server) URL(path string) string {
	if !strings.Contains(path, "vsn=") {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		path += separator + "vsn=2.0.0"
	}
	return "ws://" + s.addr + path
}

// Dial connects a client to the URL of a path, as "/socket/websocket?user=jo".
func (s *Server) Dial(path string) *Client {
	s.t.Helper()
	return Dial(s.t, s.URL(path))
}

// Stop shuts the server down and fails the test if it leaves something behind. Later calls do nothing.
func (s *Server) Stop() {
	s.t.Helper()
	s.once.Do(s.stop)
}

func (s *Server) stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, poller.ErrShutdown) { // the test may have done it
		s.t.Errorf("Shutdown: %v", err)
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		s.t.Errorf("Serve returned %v, want http.ErrServerClosed", err)
	}
	st := s.Stats()
	if e := st.Engine; e.Open != 0 || e.Active != 0 || e.Backlog != 0 || e.Accepted != e.Closed+e.Detached {
		s.t.Errorf("connections are left after Shutdown: %+v", e)
	}
	if st.PollSessions != 0 || st.PollsWaiting != 0 {
		s.t.Errorf("left after Shutdown: %d long-poll sessions, %d polls", st.PollSessions, st.PollsWaiting)
	}
	if st.Hub.Subscriptions != 0 || st.Hub.Topics != 0 || st.HTTPConns != 0 {
		s.t.Errorf("left after Shutdown: %d subscriptions, %d topics, %d HTTP connections",
			st.Hub.Subscriptions, st.Hub.Topics, st.HTTPConns)
	}
	if st.Unfinished != 0 || st.Waiting != 0 {
		s.t.Errorf("left after Shutdown: %d bytes of messages that have begun, %d of messages that wait", st.Unfinished, st.Waiting)
	}
	if p := st.Presence; p.Entries != 0 || p.Topics != 0 || p.Waiting != 0 {
		s.t.Errorf("presences are left after Shutdown: %+v", p)
	}
}

// Eventually yields until cond holds. It is for state that has no event to wait for.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}
