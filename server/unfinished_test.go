package server_test

import (
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
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			cfg := memoryConfig(echo)
			cfg.Engine = engine
			srv := servertest.Start(t, cfg)
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
