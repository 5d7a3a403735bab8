package server_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/dormouse-ws/dormouse/server/servertest"
	"github.com/gobwas/ws"
)

// A resting is what a server holds while nothing happens. What an attack took must come back.
type resting struct {
	goroutines, open, subscriptions int
	heap                            uint64
}

func restingOf(s *server.Server) resting {
	running := goroutines()
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	st := s.Stats()
	return resting{running, int(st.Engine.Open), st.Hub.Subscriptions, m.HeapAlloc}
}

// goroutines counts those of the process but for workers: one without work stays for some seconds.
func goroutines() (n int) {
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(g, "ants/v2.(*goWorker") {
			n++
		}
	}
	return n
}

// comesBack waits until s holds what it did before, but for heap bytes: tables and pools keep the size that they
// have had, which slack allows for.
func comesBack(t testing.TB, s *server.Server, before resting, slack uint64) {
	t.Helper()
	var now resting
	servertest.Eventually(t, "the server holds what it did before", func() bool {
		now = restingOf(s)
		return now.open <= before.open && now.subscriptions <= before.subscriptions &&
			now.goroutines <= before.goroutines && now.heap <= before.heap+slack
	})
	t.Logf("before %+v, after %+v", before, now)
}

// echoes makes n echoes on a topic, one after the other.
func echoes(c *servertest.Client, topic string, n int) {
	for range n {
		c.Call(topic, "echo", nil)
	}
}

// rawSocket opens a WebSocket on nc and joins room:1, without a library that would answer or read on.
func rawSocket(t testing.TB, nc net.Conn, path string) {
	t.Helper()
	writeText(t, nc, "GET "+path+"?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	writeText(t, nc, string(clientFrame(`["1","1","room:1","phx_join",{}]`)))
	readUntil(t, nc, `"phx_reply",{"status":"ok"`)
}

func clientFrame(text string) []byte {
	return frame.AppendClient(nil, ws.OpText, [4]byte{1, 2, 3, 4}, []byte(text))
}

func readUntil(t testing.TB, r io.Reader, text string) {
	t.Helper()
	var got []byte
	for buf := make([]byte, 512); !strings.Contains(string(got), text); {
		n, err := r.Read(buf)
		if got = append(got, buf[:n]...); err != nil {
			t.Fatalf("read %q, then %v; want %q", got, err, text)
		}
	}
}

// hostileConfig serves an echo at /socket, and at /short with a timeout. The window is how long that is, and how long
// whoever stops in the midst of a handshake, or of reading, is borne with.
func hostileConfig(window time.Duration) server.Config {
	cfg := mount(script{in: echo})
	short := *cfg.Sockets[0]
	short.Path, short.WebSocket.Timeout = "/short", window
	cfg.Sockets = append(cfg.Sockets, &short)
	cfg.HandshakeTimeout = window
	cfg.Poller.LingerTimeout, cfg.Poller.WriteTimeout = 100*time.Millisecond, window
	cfg.Poller.OutboxLimit = 64 << 10
	return cfg
}

// halfOpen makes connections that stop in the midst of something, or whose other half is gone.
func halfOpen(t testing.TB, srv *servertest.Server) (held []rawConn) {
	const each = 20
	for range each {
		for _, stop := range []func(nc rawConn){
			func(rawConn) {}, // says nothing
			func(nc rawConn) { writeText(t, nc, "GET /socket/webs") },                      // half a head
			func(nc rawConn) { rawSocket(t, nc, "/short/websocket") },                      // joined, then silent
			func(nc rawConn) { rawSocket(t, nc, wsPath); _ = nc.CloseWrite() },             // FIN without Close
			func(nc rawConn) { rawSocket(t, nc, wsPath); _ = nc.SetLinger(0); nc.Close() }, // RST
			func(nc rawConn) { // half a frame
				rawSocket(t, nc, "/short/websocket")
				half := clientFrame(`["1","2","room:1","echo",{}]`)
				writeText(t, nc, string(half[:len(half)/2]))
			},
		} {
			nc := dialTCP(t, srv.Addr())
			stop(nc)
			held = append(held, nc)
		}
	}
	return held
}

// Connections that stop in the midst of something, or whose other half is gone, are ended by a timeout or by
// their FIN, and hold up nobody else: others are served while no timeout comes to their help.
func TestHalfOpenConnections(t *testing.T) {
	srv := servertest.Start(t, hostileConfig(patient))
	bystander := srv.Dial(wsPath)
	bystander.Join("room:2", nil)
	held := halfOpen(t, srv)
	echoes(bystander, "room:2", 50)
	for _, nc := range held {
		nc.Close()
	}
	srv.Stop()
	windowtest.Run(t, 500*time.Millisecond, func(t testing.TB, window time.Duration) {
		srv := servertest.Start(t, hostileConfig(window))
		before := restingOf(srv.Server)
		held := halfOpen(t, srv)
		comesBack(t, srv.Server, before, 8<<20)
		for i, nc := range held {
			if _, err := io.Copy(io.Discard, nc); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("connection %d is still open: %v", i, err)
			}
		}
	})
}

// Clients that flood with heartbeats, or with what is not even answered, until another has been served hold up nobody,
// though there is one loop; nor does one that does not read the answers. Those that read get each answer.
func TestHeartbeatFlood(t *testing.T) {
	const burst, bursts, readers = 1000, 20, 4
	cfg := hostileConfig(patient)
	cfg.Poller.Loops = 1
	srv := servertest.Start(t, cfg)
	bystander := srv.Dial(wsPath)
	bystander.Join("room:2", nil)
	before := restingOf(srv.Server)
	flood := []byte(strings.Repeat(string(clientFrame(`[null,"7","phoenix","heartbeat",{}]`)), burst))
	answers := int64(burst * (len(`[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`) + 2))
	served := make(chan bool)
	var deafEnds, wg sync.WaitGroup
	deaf := dialTCP(t, srv.Addr())
	rawSocket(t, deaf, wsPath)
	deafEnds.Go(func() { // until its outbox is over the limit
		for range 10_000 {
			if _, err := deaf.Write(flood); err != nil || srv.Stats().SlowClosed > 0 {
				return
			}
		}
		t.Error("the client that does not read was not ended")
	})
	endless := dialTCP(t, srv.Addr())
	rawSocket(t, endless, wsPath)
	wg.Go(func() { // it has always sent more than was read
		defer endless.Close()
		pongs := []byte(strings.Repeat(string(frame.AppendClient(nil, ws.OpPong, [4]byte{}, nil)), 10_000))
		for !isClosed(served) {
			if _, err := endless.Write(pongs); err != nil {
				t.Errorf("the client that sends pongs: %v", err)
				return
			}
		}
	})
	for range readers {
		reader := dialTCP(t, srv.Addr())
		rawSocket(t, reader, wsPath)
		wg.Go(func() {
			defer reader.Close()
			for n := 0; n < bursts || !isClosed(served); n++ {
				_, err := reader.Write(flood)
				if err == nil {
					_, err = io.CopyN(io.Discard, reader, answers)
				}
				if err != nil {
					t.Errorf("a client that reads, burst %d: %v", n, err)
					return
				}
			}
		})
	}
	echoes(bystander, "room:2", 30)
	deafEnds.Wait()
	echoes(bystander, "room:2", 1)
	close(served)
	wg.Wait()
	if st := srv.Stats(); st.SlowClosed != 1 {
		t.Errorf("%d connections were closed as too slow, want the one that did not read", st.SlowClosed)
	}
	deaf.Close()
	comesBack(t, srv.Server, before, 8<<20)
}

func isClosed(ch <-chan bool) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Clients that join and leave in a tight loop until another has been served leave nothing, and hold up nobody.
func TestJoinAndLeaveInALoop(t *testing.T) {
	const clients, rounds, batch = 4, 3000, 100
	srv := servertest.Start(t, hostileConfig(patient))
	bystander := srv.Dial(wsPath)
	bystander.Join("room:1", nil)
	before := restingOf(srv.Server)
	loop := strings.Repeat(string(clientFrame(`["1","1","room:1","phx_join",{}]`))+string(clientFrame(`["1","2","room:1","phx_leave",{}]`)), batch)
	const left = `["1","1","room:1","phx_close",{}]`
	served := make(chan bool)
	var wg sync.WaitGroup
	for range clients {
		nc := dialTCP(t, srv.Addr())
		rawSocket(t, nc, wsPath)
		wg.Go(func() {
			defer nc.Close()
			due, got, tail, buf := 1, 0, "", make([]byte, 64<<10) // one for rawSocket's join, which is displaced
			for n := 0; n < rounds || !isClosed(served); n += batch {
				if _, err := io.WriteString(nc, loop); err != nil {
					t.Error(err)
					return
				}
				for due += batch; got < due; {
					n, err := nc.Read(buf)
					if err != nil {
						t.Errorf("after %d of %d: %v", got, due, err)
						return
					}
					tail += string(buf[:n])
					got += strings.Count(tail, left)
					tail = tail[max(strings.LastIndex(tail, left)+len(left), len(tail)-len(left)):]
				}
			}
		})
	}
	echoes(bystander, "room:1", 100)
	close(served)
	wg.Wait()
	comesBack(t, srv.Server, before, 8<<20)
}

// A hundred thousand joins of one topic, while another topic is used: it is not paused, and when they are gone,
// so is their memory.
func TestManyJoinsOfOneTopic(t *testing.T) {
	n := 100_000
	if testing.Short() || server.UnderRace {
		n = 10_000
	}
	dr, err := drive.New(mount(script{in: echo}), drive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dr.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	sockets := make([]*drive.Socket, n)
	for i := range sockets {
		if sockets[i], err = dr.Connect(wsPath, nil); err != nil {
			t.Fatal(err)
		}
	}
	before := restingOf(dr.Server())
	channels := make([]drive.Channel, n)
	began := time.Now()
	for i, s := range sockets {
		if channels[i], err = s.Join("room:1", nil); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	if got := dr.Server().Stats().Hub.Subscriptions; got != n {
		t.Fatalf("%d subscriptions, want %d", got, n)
	}
	joined := restingOf(dr.Server())
	was := dr.Stats().Received
	if err := dr.Server().Broadcast("room:1", "news", nil); err != nil {
		t.Fatal(err)
	}
	if got := dr.Stats().Received - was; got != int64(n) {
		t.Errorf("a broadcast reached %d of %d", got, n)
	}
	for _, ch := range channels {
		if _, err := ch.Leave(); err != nil {
			t.Fatal(err)
		}
	}
	clear(channels)
	t.Logf("%d joins in %v, %.0f a second; %d bytes each", n, took, float64(n)/took.Seconds(), (joined.heap-before.heap)/uint64(n))
	comesBack(t, dr.Server(), before, 8<<20)
	if topics := dr.Server().Stats().Hub.Topics; topics != 0 {
		t.Errorf("%d topics that nobody is in", topics)
	}
	runtime.KeepAlive(sockets)
}
