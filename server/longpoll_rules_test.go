package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// Section 5.2: params and version are those of the request that opened the session, whatever later ones say.
func TestLongPollIsOfItsOpening(t *testing.T) {
	cfg := mount(script{join: func(c *server.Context, _ server.Payload) error { return c.Reply(c.Assigns()) }})
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
	cfg.Sockets[0].Connect = func(c *server.Connect) error {
		c.Assigns = c.Params.Get("user")
		return nil
	}
	s := servertest.Start(t, cfg)
	const joinV1 = `{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}`
	const replyV1 = `{"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":"jo"},"ref":"1"}`
	for vsn, row := range map[string]struct{ join, reply string }{
		"vsn=2.0.0&": {join1, `["1","1","room:1","phx_reply",{"status":"ok","response":"jo"}]`},
		"vsn=1.0.0&": {joinV1, replyV1},
		"":           {joinV1, replyV1}, // section 1.3
	} {
		c := newLPClient(t, s)
		opening, later := vsn+"user=jo", "vsn=9.9.9&user=mo"
		c.url = strings.Replace(c.url, "vsn=2.0.0", opening, 1)
		c.open()
		c.url = strings.Replace(c.url, opening, later, 1)
		if got := c.do("POST", "", row.join); got.Status != 200 {
			t.Errorf("%s: POST: %+v", vsn, got)
		}
		c.expect(row.reply)
	}
}

// Section 5.4: a join that is not done within the window has its POST answered with 408. Other than Phoenix's, the lines
// behind it are not lost.
func TestLongPollLateLines(t *testing.T) { windowtest.Run(t, 100*time.Millisecond, lateLines) }

func lateLines(t testing.TB, window time.Duration) {
	gate := make(chan bool)
	open := sync.OnceFunc(func() { close(gate) })
	cfg := mount(script{in: echo, join: func(c *server.Context, _ server.Payload) error {
		if c.Topic() == "room:slow" {
			<-gate
		}
		return nil
	}})
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: window}
	c := newLPClient(t, servertest.Start(t, cfg))
	t.Cleanup(open)
	c.open()
	heard := make(chan []string, 1)
	go func() { // the polls keep the session meanwhile
		var got []string
		for len(got) < 2 {
			a := c.do("GET", "", "")
			if got = append(got, a.Messages...); a.Status == 410 {
				break
			}
		}
		heard <- got
	}()
	if got := c.post(`["1","1","room:slow","phx_join",{}]`, `["1","2","room:slow","echo",{"a":1}]`); got != 408 {
		t.Errorf("status %d, want 408", got)
	}
	open()
	want := []string{`["1","1","room:slow","phx_reply",{"status":"ok","response":{}}]`,
		`["1","2","room:slow","phx_reply",{"status":"ok","response":{"a":1}}]`}
	if got := await(t, heard, "the replies"); !slices.Equal(got, want) {
		t.Errorf("polled %q, want %q", got, want)
	}
}

// Section 5.8: phoenix.js stops for ever after a GET whose body has a status that it does not know. One without a
// status, as of a refusal by a limit, makes it come back.
func TestPollStatuses(t *testing.T) {
	full := servertest.Start(t, limited(server.Limits{Connections: 1}))
	expect(t, full, here, upgrade(handshake), 101)
	share := servertest.Start(t, limited(server.Limits{ConnectionsPerAddress: 1}))
	expect(t, share, here, upgrade(handshake), 101)
	free := servertest.Start(t, limited(server.Limits{}))
	for _, row := range []struct {
		name string
		s    *servertest.Server
		head string
		http int
		body int // the status in the body; 0: there is none
	}{
		{"opened", free, request(lpPath), 200, 410},
		{"version", free, request("/socket/longpoll?vsn=3.0.0"), 200, 403},
		{"query", free, request(lpPath + "&a=%ff"), 400, 0},
		{"head too long", free, request(lpPath + "&a=" + strings.Repeat("x", 9000)), 414, 0},
		{"no room for anybody", full, request(lpPath), 503, 0},
		{"no room for this address", share, request(lpPath), 429, 0},
	} {
		a, _ := call(t, row.s, here, row.head)
		var body struct{ Status int }
		_ = json.Unmarshal([]byte(a.body), &body)
		if a.status != row.http || body.Status != row.body {
			t.Errorf("5.8: %s: HTTP %d %q, want %d and status %d", row.name, a.status, a.body, row.http, row.body)
		}
	}
	windowtest.Run(t, 50*time.Millisecond, func(t testing.TB, window time.Duration) {
		cfg := limited(server.Limits{})
		cfg.HandshakeTimeout = window
		a, _ := call(t, servertest.Start(t, cfg), here, "GET "+lpPath+" HTTP/1.1\r\n")
		if a.status != 408 || strings.Contains(a.body, `"status"`) {
			t.Errorf("5.8: head too slow: HTTP %d %q, want 408 and no status", a.status, a.body)
		}
	})
}
