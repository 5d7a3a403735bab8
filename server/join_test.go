package server_test

import (
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// Sections 3.1 and 3.2.1: "*" alone matches every topic, and a heartbeat is one even where a channel has the topic.
func TestEveryTopic(t *testing.T) {
	cfg := mount(script{in: echo})
	cfg.Sockets[0].Routes[0].Topic = "*"
	c := servertest.Start(t, cfg).Dial(wsPath)
	for line := range strings.Lines(`
		→ ["1","1","phoenix","phx_join",{}]
		← ["1","1","phoenix","phx_reply",{"status":"ok","response":{}}]
		→ ["1","2","phoenix","heartbeat",{"a":1}]
		← [null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]
		→ [ "1", "3", "phoenix", "heartbeat", {"a":"` + strings.Repeat("x", 1000) + `"} ]
		← [null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]
		→ ["1","4","phoenix","echo",{"a":1}]
		← ["1","4","phoenix","phx_reply",{"status":"ok","response":{"a":1}}]
		→ ["2","5","","phx_join",{}]
		← ["2","5","","phx_reply",{"status":"ok","response":{}}]`) {
		step(t, c, strings.TrimSpace(line))
	}
}

// Section 3.3: what comes behind a join waits for it, but for the heartbeat; the channel is on its topic from the reply
// on, and not before.
func TestJoinUnderWay(t *testing.T) {
	entered, gate := make(chan bool), make(chan bool)
	srv := servertest.Start(t, mount(script{in: echo, join: func(*server.Context, server.Payload) error {
		entered <- true
		<-gate
		return nil
	}}))
	c := srv.Dial(wsPath)
	c.Send(`["1","1","room:1","phx_join",{}]`)
	await(t, entered, "Join")
	c.Send(`["1","2","room:1","echo",{"a":1}]`)
	if err := srv.Broadcast("room:1", "early", nil); err != nil {
		t.Fatal(err)
	}
	c.Send(`[null,"3","phoenix","heartbeat",{}]`)
	c.Expect(`[null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]`)
	gate <- true
	c.Expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`,
		`["1","2","room:1","phx_reply",{"status":"ok","response":{"a":1}}]`)
	if err := srv.Broadcast("room:1", "late", nil); err != nil {
		t.Fatal(err)
	}
	c.Expect(`[null,null,"room:1","late",{}]`)
}

// Section 3.9: any broadcast of the event disconnect to a socket's id closes it, whatever its payload, and no frame of
// its channels comes before.
func TestDisconnectIsABroadcast(t *testing.T) {
	for name, payload := range map[string]any{"none": nil, "an object": object{"why": "so"}, "binary": server.Binary([]byte{1})} {
		t.Run(name, func(t *testing.T) {
			srv := servertest.Start(t, byUser(script{}))
			c := srv.Dial(wsPath + "?user=jo")
			c.Join("room:1", nil)
			if err := srv.Broadcast("users:jo", "disconnect", payload); err != nil {
				t.Fatal(err)
			}
			c.ExpectClose(1001)
		})
	}
}

// Section 3.5: the old channel ends also when the new join is refused or crashes, and the topic is free then.
func TestDisplacedForNothing(t *testing.T) {
	srv := servertest.Start(t, mount(script{in: echo, join: func(_ *server.Context, p server.Payload) error {
		var in struct{ Deny, Crash bool }
		if err := p.Decode(&in); err != nil {
			return err
		}
		if in.Crash {
			panic("join")
		}
		if in.Deny {
			return server.Refuse(object{"reason": "no more"})
		}
		return nil
	}}))
	for payload, reason := range map[string]string{`{"deny":true}`: "no more", `{"crash":true}`: "join crashed"} {
		c := srv.Dial(wsPath)
		c.Join("room:1", nil)
		c.Send(`["2","2","room:1","phx_join",` + payload + `]`)
		c.Expect(`["2","2","room:1","phx_reply",{"status":"error","response":{"reason":"`+reason+`"}}]`,
			`["1","1","room:1","phx_close",{}]`)
		c.Send(`[null,"3","room:1","echo",{}]`)
		c.Expect(`[null,"3","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`)
	}
}
