package server_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/servertest"
)

// BenchmarkBystander measures the echo of a client on a connection and a topic of its own, while others are hostile,
// beside the same in a calm before it, in one run: the medians, their ratio, and the 99th percentile. The hostile
// clients share the processors with server and bystander.
func BenchmarkBystander(b *testing.B) {
	for _, row := range []struct {
		name string
		does func(b *testing.B, srv *servertest.Server, stop <-chan bool)
	}{
		{"nobody", func(*testing.B, *servertest.Server, <-chan bool) {}},
		{"half-open=120", func(b *testing.B, srv *servertest.Server, _ <-chan bool) { halfOpen(b, srv) }},
		{"heartbeats=10000/s", func(b *testing.B, srv *servertest.Server, stop <-chan bool) {
			beats := strings.Repeat(string(clientFrame(`[null,"7","phoenix","heartbeat",{}]`)), 10)
			repeat(b, srv, beats, time.Millisecond, stop)
		}},
		{"join-leave", func(b *testing.B, srv *servertest.Server, stop <-chan bool) {
			repeat(b, srv, string(clientFrame(`["1","1","room:1","phx_join",{}]`))+string(clientFrame(`["1","2","room:1","phx_leave",{}]`)), 0, stop)
		}},
		{"slow-readers=20", slowReadersOf(20)},
	} {
		b.Run(row.name, func(b *testing.B) {
			srv := servertest.Start(b, hostileConfig(patient))
			bystander := srv.Dial(wsPath)
			bystander.Join("room:2", nil)
			echo := func() (p50, p99 time.Duration) {
				took := make([]time.Duration, b.N)
				for i := range took {
					began := time.Now()
					bystander.Call("room:2", "echo", nil)
					took[i] = time.Since(began)
				}
				slices.Sort(took)
				return took[b.N/2], took[b.N*99/100]
			}
			echoes(bystander, "room:2", 100)
			calm, calm99 := echo()
			stop := make(chan bool)
			row.does(b, srv, stop)
			b.ResetTimer()
			busy, busy99 := echo()
			b.StopTimer()
			close(stop)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(us(calm), "calm-p50-us")
			b.ReportMetric(us(busy), "p50-us")
			b.ReportMetric(float64(busy)/float64(calm), "p50/calm")
			b.ReportMetric(us(calm99), "calm-p99-us")
			b.ReportMetric(us(busy99), "p99-us")
		})
	}
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// repeat has a client of room:1 send the same again and again, and read what comes of it. 0 is without a pause.
func repeat(b *testing.B, srv *servertest.Server, text string, pause time.Duration, stop <-chan bool) {
	nc := dialTCP(b, srv.Addr())
	rawSocket(b, nc, wsPath)
	go func() { _, _ = io.Copy(io.Discard, nc) }()
	go func() {
		defer nc.Close()
		tick := time.NewTicker(max(pause, 1))
		defer tick.Stop()
		for !isClosed(stop) {
			if _, err := io.WriteString(nc, text); err != nil {
				return
			}
			if pause > 0 {
				<-tick.C
			}
		}
	}()
}

// slowReadersOf has so many clients of room:1 that never read, and a broadcast of 16 KiB to them every millisecond.
// Each is closed at the limit of its outbox.
func slowReadersOf(n int) func(*testing.B, *servertest.Server, <-chan bool) {
	return func(b *testing.B, srv *servertest.Server, stop <-chan bool) {
		var clients []rawConn
		for range n {
			nc := dialTCP(b, srv.Addr())
			_ = nc.SetReadBuffer(4 << 10)
			rawSocket(b, nc, wsPath)
			clients = append(clients, nc)
		}
		go func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for !isClosed(stop) {
				_ = srv.Broadcast("room:1", "big", object{"pad": strings.Repeat("x", 16<<10)})
				<-tick.C
			}
			for _, nc := range clients {
				nc.Close()
			}
		}()
	}
}
