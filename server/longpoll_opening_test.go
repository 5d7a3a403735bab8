// In-package: sessions are ended while they are being opened, which only Shutdown does.
package server

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
)

// A session that is ended in the moment of its opening leaves nothing: its id is subscribed before it can be found.
func TestSessionEndsWhileItOpens(t *testing.T) {
	s, err := New(Config{Log: slog.New(slog.DiscardHandler), Limits: Limits{Connections: 1000}, Sockets: []*Socket{{
		Path:     "/socket",
		Connect:  func(c *Connect) error { c.ID = "users:jo"; return nil },
		Routes:   []Route{{Topic: "*", Channel: func() Channel { return quiet{} }}},
		LongPoll: &LongPollOptions{},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	m := s.mountOf("/socket/longpoll")
	done := make(chan bool)
	var ending sync.WaitGroup
	ending.Go(func() {
		for over := false; !over; runtime.Gosched() {
			select {
			case <-done:
				over = true
			default:
			}
			s.polls.engine.Each(func(_ poller.Conn, h poller.Handler) bool {
				h.(upgradedHandler).base().close(codeServiceRestart, "")
				return true
			})
		}
	})
	for range 2000 {
		r := newUpgradeRequest(&fakeConn{})
		r.params = Params{"vsn": "2.0.0"}
		r.seat, _ = s.pollSeat(r.conn)
		if status, _ := m.openPoll(r); status != 200 {
			t.Errorf("status %d", status)
		}
		r.leaveSeat(s.gate)
		r.release()
	}
	close(done)
	ending.Wait()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Hub.Subscriptions != 0 || st.Limits.Counted != 0 || st.PollSessions != 0 {
		t.Errorf("left: %d subscriptions, %d counted, %d sessions", st.Hub.Subscriptions, st.Limits.Counted, st.PollSessions)
	}
}
