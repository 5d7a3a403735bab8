// In-package: a client that looks, and acts, in the very moment in which it is sent something. What that promises holds.
package server

import (
	"fmt"
	"io/fs"
	"log/slog"
	"testing"

	"github.com/gobwas/ws"
)

// newCountingServer counts connections, and has both transports. Its hook refuses whoever asks for it.
func newCountingServer(t *testing.T) *Server {
	t.Helper()
	s, err := New(Config{
		Log:    slog.New(slog.DiscardHandler),
		Limits: Limits{Connections: 10, Handshakes: 10, Messages: Rate{PerSecond: 1e-3, Burst: 1}},
		Sockets: []*Socket{{
			Path: "/socket",
			Connect: func(c *Connect) error {
				if c.Params.Get("refuse") != "" {
					return fs.ErrPermission
				}
				return nil
			},
			Routes:      []Route{{Topic: "*", Channel: func() Channel { return quiet{} }}},
			CheckOrigin: AllowOrigins("//example.com"),
			LongPoll:    &LongPollOptions{},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	return s
}

const upgradeLines = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

// Limits.Handshakes: who has been answered is not on its way to its first answer. A session or a socket that is
// refused does not count: its client may come again at once.
func TestAnsweredIsNotHandshaking(t *testing.T) {
	const poll, socket = "/socket/longpoll?vsn=2.0.0", "/socket/websocket?vsn=2.0.0"
	for _, row := range []struct {
		name, request string
		counted       int64
	}{
		{"a session", "GET " + poll + " HTTP/1.1\r\nHost: x\r\n\r\n", 2},
		{"a session that is refused", "GET " + poll + "&refuse=1 HTTP/1.1\r\nHost: x\r\n\r\n", 1},
		{"of another version", "GET /socket/longpoll?vsn=9.0.0 HTTP/1.1\r\nHost: x\r\n\r\n", 1},
		{"of another origin", "GET " + poll + " HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n\r\n", 1},
		{"a preflight", "OPTIONS " + poll + " HTTP/1.1\r\nHost: x\r\n\r\n", 1},
		{"another method", "PUT " + poll + " HTTP/1.1\r\nHost: x\r\n\r\n", 1},
		{"a POST", "POST " + poll + " HTTP/1.1\r\nHost: x\r\n\r\n", 1},
		{"a socket", "GET " + socket + " HTTP/1.1\r\n" + upgradeLines, 1},
		{"a socket that is refused", "GET " + socket + "&refuse=1 HTTP/1.1\r\n" + upgradeLines, 0},
		{"no HTTP", "bogus\r\n\r\n", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, answers := newCountingServer(t), 0
			c := &fakeConn{inline: true}
			answered := func() {
				answers++
				if st := s.limitStats(); st.Handshaking != 0 || st.Counted != row.counted {
					t.Errorf("when it is answered %d are on their way, and %d count, want %d", st.Handshaking, st.Counted, row.counted)
				}
			}
			c.onSend, c.onEnd = answered, answered
			first := s.accept(c)
			if st := s.limitStats(); st.Handshaking != 1 {
				t.Fatalf("%d are on their way, want 1", st.Handshaking)
			}
			first.OnData(c, []byte(row.request))
			if answers != 1 {
				t.Errorf("%d answers", answers)
			}
			first.OnClose(c, nil)
		})
	}
}

// Limits.Connections: a client that has closed its socket, and has seen the answer to that, finds its place free.
func TestClosedIsNotCounted(t *testing.T) {
	ping := masked(ws.OpPing, "")
	for _, row := range []struct {
		name string
		sent []byte
		code ws.StatusCode
	}{
		{"a Close frame", masked(ws.OpClose, "\x03\xe8"), 1000},
		{"a violation", masked(3, ""), 1002},
		{"too many messages", append(ping[:len(ping):len(ping)], ping...), 1008},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newCountingServer(t)
			c := &fakeConn{inline: true}
			s.accept(c).OnData(c, []byte("GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"+upgradeLines))
			if n := s.limitStats().Counted; n != 1 {
				t.Fatalf("%d count, want 1", n)
			}
			c.onEnd = func() {
				if n := s.limitStats().Counted; n != 0 {
					t.Errorf("%d count when the end is seen", n)
				}
			}
			c.handler.OnData(c, row.sent)
			if c.closeCode() != row.code {
				t.Errorf("closed with %d, want %d", c.closeCode(), row.code)
			}
			c.handler.OnClose(c, nil)
			if n := s.limitStats().Counted; n != 0 {
				t.Errorf("%d count at the end", n)
			}
		})
	}
}

// Section 3.4: what is broadcast when the reply to a leave has been seen does not reach the client.
func TestLeaveIsDoneWhenItIsAnswered(t *testing.T) {
	s := newFakeServer(t, Config{})
	k, c := fakeSocket(s, true)
	fakeJoin(k, "quiet:1")
	c.onSend = func() {
		if n := s.hub.Subscribers("quiet:1"); n != 0 {
			t.Errorf("send %d: %d would hear a broadcast", c.sends, n)
		}
	}
	k.dispatch(&message{joinRef: `"1"`, ref: `"2"`, topic: "quiet:1", event: eventLeave})
	if c.sends != 3 {
		t.Errorf("%d frames, want the replies and phx_close", c.sends)
	}
}

// Stats.Drained: who has seen that it is sent away is counted.
func TestDrainedWhenItIsTold(t *testing.T) {
	s := newFakeServer(t, Config{})
	k, c := fakeSocket(s, true)
	s.drainer.left.Store(1)
	c.onEnd = func() {
		if st := s.Stats(); st.Drained != 1 || st.Draining != 0 {
			t.Errorf("%d drained, %d draining", st.Drained, st.Draining)
		}
	}
	(&batches{srv: s, size: 2}).close(k.base())
	if c.closeCode() != codeServiceRestart {
		t.Errorf("closed with %d", c.closeCode())
	}
}

// A resumingConn calls before in the moment before it is resumed.
type resumingConn struct {
	fakeConn
	before func()
}

func (c *resumingConn) Resume() {
	c.before()
	c.fakeConn.Resume()
}

// RFC 9112 9.3: a client that has seen the answer of a poll may send several requests at once. The connection is paused
// while a worker sees to the first: were it resumed by who has given that answer, the next might be answered before it.
func TestAnswerResumesNoOtherRequest(t *testing.T) {
	for _, early := range []bool{false, true} { // the request, or a part of it, comes before the answer
		t.Run(fmt.Sprint(early), func(t *testing.T) {
			m := newPollModel(t)
			m.session.mount.app.(*socketApp).cfg.Connect = func(*Connect) error { return nil }
			c := &resumingConn{}
			x := m.session.await(c, false, false, false)
			m.session.park(x)
			request := []byte("GET /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\n\r\n")
			if early && (c.handler.OnData(c, request) != 0 || c.paused != 1) {
				t.Fatal("the request does not wait for the answer")
			}
			asked := false
			ask := func() {
				if !asked && !early {
					asked = true
					c.handler.OnData(c, request)
				}
			}
			c.before = ask
			m.send()
			c.queued[0].Run(c)
			switch ask(); {
			case early && c.paused != 0:
				t.Error("the request waits for ever")
			case !early && (len(c.queued) != 2 || c.paused != 1):
				t.Errorf("%d tasks, and paused %d times while the second waits", len(c.queued), c.paused)
			}
		})
	}
}

// Stats.PollSessions: a session that does not count is not found either.
func TestSessionsCountAsLongAsTheyAreFound(t *testing.T) {
	m := newPollModel(t)
	s := m.session.server()
	for want := int64(1); want >= 0; want-- {
		if n, found := s.Stats().PollSessions, s.polls.find(m.session.id) != nil; n != want || found != (want == 1) {
			t.Errorf("%d sessions, found %v; want %d", n, found, want)
		}
		m.session.Closed() // as the engine does, in the midst of the connection's end
	}
}
