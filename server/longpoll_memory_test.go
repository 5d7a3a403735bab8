package server_test

import (
	"bufio"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// held returns the bytes of live objects and the number of goroutines.
func held() (heap, goroutines int) {
	runtime.GC()
	runtime.GC() // what pools have kept through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), runtime.NumGoroutine()
}

// What a session of the long-poll transport holds, joined to a topic, and what its parked poll does, in bytes of
// live objects: run it with -v. A parked poll is no goroutine.
func TestLongPollMemory(t *testing.T) {
	const polls = 1000
	cfg := mount(room) // whose connections may say nothing for long
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient}
	s := servertest.Start(t, cfg)
	conns := make([]rawConn, polls)
	for i := range conns { // what the test's own ends hold, is there before the first look
		conns[i] = dialTCP(t, s.Addr())
	}
	tokens := make([][54]byte, polls)
	lobby := dialTCP(t, s.Addr())
	r := bufio.NewReaderSize(lobby, 64<<10)
	ask := func(method, token, body string) string {
		writeText(t, lobby, fmt.Sprintf("%s %s&token=%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", method, lpPath, token, len(body), body))
		return expectAnswer(t, r, "")
	}
	for range 100 { // what the first of something makes for all
		token := lpMessages(t, ask("GET", "", "")).Token
		ask("POST", token, join1)
		ask("GET", token, "")
	}
	empty, _ := held()
	for i := range tokens {
		copy(tokens[i][:], lpMessages(t, ask("GET", "", "")).Token)
	}
	for i := range tokens {
		token := string(tokens[i][:])
		ask("POST", token, join1)
		if !strings.Contains(ask("GET", token, ""), "phx_reply") {
			t.Fatal("no reply to the join")
		}
	}
	joined, before := held()
	for i, nc := range conns { // without a deadline, whose timer takes 16 B of this end
		writeText(t, nc.TCPConn, "GET "+lpPath+"&token="+string(tokens[i][:])+" HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	servertest.Eventually(t, "all polls wait", func() bool { return s.Stats().PollsWaiting == polls })
	parked, after := held()
	session, poll := (joined-empty)/polls, (parked-joined)/polls
	t.Logf("a session joined to one topic: %d B; its poll that is parked: %d B; goroutines: %d before, %d after", session, poll, before, after)
	if after > before+polls/10 {
		t.Errorf("%d polls are parked, and there are %d more goroutines", polls, after-before)
	}
	if server.UnderRace {
		return // its allocator rounds otherwise
	}
	for _, row := range []struct {
		what      string
		got, most int
	}{{"session", session, 450}, {"parked poll", poll, 64}} {
		if row.got > row.most {
			t.Errorf("a %s holds %d bytes, budget %d", row.what, row.got, row.most)
		}
	}
}
