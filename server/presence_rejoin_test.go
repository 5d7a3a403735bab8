package server_test

import (
	"errors"
	"maps"
	"runtime"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A rejoinRoom is a server with one client and somebody else in room:1.
type rejoinRoom struct {
	*presenceTest
	c       *servertest.Client
	handles map[string]server.Handle // "client" and "other"
	release chan struct{}            // ends "wait", behind which the client's next join waits
	gap     func(map[string]server.Handle)
}

// startRejoin is a room in which gap runs while the client's old channel has ended, and the new one has not begun.
func startRejoin(t *testing.T, gap func(map[string]server.Handle), intercept ...string) *rejoinRoom {
	r := &rejoinRoom{handles: map[string]server.Handle{}, release: make(chan struct{}), gap: gap}
	handles := make(chan server.Handle, 2)
	entered := 0
	room := script{
		join: func(c *server.Context, p server.Payload) error {
			var in struct{ Deny bool }
			if err := p.Decode(&in); err != nil || in.Deny {
				return errors.Join(err, server.Refuse(nil))
			}
			c.After(func(c *server.Context) error {
				if entered++; entered <= 2 { // one after the other: the test sees to that
					handles <- c.Handle()
				}
				return c.PushPresenceState()
			})
			return nil
		},
		in: func(c *server.Context, event string, _ server.Payload) error {
			if event == "boom" {
				return errors.New("boom")
			}
			<-r.release
			return c.Reply(nil)
		},
		out: func(c *server.Context, event string, p server.Payload) error {
			_ = c.Push(event, p) // an error of the connection, at the end of the test
			return nil
		},
		leave: func(_ *server.Context, reason error) {
			if reason != server.ErrDisconnected {
				r.gap(r.handles)
			}
		},
	}
	r.presenceTest = startPresence(t, mount(room, intercept...))
	for _, who := range []string{"other", "client"} {
		r.c = r.Dial(wsPath)
		r.c.Send(`["1","1","room:1","phx_join",{}]`)
		r.expect(r.c, `["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`, `["1",null,"room:1","presence_state",{}]`)
		r.handles[who] = await(t, handles, "handle")
	}
	return r
}

// TestPresenceRejoin: a client keeps the diffs that come after it has asked for a join, and applies them to the
// presence_state of that (section 4.7). So it must be told also of those that come while its old channel has
// ended and the new one has not begun (section 3.5), or have a second state: else it shows for ever what has gone
// meanwhile.
func TestPresenceRejoin(t *testing.T) {
	const join = `["2","3","room:1","phx_join",{}]`
	for _, way := range []struct {
		name      string
		ask       []string
		intercept bool
		states    int
	}{
		{"join again", []string{join}, false, 1},
		{"join again, with diffs intercepted", []string{join}, true, 2},
		{"leave and join", []string{`["1","2","room:1","phx_leave",{}]`, join}, false, 2},
		{"leave and join, with diffs intercepted", []string{`["1","2","room:1","phx_leave",{}]`, join}, true, 2},
		{"leave what has crashed, and join", []string{`["1","2","room:1","boom",{}]`, `["1","2","room:1","phx_leave",{}]`, join}, false, 2},
		{"join again after a refusal", []string{`["2","2","room:1","phx_join",{"deny":true}]`, join}, false, 2},
	} {
		t.Run(way.name, func(t *testing.T) { presenceRejoin(t, way.ask, way.intercept, way.states) })
	}
}

// presenceRejoin has the client send what ask says, behind an event that takes its time.
func presenceRejoin(t *testing.T, ask []string, intercept bool, states int) {
	type handles = map[string]server.Handle
	var events []string
	if intercept {
		events = []string{hub.EventPresenceDiff}
	}
	for _, row := range []struct {
		name               string
		begin, before, gap func(handles) error
	}{
		{"another's entry comes and goes", nil,
			func(h handles) error { return err2(h["other"].Track("k", nil)) },
			func(h handles) error { return gone(h["other"].Untrack("k")) }},
		{"another's is updated twice",
			func(h handles) error { return err2(h["other"].Track("k", nil)) },
			func(h handles) error { return err2(h["other"].Update("k", object{"n": 1})) },
			func(h handles) error { return err2(h["other"].Update("k", object{"n": 2})) }},
		{"its own, which goes with the old channel", nil,
			func(h handles) error { return err2(h["client"].Track("k", nil)) }, nil},
		{"another's comes", nil, nil, func(h handles) error { return err2(h["other"].Track("k", nil)) }},
		{"another's goes", func(h handles) error { return err2(h["other"].Track("k", nil)) },
			nil, func(h handles) error { return gone(h["other"].Untrack("k")) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			do := func(f func(handles) error, h handles) {
				if f != nil {
					if err := f(h); err != nil {
						t.Error(err)
					}
				}
			}
			r := startRejoin(t, func(h handles) { do(row.gap, h) }, events...)
			do(row.begin, r.handles)
			r.c.Send(`["1","2","room:1","wait",{}]`)
			do(row.before, r.handles)
			for _, message := range append(ask, `["2","9","room:1","wait",{}]`) {
				r.c.Send(message)
			}
			close(r.release)
			shows, got := r.shows()
			if got != states && got != 1 { // a second one only if there can have been a diff
				t.Errorf("%d states, want %d", got, states)
			}
			var list presenceList
			if err := r.Presences("room:1").Decode(&list); err != nil {
				t.Fatal(err)
			}
			if want := list.metas(); !maps.Equal(shows, want) {
				t.Errorf("the client shows %v, want %v", shows, want)
			}
			if n := r.Stats().Hub.Subscriptions; n != 2 {
				t.Errorf("%d subscriptions, want the other's and the new one", n)
			}
		})
	}
}

func gone(was bool) error {
	if !was {
		return errors.New("there was nothing to untrack")
	}
	return nil
}

// shows returns what the class Presence makes of what the client gets until the answer with ref 9, and how many
// states that were. All diffs come after the client has asked for the new join.
func (r *rejoinRoom) shows() (metas map[string]string, states int) {
	s := &shown{awaits: true}
	for {
		switch m := r.c.Next(); m.Event {
		case hub.EventPresenceDiff:
			var d presenceDiff
			if err := server.Raw(m.Payload).Decode(&d); err != nil {
				r.t.Fatal(err)
			}
			s.diff(d)
		case hub.EventPresenceState:
			var list presenceList
			if err := server.Raw(m.Payload).Decode(&list); err != nil {
				r.t.Fatal(err)
			}
			s.state(list)
			states++
		case "phx_reply":
			if m.Ref == `"9"` {
				return s.metas, states
			}
		}
	}
}

// TestPresenceRejoinLeavesNothing: section 3.5. A channel that was displaced is off the topic also when nobody has
// come in its place.
func TestPresenceRejoinLeavesNothing(t *testing.T) {
	for _, row := range []struct {
		name, payload string
		gap           func(map[string]server.Handle)
	}{
		{"refused", `{"deny":true}`, func(map[string]server.Handle) {}},
		{"refused, and Leave panics", `{"deny":true}`, func(map[string]server.Handle) { panic("leave") }},
		{"Leave ends its goroutine", `{}`, func(map[string]server.Handle) { runtime.Goexit() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := startRejoin(t, row.gap)
			r.c.Send(`["2","2","room:1","phx_join",` + row.payload + `]`)
			servertest.Eventually(t, "the displaced channel is off the topic", func() bool {
				return r.Stats().Hub.Subscriptions == 1 && r.Stats().Engine.Open == 2
			})
		})
	}
}
