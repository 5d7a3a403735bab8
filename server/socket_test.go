package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/ws"
)

// A full outbox, by policy: who is told, and what is closed.
func TestSlowConsumerPolicy(t *testing.T) {
	for _, row := range []struct {
		name    string
		policy  SlowConsumer
		do      func(s *Server, k *socket)
		closed  ws.StatusCode
		dropped int64
	}{
		{"CloseSlow, broadcast", CloseSlow, func(s *Server, _ *socket) { deliverTo(s, "failing:1") }, codeTryAgainLater, 0},
		{"DropSlow, broadcast", DropSlow, func(s *Server, _ *socket) { deliverTo(s, "failing:1") }, 0, 1},
		{"DropSlow, heartbeat", DropSlow, func(_ *Server, k *socket) {
			k.receive(masked(ws.OpText, `[null,"7","phoenix","heartbeat",{}]`), nil)
		}, 0, 1},
		// The push is dropped, and that is no error of HandleIn; the phx_close that follows is not dropped.
		{"DropSlow, the end of a channel", DropSlow, func(_ *Server, k *socket) {
			k.receive(masked(ws.OpText, `[null,"8","failing:1","x",{}]`), nil)
		}, codeTryAgainLater, 1},
	} {
		s := newFakeServer(t, Config{SlowConsumer: row.policy})
		k, c := fakeSocket(s, true)
		fakeJoin(k, "failing:1")
		c.full = true
		row.do(s, k)
		st := s.Stats()
		if got := c.closeCode(); got != row.closed || st.SlowDropped != row.dropped || (st.SlowClosed == 1) != (row.closed != 0) {
			t.Errorf("%s: closed with %d, %d dropped, %d closed; want %d, %d", row.name, got, st.SlowDropped, st.SlowClosed,
				row.closed, row.dropped)
		}
		if st.Panics != 0 {
			t.Errorf("%s: %d panics", row.name, st.Panics)
		}
	}
}

// A client that sends more than the application handles is read up to the mailbox's limit, by number or
// by size, and no further; what is left is taken later, and nothing is lost.
func TestFloodIsBounded(t *testing.T) {
	for _, row := range []struct {
		name       string
		size, many int
		waiting    int // messages at most, before and behind the worker
		paused     bool
	}{
		{"small messages", 100, 200, 64, false},
		{"large messages", 100 << 10, 200, 11, true}, // of 1 MiB
	} {
		s := newFakeServer(t, Config{})
		s.routes[0].options.MaxFrameSize = 1 << 20
		k, c := fakeSocket(s, true)
		fakeJoin(k, "quiet:1")
		c.inline = false
		var stream []byte
		pad := strings.Repeat("x", row.size)
		for n := range row.many {
			stream = append(stream, masked(ws.OpText, fmt.Sprintf(`[null,"%d","quiet:1","x",{"pad":%q}]`, n, pad))...)
		}
		for rounds := 0; len(stream) > 0; rounds++ {
			if rounds > row.many {
				t.Fatalf("%s: no progress", row.name)
			}
			took := k.OnData(c, stream)
			if len(c.queued) > row.waiting {
				t.Fatalf("%s: %d messages wait, want at most %d", row.name, len(c.queued), row.waiting)
			}
			if stream = stream[took:]; len(stream) > 0 && (c.paused == 1) != row.paused {
				t.Fatalf("%s: paused %d times", row.name, c.paused)
			}
			c.work()
			if c.paused != 0 {
				t.Fatalf("%s: still paused when nothing waits", row.name)
			}
		}
		if n := k.waiting.Load(); n != 0 {
			t.Errorf("%s: %d KiB are counted as waiting, and nothing waits", row.name, n)
		}
		if k.cut != nil {
			t.Errorf("%s: a decoder is left", row.name)
		}
	}
}

// What was decoded before a message that cannot be is handled, what comes after it is not.
func TestNothingIsHandledAfterDecodeError(t *testing.T) {
	s := newFakeServer(t, Config{})
	k, c := fakeSocket(s, true)
	c.inline = false
	join := func(topic string) []byte {
		return masked(ws.OpText, fmt.Sprintf(`["1","1",%q,"phx_join",{}]`, topic))
	}
	stream := append(join("quiet:1"), masked(ws.OpText, "nonsense")...)
	k.OnData(c, append(stream, join("quiet:2")...))
	c.work()
	if c.closeCode() != codeInternalError || k.joined != 1 || k.find("quiet:1") == nil {
		t.Errorf("closed with %d, joined %d topics", c.closeCode(), k.joined)
	}
	if n := s.Stats().DecodeErrors; n != 1 {
		t.Errorf("%d decode errors", n)
	}
	k.OnClose(c, nil)
	if st := s.Stats().Hub; st.Subscriptions != 0 || st.Topics != 0 {
		t.Errorf("left after OnClose: %+v", st)
	}
}

// A handshake that comes in while the server shuts down is refused, so that the client tries another.
func TestDrainingRefusesHandshakes(t *testing.T) {
	s := newFakeServer(t, Config{})
	c := &fakeConn{}
	s.draining.Store(true)
	head := "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	s.shared.OnData(c, []byte(head))
	if !strings.HasPrefix(string(c.closed), "HTTP/1.1 503 ") {
		t.Errorf("answered %q, want 503", c.closed)
	}
}

// upgradeFake has a connection ask for a path of the server.
func upgradeFake(t *testing.T, s *Server, c *fakeConn, path string) upgradedHandler {
	t.Helper()
	r := newUpgradeRequest(c)
	defer r.release()
	if err := r.head.parse([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	next := s.mountOf(r.head.path).upgrade(r)
	if c.handler != poller.Handler(next) || !strings.HasPrefix(c.first, "HTTP/1.1 101 ") {
		t.Errorf("%s: the first thing sent is %q, want the response; the handler is %v", path, c.first, c.handler)
	}
	return next
}

// A Shutdown that looks at the connections just before one is upgraded must not miss it.
func TestUpgradeDuringShutdown(t *testing.T) {
	s := newFakeServer(t, Config{})
	c := &fakeConn{keep: true}
	s.draining.Store(true)
	upgradeFake(t, s, c, "/socket/websocket?vsn=2.0.0")
	if c.closeCode() != codeServiceRestart {
		t.Errorf("closed with %d, want 1012", c.closeCode())
	}
}

// What Open sends follows the response, however soon it runs.
func TestOpenFollowsResponse(t *testing.T) {
	s := newFakeServer(t, Config{WebSockets: []*WebSocket{{
		Path:    "/plain",
		Message: func(*Conn, bool, []byte) {},
		Open:    func(c *Conn) { _ = c.Send(true, []byte("welcome")) },
	}}})
	c := &fakeConn{inline: true, keep: true}
	upgradeFake(t, s, c, "/plain")
	if !strings.HasSuffix(string(c.last), "welcome") {
		t.Errorf("the last thing sent is %q, want what Open sends", c.last)
	}
}

// A Disconnect of somebody who sees the response reaches the connection, and does not come before it.
func TestDisconnectDuringUpgrade(t *testing.T) {
	s := newFakeServer(t, Config{})
	s.routes[0].app.(*socketApp).cfg.Connect = func(c *Connect) error { c.ID = "users:jo"; return nil }
	for disconnects := range 3 {
		c := &fakeConn{keep: true}
		c.onSend = func() {
			for range disconnects {
				if err := s.PushTo("users:jo", "", "news", nil); err != nil {
					t.Error(err)
				}
				s.Disconnect("users:jo")
			}
		}
		next := upgradeFake(t, s, c, "/socket/websocket?vsn=2.0.0")
		if disconnects == 0 {
			s.Disconnect("users:jo")
		}
		if c.closeCode() != codeGoingAway {
			t.Errorf("%d times in the handshake: closed with %d, want 1001", disconnects, c.closeCode())
		}
		next.OnClose(c, nil)
		if n := s.Stats().Hub.Topics; n != 0 {
			t.Errorf("%d times in the handshake: %d topics are left", disconnects, n)
		}
	}
}

// A plain connection that ends while it is being upgraded has no Close without an Open.
func TestPlainEndsDuringUpgrade(t *testing.T) {
	for _, dead := range []bool{false, true} {
		var calls []string
		note := func(what string) func(*Conn) { return func(*Conn) { calls = append(calls, what) } }
		app := plainApp{&WebSocket{Open: note("open"), Close: note("close")}}
		s := newFakeServer(t, Config{})
		c := &fakeConn{inline: true}
		k := app.open(&mount{srv: s, app: app}, c, nil)
		if dead {
			c.Close()
		}
		k.opened()
		k.OnClose(c, nil)
		want := "[open close]"
		if dead {
			want = "[]"
		}
		if got := fmt.Sprint(calls); got != want {
			t.Errorf("dead %v: called %s, want %s", dead, got, want)
		}
	}
}
