package server_test

import (
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
func comesBack(t *testing.T, s *server.Server, before resting, slack uint64) {
	t.Helper()
	var now resting
	servertest.Eventually(t, "the server holds what it did before", func() bool {
		now = restingOf(s)
		return now.open <= before.open && now.subscriptions <= before.subscriptions &&
			now.goroutines <= before.goroutines && now.heap <= before.heap+slack
	})
	t.Logf("before %+v, after %+v", before, now)
}

// echoes returns the median time of at least n echoes on a topic, and of as many as there are until done is
// closed; nil is closed.
func echoes(c *servertest.Client, topic string, n int, done <-chan bool) time.Duration {
	var took []time.Duration
	for {
		select {
		case <-done:
			done = nil
		default:
		}
		if done == nil && len(took) >= n {
			slices.Sort(took)
			return took[len(took)/2]
		}
		began := time.Now()
		c.Call(topic, "echo", nil)
		took = append(took, time.Since(began))
	}
}

// whenDone is closed when wg's goroutines have ended.
func whenDone(wg *sync.WaitGroup) <-chan bool {
	done := make(chan bool)
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

// stays compares two medians of one run. The bound is far above what a loaded machine does, and far below what
// a server that waits for one client does to the others.
func stays(t *testing.T, quiet, busy time.Duration) {
	t.Helper()
	t.Logf("median echo: %v before, %v during", quiet, busy)
	if busy > 100*quiet+100*time.Millisecond {
		t.Errorf("an echo takes %v, before it took %v", busy, quiet)
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

// hostileConfig serves an echo at /socket, and at /short with a timeout that no test waits long for.
func hostileConfig() server.Config {
	cfg := mount(script{in: echo})
	short := *cfg.Sockets[0]
	short.Path, short.WebSocket.Timeout = "/short", 500*time.Millisecond
	cfg.Sockets = append(cfg.Sockets, &short)
	cfg.HandshakeTimeout = 500 * time.Millisecond
	cfg.Poller.LingerTimeout, cfg.Poller.WriteTimeout = 100*time.Millisecond, 500*time.Millisecond
	cfg.Poller.OutboxLimit = 64 << 10
	return cfg
}

// Connections that stop in the midst of something, or whose other half is gone, are ended by a timeout or by
// their FIN, and cost nobody else anything.
func TestHalfOpenConnections(t *testing.T) {
	const each = 20
	srv := servertest.Start(t, hostileConfig())
	bystander := srv.Dial(wsPath)
	bystander.Join("room:2", nil)
	before := restingOf(srv.Server)
	quiet := echoes(bystander, "room:2", 50, nil)
	var held []*net.TCPConn
	for range each {
		for _, stop := range []func(nc *net.TCPConn){
			func(*net.TCPConn) {}, // says nothing
			func(nc *net.TCPConn) { writeText(t, nc, "GET /socket/webs") },                      // half a head
			func(nc *net.TCPConn) { rawSocket(t, nc, "/short/websocket") },                      // joined, then silent
			func(nc *net.TCPConn) { rawSocket(t, nc, wsPath); _ = nc.CloseWrite() },             // FIN without Close
			func(nc *net.TCPConn) { rawSocket(t, nc, wsPath); _ = nc.SetLinger(0); nc.Close() }, // RST
			func(nc *net.TCPConn) { // half a frame
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
	stays(t, quiet, echoes(bystander, "room:2", 50, nil))
	comesBack(t, srv.Server, before, 8<<20)
	for i, nc := range held {
		if _, err := io.Copy(io.Discard, nc); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("connection %d is still open: %v", i, err)
		}
	}
}

// A client that floods with heartbeats, and does not even read the answers, delays nobody; one that reads
// gets each answer.
func TestHeartbeatFlood(t *testing.T) {
	const burst, bursts = 1000, 200
	srv := servertest.Start(t, hostileConfig())
	bystander := srv.Dial(wsPath)
	bystander.Join("room:2", nil)
	before := restingOf(srv.Server)
	quiet := echoes(bystander, "room:2", 100, nil)
	reader, deaf := dialTCP(t, srv.Addr()), dialTCP(t, srv.Addr())
	rawSocket(t, reader, wsPath)
	rawSocket(t, deaf, wsPath)
	flood := []byte(strings.Repeat(string(clientFrame(`[null,"7","phoenix","heartbeat",{}]`)), burst))
	var wg sync.WaitGroup
	wg.Go(func() { // until its outbox is over the limit
		for range 100 * bursts {
			if _, err := deaf.Write(flood); err != nil || srv.Stats().SlowClosed > 0 {
				return
			}
		}
		t.Error("the client that does not read was not ended")
	})
	wg.Go(func() {
		answers := burst * (len(`[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`) + 2)
		for range bursts {
			_, err := reader.Write(flood)
			if err == nil {
				_, err = io.CopyN(io.Discard, reader, int64(answers))
			}
			if err != nil {
				t.Errorf("the client that reads: %v", err)
				return
			}
		}
	})
	busy := echoes(bystander, "room:2", 100, whenDone(&wg))
	stays(t, quiet, busy)
	if st := srv.Stats(); st.SlowClosed != 1 {
		t.Errorf("%d connections were closed as too slow, want the one that did not read", st.SlowClosed)
	}
	reader.Close()
	deaf.Close()
	comesBack(t, srv.Server, before, 8<<20)
}

// Clients that join and leave in a tight loop leave nothing, and delay nobody.
func TestJoinAndLeaveInALoop(t *testing.T) {
	const clients, rounds = 4, 3000
	srv := servertest.Start(t, hostileConfig())
	bystander := srv.Dial(wsPath)
	bystander.Join("room:1", nil)
	before := restingOf(srv.Server)
	quiet := echoes(bystander, "room:1", 100, nil)
	loop := []byte(string(clientFrame(`["1","1","room:1","phx_join",{}]`)) + string(clientFrame(`["1","2","room:1","phx_leave",{}]`)))
	closed := `["1","1","room:1","phx_close",{}]`
	var wg sync.WaitGroup
	for range clients {
		nc := dialTCP(t, srv.Addr())
		rawSocket(t, nc, wsPath)
		wg.Go(func() {
			defer nc.Close()
			wg.Go(func() {
				for range rounds {
					if _, err := nc.Write(loop); err != nil {
						t.Error(err)
						return
					}
				}
			})
			got, buf := 0, make([]byte, 64<<10)
			for tail := ""; got <= rounds; { // one more for rawSocket's join, which is displaced
				n, err := nc.Read(buf)
				if err != nil {
					t.Errorf("after %d of %d: %v", got, rounds, err)
					return
				}
				tail += string(buf[:n])
				got += strings.Count(tail, closed)
				tail = tail[max(strings.LastIndex(tail, closed)+len(closed), len(tail)-len(closed)):]
			}
		})
	}
	busy := echoes(bystander, "room:1", 100, whenDone(&wg))
	stays(t, quiet, busy)
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
