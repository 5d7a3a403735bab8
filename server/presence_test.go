package server_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// whois is what the channel of presenceConfig is asked.
type whois struct {
	Topic string // "" is the channel's own
	Key   string
	Meta  any
}

// answerRef answers with the ref of a change, or with its error.
func answerRef(c *server.Context, ref string, err error) error {
	if err != nil {
		return c.ReplyError(object{"reason": err.Error()})
	}
	return c.Reply(object{"ref": ref})
}

var presenceEvents = map[string]func(c *server.Context, in whois) error{
	"track": func(c *server.Context, in whois) error {
		if in.Topic != "" {
			ref, err := c.PresenceIn(in.Topic).Track(in.Key, in.Meta)
			return answerRef(c, ref, err)
		}
		ref, err := c.Track(in.Key, in.Meta)
		return answerRef(c, ref, err)
	},
	"update": func(c *server.Context, in whois) error {
		ref, err := c.Update(in.Key, in.Meta)
		return answerRef(c, ref, err)
	},
	"rename": func(c *server.Context, in whois) error {
		ref, err := c.UpdateFunc(in.Key, func(old server.Payload) (any, error) {
			meta := object{}
			err := old.Decode(&meta)
			meta["name"] = in.Meta
			return meta, err
		})
		return answerRef(c, ref, err)
	},
	"untrack": func(c *server.Context, in whois) error {
		return c.Reply(object{"was": c.Untrack(in.Key)})
	},
	"list": func(c *server.Context, _ whois) error { return c.Reply(c.Server().Presences(c.Topic())) },
	"get": func(c *server.Context, in whois) error {
		p, ok := c.Server().PresenceOf(c.Topic(), in.Key)
		if !ok {
			return c.ReplyError(nil)
		}
		return c.Reply(p)
	},
	"state": func(c *server.Context, _ whois) error { return answerRef(c, "", c.PushPresenceState()) },
	"bcast": func(c *server.Context, in whois) error {
		return errors.Join(c.Broadcast("news", object{"n": in.Meta}), c.Reply(nil))
	},
	"stop":  func(*server.Context, whois) error { return server.ErrStop },
	"boom":  func(*server.Context, whois) error { panic("boom") },
	"error": func(*server.Context, whois) error { return errors.New("an abnormal reason") },
	"drain": func(c *server.Context, _ whois) error { c.CloseSocket(); return nil },
}

// presenceRoom pushes the state after a join, and tracks the key in the payload.
var presenceRoom = script{
	join: func(c *server.Context, p server.Payload) error {
		var in whois
		if err := p.Decode(&in); err != nil {
			return err
		}
		c.After(func(c *server.Context) error {
			if err := c.PushPresenceState(); err != nil || in.Key == "" {
				return err
			}
			_, err := c.Track(in.Key, in.Meta)
			return err
		})
		return nil
	},
	in: func(c *server.Context, event string, p server.Payload) error {
		var in whois
		if err := p.Decode(&in); err != nil {
			return err
		}
		return presenceEvents[event](c, in)
	},
	out: func(c *server.Context, event string, p server.Payload) error {
		return c.Push(event, object{"rewritten": p})
	},
}

// presenceTest is a server of presenceRoom, and the names that a test gives to refs.
type presenceTest struct {
	*servertest.Server
	t     *testing.T
	names map[string]string
}

func startPresence(t *testing.T, cfg server.Config) *presenceTest {
	return &presenceTest{servertest.Start(t, cfg), t, map[string]string{}}
}

var phxRef = regexp.MustCompile(`"((?:phx_)?ref(?:_prev)?)":"([\w-]{11})"`)

// plain returns a frame with its refs named r1, r2 and so on, in the order in which the test meets them.
func (p *presenceTest) plain(raw []byte) string {
	return phxRef.ReplaceAllStringFunc(string(raw), func(match string) string {
		parts := phxRef.FindStringSubmatch(match)
		if p.names[parts[2]] == "" {
			p.names[parts[2]] = fmt.Sprintf("r%d", len(p.names)+1)
		}
		return fmt.Sprintf(`"%s":"%s"`, parts[1], p.names[parts[2]])
	})
}

// expect fails the test unless the next messages are these.
func (p *presenceTest) expect(c *servertest.Client, want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.plain(c.Next().Raw); got != w {
			p.t.Fatalf("received\n  %s\nwant\n  %s", got, w)
		}
	}
}

// expectBoth reads a diff and a reply: while the topic's last diff is still on its way, the reply overtakes the
// next one (section 6.3).
func (p *presenceTest) expectBoth(c *servertest.Client, diff, reply string) {
	p.t.Helper()
	first := p.plain(c.Next().Raw)
	if second := p.plain(c.Next().Raw); (first != diff || second != reply) && (first != reply || second != diff) {
		p.t.Fatalf("received\n  %s\n  %s\nwant in any order\n  %s\n  %s", first, second, diff, reply)
	}
}

// enter joins room:1 as a key, and reads what that brings the client itself.
func (p *presenceTest) enter(key string) *servertest.Client {
	p.t.Helper()
	c := p.Dial(wsPath)
	c.Join("room:1", whois{Key: key})
	c.NextEvent("presence_state")
	if key != "" {
		c.NextEvent("presence_diff")
	}
	return c
}

// call has the channel of room:1 do something that succeeds, and reads the answer.
func (p *presenceTest) call(c *servertest.Client, event string, in whois) string {
	p.t.Helper()
	status, response := c.Call("room:1", event, in)
	if status != "ok" {
		p.t.Fatalf("%s: %s %s", event, status, response)
	}
	return p.plain(response)
}

// TestPresenceFrames plays what two clients see.
func TestPresenceFrames(t *testing.T) {
	p := startPresence(t, mount(presenceRoom))
	ann, bob, old := p.Dial(wsPath), p.Dial(wsPath), p.Dial(wsV1Path)

	// 6.2: presence_state is a push, {} when empty. 6.3: who tracks after it sees itself in a diff, which is
	// a broadcast.
	ann.Send(`["3","3","room:1","phx_join",{"key":"u1","meta":{"name":"A"}}]`)
	p.expect(ann, `["3","3","room:1","phx_reply",{"status":"ok","response":{}}]`,
		`["3",null,"room:1","presence_state",{}]`,
		`[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"name":"A","phx_ref":"r1"}]}},"leaves":{}}]`)

	// 6.1: several metas of a key, one for each channel that tracks it.
	bob.Send(`["5","5","room:1","phx_join",{"key":"u1","meta":{"name":"B"}}]`)
	p.expect(bob, `["5","5","room:1","phx_reply",{"status":"ok","response":{}}]`,
		`["5",null,"room:1","presence_state",{"u1":{"metas":[{"name":"A","phx_ref":"r1"}]}}]`)
	joined := `[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"name":"B","phx_ref":"r2"}]}},"leaves":{}}]`
	p.expect(bob, joined)
	p.expect(ann, joined)

	// 2.3: version 1.
	old.Send(`{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}`)
	p.expect(old, `{"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`,
		`{"topic":"room:1","event":"presence_state","payload":{"u1":{"metas":[{"name":"A","phx_ref":"r1"},{"name":"B","phx_ref":"r2"}]}},"ref":null}`)

	// 6.2: an update is one diff, with the complete old meta; the ref that Update returns is the new one's.
	ann.Send(`["3","4","room:1","update",{"key":"u1","meta":{"name":"A2"}}]`)
	updated := `{"joins":{"u1":{"metas":[{"name":"A2","phx_ref":"r3","phx_ref_prev":"r1"}]}},"leaves":{"u1":{"metas":[{"name":"A","phx_ref":"r1"}]}}}`
	p.expectBoth(ann, `[null,null,"room:1","presence_diff",`+updated+`]`,
		`["3","4","room:1","phx_reply",{"status":"ok","response":{"ref":"r3"}}]`)
	p.expect(bob, `[null,null,"room:1","presence_diff",`+updated+`]`)
	p.expect(old, `{"topic":"room:1","event":"presence_diff","payload":`+updated+`,"ref":null}`)

	// 6.2: the meta that leaves has its own phx_ref_prev. An update may be a function of the old meta.
	ann.Send(`["3","5","room:1","rename",{"key":"u1","meta":"A3"}]`)
	p.expectBoth(ann, `[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"name":"A3","phx_ref":"r4","phx_ref_prev":"r3"}]}},`+
		`"leaves":{"u1":{"metas":[{"name":"A2","phx_ref":"r3","phx_ref_prev":"r1"}]}}}]`,
		`["3","5","room:1","phx_reply",{"status":"ok","response":{"ref":"r4"}}]`)
	bob.Next()

	// 6.3: the leaver does not see its own leave, others do.
	bob.Send(`["5","6","room:1","phx_leave",{}]`)
	p.expect(bob, `["5","6","room:1","phx_reply",{"status":"ok","response":{}}]`, `["5","5","room:1","phx_close",{}]`)
	p.expect(ann, `[null,null,"room:1","presence_diff",{"joins":{},"leaves":{"u1":{"metas":[{"name":"B","phx_ref":"r2"}]}}}]`)
	bob.ExpectNothing()

	// 6.2: untrack, of an entry and of none.
	ann.Send(`["3","7","room:1","untrack",{"key":"u1"}]`)
	p.expectBoth(ann, `[null,null,"room:1","presence_diff",{"joins":{},"leaves":{"u1":{"metas":[{"name":"A3","phx_ref":"r4","phx_ref_prev":"r3"}]}}}]`,
		`["3","7","room:1","phx_reply",{"status":"ok","response":{"was":true}}]`)
	ann.Send(`["3","8","room:1","untrack",{"key":"u1"}]`)
	p.expect(ann, `["3","8","room:1","phx_reply",{"status":"ok","response":{"was":false}}]`)
	bob.ExpectNothing() // 6.3: diffs are for those who are joined
}

func TestPresenceErrors(t *testing.T) {
	cfg := mount(presenceRoom)
	cfg.Presence = server.PresenceConfig{TopicEntries: 3, ChannelEntries: 2, MetaBytes: 12, KeyBytes: 4}
	p := startPresence(t, cfg)
	ann := p.enter("ann")
	other := p.enter("bob")
	for _, row := range []struct {
		name, event string
		in          whois
		want        error
	}{
		{"6.2: tracked already by this channel", "track", whois{Key: "ann"}, hub.ErrAlreadyTracked},
		{"6.2: update of what is not tracked", "update", whois{Key: "eve"}, hub.ErrNotTracked},
		{"6.2: of what another channel tracks", "update", whois{Key: "bob"}, hub.ErrNotTracked},
		{"6.2: by a function", "rename", whois{Key: "eve"}, hub.ErrNotTracked},
		{"a key above its limit", "track", whois{Key: "anns!"}, hub.ErrPresenceKey},
		{"a meta above its limit", "track", whois{Key: "k", Meta: object{"a": "123456"}}, hub.ErrPresenceMeta},
		{"a meta that is no object", "track", whois{Key: "k", Meta: 1}, hub.ErrPresenceMeta},
		{"an update above the limit", "update", whois{Key: "ann", Meta: object{"a": "123456"}}, hub.ErrPresenceMeta},
		{"at all limits", "track", whois{Key: "four", Meta: object{"a": "1234"}}, nil},
		{"entries of the channel", "track", whois{Key: "more"}, hub.ErrOwnerEntries},
		{"in whatever topic", "track", whois{Topic: "room:2", Key: "more"}, hub.ErrOwnerEntries},
		{"4.7: a second state in a join", "state", whois{}, server.ErrStatePushed},
	} {
		status, response := ann.Call("room:1", row.event, row.in)
		switch {
		case row.want == nil && status == "ok":
		case row.want == nil || status != "error" || !strings.Contains(string(response), row.want.Error()):
			t.Errorf("%s: %s %s, want %v", row.name, status, response, row.want)
		}
	}
	if status, response := other.Call("room:1", "track", whois{Key: "eve"}); status != "error" || !strings.Contains(string(response), hub.ErrTopicEntries.Error()) {
		t.Errorf("entries of the topic: %s %s", status, response)
	}
	if st := p.Stats(); st.PresenceRefused != 3 || st.Presence.Entries != 3 {
		t.Errorf("%d refused, want 3; %+v", st.PresenceRefused, st.Presence)
	}
}

// TestPresenceTopicBytes: at the limit of a topic's list Track and an Update that makes it longer are errors, and
// counted.
func TestPresenceTopicBytes(t *testing.T) {
	cfg := mount(presenceRoom)
	cfg.Presence.TopicBytes = len(`{"ann":{"metas":[{"a":"1234567890123456789012345678901234567890","phx_ref":"01234567890"}]}}`)
	p := startPresence(t, cfg)
	ann, bob := p.enter(""), p.enter("")
	p.call(ann, "track", whois{Key: "ann", Meta: object{"a": "1234567890123456789012345678901234567890"}})
	for _, row := range []struct {
		c     *servertest.Client
		event string
		in    whois
	}{
		{bob, "track", whois{Key: "b"}},
		{ann, "update", whois{Key: "ann", Meta: object{"a": "1234567890123456789012345678901234567890"}}},
		{ann, "rename", whois{Key: "ann", Meta: "another"}},
	} {
		if status, response := row.c.Call("room:1", row.event, row.in); status != "error" || !strings.Contains(string(response), hub.ErrTopicBytes.Error()) {
			t.Errorf("%s: %s %s", row.event, status, response)
		}
	}
	if st := p.Stats(); st.PresenceRefused != 3 || st.Presence.Entries != 1 {
		t.Errorf("%d refused, want 3; %+v", st.PresenceRefused, st.Presence)
	}
	p.call(ann, "update", whois{Key: "ann"})
}

// TestPresenceMany is section 6.2: a channel may track many keys and topics, also such as it is not joined to;
// lists, one key, and counts.
func TestPresenceMany(t *testing.T) {
	p := startPresence(t, mount(presenceRoom))
	ann, bob, eve := p.enter("ann"), p.enter(""), p.Dial(wsPath)
	eve.Join("room:2", nil)
	eve.NextEvent("presence_state")
	p.call(ann, "track", whois{Key: "ann's other", Meta: object{"n": 1}})
	p.call(ann, "track", whois{Topic: "room:2", Key: "ann"})
	p.call(bob, "track", whois{Key: "ann", Meta: object{"n": 2}})
	if got := p.plain(eve.NextEvent("presence_diff").Payload); got != `{"joins":{"ann":{"metas":[{"phx_ref":"r2"}]}},"leaves":{}}` {
		t.Errorf("another topic hears %s", got)
	}
	p.names = map[string]string{}
	want := `{"ann":{"metas":[{"phx_ref":"r1"},{"n":2,"phx_ref":"r2"}]},"ann's other":{"metas":[{"n":1,"phx_ref":"r3"}]}}`
	if got := p.call(bob, "list", whois{}); got != want {
		t.Errorf("list %s\nwant %s", got, want)
	}
	if got := p.call(bob, "get", whois{Key: "ann"}); got != `{"metas":[{"phx_ref":"r1"},{"n":2,"phx_ref":"r2"}]}` {
		t.Errorf("get %s", got)
	}
	if status, _ := bob.Call("room:1", "get", whois{Key: "nobody"}); status != "error" {
		t.Error("nobody is present")
	}
	if n, m := p.PresenceCount("room:1"), p.PresenceCount("room:3"); n != 3 || m != 0 {
		t.Errorf("counts %d and %d, want 3 and 0", n, m)
	}
	var users map[string]struct{ Metas []struct{ N int } }
	if err := p.Presences("room:1").Decode(&users); err != nil || len(users["ann"].Metas) != 2 || users["ann"].Metas[1].N != 2 {
		t.Errorf("decoded %v, %v", users, err)
	}
	ann.Drop()
	if got := eve.NextEvent("presence_diff"); !strings.HasPrefix(string(got.Payload), `{"joins":{},"leaves":{"ann"`) {
		t.Errorf("another topic hears of the end %s", got.Raw)
	}
	servertest.Eventually(t, "all of ann's are gone", func() bool { return p.Stats().Presence.Entries == 1 })
}

// TestPresenceEnds is section 6.2: entries vanish when their owner ends, for whatever reason.
func TestPresenceEnds(t *testing.T) {
	ask := func(event string) func(*presenceTest, *servertest.Client) {
		return func(_ *presenceTest, c *servertest.Client) { c.Push("room:1", event, nil) }
	}
	for _, row := range []struct {
		name string
		end  func(p *presenceTest, c *servertest.Client)
	}{
		{"3.4: leave", func(_ *presenceTest, c *servertest.Client) { c.Leave("room:1") }},
		{"3.6: stop", ask("stop")},
		{"3.6: crash", ask("boom")},
		{"3.6: error", ask("error")},
		{"7: drain", ask("drain")},
		{"3.9: forced disconnect", func(p *presenceTest, _ *servertest.Client) { p.Disconnect("user:1") }},
		{"1.9: closed by the client", func(_ *presenceTest, c *servertest.Client) { c.Close() }},
		{"vanished", func(_ *presenceTest, c *servertest.Client) { c.Drop() }},
		{"1.9: not decodable", func(_ *presenceTest, c *servertest.Client) { c.Send("nonsense") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := mount(presenceRoom)
			cfg.Sockets[0].Connect = func(c *server.Connect) error {
				c.ID = c.Params.Get("id")
				return nil
			}
			p := startPresence(t, cfg)
			watcher, c := p.enter(""), p.Dial(wsPath+"?id=user:1")
			c.Join("room:1", whois{Key: "u1"})
			p.expect(watcher, `[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"phx_ref":"r1"}]}},"leaves":{}}]`)
			row.end(p, c)
			p.expect(watcher, `[null,null,"room:1","presence_diff",{"joins":{},"leaves":{"u1":{"metas":[{"phx_ref":"r1"}]}}}]`)
			if n := p.PresenceCount("room:1"); n != 0 {
				t.Errorf("%d entries are left", n)
			}
		})
	}
}

// TestPresenceEndsInSilence: nothing was received for the mount's timeout (section 1.9), and nobody has polled
// for one and a half windows (5.5).
func TestPresenceEndsInSilence(t *testing.T) {
	cfg := mount(presenceRoom)
	quiet := *cfg.Sockets[0]
	quiet.Path, quiet.WebSocket.Timeout = "/quiet", 50*time.Millisecond
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: 100 * time.Millisecond}
	cfg.Sockets = append(cfg.Sockets, &quiet)
	p := startPresence(t, cfg)
	watcher := p.enter("")
	came, went := `{"joins":{"u1":{"metas":[{"phx_ref":"%s"}]}},"leaves":{}}`, `{"joins":{},"leaves":{"u1":{"metas":[{"phx_ref":"%s"}]}}}`
	for i, join := range []func(){
		func() { p.Dial("/quiet/websocket").Send(`["1","1","room:1","phx_join",{"key":"u1"}]`) },
		func() {
			lp := newLPClient(t, p.Server)
			lp.open()
			lp.post(`["1","1","room:1","phx_join",{"key":"u1"}]`)
		},
	} {
		join()
		ref := fmt.Sprint("r", i+1)
		for _, diff := range []string{came, went} {
			p.expect(watcher, fmt.Sprintf(`[null,null,"room:1","presence_diff",`+diff+`]`, ref))
		}
	}
}

// TestPresenceDisplaced is section 3.5 with 4.7: the new join of the same client gets a state of its own, and
// the old one's entry goes. The client hears of that too: it may hold back the diff by which the entry came.
func TestPresenceDisplaced(t *testing.T) {
	p := startPresence(t, mount(presenceRoom))
	watcher, c := p.enter(""), p.Dial(wsPath)
	c.Send(`["1","1","room:1","phx_join",{"key":"u1"}]`)
	p.expect(c, `["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`, `["1",null,"room:1","presence_state",{}]`,
		`[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"phx_ref":"r1"}]}},"leaves":{}}]`)
	c.Send(`["2","2","room:1","phx_join",{"key":"u1"}]`)
	p.expect(c, `[null,null,"room:1","presence_diff",{"joins":{},"leaves":{"u1":{"metas":[{"phx_ref":"r1"}]}}}]`,
		`["2","2","room:1","phx_reply",{"status":"ok","response":{}}]`, `["1","1","room:1","phx_close",{}]`,
		`["2",null,"room:1","presence_state",{}]`,
		`[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"phx_ref":"r2"}]}},"leaves":{}}]`)
	p.expect(watcher, `[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"phx_ref":"r1"}]}},"leaves":{}}]`,
		`[null,null,"room:1","presence_diff",{"joins":{},"leaves":{"u1":{"metas":[{"phx_ref":"r1"}]}}}]`,
		`[null,null,"room:1","presence_diff",{"joins":{"u1":{"metas":[{"phx_ref":"r2"}]}},"leaves":{}}]`)
}

// TestPresenceIntercepted is section 6.2: diffs can be intercepted as any broadcast. They reach the client
// after the reply, as pushes (3.7).
func TestPresenceIntercepted(t *testing.T) {
	p := startPresence(t, mount(presenceRoom, hub.EventPresenceDiff))
	c := p.Dial(wsPath)
	c.Send(`["1","1","room:1","phx_join",{}]`)
	c.Send(`["1","2","room:1","track",{"key":"u1"}]`)
	p.expect(c, `["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`, `["1",null,"room:1","presence_state",{}]`,
		`["1","2","room:1","phx_reply",{"status":"ok","response":{"ref":"r1"}}]`,
		`["1",null,"room:1","presence_diff",{"rewritten":{"joins":{"u1":{"metas":[{"phx_ref":"r1"}]}},"leaves":{}}}]`)
}
