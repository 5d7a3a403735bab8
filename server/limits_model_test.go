package server_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// lives are what a client may do with a connection. Whatever it is, nothing of it counts afterwards.
var lives = []struct {
	name string
	sent []string // each is answered, but for the last
}{
	{"silence", []string{""}},
	{"half a head", []string{"GET /socket/websocket HTTP/1.1\r\nHo"}},
	{"no HTTP", []string{"bogus\r\n\r\n", ""}},
	{"a request", []string{request("/"), ""}},
	{"a request that nobody awaits", []string{request("/")}},
	{"two requests and an upgrade", []string{request("/"), request("/b"), upgrade(handshake), ""}},
	{"a socket", []string{upgrade(handshake), ""}},
	{"a socket that nobody awaits", []string{upgrade(handshake)}},
	{"a violation", []string{upgrade(handshake), "\xff\xff"}},
	{"a refused socket", []string{upgrade("/refuses/websocket?vsn=2.0.0"), ""}},
	{"a wrong version", []string{upgrade("/socket/websocket?vsn=9.0.0"), ""}},
	{"a plain mount", []string{upgrade("/plain"), "\x89\x80\x00\x00\x00\x00"}},
	{"a session", []string{request(lpPath), request("/"), ""}},
	{"a session that nobody awaits", []string{request(lpPath)}},
	{"a refused session", []string{request("/refuses/longpoll?vsn=2.0.0"), ""}},
}

// live leads one life; an error is the server's refusal, or the end that it has chosen.
func live(s *servertest.Server, sent []string, reset bool) {
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(servertest.Patience))
	if reset {
		_ = nc.(*net.TCPConn).SetLinger(0)
	}
	buf := make([]byte, 4096)
	for i, text := range sent {
		if _, err := io.WriteString(nc, text); err != nil {
			return
		}
		if i < len(sent)-1 {
			if _, err := nc.Read(buf); err != nil {
				return
			}
		}
	}
}

// Connections of all kinds come and go at once, against every limit; then nothing counts.
func TestNothingCountsAtTheEnd(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	forEachLimited(t, func() server.Config {
		cfg := limited(server.Limits{Connections: 10, ConnectionsPerAddress: 9, Handshakes: 10, Remembered: 64,
			NewPerAddress: server.Rate{PerSecond: 1e5, Burst: 100}, Messages: server.Rate{PerSecond: 1000}})
		cfg.HandshakeTimeout, cfg.Poller.LingerTimeout = 200*time.Millisecond, 100*time.Millisecond
		cfg.Sockets[0].LongPoll.Window = 20 * time.Millisecond
		refuses := *cfg.Sockets[0]
		refuses.Path, refuses.Connect = "/refuses", func(*server.Connect) error { return server.ErrRefused }
		cfg.Sockets = append(cfg.Sockets, &refuses)
		return cfg
	}, func(t *testing.T, s *servertest.Server) {
		var clients sync.WaitGroup
		for client := range uint64(12) {
			r := rand.New(rand.NewPCG(seed, client))
			clients.Go(func() {
				for range 60 {
					live(s, lives[r.IntN(len(lives))].sent, r.IntN(3) == 0)
				}
			})
		}
		clients.Wait()
		counted(t, s, 0)
		st := s.Stats()
		if st.Limits.Addresses != 0 || st.Upgraded == 0 {
			t.Errorf("%+v", st.Limits)
		}
		t.Logf("%d upgrades, %d sessions, %+v", st.Upgraded, st.Polled, st.Limits.Refused)

		for i := range 12 { // and at the end of the server, with some of each open
			_, _ = io.WriteString(dialFrom(t, s, here), lives[i].sent[0]) // one that was refused may be reset
		}
		s.Stop()
		if st := s.Stats().Limits; st.Counted != 0 || st.Handshaking != 0 {
			t.Errorf("after the end: %+v", st)
		}
	})
}
