package server_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A handClock is the clock of limits, set by hand.
type handClock struct{ ns atomic.Int64 }

func (c *handClock) now() time.Duration      { return time.Duration(c.ns.Load()) }
func (c *handClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// limited is the room with a long-poll transport, an echo of plain messages at /plain, and its own HTTP.
func limited(l server.Limits) server.Config {
	cfg := mount(room, "new_msg")
	cfg.Limits = l
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
	cfg.WebSockets = []*server.WebSocket{{Path: "/plain", Message: func(c *server.Conn, text bool, data []byte) {
		if string(data) == "who am I" {
			data = []byte(c.Underlying().RemoteAddr().Addr().String())
		}
		_ = c.Send(text, data)
	}}}
	cfg.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	return cfg
}

// forEachLimited runs f with a server for each engine.
func forEachLimited(t *testing.T, configure func() server.Config, f func(t *testing.T, s *servertest.Server)) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			cfg := configure()
			cfg.Engine = engine
			f(t, servertest.Start(t, cfg))
		})
	}
}

// inHandshakeTimes runs f for each engine with servers whose HandshakeTimeout is waited for, and may be too short for
// f's own handshakes.
func inHandshakeTimes(t *testing.T, cfg server.Config, f func(t testing.TB, s *servertest.Server)) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			windowtest.Run(t, 30*time.Millisecond, func(t testing.TB, window time.Duration) {
				cfg.Engine, cfg.HandshakeTimeout = engine, window
				f(t, servertest.Start(t, cfg))
			})
		})
	}
}

// A caller is a TCP connection that speaks HTTP by hand.
type caller struct {
	rawConn
	t  testing.TB
	in *bufio.Reader
}

// dialFrom connects from an address of the loopback network.
func dialFrom(t testing.TB, s *servertest.Server, from string) *caller {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := newRawConn(t, nc)
	return &caller{c, t, bufio.NewReader(c)}
}

const (
	here  = "127.0.0.1"
	there = "127.0.0.2"
)

// request is a head; fields are further lines without their ends.
func request(path string, fields ...string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: x\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n"
}

// upgrade is a handshake.
func upgrade(path string, fields ...string) string {
	return request(path, append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, fields...)...)
}

// An answer is what matters of a response.
type answer struct {
	status     int
	retryAfter int // seconds; 0: the field is not there
	body       string
	header     http.Header
}

// answer reads a response.
func (c *caller) answer() answer {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	a := answer{status: r.StatusCode, header: r.Header}
	if v := r.Header.Get("Retry-After"); v != "" {
		if a.retryAfter, err = strconv.Atoi(v); err != nil || a.retryAfter < 1 {
			c.t.Errorf("Retry-After is %q", v)
		}
	}
	if a.status != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(r.Body)
		a.body = string(b)
	}
	return a
}

// ask sends a request and reads its response.
func (c *caller) ask(head string) answer {
	c.t.Helper()
	writeText(c.t, c, head)
	return c.answer()
}

// call does so on a connection of its own.
func call(t testing.TB, s *servertest.Server, from, head string) (answer, *caller) {
	t.Helper()
	c := dialFrom(t, s, from)
	return c.ask(head), c
}

// expect fails the test unless a call is answered with the status, and has a Retry-After if it is refused.
func expect(t testing.TB, s *servertest.Server, from, head string, status int) *caller {
	t.Helper()
	a, c := call(t, s, from, head)
	refused := status == 429 || status == 503
	if a.status != status || refused != (a.retryAfter > 0) {
		t.Fatalf("answered with %+v, want %d", a, status)
	}
	if most := map[int]int{429: 1, 503: 10}[status]; refused && a.retryAfter > most {
		t.Errorf("Retry-After is %d, want %d at most", a.retryAfter, most)
	}
	return c
}

// counted waits until as many connections count.
func counted(t testing.TB, s *servertest.Server, want int64) {
	t.Helper()
	servertest.Eventually(t, fmt.Sprintf("%d connections counted", want), func() bool {
		st := s.Stats().Limits
		return st.Counted == want && st.Handshaking == 0
	})
}

const handshake = "/socket/websocket?vsn=2.0.0"

// Connections: the one above it is refused with 503, but a health check is not.
func TestConnectionsInAll(t *testing.T) {
	forEachLimited(t, func() server.Config { return limited(server.Limits{Connections: 3}) }, func(t *testing.T, s *servertest.Server) {
		var open []*caller
		for range 3 {
			open = append(open, expect(t, s, here, upgrade(handshake), 101))
		}
		expect(t, s, here, upgrade(handshake), 503)
		expect(t, s, there, upgrade("/plain"), 503)
		if a, _ := call(t, s, here, request(lpPath)); a.status != 503 || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("long-poll: %+v", a)
		}
		expect(t, s, here, request("/healthz", "Connection: close"), 200)
		if got := s.Stats().Limits; got.Refused != (server.Refusals{Connections: 3}) || got.Counted != 3 {
			t.Errorf("%+v", got)
		}
		open[0].Close()
		counted(t, s, 2)
		expect(t, s, here, upgrade(handshake), 101)
		expect(t, s, here, upgrade(handshake), 503)
	})
}

// ConnectionsPerAddress: 429 for whatever this address asks for, and nothing for others.
func TestConnectionsPerAddress(t *testing.T) {
	forEachLimited(t, func() server.Config { return limited(server.Limits{ConnectionsPerAddress: 2}) }, func(t *testing.T, s *servertest.Server) {
		first := expect(t, s, there, upgrade(handshake), 101)
		kept := expect(t, s, there, request("/"), 200) // net/http has it, and it counts
		expect(t, s, there, upgrade(handshake), 429)
		expect(t, s, there, request("/"), 429)
		expect(t, s, there, request(lpPath), 429)
		expect(t, s, here, upgrade(handshake), 101)
		if got := s.Stats().Limits; got.Refused != (server.Refusals{AddressConnections: 3}) || got.Addresses != 2 {
			t.Errorf("%+v", got)
		}
		kept.Close()
		counted(t, s, 2)
		expect(t, s, there, upgrade(handshake), 101)
		first.Close()
		counted(t, s, 2)
	})
}

// A connection that net/http gives back for an upgrade keeps its place, and no second one.
func TestKeptAliveConnectionCountsOnce(t *testing.T) {
	for _, engine := range []string{"epoll", "goroutine"} { // netpoll takes none back
		t.Run(engine, func(t *testing.T) {
			cfg := limited(server.Limits{ConnectionsPerAddress: 1})
			cfg.Engine = engine
			s := servertest.Start(t, cfg)
			c := expect(t, s, here, request("/"), 200)
			if a := c.ask(request("/again")); a.status != 200 {
				t.Fatalf("%+v", a)
			}
			if a := c.ask(upgrade(handshake)); a.status != 101 {
				t.Fatalf("%+v", a)
			}
			counted(t, s, 1)
			expect(t, s, here, upgrade(handshake), 429)
			c.Close()
			counted(t, s, 0)
		})
	}
}

// New and NewPerAddress: N may come at once, then one for each interval.
func TestNewConnections(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits server.Limits
		status int
		count  server.Refusals
	}{
		{"in all", server.Limits{New: server.Rate{PerSecond: 1, Burst: 3}}, 503, server.Refusals{ConnectionRate: 2}},
		{"address", server.Limits{NewPerAddress: server.Rate{PerSecond: 1, Burst: 3}}, 429, server.Refusals{AddressConnectionRate: 2}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var clock handClock
			row.limits.SetClock(clock.now)
			s := servertest.Start(t, limited(row.limits))
			for range 3 {
				expect(t, s, here, upgrade(handshake), 101).Close()
			}
			expect(t, s, here, upgrade(handshake), row.status)
			clock.advance(time.Second + 20*time.Millisecond) // an address counts in ticks of a four-hundredth
			expect(t, s, here, upgrade(handshake), 101)
			expect(t, s, here, upgrade(handshake), row.status)
			if got := s.Stats().Limits.Refused; got != row.count {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Retry-After says when an address may come, and spreads a crowd over ten seconds.
func TestRetryAfter(t *testing.T) {
	l := server.Limits{NewPerAddress: server.Rate{PerSecond: 0.25, Burst: 1}}
	var clock handClock
	l.SetClock(clock.now)
	s := servertest.Start(t, limited(l))
	expect(t, s, here, upgrade(handshake), 101)
	if a, _ := call(t, s, here, upgrade(handshake)); a.retryAfter != 4 {
		t.Errorf("Retry-After is %d, want 4 at 0.25 a second", a.retryAfter)
	}
	s = servertest.Start(t, limited(server.Limits{Connections: 1}))
	expect(t, s, here, upgrade(handshake), 101)
	seen := map[int]int{}
	for range 60 {
		a, c := call(t, s, here, upgrade(handshake))
		seen[a.retryAfter]++
		c.Close()
	}
	if len(seen) < 5 { // fewer than five of ten in 60 draws: 1e-16
		t.Errorf("a crowd is told %v", seen)
	}
}

// Handshakes: one above it is answered before it has said anything; whoever is done makes room.
func TestHandshakesInFlight(t *testing.T) {
	forEachLimited(t, func() server.Config { return limited(server.Limits{Handshakes: 2}) }, func(t *testing.T, s *servertest.Server) {
		inFlight := func(want int64) {
			t.Helper()
			servertest.Eventually(t, fmt.Sprint(want, " handshakes"), func() bool { return s.Stats().Limits.Handshaking == want })
		}
		silent, slow := dialFrom(t, s, here), dialFrom(t, s, here)
		writeText(t, slow, upgrade(handshake)[:20])
		inFlight(2)
		a := dialFrom(t, s, there).answer()
		if a.status != 503 || a.retryAfter == 0 {
			t.Fatalf("%+v", a)
		}
		if got := s.Stats().Limits; got.Refused != (server.Refusals{Handshakes: 1}) {
			t.Errorf("%+v", got)
		}
		writeText(t, slow, upgrade(handshake)[20:])
		if a := slow.answer(); a.status != 101 {
			t.Fatalf("%+v", a)
		}
		inFlight(1)
		for range 3 { // each is done when it is answered
			expect(t, s, here, request("/"), 200)
			expect(t, s, here, upgrade("/plain"), 101)
			expect(t, s, here, request(lpPath), 200)
			expect(t, s, here, "GET /socket/websocket HTTP/1.1\r\n\r\n", 400)
			inFlight(1)
		}
		silent.Close()
		inFlight(0)
	})
}

// A handshake is in flight for as long as the connect hook runs.
func TestHandshakeOfAHookIsInFlight(t *testing.T) {
	cfg := limited(server.Limits{Handshakes: 1})
	release := make(chan struct{})
	cfg.Sockets[0].Connect = func(*server.Connect) error { <-release; return nil }
	s := servertest.Start(t, cfg)
	c := dialFrom(t, s, here)
	writeText(t, c, upgrade(handshake))
	servertest.Eventually(t, "a handshake", func() bool { return s.Stats().Limits.Handshaking == 1 })
	if a := dialFrom(t, s, here).answer(); a.status != 503 {
		t.Errorf("%+v", a)
	}
	close(release)
	if a := c.answer(); a.status != 101 {
		t.Errorf("%+v", a)
	}
	counted(t, s, 1)
}

// Who is refused and says nothing, is told so nevertheless.
func TestSilentRefusal(t *testing.T) {
	inHandshakeTimes(t, limited(server.Limits{ConnectionsPerAddress: 1}), func(t testing.TB, s *servertest.Server) {
		expect(t, s, here, upgrade(handshake), 101)
		if a := dialFrom(t, s, here).answer(); a.status != 429 {
			t.Errorf("%+v", a)
		}
		half := dialFrom(t, s, here)
		writeText(t, half, "GET / HTTP/1.1\r\n")
		if a := half.answer(); a.status != 429 || !strings.Contains(a.body, "from this address") {
			t.Errorf("%+v", a)
		}
		counted(t, s, 1)
	})
}

// The limits that are always there are counted by name too.
func TestOtherLimitsAreCounted(t *testing.T) {
	cfg := limited(server.Limits{})
	cfg.MaxHTTPConns = 1
	cfg.Sockets[0].MaxChannels = 2
	cfg.Sockets[0].WebSocket = server.WebSocketOptions{MaxFrameSize: 100}
	cfg.WebSockets[0].Options.Timeout = 30 * time.Millisecond
	s := servertest.Start(t, cfg)

	for _, n := range []int{100, 101} { // a message of N and of N+1 bytes
		c := s.Dial(wsPath)
		if n == 100 {
			for i := range 3 {
				c.Send(fmt.Sprintf(`["%d","%[1]d","room:%[1]d","phx_join",{}]`, i))
				c.Next()
			}
		}
		c.Send(`["0","5","room:0","echo",{"x":"` + strings.Repeat("x", n-34) + `"}]`)
		if n == 101 {
			c.ExpectClose(1009)
		} else if m := c.Next(); m.Event != "phx_reply" {
			t.Errorf("%s", m.Raw)
		}
	}
	s.Dial("/plain").ExpectClose(1002)
	kept := expect(t, s, here, request("/"), 200)
	expect(t, s, here, request("/"), 503)
	kept.Close()
	want := server.Refusals{Topics: 1, MessageSize: 1, IdleTime: 1, HTTPConnections: 1}
	if got := s.Stats().Limits; got != (server.LimitStats{Refused: want}) {
		t.Errorf("%+v, want %+v", got, want)
	}
	inHandshakeTimes(t, limited(server.Limits{}), func(t testing.TB, s *servertest.Server) {
		slow := dialFrom(t, s, here)
		writeText(t, slow, "GET /")
		if a := slow.answer(); a.status != 408 {
			t.Errorf("%+v", a)
		}
		if got := s.Stats().Limits.Refused; got != (server.Refusals{HandshakeTime: 1}) {
			t.Errorf("%+v, want one HandshakeTime", got)
		}
	})
}

// A limit that cannot be is named.
func TestLimitsAreChecked(t *testing.T) {
	for _, row := range []struct {
		name string
		cfg  server.Config
		want string
	}{
		{"connections", server.Config{Limits: server.Limits{Connections: -1}}, "Config.Limits: limit: Max is -1"},
		{"per address", server.Config{Limits: server.Limits{Connections: 2, ConnectionsPerAddress: 3}}, "more than Max"},
		{"handshakes", server.Config{Limits: server.Limits{Handshakes: -1}}, "Config.Limits.Handshakes is -1"},
		{"rate", server.Config{Limits: server.Limits{New: server.Rate{PerSecond: -1}}}, "Config.Limits.New"},
		{"burst", server.Config{Limits: server.Limits{Joins: server.Rate{PerSecond: 1, Burst: -1}}}, "Config.Limits.Joins"},
		{"slow", server.Config{Limits: server.Limits{Messages: server.Rate{PerSecond: 1e-9}}}, "Config.Limits.Messages"},
		{"network", server.Config{Limits: server.Limits{Networks: []server.NetworkLimit{{New: server.Rate{PerSecond: 1e9}}}}}, "Networks[0]"},
		{"prefix", server.Config{Limits: server.Limits{ConnectionsPerAddress: 1, IPv6Bits: 65}}, "65 bits"},
		{"proxy network", server.Config{Proxies: server.Proxies{Networks: []string{"10.0.0.1/8"}}}, "Config.Proxies.Networks"},
		{"protocol", server.Config{Proxies: server.Proxies{Protocol: true}}, "no Networks"},
		{"only", server.Config{Proxies: server.Proxies{Only: true}}, "no Networks"},
		{"field", server.Config{Proxies: server.Proxies{Networks: []string{"::1"}, Field: 9}}, "Field is 9"},
	} {
		if _, err := server.New(row.cfg); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q in it", row.name, err, row.want)
		}
	}
}
