package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// proxied is limited to one connection of an address. Its topic "who" answers a join with the client's address.
func proxied(p server.Proxies) server.Config {
	cfg := limited(server.Limits{ConnectionsPerAddress: 1})
	cfg.Proxies = p
	k := cfg.Sockets[0]
	k.ConnectInfo.PeerData = true
	k.Connect = func(c *server.Connect) error {
		c.Assigns = fmt.Sprintf("%v port %d", c.Info.PeerData.Address, c.Info.PeerData.Port)
		return nil
	}
	k.Routes = append(k.Routes, server.Route{Topic: "who", Channel: func() server.Channel {
		return script{join: func(c *server.Context, _ server.Payload) error { return c.Reply(object{"who": c.Assigns()}) }}
	}})
	return cfg
}

// who is what the server takes an upgraded connection's client for.
func (c *caller) who() string {
	c.t.Helper()
	join := `["1","1","who","phx_join",{}]`
	writeText(c.t, c, string([]byte{0x81, 0x80 | byte(len(join)), 0, 0, 0, 0})+join)
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.in, head); err != nil {
		c.t.Fatal(err)
	}
	body := make([]byte, head[1])
	if _, err := io.ReadFull(c.in, body); err != nil {
		c.t.Fatal(err)
	}
	var m []json.RawMessage
	var reply struct{ Response struct{ Who string } }
	if err := json.Unmarshal(body, &m); err != nil || len(m) != 5 {
		c.t.Fatalf("%q: %v", body, err)
	}
	_ = json.Unmarshal(m[4], &reply)
	return reply.Response.Who
}

// The client is who a listed proxy says it is, and nobody else is believed.
func TestForwardedFor(t *testing.T) {
	const forward = "X-Forwarded-For: "
	for _, row := range []struct {
		name, from string
		proxies    server.Proxies
		fields     []string
		want       string // "": the peer
		limited    bool   // a second connection is one too many
	}{
		{"nobody is listed", here, server.Proxies{}, []string{forward + "192.0.2.1"}, "", true},
		{"others are listed", there, server.Proxies{Networks: []string{here}}, []string{forward + "192.0.2.1"}, "", true},
		{"listed", here, server.Proxies{Networks: []string{here}}, []string{forward + "192.0.2.1"}, "192.0.2.1 port 0", true},
		{"a network", there, server.Proxies{Networks: []string{"127.0.0.0/8"}}, []string{forward + "192.0.2.1"}, "192.0.2.1 port 0", true},
		{"what the client wrote before", here, server.Proxies{Networks: []string{here}}, []string{forward + "10.9.9.9, 192.0.2.1"}, "192.0.2.1 port 0", true},
		{"two lines", here, server.Proxies{Networks: []string{here}}, []string{forward + "10.9.9.9", "x-forwarded-for: 2001:db8::1"}, "2001:db8::1 port 0", true},
		{"two proxies", here, server.Proxies{Networks: []string{here, "198.51.100.0/24"}}, []string{forward + "192.0.2.1,198.51.100.7"}, "192.0.2.1 port 0", true},
		{"garbage", here, server.Proxies{Networks: []string{here}}, []string{forward + "unknown"}, "", false},
		{"none", here, server.Proxies{Networks: []string{here}}, nil, "", false},
		{"Forwarded", here, server.Proxies{Networks: []string{here}, Field: server.Forwarded}, []string{forward + "10.9.9.9", `Forwarded: for="[2001:db8::1]:80"`}, "2001:db8::1 port 0", true},
		{"no field", here, server.Proxies{Networks: []string{here}, Field: server.NoField}, []string{forward + "192.0.2.1"}, "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := servertest.Start(t, proxied(row.proxies))
			c := expect(t, s, row.from, upgrade(handshake, row.fields...), 101)
			if row.want == "" {
				row.want = strings.Replace(c.LocalAddr().String(), ":", " port ", 1)
			}
			if got := c.who(); got != row.want {
				t.Errorf("the client is %s, want %s", got, row.want)
			}
			second := 101
			if row.limited {
				second = 429
			}
			expect(t, s, row.from, upgrade(handshake, row.fields...), second)
		})
	}
}

// Behind a proxy the clients are limited, each by its own address and IPv6 by /64, and the proxy is not.
func TestLimitsBehindAProxy(t *testing.T) {
	forEachLimited(t, func() server.Config { return proxied(server.Proxies{Networks: []string{here}}) }, func(t *testing.T, s *servertest.Server) {
		for i, row := range []struct {
			client string
			status int
		}{
			{"192.0.2.1", 101}, {"192.0.2.2", 101}, {"192.0.2.1", 429}, {"2001:db8::1", 101},
			{"2001:db8::ffff:1", 429}, {"2001:db8:0:1::1", 101}, {"::ffff:192.0.2.2", 429},
		} {
			head := upgrade(handshake, "X-Forwarded-For: "+row.client)
			if a, _ := call(t, s, here, head); a.status != row.status {
				t.Errorf("%d, %s: %+v, want %d", i, row.client, a, row.status)
			}
			expect(t, s, here, request("/", "X-Forwarded-For: "+row.client, "Connection: close"), 200)
		}
		counted(t, s, 4)
	})
}

// One connection of a proxy carries requests of many clients; an upgrade on it is that of its own.
func TestProxyReusesAConnection(t *testing.T) {
	s := servertest.Start(t, proxied(server.Proxies{Networks: []string{here}}))
	expect(t, s, here, upgrade(handshake, "X-Forwarded-For: 192.0.2.1"), 101)
	c := expect(t, s, here, request("/", "X-Forwarded-For: 192.0.2.1"), 200)
	counted(t, s, 2)
	if a := c.ask(request(lpPath+"&x=1", "X-Forwarded-For: 192.0.2.3")); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	counted(t, s, 3) // the session
	if a := c.ask(upgrade(handshake, "X-Forwarded-For: 192.0.2.2")); a.status != 101 {
		t.Fatalf("%+v", a)
	}
	counted(t, s, 3)
	if got := c.who(); got != "192.0.2.2 port 0" {
		t.Errorf("the client is %s", got)
	}
	expect(t, s, here, upgrade(handshake, "X-Forwarded-For: 192.0.2.2"), 429)
	c = expect(t, s, here, request("/", "X-Forwarded-For: 192.0.2.9"), 200)
	if a := c.ask(upgrade(handshake, "X-Forwarded-For: 192.0.2.1")); a.status != 429 {
		t.Errorf("%+v", a)
	}
}

// A long-poll session counts for the client of the request that opens it, until it ends.
func TestSessionsCount(t *testing.T) {
	forEachLimited(t, func() server.Config {
		cfg := proxied(server.Proxies{Networks: []string{here}})
		cfg.Sockets[0].LongPoll.Window = 40 * time.Millisecond
		return cfg
	}, func(t *testing.T, s *servertest.Server) {
		const client = "X-Forwarded-For: 192.0.2.1"
		for _, path := range []string{lpPath, lpPath, handshake} {
			c := dialFrom(t, s, here)
			want := map[string]int{lpPath: 200, handshake: 101}[path]
			servertest.Eventually(t, "room for "+path, func() bool { // once the session before has ended
				writeText(t, c, map[string]string{lpPath: request(path, client), handshake: upgrade(path, client)}[path])
				a := c.answer()
				if a.status == 429 {
					c = dialFrom(t, s, here)
				}
				return a.status == want
			})
		}
		a, _ := call(t, s, here, request(lpPath, client))
		if a.status != 429 || a.retryAfter != 1 || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%+v", a)
		}
	})
}

// A session that the connect hook refuses leaves nothing counted.
func TestRefusedSessionsDoNotCount(t *testing.T) {
	cfg := limited(server.Limits{ConnectionsPerAddress: 2})
	cfg.Sockets[0].Connect = func(*server.Connect) error { return server.ErrRefused }
	s := servertest.Start(t, cfg)
	for range 5 {
		if a, c := call(t, s, here, request(lpPath)); a.body != `{"status":403}` {
			t.Fatalf("%+v", a)
		} else {
			c.Close()
			counted(t, s, 0)
		}
		expect(t, s, here, upgrade(handshake), 403)
		counted(t, s, 0)
	}
}

// The headers of the PROXY protocol that the tests send.
const (
	proxyV1    = "PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n"
	proxyV1v6  = "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n"
	unknownV1  = "PROXY UNKNOWN\r\n"
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV2    = signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x12\x67\x01\xbb"
	localV2    = signature + "\x20\x00\x00\x00"
	throughCDN = "PROXY TCP4 198.51.100.9 198.51.100.1 4711 443\r\n"
)

// The header of the PROXY protocol names the client, to limits, hooks, plain messages and HTTP.
func TestProxyProtocol(t *testing.T) {
	listed := server.Proxies{Networks: []string{here, "198.51.100.0/24"}, Protocol: true}
	for _, row := range []struct {
		name, header, want string // want "": the peer
		limited            bool
	}{
		{"v1, section 2.1", proxyV1, "192.0.2.1 port 4711", true},
		{"v1 TCP6", proxyV1v6, "2001:db8::1 port 4711", true},
		{"v1 UNKNOWN", unknownV1, "", false},
		{"v2, section 2.2", proxyV2, "192.0.2.1 port 4711", true},
		{"v2 LOCAL", localV2, "", false},
		{"another proxy before", throughCDN, "203.0.113.5 port 0", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			forEachLimited(t, func() server.Config { return proxied(listed) }, func(t *testing.T, s *servertest.Server) {
				head := row.header + upgrade(handshake, "X-Forwarded-For: 203.0.113.5")
				if row.want == "" {
					head = row.header + upgrade(handshake)
				}
				c := expect(t, s, here, head, 101)
				want := row.want
				if want == "" {
					want = strings.Replace(c.LocalAddr().String(), ":", " port ", 1)
				}
				if got := c.who(); got != want {
					t.Errorf("the client is %s, want %s", got, want)
				}
				second := map[bool]int{true: 429, false: 101}[row.limited]
				expect(t, s, here, head, second)
			})
		})
	}
}

// A header comes in any cuts, the request behind it as well.
func TestProxyProtocolInPieces(t *testing.T) {
	for _, header := range []string{proxyV1, proxyV2} {
		s := servertest.Start(t, proxied(server.Proxies{Networks: []string{here}, Protocol: true}))
		whole := header + upgrade(handshake)
		for cut := 1; cut <= len(header)+1; cut += 5 {
			c := dialFrom(t, s, here)
			for _, part := range []string{whole[:cut], whole[cut : cut+3], whole[cut+3:]} {
				writeText(t, c, part)
			}
			if a := c.answer(); a.status != 101 {
				t.Fatalf("cut at %d: %+v", cut, a)
			}
			if got := c.who(); got != "192.0.2.1 port 4711" {
				t.Errorf("cut at %d: the client is %s", cut, got)
			}
			c.Close()
			counted(t, s, 0)
		}
	}
}

// What net/http serves, and plain messages, know the client too.
func TestProxyProtocolBesidesChannels(t *testing.T) {
	s := servertest.Start(t, proxied(server.Proxies{Networks: []string{here}, Protocol: true}))
	a, c := call(t, s, here, proxyV1+request("/", "X-Forwarded-For: 203.0.113.5"))
	if a.status != 200 || a.body != "192.0.2.1:4711" {
		t.Errorf("%+v", a)
	}
	expect(t, s, here, proxyV1+request("/"), 429)
	c.Close()
	counted(t, s, 0)

	s = servertest.Start(t, proxied(server.Proxies{Networks: []string{here}}))
	ctx, cancel := context.WithTimeout(t.Context(), servertest.Patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+s.Addr()+"/plain", &websocket.DialOptions{HTTPHeader: http.Header{"X-Forwarded-For": {"192.0.2.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	_ = ws.Write(ctx, websocket.MessageText, []byte("who am I"))
	if _, b, err := ws.Read(ctx); err != nil || string(b) != "192.0.2.1" {
		t.Errorf("%s, %v", b, err)
	}
}

// A listed peer that does not keep to the protocol is reset, and counted; who is not listed is a client.
func TestProxyProtocolFaults(t *testing.T) {
	inHandshakeTimes(t, proxied(server.Proxies{Networks: []string{here}, Protocol: true}), func(t testing.TB, s *servertest.Server) {
		for i, text := range []string{upgrade(handshake), "PROXY TCP4 192.0.2.1\r\n", "PROXY", ""} {
			c := dialFrom(t, s, here)
			writeText(t, c, text)
			if b, _ := io.ReadAll(c); len(b) > 0 {
				t.Errorf("%q is answered with %q", text, b)
			}
			servertest.Eventually(t, "a fault counted", func() bool { return s.Stats().Limits.ProxyFaults == int64(i+1) })
		}
		expect(t, s, there, proxyV1+upgrade(handshake), 400)
		counted(t, s, 0)
		expect(t, s, there, upgrade(handshake), 101)
	})
}

// Only: who is not listed is cut off without an answer.
func TestProxiesOnly(t *testing.T) {
	forEachLimited(t, func() server.Config {
		return proxied(server.Proxies{Networks: []string{there}, Only: true})
	}, func(t *testing.T, s *servertest.Server) {
		if nc, err := net.Dial("tcp", s.Addr()); err == nil { // or it is reset before that has returned
			c := newRawConn(t, nc)
			_, _ = io.WriteString(c, upgrade(handshake))
			if b, _ := io.ReadAll(c); len(b) > 0 {
				t.Errorf("answered with %q", b)
			}
			c.Close()
		}
		expect(t, s, there, upgrade(handshake), 101)
		if n := s.Stats().Limits.ProxyFaults; n != 1 {
			t.Errorf("%d faults", n)
		}
	})
}

// Under strain a network is limited as a whole, whichever of its /64 come.
func TestNetworkLimit(t *testing.T) {
	cfg := proxied(server.Proxies{Networks: []string{here}, Protocol: true})
	var clock handClock
	cfg.Limits = server.Limits{Connections: 1, ConnectionsPerAddress: 1,
		Networks: []server.NetworkLimit{{New: server.Rate{PerSecond: 0.5, Burst: 2}}}}
	cfg.Limits.SetClock(clock.now)
	s := servertest.Start(t, cfg)
	for i, want := range []int{101, 503, 503, 503, 429, 429} { // the first 503 begins the strain
		header := fmt.Sprintf("PROXY TCP6 2001:db8:0:%x::1 2001:db8::2 1 2\r\n", i)
		if a, _ := call(t, s, here, header+upgrade(handshake)); a.status != want || want == 429 && a.retryAfter != 2 {
			t.Errorf("%d: %+v, want %d", i, a, want)
		}
	}
	if got := s.Stats().Limits.Refused; got != (server.Refusals{Connections: 3, NetworkConnectionRate: 2}) {
		t.Errorf("%+v", got)
	}
}

// Attempts from very many addresses leave neither counts nor memory, and stay below every maximum.
func TestAttackIsBounded(t *testing.T) {
	const most, remembered, attempts = 20, 128, 1500 // remembered is rounded up in each of 64 shards
	cfg := proxied(server.Proxies{Networks: []string{here}, Protocol: true})
	cfg.Limits = server.Limits{Connections: most, ConnectionsPerAddress: 1, Handshakes: 2 * most, Remembered: remembered,
		NewPerAddress: server.Rate{PerSecond: 0.01, Burst: 2}}
	s := servertest.Start(t, cfg)
	held := make([]*caller, 40)
	statuses := map[int]int{}
	for i := range attempts {
		if old := held[i%len(held)]; old != nil {
			old.Close()
		}
		header := fmt.Sprintf("PROXY TCP6 2001:db8:%x::1 2001:db8::2 1 2\r\n", i%1000+1)
		c := dialFrom(t, s, here)
		statuses[c.ask(header+upgrade(handshake)).status]++
		held[i%len(held)] = c
		if st := s.Stats().Limits; st.Counted > most || st.Handshaking > 2*most || st.Addresses > most || st.Remembered > 2*remembered {
			t.Fatalf("attempt %d: %+v", i, st)
		}
	}
	if statuses[101] == 0 || statuses[503] == 0 || statuses[101]+statuses[503]+statuses[429] != attempts {
		t.Errorf("%v", statuses)
	}
	for _, c := range held {
		c.Close()
	}
	counted(t, s, 0)
	if st := s.Stats().Limits; st.Addresses != 0 {
		t.Errorf("%+v", st)
	}
}
