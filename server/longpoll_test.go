package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

const lpPath = "/socket/longpoll?vsn=2.0.0"

// patient is a window that no test waits for, the longest there may be.
const patient = time.Hour

// forEachLongPoll runs f with a server of the room that has the long-poll transport, for each engine.
func forEachLongPoll(t *testing.T, o server.LongPollOptions, f func(t *testing.T, s *servertest.Server)) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			cfg := mount(room, "new_msg")
			cfg.Engine = engine
			cfg.Sockets[0].LongPoll = &o
			f(t, servertest.Start(t, cfg))
		})
	}
}

// An lpClient is a client of the long-poll transport.
type lpClient struct {
	t     testing.TB
	http  *http.Client
	url   string
	token string
}

// lpAnswer is the body of every answer.
type lpAnswer struct {
	Status   int      `json:"status"`
	Token    string   `json:"token"`
	Messages []string `json:"messages"`
}

func newLPClient(t testing.TB, s *servertest.Server) *lpClient {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &lpClient{t: t, http: &http.Client{Transport: tr, Timeout: servertest.Patience}, url: "http://" + s.Addr() + lpPath}
}

func (c *lpClient) do(method, contentType, body string) lpAnswer {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+"&token="+c.token, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		c.t.Fatalf("%s %q: HTTP %d, %v: %s", method, body, resp.StatusCode, err, b)
	}
	if resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Cache-Control") != "no-store" {
		c.t.Errorf("headers %v", resp.Header)
	}
	var a lpAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		c.t.Fatalf("%s: %v", b, err)
	}
	return a
}

func (c *lpClient) open() {
	c.t.Helper()
	a := c.do("GET", "", "")
	if a.Status != 410 || a.Token == "" || a.Messages == nil || len(a.Messages) > 0 {
		c.t.Fatalf("opening: %+v", a)
	}
	c.token = a.Token
}

// post sends messages, a line each.
func (c *lpClient) post(lines ...string) int {
	c.t.Helper()
	return c.do("POST", "application/x-ndjson", strings.Join(lines, "\n")).Status
}

// expect polls until as many messages have come, and compares.
func (c *lpClient) expect(want ...string) {
	c.t.Helper()
	var got []string
	for len(got) < len(want) {
		a := c.do("GET", "", "")
		if a.Status != 200 || a.Token != c.token {
			c.t.Fatalf("poll: %+v; before it %q, want %q", a, got, want)
		}
		got = append(got, a.Messages...)
	}
	if !slices.Equal(got, want) {
		c.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// Sections 5.2 to 5.4: open, join, push, reply, broadcast; V2 and binary in, JSON out.
func TestLongPoll(t *testing.T) {
	forEachLongPoll(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		a, b := newLPClient(t, s), newLPClient(t, s)
		for _, c := range []*lpClient{a, b} {
			c.open()
			if got := c.post(`["1","1","room:1","phx_join",{}]`); got != 200 {
				t.Fatalf("join: %d", got)
			}
			c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		}
		if got := a.post(`["1","2","room:1","echo",{"ü":"\u0001<\"\n"}]`, `["1","3","room:1","ack",{}]`); got != 200 {
			t.Fatalf("two lines: %d", got)
		}
		a.expect(`["1","2","room:1","phx_reply",{"status":"ok","response":{"ü":"\u0001<\"\n"}}]`,
			`["1","3","room:1","phx_reply",{"status":"ok","response":{}}]`)
		// Kind 0, join_ref 1, ref 4, topic room:1, event bcast_bin is unknown there: ack by name instead.
		if got := a.post("AAEBBgMxNHJvb206MWFja3h5eg=="); got != 200 {
			t.Fatalf("binary: %d", got)
		}
		a.expect(`["1","4","room:1","phx_reply",{"status":"ok","response":{}}]`)
		if got := b.post(`["1","5","room:1","bcast",{"n":1}]`); got != 200 {
			t.Fatalf("broadcast: %d", got)
		}
		a.expect(`[null,null,"room:1","bcast",{"n":1}]`)
		b.expect(`[null,null,"room:1","bcast",{"n":1}]`, `["1","5","room:1","phx_reply",{"status":"ok","response":{}}]`)
	})
}

// Section 5.3: a poll that waits is answered by the first message that comes.
func TestLongPollWaits(t *testing.T) {
	forEachLongPoll(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		c.post(`["1","1","room:1","phx_join",{}]`)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		answered := make(chan lpAnswer, 1)
		go func() { answered <- c.do("GET", "", "") }()
		for n := 0; ; n++ {
			if err := s.Broadcast("room:1", "tick", object{"n": n}); err != nil {
				t.Fatal(err)
			}
			select {
			case a := <-answered:
				if a.Status != 200 || len(a.Messages) == 0 {
					t.Errorf("%+v", a)
				}
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// Section 5.2: a token that no node has made opens a session. Decoders of base64 pass over line ends.
func TestLongPollForeignToken(t *testing.T) {
	forEachLongPoll(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		made := c.token
		for _, token := range []string{
			"nonsense", made[1:], made + "A", made[:len(made)-1] + "%0A", made + "%0A",
			"AAAA" + strings.Repeat("%0A", len(made)-4), strings.Repeat("%0D", len(made)), strings.Repeat("%00", len(made)),
		} {
			c.token = token
			if c.open(); c.token == made {
				t.Errorf("%q reached a session", token)
			}
		}
	})
}

// What ends a session, and what is said of it then (sections 5.4 to 5.6).
func TestLongPollEnds(t *testing.T) {
	for _, row := range []struct {
		name   string
		window time.Duration
		end    func(c *lpClient, s *servertest.Server)
	}{
		{"a message that cannot be decoded", patient, func(c *lpClient, _ *servertest.Server) {
			if got := c.do("POST", "text/plain", "nonsense").Status; got != 408 {
				t.Errorf("status %d", got)
			}
		}},
		{"an empty line", patient, func(c *lpClient, _ *servertest.Server) { c.post(join1, "") }},
		{"not polled", 100 * time.Millisecond, func(c *lpClient, s *servertest.Server) {
			servertest.Eventually(t, "the session's end", func() bool { return s.Stats().PollSessions == 0 })
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			forEachLongPoll(t, server.LongPollOptions{Window: row.window}, func(t *testing.T, s *servertest.Server) {
				c := newLPClient(t, s)
				c.open()
				row.end(c, s)
				if got := c.post(join1); got != 410 {
					t.Errorf("POST after it: %d, want 410", got)
				}
				before := c.token
				if c.open(); c.token == before {
					t.Error("the new session has the old token")
				}
			})
		})
	}
}

// Shutdown answers what waits, closes sessions in order, and leaves nothing.
func TestLongPollShutdown(t *testing.T) {
	forEachLongPoll(t, server.LongPollOptions{Window: patient}, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		c.post(`["1","1","room:1","phx_join",{}]`)
		c.expect(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`)
		answered := make(chan lpAnswer, 1)
		go func() { answered <- c.do("GET", "", "") }()
		servertest.Eventually(t, "the poll waits", func() bool { return s.Stats().PollsWaiting == 1 })
		_ = s.Shutdown(t.Context())
		if a := await(t, answered, "answer"); a.Status != 204 {
			t.Errorf("%+v", a)
		}
	})
}
