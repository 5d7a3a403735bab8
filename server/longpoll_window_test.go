package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// inPollWindows is forEachLongPoll for what takes a window to show, during which the client must not be too slow.
func inPollWindows(t *testing.T, first time.Duration, f func(t testing.TB, s *servertest.Server)) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			windowtest.Run(t, first, func(t testing.TB, window time.Duration) {
				cfg := mount(room)
				cfg.Engine = engine
				cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: window}
				f(t, servertest.Start(t, cfg))
			})
		})
	}
}

// Section 5.3: nothing within the window, and the session goes on.
func TestLongPollWindow(t *testing.T) {
	inPollWindows(t, 50*time.Millisecond, func(t testing.TB, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		for range 3 {
			if a := c.do("GET", "", ""); a.Status != 204 || a.Token != c.token || len(a.Messages) != 0 {
				t.Fatalf("%+v", a)
			}
		}
	})
}

// heldUp is the room with a join of room:slow and an event block that wait for the gate, which the end of the test opens.
func heldUp(t testing.TB, window time.Duration) (*servertest.Server, chan bool) {
	gate := make(chan bool)
	slow := room
	slow.join = func(c *server.Context, p server.Payload) error {
		if c.Topic() == "room:slow" {
			<-gate
		}
		return nil
	}
	slow.in = func(c *server.Context, event string, p server.Payload) error {
		if event == "block" {
			<-gate
		}
		return c.Reply(nil)
	}
	cfg := mount(slow)
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: window}
	s := servertest.Start(t, cfg)
	t.Cleanup(func() { close(gate) })
	return s, gate
}

// Section 5.4: a POST is answered when its lines are handed over, whatever a handler takes for one.
func TestLongPollHandedOver(t *testing.T) {
	s, gate := heldUp(t, patient)
	c := newLPClient(t, s)
	c.open()
	if got := c.post(join1); got != 200 {
		t.Fatalf("join: %d", got)
	}
	block, ack := `["1","2","room:1","block",{}]`, `["1","3","room:1","ack",{}]`
	if got := c.post(block, ack); got != 200 {
		t.Errorf("behind a handler that blocks: %d, want 200", got)
	}
	if got := c.post(`[null,"4","phoenix","heartbeat",{}]`); got != 200 {
		t.Errorf("heartbeat: %d, want 200", got)
	}
	ok := func(ref string) string {
		return `["1","` + ref + `","room:1","phx_reply",{"status":"ok","response":{}}]`
	}
	c.expect(ok("1"), `[null,"4","phoenix","phx_reply",{"status":"ok","response":{}}]`)
	gate <- true
	c.expect(ok("2"), ok("3"))
}

// Section 5.4: a POST with a join is answered when its callback has returned, or the window is over; the join is done
// all the same.
func TestLongPollLateJoin(t *testing.T) {
	windowtest.Run(t, 100*time.Millisecond, func(t testing.TB, window time.Duration) {
		s, gate := heldUp(t, window)
		c := newLPClient(t, s)
		c.open()
		if got := c.post(`["9","9","room:slow","phx_join",{}]`); got != 408 {
			t.Fatalf("a join that takes longer than the window: %d, want 408", got)
		}
		gate <- true
		c.expect(`["9","9","room:slow","phx_reply",{"status":"ok","response":{}}]`)
	})
}

// Section 5.3: two polls at a time: the later one is served, the earlier goes empty at the end of its window.
func TestLongPollDisplaced(t *testing.T) {
	forEachPollPath(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		c.post(join1)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		ctx, leave := context.WithCancel(t.Context())
		first, second := make(chan lpAnswer, 1), make(chan lpAnswer, 1)
		go func() { a, _ := c.tryPoll(ctx); first <- a }()
		servertest.Eventually(t, "one poll waits", func() bool { return s.Stats().PollsWaiting == 1 })
		go func() { second <- c.do("GET", "", "") }()
		servertest.Eventually(t, "two polls wait", func() bool { return s.Stats().PollsWaiting == 2 || len(first) > 0 })
		_ = s.Broadcast("room:1", "tick", object{"n": 1})
		if a := await(t, second, "second"); a.Status != 200 || len(a.Messages) != 1 {
			t.Errorf("the later: %+v", a)
		}
		_ = s.Broadcast("room:1", "tick", object{"n": 2})
		c.expect(`[null,null,"room:1","tick",{"n":2}]`)
		if n := s.Stats().PollsWaiting; n != 1 {
			t.Errorf("%d polls wait, want the earlier, until its window is over", n)
		}
		leave()
		if a := await(t, first, "first"); a.Status != 0 {
			t.Errorf("the earlier: %+v before its window was over", a)
		}
	})
	forEachPollConfig(t, func(t *testing.T, cfg server.Config) {
		windowtest.Run(t, 50*time.Millisecond, func(t testing.TB, window time.Duration) {
			cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: window}
			displacedToItsEnd(t, servertest.Start(t, cfg), window)
		})
	})
}

// displacedToItsEnd is how the earlier poll ends.
func displacedToItsEnd(t testing.TB, s *servertest.Server, window time.Duration) {
	c := newLPClient(t, s)
	c.open()
	first, second := make(chan lpAnswer, 1), make(chan lpAnswer, 1)
	began := time.Now()
	go func() { first <- c.do("GET", "", "") }()
	waiting := func(polls int64) {
		t.Helper()
		servertest.Eventually(t, "polls wait", func() bool { return s.Stats().PollsWaiting == polls || len(first) > 0 })
		if len(first) > 0 {
			t.Fatalf("the earlier was answered before the later came: %+v", <-first)
		}
	}
	waiting(1)
	go func() { second <- c.do("GET", "", "") }()
	waiting(2)
	a := await(t, first, "first")
	if waited := time.Since(began); a.Status != 204 || len(a.Messages) != 0 || waited < window {
		t.Errorf("the earlier: %+v after %v, want 204 after its window of %v", a, waited, window)
	}
	if a := await(t, second, "second"); a.Status != 204 {
		t.Errorf("the later: %+v", a)
	}
}
