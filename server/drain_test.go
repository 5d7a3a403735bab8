package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// pauses are those of a drain: the test is told of each, and ends it.
type pauses struct {
	asked chan time.Duration
	over  chan time.Time
}

func newPauses(s *server.Server) *pauses {
	p := &pauses{make(chan time.Duration, 64), make(chan time.Time)}
	s.PauseDrains(func(d time.Duration) <-chan time.Time {
		p.asked <- d
		return p.over
	})
	return p
}

// expect waits for a pause of d.
func (p *pauses) expect(t *testing.T, d time.Duration) {
	t.Helper()
	if got := await(t, p.asked, "pause"); got != d {
		t.Errorf("a pause of %v, want %v", got, d)
	}
}

// shutDown calls Shutdown on another goroutine. Its context ends with the test; a deadline would make the batches
// larger.
func shutDown(t *testing.T, s *server.Server) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()
	return down
}

// driven is a server of n sockets in this process, of which those with an even number are joined to a topic.
// A walk over them meets them in this order.
func driven(t *testing.T, n int, d server.Drain) (*drive.Driver, []*drive.Socket, []*drive.Inbox) {
	t.Helper()
	cfg := mount(script{})
	cfg.Drain = d
	dr, err := drive.New(cfg, drive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dr.Shutdown(context.Background()) })
	sockets, inboxes := make([]*drive.Socket, n), make([]*drive.Inbox, n)
	for i := range n {
		inboxes[i] = new(drive.Inbox)
		if sockets[i], err = dr.Connect(wsPath, inboxes[i]); err == nil && i%2 == 0 {
			_, err = sockets[i].Join("room:1", nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dr, sockets, inboxes
}

func expectCode(t *testing.T, in *drive.Inbox, want int) {
	t.Helper()
	if code, err := in.Code(t.Context()); err != nil || code != want {
		t.Errorf("closed with %d, %v; want %d", code, err, want)
	}
}

func expectAlive(t *testing.T, s *drive.Socket, in *drive.Inbox) {
	t.Helper()
	ref, err := s.Heartbeat()
	if err == nil {
		_, err = in.Reply(t.Context(), ref)
	}
	if err != nil {
		t.Errorf("a socket of a later batch: %v", err)
	}
}

// dialMet is a client whose socket the walk of a drain meets: the response of a handshake is sent before the connection
// has the handler that answers a heartbeat, and by which the walk knows it.
func dialMet(srv *servertest.Server) *servertest.Client {
	c := srv.Dial(wsPath)
	c.Heartbeat()
	return c
}

// Section 7: sockets are closed with 1012 batch by batch, those without channels too, and no pause follows the
// last batch.
func TestDrainInBatches(t *testing.T) {
	const batch, interval = 2, time.Minute // which passes when the test says so
	for _, n := range []int{1, 2, 3, 4, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dr, sockets, inboxes := driven(t, n, server.Drain{BatchSize: batch, Interval: interval, Timeout: time.Hour})
			p := newPauses(dr.Server())
			down := shutDown(t, dr.Server())
			for told := batch; told < n; told += batch {
				p.expect(t, interval)
				for _, in := range inboxes[told-batch : told] {
					expectCode(t, in, 1012)
				}
				for i := told; i < n; i++ {
					expectAlive(t, sockets[i], inboxes[i])
				}
				if st := dr.Server().Stats(); st.Drained != int64(told) || st.Draining != int64(n-told) {
					t.Errorf("%d drained, %d draining; want %d, %d", st.Drained, st.Draining, told, n-told)
				}
				p.over <- time.Time{}
			}
			if err := await(t, down, "end of Shutdown"); err != nil {
				t.Error(err)
			}
			for _, in := range inboxes {
				expectCode(t, in, 1012)
			}
			if st := dr.Server().Stats(); st.Drained != int64(n) || st.Draining != 0 || st.Hub.Subscriptions != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Every kind of connection is drained on every engine: joined or not, plain messages, sessions of the
// long-poll transport, whose poll is answered and which is unknown from then on (section 5.6).
func TestDrainEveryTransport(t *testing.T) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			cfg := mount(script{})
			cfg.Engine, cfg.Drain = engine, server.Drain{BatchSize: 1, Timeout: time.Hour}
			opened := make(chan bool, 1)
			cfg.WebSockets = []*server.WebSocket{{Path: "/plain", Message: func(*server.Conn, bool, []byte) {},
				Open: func(*server.Conn) { opened <- true }}}
			cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
			srv := servertest.Start(t, cfg)
			clients := []*servertest.Client{dialMet(srv), dialMet(srv), srv.Dial("/plain")}
			await(t, opened, "Open")
			clients[0].Join("room:1", nil)
			lp := newLPClient(t, srv)
			lp.open()
			answer := make(chan lpAnswer, 1)
			go func() { answer <- lp.do("GET", "", "") }()
			servertest.Eventually(t, "the poll is parked", func() bool { return srv.Stats().PollsWaiting == 1 })
			over, pauses := make(chan time.Time), 0
			close(over)
			srv.PauseDrains(func(d time.Duration) <-chan time.Time {
				if d != 2*time.Second { // section 0.2
					t.Errorf("a pause of %v", d)
				}
				pauses++
				return over
			})
			down := shutDown(t, srv.Server)
			for _, c := range clients {
				c.ExpectClose(1012)
			}
			if a := await(t, answer, "answer of the poll"); a.Status != 204 {
				t.Errorf("the poll of a drained session: %+v, want 204", a)
			}
			if err := await(t, down, "end of Shutdown"); err != nil {
				t.Error(err)
			}
			if st := srv.Stats(); st.Drained != 4 || pauses != 3 || st.PollSessions != 0 {
				t.Errorf("%d drained with %d pauses, want 4 with 3; %d sessions are left", st.Drained, pauses, st.PollSessions)
			}
		})
	}
}

// Section 7: while it drains a server answers: 503 for what is new, with the time to come back, 503 for the balancer, and
// as ever for who is there.
func TestDrainRefusesNewcomers(t *testing.T) {
	cfg := mount(script{in: echo})
	cfg.Drain = server.Drain{BatchSize: 1, Timeout: time.Hour}
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{}
	var srv *servertest.Server
	cfg.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { srv.Healthz(w, r) })
	srv = servertest.Start(t, cfg)
	first, second := dialMet(srv), dialMet(srv)
	p := newPauses(srv.Server)
	down := shutDown(t, srv.Server)
	p.expect(t, 2*time.Second)
	for _, path := range []string{wsPath + "?vsn=2.0.0", lpPath, "/healthz"} {
		resp, err := http.Get("http://" + srv.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 503 || path != "/healthz" && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
		if path == lpPath && strings.Contains(string(body), "status") {
			t.Errorf("5.8: phoenix.js would stop for ever: %q", body)
		}
		if strings.HasPrefix(path, wsPath) && string(body) != "the server is shutting down" {
			t.Errorf("%s: %q", path, body)
		}
	}
	if st := srv.Stats(); st.Refused != 2 || st.Drained != 1 || st.Draining != 1 {
		t.Errorf("%+v", st)
	}
	http.DefaultClient.CloseIdleConnections()
	p.over <- time.Time{}
	first.ExpectClose(1012)
	second.ExpectClose(1012)
	if err := await(t, down, "end of Shutdown"); err != nil {
		t.Error(err)
	}
}

// In the delay before a drain Healthz is unready, and nothing else has changed.
func TestDrainDelay(t *testing.T) {
	cfg := mount(script{in: echo})
	cfg.Drain = server.Drain{Delay: 5 * time.Second}
	srv := servertest.Start(t, cfg)
	old := srv.Dial(wsPath)
	p := newPauses(srv.Server)
	down := shutDown(t, srv.Server)
	p.expect(t, 5*time.Second)
	if code := healthz(srv); code != 503 {
		t.Errorf("Healthz: %d, want 503", code)
	}
	late := srv.Dial(wsPath)
	late.Join("room:1", nil)
	old.Join("room:1", nil)
	if st := srv.Stats(); st.Drained != 0 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
	p.over <- time.Time{}
	old.ExpectClose(1012)
	late.ExpectClose(1012)
	if err := await(t, down, "end of Shutdown"); err != nil {
		t.Error(err)
	}
}

// Three things end the pauses: a second Shutdown, the limit, and the context. Then all the rest is told at
// once.
func TestDrainIsCutShort(t *testing.T) {
	const n = 5
	for _, row := range []struct {
		name  string
		limit time.Duration
		cut   func(s *server.Server, cancel func())
		err   error // that Shutdown may return
	}{
		{"by a second Shutdown", time.Hour, func(s *server.Server, _ func()) {
			if err := s.Shutdown(t.Context()); !errors.Is(err, poller.ErrShutdown) {
				t.Errorf("a second Shutdown: %v, want poller.ErrShutdown", err)
			}
		}, nil},
		{"by the limit", 20 * time.Millisecond, func(*server.Server, func()) {}, nil},
		{"by the context", time.Hour, func(_ *server.Server, cancel func()) { cancel() }, context.Canceled},
	} {
		t.Run(row.name, func(t *testing.T) {
			dr, _, inboxes := driven(t, n, server.Drain{BatchSize: 1, Interval: time.Millisecond, Timeout: row.limit})
			first := make(chan bool, n)
			dr.Server().PauseDrains(func(time.Duration) <-chan time.Time {
				first <- true
				return nil // never over
			})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			down := make(chan error, 1)
			go func() { down <- dr.Server().Shutdown(ctx) }()
			if row.limit == time.Hour { // a short one may be over before the first pause
				await(t, first, "first pause")
			}
			row.cut(dr.Server(), cancel)
			if err := await(t, down, "end of Shutdown"); err != nil && !errors.Is(err, row.err) {
				t.Errorf("Shutdown: %v", err)
			}
			for _, in := range inboxes {
				expectCode(t, in, 1012)
			}
			if st := dr.Server().Stats(); st.Drained != n || st.Draining != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A socket whose Connect is under way when the walk passes by is told too, by whoever opens it.
func TestDrainMissesNoLatecomer(t *testing.T) {
	entered, gate := make(chan bool), make(chan bool)
	cfg := connecting(func(*server.Connect) error {
		entered <- true
		<-gate
		return nil
	})
	cfg.Drain = server.Drain{BatchSize: 1, Timeout: time.Hour}
	srv := servertest.Start(t, cfg)
	early := []*servertest.Client{}
	for range 2 {
		go func() {
			<-entered
			gate <- true
		}()
		early = append(early, dialMet(srv))
	}
	ended := dialToTheEnd(t, srv)
	await(t, entered, "Connect")
	p := newPauses(srv.Server)
	down := shutDown(t, srv.Server)
	p.expect(t, 2*time.Second)
	gate <- true  // the third is opened in the midst of the drain
	close(p.over) // the walk may meet it, and pause before it
	for _, c := range early {
		c.ExpectClose(1012)
	}
	if err := await(t, ended, "end of a client"); websocket.CloseStatus(err) != 1012 {
		t.Errorf("sent away with %v, want 1012", err)
	}
	if err := await(t, down, "end of Shutdown"); err != nil {
		t.Error(err)
	}
}

// A long drain says in the log how far it is; a short one says nothing.
func TestDrainLogsRounds(t *testing.T) {
	for _, n := range []int{2, 4} {
		var book logBook
		cfg := mount(script{})
		cfg.Drain, cfg.Log = server.Drain{BatchSize: 2, Interval: time.Nanosecond}, book.logger()
		dr, err := drive.New(cfg, drive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if _, err := dr.Connect(wsPath, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := await(t, shutDown(t, dr.Server()), "end of Shutdown"); err != nil {
			t.Error(err)
		}
		said := strings.Contains(book.String(), "round=1 of=2 closed=2 left=2")
		if said != (n == 4) {
			t.Errorf("%d sockets in batches of two: logged %q", n, book.String())
		}
	}
}
