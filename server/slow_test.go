package server_test

import (
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A crowd is a room with a client that does not read and one that does.
type crowd struct {
	*servertest.Server
	slow, quick *servertest.Client
	sent        int
}

func startCrowd(t *testing.T, policy server.SlowConsumer) *crowd {
	c := &crowd{}
	cfg := mount(script{in: echo})
	cfg.SlowConsumer = policy
	cfg.Poller.OutboxLimit, cfg.Poller.WriteTimeout = 64<<10, patient
	c.Server = servertest.Start(t, cfg)
	c.slow, c.quick = c.Dial(wsPath), c.Dial(wsPath)
	c.slow.Join("room:1", nil)
	c.quick.Join("room:1", nil)
	return c
}

// flood broadcasts until cond holds; quick gets everything.
func (c *crowd) flood(t *testing.T, cond func(server.Stats) bool) {
	t.Helper()
	big := object{"pad": strings.Repeat("x", 256<<10)}
	for !cond(c.Stats()) {
		if c.sent++; c.sent > 1000 {
			t.Fatalf("256 MB were broadcast, and the client that does not read is not too slow: %+v", c.Stats())
		}
		if err := c.Broadcast("room:1", "big", big); err != nil {
			t.Fatal(err)
		}
		c.quick.NextEvent("big")
	}
}

// expectTooSlow reads what had been sent to slow, up to the close.
func (c *crowd) expectTooSlow(t *testing.T) {
	t.Helper()
	for {
		if _, _, err := c.slow.WebSocket().Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) != 1013 {
				t.Errorf("the slow client was closed with %v, want 1013", err)
			}
			break
		}
	}
	if st := c.Stats(); st.SlowClosed != 1 {
		t.Errorf("%d slow consumers counted, want 1", st.SlowClosed)
	}
	if status, _ := c.quick.Call("room:1", "echo", nil); status != "ok" {
		t.Errorf("the quick client's echo: %s", status)
	}
}

func TestCloseSlow(t *testing.T) {
	c := startCrowd(t, server.CloseSlow)
	c.flood(t, func(st server.Stats) bool { return st.SlowClosed > 0 })
	c.expectTooSlow(t)
}

// DropSlow loses messages and nothing else.
func TestDropSlow(t *testing.T) {
	c := startCrowd(t, server.DropSlow)
	c.flood(t, func(st server.Stats) bool { return st.SlowDropped >= 3 })
	dropped := int(c.Stats().SlowDropped)
	for range c.sent - dropped {
		c.slow.NextEvent("big")
	}
	c.slow.Heartbeat()
	c.slow.ExpectNothing()
	if st := c.Stats(); st.SlowClosed != 0 {
		t.Errorf("%d connections were closed", st.SlowClosed)
	}
}
