package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// forEachPollPath runs f for each engine, for a mount whose requests are served on the loop and for one whose
// are served by workers.
func forEachPollPath(t *testing.T, o server.LongPollOptions, f func(t *testing.T, s *servertest.Server)) {
	forEachPollConfig(t, func(t *testing.T, cfg server.Config) {
		cfg.Sockets[0].LongPoll = &o
		f(t, servertest.Start(t, cfg))
	})
}

func forEachPollConfig(t *testing.T, f func(t *testing.T, cfg server.Config)) {
	for _, engine := range poller.Names() {
		for _, hook := range []func(*server.Connect) error{nil, func(*server.Connect) error { return nil }} {
			t.Run(fmt.Sprintf("%s,connect=%v", engine, hook != nil), func(t *testing.T) {
				cfg := mount(room)
				cfg.Engine, cfg.Sockets[0].Connect = engine, hook
				f(t, cfg)
			})
		}
	}
}

// tryPoll is a GET whose client goes away with ctx; ok is false if it did, or the server did.
func (c *lpClient) tryPoll(ctx context.Context) (a lpAnswer, ok bool) {
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+"&token="+c.token, nil)
	if err != nil {
		c.t.Error(err)
		return a, false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return a, err == nil && json.Unmarshal(b, &a) == nil
}

// seen collects the numbers of ticks.
type seen struct {
	mu    sync.Mutex // protects the following
	count map[int]int
}

// add notes the ticks of an answer, which must be in order, and returns how many different ones there are.
func (s *seen) add(t *testing.T, a lpAnswer) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := -1
	for _, m := range a.Messages {
		var n int
		if _, err := fmt.Sscanf(m, `[null,null,"room:1","tick",{"n":%d}]`, &n); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		if n <= last {
			t.Errorf("%d came behind %d", n, last)
		}
		last = n
		if s.count[n]++; s.count[n] > 1 {
			t.Errorf("%d came %d times", n, s.count[n])
		}
	}
	return len(s.count)
}

// Sections 5.3 and 3.8: whatever polls displace each other, no message is lost, none comes twice, and the messages
// of an answer are in order.
func TestLongPollLosesNothing(t *testing.T) {
	const ticks = 300
	forEachPollPath(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		c.post(join1)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		got := &seen{count: map[int]int{}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				defer cancel()
				for {
					a, ok := c.tryPoll(ctx)
					switch {
					case ctx.Err() != nil:
						return // another has seen the last
					case !ok || a.Status != 200 && a.Status != 204 || a.Token != c.token:
						t.Errorf("poll: %+v", a)
						return
					case got.add(t, a) == ticks:
						return
					}
				}
			})
		}
		for n := range ticks {
			if err := s.Broadcast("room:1", "tick", object{"n": n}); err != nil {
				t.Fatal(err)
			}
			if n%10 == 0 {
				runtime.Gosched()
			}
		}
		all.Wait()
		servertest.Eventually(t, "no poll waits", func() bool { return s.Stats().PollsWaiting == 0 })
	})
}

// Clients that go away in the midst of their polls may miss what was on its way to them, and nothing else; the
// count of polls comes back to 0, and the session still works.
func TestLongPollClientsGo(t *testing.T) {
	forEachPollPath(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		c := newLPClient(t, s)
		c.open()
		c.post(join1)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		got := &seen{count: map[int]int{}}
		const ticks = 60
		for n := range ticks {
			patience := time.Duration(1+random.IntN(2000)) * time.Microsecond
			var poll sync.WaitGroup
			poll.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if a, ok := c.tryPoll(ctx); ok {
					got.add(t, a)
				}
			})
			if err := s.Broadcast("room:1", "tick", object{"n": n}); err != nil {
				t.Fatal(err)
			}
			poll.Wait()
		}
		c.alone(s)
		servertest.Eventually(t, "no poll waits whose client is gone", func() bool { return s.Stats().PollsWaiting == 0 })
		if err := s.Broadcast("room:1", "tick", object{"n": ticks}); err != nil {
			t.Fatal(err)
		}
		if a := c.do("GET", "", ""); a.Status != 200 || got.add(t, a) == 0 || got.count[ticks] != 1 {
			t.Errorf("seed %d: %+v", seed, a)
		}
	})
}

// alone waits until no connection of the client is left to the server: no poll that it has given up can come any more.
func (c *lpClient) alone(s *servertest.Server) {
	c.t.Helper()
	// Connections are accepted in the order in which they were made: behind this one there is none.
	dialTCP(c.t, s.Addr()).Close()
	servertest.Eventually(c.t, "nobody is connected", func() bool {
		c.http.CloseIdleConnections() // a dial whose request was given up may end in one
		return s.Stats().Engine.Open == 0
	})
}

// A poll whose client goes away takes no message with it: it is noticed at once, not at the end of its window.
func TestLongPollClientIsGone(t *testing.T) {
	forEachPollPath(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		c.post(join1)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		nc := dialTCP(t, s.Addr())
		writeText(t, nc, "GET "+lpPath+"&token="+c.token+" HTTP/1.1\r\nHost: a\r\n\r\n")
		servertest.Eventually(t, "the poll waits", func() bool { return s.Stats().PollsWaiting == 1 })
		nc.Close()
		servertest.Eventually(t, "the poll is gone", func() bool { return s.Stats().PollsWaiting == 0 })
		_ = s.Broadcast("room:1", "tick", object{"n": 1})
		c.expect(`[null,null,"room:1","tick",{"n":1}]`)
	})
}

// Section 5.4: several POSTs at once, of many lines each, are all taken and all answered.
func TestLongPollPostsAtOnce(t *testing.T) {
	const posts, lines = 8, 100
	forEachPollPath(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		c.post(join1)
		var all sync.WaitGroup
		for n := range posts {
			all.Go(func() {
				var batch []string
				for i := range lines {
					batch = append(batch, fmt.Sprintf(`["1","%d-%d","room:1","ack",{}]`, n, i))
				}
				if got := c.post(batch...); got != 200 {
					t.Errorf("POST %d: %d", n, got)
				}
			})
		}
		replies := map[int][]int{}
		for count := 0; count < posts*lines+1; {
			for _, m := range c.do("GET", "", "").Messages {
				count++
				var n, i int
				if _, err := fmt.Sscanf(m, `["1","%d-%d","room:1","phx_reply",`, &n, &i); err == nil {
					replies[n] = append(replies[n], i)
				}
			}
		}
		all.Wait()
		for n, got := range replies {
			if len(got) != lines || !slices.IsSorted(got) {
				t.Errorf("replies to POST %d: %v", n, got)
			}
		}
	})
}

// Section 5.4: a POST for which there is no room waits for it, and a worker that is busy delays nobody's answer
// but its own session's.
func TestLongPollMailboxIsFull(t *testing.T) {
	gate := make(chan bool)
	cfg := mount(script{in: func(c *server.Context, event string, _ server.Payload) error {
		if event == "block" {
			<-gate
		}
		return c.Reply(nil)
	}})
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
	s := servertest.Start(t, cfg)
	c := newLPClient(t, s)
	c.open()
	c.post(join1)
	c.post(`["1","block","room:1","block",{}]`)
	answered := make(chan int, 1)
	go func() { answered <- c.post(slices.Repeat([]string{`["1","n","room:1","ack",{}]`}, 100)...) }()
	other := newLPClient(t, s)
	other.open()
	if got := other.post(join1); got != 200 {
		t.Errorf("another session: %d", got)
	}
	select {
	case got := <-answered:
		t.Errorf("100 lines for a mailbox of 64: %d", got)
	default:
	}
	close(gate)
	if got := await(t, answered, "answer"); got != 200 {
		t.Errorf("once there is room: %d, want 200", got)
	}
	for count := 0; count < 102; {
		count += len(c.do("GET", "", "").Messages)
	}
}

// The outbox of a session that nobody polls has the limit of every other, and what happens at it is what
// SlowConsumer says.
func TestLongPollOutbox(t *testing.T) {
	for _, policy := range []server.SlowConsumer{server.CloseSlow, server.DropSlow} {
		cfg := mount(script{in: echo})
		cfg.SlowConsumer = policy
		cfg.Poller.OutboxLimit = 64 << 10
		cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
		s := servertest.Start(t, cfg)
		c := newLPClient(t, s)
		c.open()
		c.post(join1)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		pad := strings.Repeat("x", 10<<10)
		for n := range 10 {
			_ = s.Broadcast("room:1", "big", object{"n": n, "pad": pad})
		}
		a := c.do("GET", "", "")
		for a.Status == 204 { // the session is about to end
			a = c.do("GET", "", "")
		}
		if st := s.Stats(); policy == server.DropSlow {
			if a.Status != 200 || len(a.Messages) != 6 || st.SlowDropped != 4 {
				t.Errorf("DropSlow: status %d, %d messages, %d dropped; want 200, 6 of 10 KiB in 64, 4", a.Status, len(a.Messages), st.SlowDropped)
			}
		} else if a.Status != 410 || st.SlowClosed != 1 {
			t.Errorf("CloseSlow: status %d, %d closed; want 410, 1", a.Status, st.SlowClosed)
		}
	}
}

// Sections 3.9 and 5.6: a disconnect by id ends the session. A poll that waits goes empty, the next gets 410 with
// the token of a new session, a POST gets 410 without.
func TestLongPollDisconnect(t *testing.T) {
	cfg := mount(room)
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
	cfg.Sockets[0].Connect = func(c *server.Connect) error {
		if c.Transport != "longpoll" {
			t.Errorf("Transport is %q", c.Transport)
		}
		c.ID = "users:jo"
		return nil
	}
	s := servertest.Start(t, cfg)
	c := newLPClient(t, s)
	c.open()
	c.post(join1)
	c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
	answered := make(chan lpAnswer, 1)
	go func() { answered <- c.do("GET", "", "") }()
	servertest.Eventually(t, "the poll waits", func() bool { return s.Stats().PollsWaiting == 1 })
	s.Disconnect("users:jo")
	if a := await(t, answered, "answer"); a.Status != 204 || a.Token != c.token {
		t.Errorf("the poll: %+v", a)
	}
	if a := c.do("POST", "", join1); a.Status != 410 || a.Token != "" {
		t.Errorf("POST: %+v", a)
	}
	if a := c.do("GET", "", ""); a.Status != 410 || a.Token == "" || a.Token == c.token {
		t.Errorf("GET: %+v", a)
	}
	servertest.Eventually(t, "of the old session nothing is subscribed", func() bool {
		return s.Stats().Hub.Subscriptions == 1 // the new one's id
	})
}

// Shutdown, polls, POSTs and new sessions at once leave nothing behind; servertest looks.
func TestLongPollShutdownAmidst(t *testing.T) {
	forEachPollPath(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		var all sync.WaitGroup
		started := make(chan bool, 8)
		for n := range 8 {
			all.Go(func() {
				c := newLPClient(t, s)
				for i := 0; ; i++ {
					a, ok := c.tryPoll(t.Context())
					if !ok {
						return // the server is gone, or refuses
					}
					if a.Status == 410 {
						c.token = a.Token
					}
					body := strings.NewReader(join1)
					if n%2 == 0 {
						body = strings.NewReader(`["1","2","room:1","bcast",{}]`)
					}
					resp, err := c.http.Post(c.url+"&token="+c.token, "", body)
					if err != nil {
						return
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						return
					}
					if i == 0 {
						started <- true
					}
				}
			})
		}
		for range 8 {
			await(t, started, "a client")
		}
		s.Stop()
		all.Wait()
		if st := s.Stats(); st.PollSessions != 0 || st.PollsWaiting != 0 {
			t.Errorf("%d sessions and %d polls are left", st.PollSessions, st.PollsWaiting)
		}
	})
}
