// In-package: crowds are looked at after their runs, and a crowd's clock is moved.
package bench

import (
	"context"
	"testing"
	"time"
)

// TestEchoAlone has an echo lose all its active users in its middle: it ends, and says what it has not
// asked for.
func TestEchoAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		push func(s *session, m *message)
	}{
		{"the channel crashes", func(s *session, m *message) {
			s.sendText(`[%q,%q,%q,"phx_error",{}]`, m.joinRef, m.joinRef, m.topic)
		}},
		{"the connection is reset", func(s *session, m *message) { s.reset() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := startHostile(t, &hostile{push: func(s *session, m *message) bool {
				row.push(s, m)
				return true
			}})
			cfg := lossy(h, "echo")
			cfg.Active, cfg.Timeout = 10, time.Hour // so that it is not that by which it ends
			a, o := accountOf(t, cfg)
			if n := o.Counts.Sent; n == 0 || n > 10 || n+a.Unsent != 100 || a.Unanswered != n {
				t.Errorf("%d sent: %+v", n, a)
			}
		})
	}
}

// TestSendsOne holds that a rate at which nothing would be sent sends one.
func TestSendsOne(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		scenario string
		sent     int64
	}{{"broadcast", 1}, {"rooms", 1}, {"echo", 1}, {"slow", 3}} { // slow: one before some stop reading, one while they do not, and one after
		t.Run(row.scenario, func(t *testing.T) {
			t.Parallel()
			cfg := lossy(startHostile(t, &hostile{}), row.scenario)
			cfg.Rate = 0.1
			if a, o := accountOf(t, cfg); o.Counts.Sent != row.sent || a.Messages+a.Requests != row.sent || a.Missing+a.Unanswered+a.Unsent != 0 {
				t.Errorf("%d sent, want %d: %+v", o.Counts.Sent, row.sent, a)
			}
		})
	}
}

// TestChatRefusedEarly has users refused an hour before the traffic of a chat begins: that nobody has let
// them try again until then is not the generator's being late.
func TestChatRefusedEarly(t *testing.T) {
	cfg, err := Config{
		Scenario: "chat", URLs: []string{"ws://127.0.0.1:1"}, Connections: 20, Duration: 200 * time.Millisecond,
	}.Check()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCrowd(t.Context(), cfg, newScript(cfg), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range cfg.Connections {
		u := c.arrive()
		u.mu.Lock()
		c.script.refused(u)
		u.mu.Unlock()
	}
	c.began = c.began.Add(-time.Hour) // nothing else looks at the clock yet
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.script.traffic(ctx, c)
	if h, _ := c.watch.second(); h.Due == 0 || h.LateMax > 30*time.Minute {
		t.Errorf("%+v", h)
	}
	c.disperse()
}

// TestChatRefused has a server refuse the first joins: their users are let in later.
func TestChatRefused(t *testing.T) {
	t.Parallel()
	const first = 20
	joins := 0
	h := startHostile(t, &hostile{allow: func(*session, string) bool {
		joins++
		return joins > first
	}})
	cfg := lossy(h, "chat")
	cfg.Rooms, cfg.Rate, cfg.Duration = 2, 50, 2*time.Second
	a, o := accountOf(t, cfg)
	if n := o.Counts; n.Joins == 0 || n.Errors != first || len(o.Errors) != 1 || a.Missing != 0 || a.Extra != 0 {
		t.Errorf("%+v, %+v, %+v", n, o.Errors, a)
	}
}

// TestShoutBehindTheEnd: a connection that the target has just ended takes no message, which is no error beside
// that of its end, and another user sends it.
func TestShoutBehindTheEnd(t *testing.T) {
	cfg, err := Config{Scenario: "broadcast", URLs: []string{"ws://127.0.0.1:1"}, Connections: 1}.Check()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCrowd(t.Context(), cfg, newScript(cfg), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.disperse()
	u := c.arrive()
	u.mu.Lock()
	u.state = joined // and has no link, as once OnClose was called
	u.mu.Unlock()
	got := c.shout(u, 0)
	u.mu.Lock()
	u.state = absent
	u.mu.Unlock()
	if n := len(c.errorCounts()); got != notNow || n != 0 {
		t.Errorf("%v, %d kinds of errors", got, n)
	}
}
