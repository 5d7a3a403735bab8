package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// together is everything at once: limits behind a proxy, both transports, MessagePack, compression, presence, an
// intercepted presence_diff, ids, and clients that lose what does not fit.
func together(engine string) server.Config {
	cfg := limited(server.Limits{Connections: 24, ConnectionsPerAddress: 8, Handshakes: 24,
		Joins: server.Rate{PerSecond: 1e5}, Messages: server.Rate{PerSecond: 1e5}})
	cfg.Engine, cfg.Proxies = engine, server.Proxies{Networks: []string{here}}
	cfg.SlowConsumer, cfg.Poller.OutboxLimit = server.DropSlow, 8<<10
	cfg.Drain = server.Drain{BatchSize: 3, Interval: time.Millisecond, Delay: time.Millisecond}
	k := cfg.Sockets[0]
	k.LongPoll.Window = 50 * time.Millisecond
	k.WebSocket = server.WebSocketOptions{MessagePack: true, Compress: true}
	k.Connect = func(c *server.Connect) error { c.ID = "users:" + c.Params.Get("user"); return nil }
	s := script{
		join: func(c *server.Context, _ server.Payload) error {
			c.After(func(c *server.Context) error {
				_ = c.PushPresenceState()
				_, _ = c.Track(c.Topic(), nil)
				return nil
			})
			return nil
		},
		in:  func(c *server.Context, event string, p server.Payload) error { return c.Broadcast(event, p) },
		out: func(c *server.Context, event string, p server.Payload) error { return c.Push(event, p) },
	}
	k.Routes = []server.Route{{Topic: "a:*", Channel: func() server.Channel { return s }},
		{Topic: "*", Channel: func() server.Channel { return s }, Intercept: []string{"presence_diff"}}}
	return cfg
}

// A crowdLife is what a client does with its time. What it is refused, or loses, is no failure.
type crowdLife struct {
	r    *rand.Rand
	addr string
}

func (l *crowdLife) header() http.Header {
	return http.Header{"X-Forwarded-For": {fmt.Sprintf("192.0.2.%d", l.r.IntN(5))}}
}

func (l *crowdLife) query() string { return fmt.Sprintf("vsn=2.0.0&user=%d", l.r.IntN(4)) }

// lines are the messages of one life: joins, some of them of a topic that is the name of an id, and broadcasts.
func (l *crowdLife) lines() (lines []string) {
	topic := []string{"a:1", "b:1", "users:1"}[l.r.IntN(3)]
	lines = append(lines, fmt.Sprintf(`["1","1","%s","phx_join",{}]`, topic))
	for i := range l.r.IntN(6) {
		event := []string{"news", "phx_join", "phx_leave", "disconnect"}[l.r.IntN(4)]
		lines = append(lines, fmt.Sprintf(`["1","%d","%s","%s",{"text":"%s"}]`, i+2, topic, event, strings.Repeat("x", l.r.IntN(2000))))
	}
	return append(lines, `[null,"99","phoenix","heartbeat",{}]`)
}

func (l *crowdLife) socket(ctx context.Context) {
	o := websocket.DialOptions{HTTPHeader: l.header(), CompressionMode: websocket.CompressionNoContextTakeover}
	packed := l.r.IntN(2) == 0
	if packed {
		o.Subprotocols = []string{"phoenix.msgpack"}
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+l.addr+"/socket/websocket?"+l.query(), &o)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for _, line := range l.lines() {
		kind, b := websocket.MessageText, []byte(line)
		if packed {
			kind = websocket.MessageBinary
			b, _ = server.Raw(b).MessagePack()
		}
		if conn.Write(ctx, kind, b) != nil {
			return
		}
	}
	for answered := l.r.IntN(3) == 0; !answered; {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return
		}
		answered = bytes.Contains(b, []byte("phoenix")) // the heartbeat, which is the last line
	}
	if l.r.IntN(2) == 0 {
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}
}

// session goes on one connection, which net/http of the server has between two of its requests.
func (l *crowdLife) session(ctx context.Context) {
	tr := &http.Transport{MaxIdleConnsPerHost: 2}
	defer tr.CloseIdleConnections()
	header, query, token := l.header(), l.query(), ""
	do := func(method, path, body string) (a lpAnswer) {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(5+l.r.IntN(200))*time.Millisecond)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, method, "http://"+l.addr+path+"?"+query+"&token="+token, strings.NewReader(body))
		r.Header = header.Clone()
		r.Header.Set("Content-Type", "application/x-ndjson")
		if resp, err := tr.RoundTrip(r); err == nil {
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			_ = json.Unmarshal(b, &a)
		}
		return a
	}
	if token = do("GET", "/socket/longpoll", "").Token; token == "" {
		return
	}
	for range 1 + l.r.IntN(3) {
		do("POST", "/socket/longpoll", strings.Join(l.lines(), "\n"))
		do("GET", "/page", "")
		do("GET", "/socket/longpoll", "")
	}
}

// Whatever comes together, and while the server ends: nothing counts afterwards, nobody is present or subscribed.
func TestNothingIsLeftOfAllTogether(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, engine := range []string{"epoll", "goroutine"} { // netpoll takes no connection back from net/http
		for _, amidst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,ends amidst them=%v", engine, amidst), func(t *testing.T) { endTogether(t, seed, engine, amidst) })
		}
	}
}

func endTogether(t *testing.T, seed uint64, engine string, amidst bool) {
	s := servertest.Start(t, together(engine))
	ctx, cancel := context.WithTimeout(t.Context(), servertest.Patience)
	defer cancel()
	both := func() bool { st := s.Stats(); return st.Upgraded > 20 && st.Polled > 20 }
	var crowd sync.WaitGroup
	for client := range uint64(10) {
		l := &crowdLife{rand.New(rand.NewPCG(seed, client)), s.Addr()}
		crowd.Go(func() {
			for n := 0; n < 25 || !both() && ctx.Err() == nil; n++ {
				if l.r.IntN(2) == 0 {
					l.socket(ctx)
				} else {
					l.session(ctx)
				}
				id := fmt.Sprintf("users:%d", l.r.IntN(4))
				_ = s.PushTo(id, "", "pushed", nil)
				if l.r.IntN(3) == 0 {
					s.Disconnect(id)
				}
			}
		})
	}
	servertest.Eventually(t, "clients of both kinds", both)
	if !amidst {
		crowd.Wait()
		counted(t, s, 0)
	}
	s.Stop() // looks at the rest
	crowd.Wait()
	st := s.Stats()
	if l := st.Limits; l.Counted != 0 || l.Handshaking != 0 || l.Addresses != 0 || st.Panics != 0 {
		t.Errorf("at the end: %d panics, %+v", st.Panics, l)
	}
	t.Logf("%d sockets, %d sessions, presence %+v, %+v", st.Upgraded, st.Polled, st.Presence, st.Limits.Refused)
}
