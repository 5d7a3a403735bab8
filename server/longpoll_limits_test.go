package server_test

import (
	"runtime"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A hook that ends in whatever way keeps no place, for its session or for its connection.
func TestPlaceOfAHookThatEnds(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func() error
	}{
		{"refuses", func() error { return server.ErrRefused }},
		{"panics", func() error { panic("in Connect") }},
		{"ends its goroutine", func() error { runtime.Goexit(); return nil }},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := limited(server.Limits{Connections: 4, Handshakes: 4})
			ended := make(chan bool, 2)
			cfg.Sockets[0].Connect = func(*server.Connect) error {
				defer func() { ended <- true }()
				return row.end()
			}
			s := servertest.Start(t, cfg)
			for _, head := range []string{request(lpPath), upgrade(handshake)} {
				c := dialFrom(t, s, here)
				writeText(t, c, head)
				await(t, ended, "the hook")
				c.Close()
			}
			s.Stop()
			if st := s.Stats().Limits; st.Counted != 0 || st.Handshaking != 0 {
				t.Errorf("at the end %d are counted, %d on their way", st.Counted, st.Handshaking)
			}
		})
	}
}

// Limits.Handshakes: the connect hook of a session is counted for as long as it runs, and a parked poll is not.
func TestHandshakeOfASessionIsInFlight(t *testing.T) {
	cfg := limited(server.Limits{Handshakes: 1})
	release := make(chan bool)
	cfg.Sockets[0].Connect = func(*server.Connect) error { <-release; return nil }
	s := servertest.Start(t, cfg)
	lp := newLPClient(t, s)
	opened := make(chan bool, 1)
	go func() { lp.open(); opened <- true }()
	servertest.Eventually(t, "a handshake", func() bool { return s.Stats().Limits.Handshaking == 1 })
	if a := dialFrom(t, s, here).answer(); a.status != 503 {
		t.Errorf("while the hook runs: %+v", a)
	}
	release <- true
	await(t, opened, "the session")
	counted(t, s, 2)
	poll := dialFrom(t, s, here)
	writeText(t, poll, request(lpPath+"&token="+lp.token))
	servertest.Eventually(t, "a parked poll", func() bool { return s.Stats().PollsWaiting == 1 })
	counted(t, s, 3)
}
