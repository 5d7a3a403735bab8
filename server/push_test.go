package server_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// byUser is an application whose connections have the id "users:" and their param user, if they have one.
func byUser(s script, intercept ...string) server.Config {
	cfg := mount(s, intercept...)
	cfg.Sockets[0].Connect = func(c *server.Connect) error {
		if user := c.Params.Get("user"); user != "" {
			c.ID = "users:" + user
		}
		return nil
	}
	return cfg
}

// Server.PushTo reaches the channels of an id on each of its connections, with a push of each version.
func TestPushTo(t *testing.T) {
	srv := servertest.Start(t, byUser(script{}))
	first, second := srv.Dial(wsPath+"?user=jo"), srv.Dial(wsPath+"?user=jo&vsn=1.0.0")
	other, nobody := srv.Dial(wsPath+"?user=mo"), srv.Dial(wsPath)
	for _, c := range []*servertest.Client{first, second, other, nobody} {
		c.Join("room:1", nil)
	}
	first.Join("room:2", nil)
	push := func(topic string, n int) {
		t.Helper()
		if err := srv.PushTo("users:jo", topic, "news", object{"n": n}); err != nil {
			t.Fatal(err)
		}
	}
	push("room:1", 1)
	first.Expect(`["1",null,"room:1","news",{"n":1}]`)
	second.Expect(`{"topic":"room:1","event":"news","payload":{"n":1},"ref":null}`)
	push("room:2", 2)
	first.Expect(`["2",null,"room:2","news",{"n":2}]`)
	push("", 3)
	for range 2 { // of one connection in no promised order
		if m := first.NextEvent("news"); string(m.Payload) != `{"n":3}` || m.JoinRef != first.JoinRef(m.Topic) {
			t.Errorf("received %s", m.Raw)
		}
	}
	second.Expect(`{"topic":"room:1","event":"news","payload":{"n":3},"ref":null}`)
	push("room:never joined", 4)
	if err := srv.PushTo("users:nobody", "", "news", nil); err != nil {
		t.Errorf("to an id that nobody has: %v", err)
	}
	for _, c := range []*servertest.Client{first, second, other, nobody} {
		c.ExpectNothing()
	}
}

// Pushes of one goroutine to an id arrive in order, behind what the channel sends for earlier messages.
func TestPushToInOrder(t *testing.T) {
	const n = 500
	srv := servertest.Start(t, byUser(script{}))
	c := srv.Dial(wsPath + "?user=jo")
	c.Join("room:1", nil)
	for i := range n {
		if err := srv.PushTo("users:jo", "room:1", "news", object{"n": i}); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 { // the mailbox is bounded
			for j := i - 49; j <= i; j++ {
				c.Expect(fmt.Sprintf(`["1",null,"room:1","news",{"n":%d}]`, j))
			}
		}
	}
}

// A binary payload is one to those who can have it; for the others it is counted.
func TestPushToBinary(t *testing.T) {
	srv := servertest.Start(t, byUser(script{}))
	v2, v1 := srv.Dial(wsPath+"?user=jo"), srv.Dial(wsPath+"?user=jo&vsn=1.0.0")
	v2.Join("room:1", nil)
	v1.Join("room:1", nil)
	if err := srv.PushTo("users:jo", "", "chunk", server.Binary([]byte{0, 255})); err != nil {
		t.Fatal(err)
	}
	v2.ExpectBinary([]byte("\x00\x01\x06\x05" + "1" + "room:1" + "chunk" + "\x00\xff"))
	v1.ExpectNothing()
	if st := srv.Stats(); st.Unencodable != 1 {
		t.Errorf("%d unencodable, want 1", st.Unencodable)
	}
}

// A channel whose topic has the name of an id hears nothing of what is for the id's sockets.
func TestPushToIsNotForChannels(t *testing.T) {
	cfg := byUser(script{})
	cfg.Sockets[0].Routes = append(cfg.Sockets[0].Routes, server.Route{Topic: "*", Channel: func() server.Channel { return script{} }})
	srv := servertest.Start(t, cfg)
	eavesdropper, jo := srv.Dial(wsPath), srv.Dial(wsPath+"?user=jo")
	eavesdropper.Join("users:jo", nil)
	jo.Join("room:1", nil)
	if err := srv.PushTo("users:jo", "room:1", "secret", nil); err != nil {
		t.Fatal(err)
	}
	jo.Expect(`["1",null,"room:1","secret",{}]`)
	eavesdropper.ExpectNothing()
	if st := srv.Stats(); st.Unencodable != 0 {
		t.Errorf("%d unencodable", st.Unencodable)
	}
}

// The mistakes of who pushes are told to whom they belong.
func TestPushErrors(t *testing.T) {
	srv := servertest.Start(t, byUser(script{}))
	long := server.Binary(make([]byte, 1))
	name := string(make([]byte, 256))
	for _, row := range []struct {
		name string
		err  error
		want error // nil: any
	}{
		{"3.7: no object", srv.PushTo("users:jo", "", "e", []int{1}), server.ErrPayloadNotObject},
		{"2.2: a field above 255 bytes", srv.PushTo("users:jo", "", name, long), server.ErrFieldTooLong},
		{"no JSON", srv.PushTo("users:jo", "", "e", math.Inf(1)), nil},
		{"the reserved event, pushed", srv.PushTo("users:jo", "", "dormouse:push_to", nil), server.ErrReservedEvent},
		{"the reserved event, broadcast", srv.Broadcast("users:jo", "dormouse:push_to", nil), server.ErrReservedEvent},
		{"broadcast from, no object", srv.BroadcastFrom(server.Handle{}, "room:1", "e", 1), server.ErrPayloadNotObject},
	} {
		if row.err == nil || row.want != nil && !errors.Is(row.err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, row.err, row.want)
		}
	}
}

// Section 3.7: Endpoint.broadcast_from, from outside: all channels of a topic but one, whatever the topic.
func TestServerBroadcastFrom(t *testing.T) {
	handles := make(chan server.Handle, 4)
	srv := servertest.Start(t, mount(script{join: func(c *server.Context, _ server.Payload) error {
		h := c.Handle()
		if h.Joined() || h.Topic() != "" {
			return errors.New("a handle of a join that is under way says it is done")
		}
		if err := c.Server().BroadcastFrom(h, "room:1", "joining", nil); err != nil { // skips nobody yet
			return err
		}
		handles <- h
		return nil
	}}))
	one, two := srv.Dial(wsPath), srv.Dial(wsPath)
	one.Join("room:1", nil)
	h := await(t, handles, "handle")
	two.Join("room:1", nil)
	one.Expect(`[null,null,"room:1","joining",{}]`)
	if !h.Joined() || h.Topic() != "room:1" {
		t.Errorf("joined %v, topic %q", h.Joined(), h.Topic())
	}
	from := func(h server.Handle, topic, event string) {
		t.Helper()
		if err := srv.BroadcastFrom(h, topic, event, nil); err != nil {
			t.Fatal(err)
		}
	}
	from(h, "room:1", "but one")
	from(h, "room:2", "elsewhere")
	from(server.Handle{}, "room:1", "all")
	two.Expect(`[null,null,"room:1","but one",{}]`, `[null,null,"room:1","all",{}]`)
	one.Expect(`[null,null,"room:1","all",{}]`)
	one.Leave("room:1")
	one.Expect(`["1","1","room:1","phx_close",{}]`)
	from(h, "room:1", "gone")
	two.Expect(`[null,null,"room:1","gone",{}]`)
	if h.Joined() || h.Topic() != "room:1" {
		t.Errorf("after the leave: joined %v, topic %q", h.Joined(), h.Topic())
	}
	if err := h.Push("e", nil); err != poller.ErrClosed {
		t.Errorf("a push to a subscription that has ended: %v, want poller.ErrClosed", err)
	}
}

// A channel does not hear its own broadcast either if it is joined in the midst of that.
func TestServerBroadcastFromWhileJoining(t *testing.T) {
	handles, gate := make(chan server.Handle, 1), make(chan bool)
	srv := servertest.Start(t, mount(script{join: func(c *server.Context, _ server.Payload) error {
		handles <- c.Handle()
		<-gate
		return nil
	}}))
	under, goOn := make(chan bool), make(chan bool)
	defer srv.Stage("room:1", func() {
		under <- true
		<-goOn
	})()
	const others = 2 * 256 // slots that are looked at later than the first
	var leave func()
	for range others {
		leave = srv.Stage("room:1", func() {})
		defer leave()
	}
	c := srv.Dial(wsPath)
	c.Send(`["1","1","room:1","phx_join",{}]`)
	h := await(t, handles, "handle")
	done := make(chan error)
	go func() { done <- srv.BroadcastFrom(h, "room:1", "news", nil) }()
	await(t, under, "a broadcast")
	leave() // the one who comes has this place
	gate <- true
	c.Expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
	close(goOn)
	if err := await(t, done, "end of the broadcast"); err != nil {
		t.Error(err)
	}
	c.ExpectNothing()
}

// Section 3.9: on the long-poll transport too a push reaches an id, and a disconnect ends the session (5.6).
func TestLongPollByID(t *testing.T) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			left := make(chan error, 1)
			cfg := byUser(script{leave: func(_ *server.Context, reason error) { left <- reason }})
			cfg.Engine = engine
			cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
			srv := servertest.Start(t, cfg)
			lp := newLPClient(t, srv)
			lp.url += "&user=jo"
			lp.open()
			if a := lp.do("POST", "application/x-ndjson", `["1","1","room:1","phx_join",{}]`); a.Status != 200 {
				t.Fatalf("the join: %+v", a)
			}
			lp.do("GET", "", "") // its reply
			if err := srv.PushTo("users:jo", "room:1", "news", nil); err != nil {
				t.Fatal(err)
			}
			if a := lp.do("GET", "", ""); a.Status != 200 || a.Messages[0] != `["1",null,"room:1","news",{}]` {
				t.Errorf("the push: %+v", a)
			}
			answer := make(chan lpAnswer, 1)
			go func() { answer <- lp.do("GET", "", "") }()
			servertest.Eventually(t, "the poll is parked", func() bool { return srv.Stats().PollsWaiting == 1 })
			srv.Disconnect("users:jo")
			if a := await(t, answer, "answer of the poll"); a.Status != 204 {
				t.Errorf("5.6: the open poll: %+v, want 204", a)
			}
			if err := await(t, left, "Leave"); err != server.ErrDisconnected {
				t.Errorf("Leave: %v, want ErrDisconnected", err)
			}
			old := lp.token
			if a := lp.do("GET", "", ""); a.Status != 410 || a.Token == "" || a.Token == old {
				t.Errorf("5.6: the next GET: %+v, want 410 and a new token", a)
			}
		})
	}
}
