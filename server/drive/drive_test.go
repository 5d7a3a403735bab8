package drive_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
)

// patience bounds a failing test; a passing one never waits for it.
const patience = time.Minute

// A room is what the tests drive.
type room struct{ left chan<- error }

func (room) Join(c *server.Context, p server.Payload) error {
	switch c.Topic() {
	case "room:secret":
		return server.Refuse(map[string]string{"reason": "unauthorized"})
	case "room:panic":
		panic("a bug in Join")
	}
	return c.Reply(map[string]any{"topic": c.Topic(), "said": p})
}

func (room) HandleIn(c *server.Context, event string, p server.Payload) error {
	switch event {
	case "echo":
		return c.Reply(p)
	case "shout":
		return c.Broadcast("shouted", p)
	case "push":
		return c.Push("pushed", p)
	case "stop":
		return server.ErrStop
	case "panic":
		panic("a bug in HandleIn")
	case "kick":
		c.CloseSocket()
		return nil
	}
	return c.ReplyError(map[string]string{"reason": "unknown event"})
}

func (r room) Leave(_ *server.Context, reason error) {
	if r.left != nil {
		r.left <- reason
	}
}

func config(left chan<- error) server.Config {
	return server.Config{
		Log: slog.New(slog.DiscardHandler),
		Sockets: []*server.Socket{
			{Path: "/socket", Routes: []server.Route{{Topic: "room:*", Channel: func() server.Channel { return room{left} }}}},
			{Path: "/asking", Routes: []server.Route{{Topic: "room:*", Channel: func() server.Channel { return room{left} }}},
				Connect: func(c *server.Connect) error {
					if c.Params.Get("user") == "" {
						return server.ErrRefused
					}
					c.ID = "users:" + c.Params.Get("user")
					return nil
				}},
		},
	}
}

// forEachDriver runs f with a driver whose sockets sleep, and with one whose sockets are awake.
func forEachDriver(t *testing.T, cfg server.Config, f func(t *testing.T, d *drive.Driver)) {
	for name, awake := range map[string]bool{"asleep": false, "awake": true} {
		t.Run(name, func(t *testing.T) {
			d, err := drive.New(cfg, drive.Options{Awake: awake})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := d.Shutdown(within(t)); err != nil {
					t.Error(err)
				}
				if s := d.Stats(); s.Undecoded != 0 || s.Server.Engine.Open != 0 {
					t.Errorf("%+v", s)
				}
			}()
			f(t, d)
		})
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually yields until cond holds, for what awake sockets leave to workers.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func open(t *testing.T, d *drive.Driver, path string) (*drive.Socket, *drive.Inbox) {
	t.Helper()
	var in drive.Inbox
	s, err := d.Connect(path, &in)
	if err != nil {
		t.Fatal(err)
	}
	return s, &in
}

// join joins and fails the test unless that is accepted.
func join(t *testing.T, s *drive.Socket, in *drive.Inbox, topic string) drive.Channel {
	t.Helper()
	ch, err := s.Join(topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m := take(t)(in.Reply(within(t), ch.JoinRef())); m.Status != "ok" {
		t.Fatalf("join of %s: %s %s", topic, m.Status, m.Payload.Bytes())
	}
	return ch
}

// take fails the test if a message did not come.
func take(t *testing.T) func(drive.Message, error) drive.Message {
	t.Helper()
	return func(m drive.Message, err error) drive.Message {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

// One row is one event of a channel's life: what is sent, and what comes back in order.
func TestSocket(t *testing.T) {
	left := make(chan error, 64)
	forEachDriver(t, config(left), func(t *testing.T, d *drive.Driver) {
		for _, row := range []struct {
			name  string
			topic string // joined before
			do    func(*drive.Socket, drive.Channel) error
			want  []string // event, status and payload of what comes
			ends  int      // the code of the socket's end; 0: it goes on
		}{
			{"join", "", func(s *drive.Socket, _ drive.Channel) error {
				_, err := s.Join("room:1", map[string]int{"a": 1})
				return err
			},
				[]string{`phx_reply ok {"said":{"a":1},"topic":"room:1"}`}, 0},
			{"refused join", "", func(s *drive.Socket, _ drive.Channel) error { _, err := s.Join("room:secret", nil); return err },
				[]string{`phx_reply error {"reason":"unauthorized"}`}, 0},
			{"no such topic", "", func(s *drive.Socket, _ drive.Channel) error { _, err := s.Join("hall:1", nil); return err },
				[]string{`phx_reply error {"reason":"unmatched topic"}`}, 0},
			{"join that panics", "", func(s *drive.Socket, _ drive.Channel) error { _, err := s.Join("room:panic", nil); return err },
				[]string{`phx_reply error {"reason":"join crashed"}`}, 0},
			{"heartbeat", "", func(s *drive.Socket, _ drive.Channel) error { _, err := s.Heartbeat(); return err },
				[]string{`phx_reply ok {}`}, 0},
			{"reply", "room:1", func(_ *drive.Socket, ch drive.Channel) error {
				_, err := ch.Push("echo", server.Raw([]byte(`{"ü":"\n"}`)))
				return err
			},
				[]string{`phx_reply ok {"ü":"\n"}`}, 0},
			{"binary reply", "room:1", func(_ *drive.Socket, ch drive.Channel) error {
				_, err := ch.Push("echo", server.Binary([]byte{0, 255}))
				return err
			},
				[]string{"phx_reply ok \x00\xff"}, 0},
			{"error reply", "room:1", func(_ *drive.Socket, ch drive.Channel) error { _, err := ch.Push("dance", nil); return err },
				[]string{`phx_reply error {"reason":"unknown event"}`}, 0},
			{"push", "room:1", func(_ *drive.Socket, ch drive.Channel) error {
				_, err := ch.Push("push", map[string]string{"b": "c"})
				return err
			},
				[]string{`pushed {"b":"c"}`}, 0},
			{"binary push", "room:1", func(_ *drive.Socket, ch drive.Channel) error {
				_, err := ch.Push("push", server.Binary([]byte("x")))
				return err
			},
				[]string{`pushed x`}, 0},
			{"broadcast", "room:1", func(_ *drive.Socket, ch drive.Channel) error { _, err := ch.Push("shout", nil); return err },
				[]string{`shouted {}`}, 0},
			{"binary broadcast", "room:1", func(_ *drive.Socket, ch drive.Channel) error {
				_, err := ch.Push("shout", server.Binary(nil))
				return err
			},
				[]string{`shouted `}, 0},
			{"leave", "room:1", func(_ *drive.Socket, ch drive.Channel) error { _, err := ch.Leave(); return err },
				[]string{`phx_reply ok {}`, `phx_close {}`}, 0},
			{"channel stops", "room:1", func(_ *drive.Socket, ch drive.Channel) error { _, err := ch.Push("stop", nil); return err },
				[]string{`phx_close {}`}, 0},
			{"channel panics", "room:1", func(_ *drive.Socket, ch drive.Channel) error { _, err := ch.Push("panic", nil); return err },
				[]string{`phx_error {"reason":"channel_crash"}`}, 0},
			{"close", "room:1", func(s *drive.Socket, _ drive.Channel) error { return s.Close() }, nil, 1000},
			{"closed by the server", "room:1", func(_ *drive.Socket, ch drive.Channel) error { _, err := ch.Push("kick", nil); return err },
				nil, 1012},
			{"no JSON", "room:1", func(_ *drive.Socket, ch drive.Channel) error {
				_, err := ch.Push("echo", server.Raw([]byte(`{`)))
				return err
			},
				nil, 1011},
		} {
			t.Run(row.name, func(t *testing.T) {
				s, in := open(t, d, "/socket/websocket")
				var ch drive.Channel
				if row.topic != "" {
					ch = join(t, s, in, row.topic)
				}
				if err := row.do(s, ch); err != nil {
					t.Fatal(err)
				}
				for _, want := range row.want {
					m := take(t)(in.Next(within(t)))
					if got := text(m); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				if row.ends == 0 {
					s.Close()
				} else if code, err := in.Code(within(t)); code != row.ends {
					t.Errorf("ended with %d (%v), want %d", code, err, row.ends)
				}
				if _, err := in.Code(within(t)); err != nil || in.Len() != 0 {
					t.Errorf("%d messages more (%v)", in.Len(), err)
				}
				if _, err := s.Join("room:late", nil); err != poller.ErrClosed {
					t.Errorf("join after the end: %v, want ErrClosed", err)
				}
				if _, err := in.Event(within(t), "none"); !errors.Is(err, drive.ErrSocketClosed) {
					t.Errorf("waiting for an event after the end: %v", err)
				}
			})
		}
	})
}

func text(m drive.Message) string {
	s := m.Event + " "
	if m.Status != "" {
		s += m.Status + " "
	}
	return s + string(m.Payload.Bytes())
}

// Refs and topics of what comes are those of what was sent.
func TestRefs(t *testing.T) {
	forEachDriver(t, config(nil), func(t *testing.T, d *drive.Driver) {
		s, in := open(t, d, "/socket/websocket")
		a, b := join(t, s, in, "room:a"), join(t, s, in, "room:b")
		for _, ch := range []drive.Channel{a, b} {
			ref, err := ch.Push("echo", nil)
			if err != nil {
				t.Fatal(err)
			}
			m := take(t)(in.Reply(within(t), ref))
			if m.Topic != ch.Topic() || m.JoinRef != ch.JoinRef() || ch.Socket() != s {
				t.Errorf("the reply to %d has topic %s and join_ref %d, want %s and %d", ref, m.Topic, m.JoinRef, ch.Topic(), ch.JoinRef())
			}
			ch.Push("shout", nil)
			if m := take(t)(in.Event(within(t), "shouted")); m.JoinRef != 0 || m.Ref != 0 || m.Topic != ch.Topic() {
				t.Errorf("a broadcast came as %+v", m)
			}
		}
	})
}

func TestBroadcastBetweenSockets(t *testing.T) {
	left := make(chan error, 64)
	forEachDriver(t, config(left), func(t *testing.T, d *drive.Driver) {
		s, in := open(t, d, "/socket/websocket")
		first := join(t, s, in, "room:1")
		var others []*drive.Inbox
		for range 20 {
			s, in := open(t, d, "/socket/websocket")
			join(t, s, in, "room:1")
			others = append(others, in)
		}
		silent, err := d.Connect("/socket/websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := silent.Join("room:1", nil); err != nil {
			t.Fatal(err)
		}
		first.Push("shout", map[string]string{"from": "one"})
		if err := d.Server().Broadcast("room:1", "announced", nil); err != nil {
			t.Fatal(err)
		}
		for _, in := range append(others, in) {
			if m := take(t)(in.Event(within(t), "shouted")); text(m) != `shouted {"from":"one"}` {
				t.Errorf("got %s", text(m))
			}
			take(t)(in.Event(within(t), "announced"))
		}
		silent.Close()
		if reason := <-left; reason != server.ErrDisconnected {
			t.Errorf("Leave(%v), want ErrDisconnected", reason)
		}
	})
}

func TestConnect(t *testing.T) {
	forEachDriver(t, config(nil), func(t *testing.T, d *drive.Driver) {
		for _, row := range []struct {
			path   string
			status int    // of a refusal
			says   string // of another error
		}{
			{"/socket/websocket", 0, ""},
			{"/socket/websocket?vsn=2.0.0", 0, ""},
			{"/asking/websocket?user=jo", 0, ""},
			{"/asking/websocket", 403, "403 Forbidden"},
			{"/nowhere", 0, "path of one of its mounts"},
			{"/socket/websocket?vsn=1.0.0", 0, "vsn=2.0.0"},
			{"socket", 0, "no path"},
			{"/a b", 0, "no path"},
		} {
			t.Run(row.path, func(t *testing.T) {
				var in drive.Inbox
				s, err := d.Connect(row.path, &in)
				switch refused := (*drive.RefusedError)(nil); {
				case row.status != 0 || row.says != "":
					if s != nil || err == nil || !strings.Contains(err.Error(), row.says) {
						t.Errorf("Connect: %v, want %q", err, row.says)
					}
					if row.status != 0 && (!errors.As(err, &refused) || refused.Status != row.status) {
						t.Errorf("Connect: %v, want status %d", err, row.status)
					}
				case err != nil:
					t.Error(err)
				default:
					join(t, s, &in, "room:1")
				}
			})
		}
		if n := d.Stats().Server.Upgraded; n != 3 {
			t.Errorf("%d upgraded, want 3", n)
		}
	})
}

func TestDisconnectByID(t *testing.T) {
	forEachDriver(t, config(nil), func(t *testing.T, d *drive.Driver) {
		_, in := open(t, d, "/asking/websocket?user=jo")
		d.Server().Disconnect("users:jo")
		if code, err := in.Code(within(t)); code != 1001 {
			t.Errorf("ended with %d (%v), want 1001", code, err)
		}
	})
}

func TestShutdown(t *testing.T) {
	for _, awake := range []bool{false, true} {
		d, err := drive.New(config(nil), drive.Options{Awake: awake})
		if err != nil {
			t.Fatal(err)
		}
		s, in := open(t, d, "/socket/websocket")
		join(t, s, in, "room:1")
		if err := d.Shutdown(within(t)); err != nil {
			t.Error(err)
		}
		if code, err := in.Code(within(t)); code != 1012 {
			t.Errorf("ended with %d (%v), want 1012", code, err)
		}
		if _, err := d.Connect("/socket/websocket", nil); err != poller.ErrShutdown {
			t.Errorf("Connect after Shutdown: %v", err)
		}
	}
}

func TestNewErrors(t *testing.T) {
	memory := func(pc poller.Config) (poller.Engine, error) { return poller.NewMemory(pc, false) }
	for name, cfg := range map[string]server.Config{
		"an engine":               {Engine: "epoll"},
		"an engine of one's own":  {NewEngine: memory},
		"the server's own errors": {MaxHeadBytes: -1},
		"the engine's errors":     {Poller: poller.Config{Workers: -1}},
	} {
		if d, err := drive.New(cfg, drive.Options{}); err == nil || d != nil {
			t.Errorf("%s: no error", name)
		}
	}
}
