package server_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

const (
	unfinishedBytes = 60_000
	unfinishedHeld  = 64 << 10 // by what collects so many
)

// memoryConfig has room for three messages of unfinishedBytes.
func memoryConfig(in func(c *server.Context, event string, p server.Payload) error) server.Config {
	cfg := mount(script{in: in})
	cfg.Sockets[0].WebSocket.MaxFrameSize = 100_000
	cfg.MessageMemory = 200_000
	return cfg
}

// bigFrame is a push of so many bytes of payload.
func bigFrame(bytes int) string {
	return string(clientFrame(`["1","2","room:1","echo",["` + strings.Repeat("x", bytes) + `"]]`))
}

// beginMessage sends unfinishedBytes of a message and returns the connection and the rest.
func beginMessage(t testing.TB, srv *servertest.Server) (nc rawConn, rest string) {
	t.Helper()
	nc = dialTCP(t, srv.Addr())
	rawSocket(t, nc, wsPath)
	whole := bigFrame(unfinishedBytes + 1000)
	writeText(t, nc, whole[:unfinishedBytes])
	return nc, whole[unfinishedBytes:]
}

func unfinishedIs(t testing.TB, srv *servertest.Server, want int64) {
	t.Helper()
	servertest.Eventually(t, "the messages that have begun are counted", func() bool { return srv.Stats().Unfinished == want })
}

// Clients that begin long messages and do not end them have no more than MessageMemory of the server: the one that
// began first goes, the others end theirs and are answered.
func TestUnfinishedMessages(t *testing.T) {
	forEachLimited(t, func() server.Config { return memoryConfig(echo) }, func(t *testing.T, srv *servertest.Server) {
		bystander := srv.Dial(wsPath)
		bystander.Join("room:1", nil)
		var conns []rawConn
		var rests []string
		begin := func() {
			nc, rest := beginMessage(t, srv)
			conns, rests = append(conns, nc), append(rests, rest)
		}
		for i := range int64(3) {
			begin()
			unfinishedIs(t, srv, (i+1)*unfinishedHeld)
		}
		begin()
		readUntil(t, conns[0], "\x03\xf5too many messages") // code 1013
		unfinishedIs(t, srv, 3*unfinishedHeld)
		echoes(bystander, "room:1", 3)
		bystander.Call("room:1", "echo", strings.Repeat("x", 7000)) // less than 8 KiB is always received
		_ = conns[1].SetLinger(0)
		conns[1].Close()
		unfinishedIs(t, srv, 2*unfinishedHeld)
		for i := 2; i < 4; i++ {
			writeText(t, conns[i], rests[i])
			readUntil(t, conns[i], `xxx"]}]`)
		}
		unfinishedIs(t, srv, 0)
		if got := srv.Stats().Limits.Refused; got != (server.Refusals{Unfinished: 1}) {
			t.Errorf("%+v, want one Unfinished", got)
		}
	})
}

// A message takes its place behind those that have begun, also if one of the same connection ends in the same bytes:
// who sends one after the other is not given up as the first.
func TestUnfinishedOrder(t *testing.T) {
	forEachLimited(t, func() server.Config { return memoryConfig(echo) }, func(t *testing.T, srv *servertest.Server) {
		busy, rest := beginMessage(t, srv)
		unfinishedIs(t, srv, unfinishedHeld)
		first, _ := beginMessage(t, srv)
		unfinishedIs(t, srv, 2*unfinishedHeld)
		whole := bigFrame(unfinishedBytes)
		writeText(t, busy, rest+whole[:unfinishedBytes])
		readUntil(t, busy, `xxx"]}]`)
		unfinishedIs(t, srv, 2*unfinishedHeld)
		beginMessage(t, srv)
		unfinishedIs(t, srv, 3*unfinishedHeld)
		beginMessage(t, srv)
		readUntil(t, first, "\x03\xf5too many messages") // code 1013
		writeText(t, busy, whole[unfinishedBytes:])
		readUntil(t, busy, `xxx"]}]`)
	})
}

// Messages that wait for applications that are slow, or blocked, take no more than MessageMemory: from half of it on a
// connection is read no further while a good part of it is its own, above it the next one is closed.
func TestWaitingMessages(t *testing.T) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			held, handled := make(chan bool), make(chan int, 8)
			cfg := memoryConfig(func(c *server.Context, event string, p server.Payload) error {
				if event == "echo" {
					handled <- len(p.Bytes())
					<-held
				}
				return c.Reply(nil)
			})
			cfg.Engine = engine
			srv := servertest.Start(t, cfg)
			first, second, small := srv.Dial(wsPath), srv.Dial(wsPath), srv.Dial(wsPath)
			for _, c := range []*servertest.Client{first, second, small} {
				c.Join("room:1", nil)
			}
			waits := func(kib int64) {
				t.Helper()
				servertest.Eventually(t, "the messages that wait are counted", func() bool { return srv.Stats().Waiting == kib<<10 })
			}
			text := strings.Repeat("x", 90_000) // 88 KiB
			for _, kib := range []int64{0, 88, 176} {
				first.Push("room:1", "echo", text)
				if kib == 0 {
					<-handled
				}
				waits(kib)
			}
			second.Push("room:1", "echo", nil)
			<-handled
			second.Push("room:1", "echo", text)
			second.ExpectClose(1013)
			waits(176)
			small.Call("room:1", "ping", strings.Repeat("x", 40_000)) // 64 KiB may always wait
			waits(176)
			close(held)
			for range 3 {
				if m := first.Next(); m.Event != "phx_reply" {
					t.Errorf("got %s", m.Raw)
				}
			}
			waits(0)
			first.Call("room:1", "ping", nil) // it is read again
			if got := srv.Stats().Limits.Refused; got != (server.Refusals{Waiting: 1}) {
				t.Errorf("%+v, want one Waiting", got)
			}
		})
	}
}

// What is written for "no limit" is none.
func TestMessagesWithoutLimit(t *testing.T) {
	for _, row := range []struct{ frame, memory int64 }{{0, math.MaxInt64}, {math.MaxInt64, 0}, {math.MaxInt64 / 2, 0}, {1 << 41, 0}} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			cfg := memoryConfig(echo)
			cfg.Sockets[0].WebSocket.MaxFrameSize, cfg.MessageMemory = row.frame, row.memory
			srv := servertest.Start(t, cfg)
			nc, rest := beginMessage(t, srv)
			unfinishedIs(t, srv, unfinishedHeld)
			for _, ref := range []string{"3", "4"} {
				writeText(t, nc, rest+string(clientFrame(`["1","`+ref+`","room:1","echo",{}]`)))
				readUntil(t, nc, `"`+ref+`","room:1","phx_reply"`)
				rest = ""
			}
		})
	}
}

func TestMessageMemoryErrors(t *testing.T) {
	for _, row := range []struct {
		frame, memory int64
		says          string
	}{
		{0, -1, "negative"},
		{0, 19_999_999, "at least, 20000000"},
		{1000, 1999, "at least, 2000"},
		{1000, 2000, ""},
		{1 << 30, 0, ""},
	} {
		cfg := mount(script{})
		cfg.Sockets[0].WebSocket.MaxFrameSize, cfg.MessageMemory = row.frame, row.memory
		srv, err := server.New(cfg)
		if err == nil {
			_ = srv.Shutdown(t.Context())
		}
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

// Messages of a POST that the session has yet to take wait for a worker as well: they count, and a long POST is not
// taken while there is no room. What is left of them counts no more at the end of the session.
func TestWaitingPosts(t *testing.T) {
	held := make(chan bool)
	cfg := memoryConfig(func(c *server.Context, _ string, p server.Payload) error {
		<-held
		return c.Reply(nil)
	})
	cfg.Sockets[0].LongPoll = &server.LongPollOptions{Window: patient, MaxBodyBytes: 100_000}
	cfg.Sockets[0].Connect = func(c *server.Connect) error { c.ID = c.Params.Get("id"); return nil }
	srv := servertest.Start(t, cfg)
	sessions := make([]*lpClient, 3)
	for i := range sessions {
		sessions[i] = newLPClient(t, srv)
		sessions[i].url += fmt.Sprintf("&id=%d", i)
		sessions[i].open()
		sessions[i].post(join1)
	}
	waits := func(kib int64) {
		t.Helper()
		servertest.Eventually(t, "the messages that wait are counted", func() bool { return srv.Stats().Waiting == kib<<10 })
	}
	line := func(bytes int) string { return `["1","2","room:1","echo",["` + strings.Repeat("x", bytes) + `"]]` }
	first, second, third := sessions[0], sessions[1], sessions[2]
	if got := first.post(line(10), line(90_000)); got != 200 {
		t.Fatalf("%d", got)
	}
	waits(88)
	answered := make(chan int, 1)
	go func() { answered <- first.post(line(20_000), line(50_000)) }() // of which the second is not taken: see below
	waits(88 + 20 + 48)
	if got := second.post(line(80_000)); got != 408 {
		t.Errorf("a POST for which there is no room: %d, want 408", got)
	}
	if got := srv.Stats().Limits.Refused; got != (server.Refusals{Waiting: 1}) {
		t.Errorf("%+v, want one Waiting", got)
	}
	if got := third.post(line(30_000)); got != 200 {
		t.Errorf("a short POST: %d, want 200", got)
	}
	waits(88 + 20 + 48) // its worker has it
	srv.Disconnect("0")
	if got := await(t, answered, "the answer"); got != 410 && got != 408 {
		t.Errorf("at the end of the session: %d", got)
	}
	close(held)
	waits(0)
}
