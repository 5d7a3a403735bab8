package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
)

// BenchmarkFanout broadcasts to real loopback sockets that have joined one topic, and beside it sends the
// same bytes to the same sockets with a plain loop of send(2), in turn. Readers drain in between, out
// of the measured time. Reported: time for each delivery and each send, and the rate of the first as a
// part of the second's.
func BenchmarkFanout(b *testing.B) {
	for _, n := range []int{1_000, 8_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) { benchmarkFanout(b, n) })
	}
}

func benchmarkFanout(b *testing.B, n int) {
	sock := &server.Socket{Path: "/socket", Routes: []server.Route{{Topic: "*", Channel: func() server.Channel { return silent{} }}}}
	s, err := server.New(server.Config{Sockets: []*server.Socket{sock}})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	defer func() { _ = s.Shutdown(context.Background()); <-served }()
	clients := make([]net.Conn, n)
	for i := range clients {
		clients[i] = joinRaw(b, addr, "room")
		defer clients[i].Close()
	}
	fds := serverSide(b, addr, n)
	bytes := frame.AppendServer(nil, ws.OpText, []byte(`[null,null,"room","msg",{"body":"hello, everybody"}]`))
	buf := make([]byte, len(bytes))
	payload := server.Raw([]byte(`{"body":"hello, everybody"}`))
	var hubTime, loopTime time.Duration
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		if err := s.Broadcast("room", "msg", payload); err != nil {
			b.Fatal(err)
		}
		hubTime += time.Since(start)
		drain(b, clients, buf)
		start = time.Now()
		for _, fd := range fds {
			if _, err := unix.Write(fd, bytes); err != nil {
				b.Fatal(err)
			}
		}
		loopTime += time.Since(start)
		drain(b, clients, buf)
	}
	total := float64(b.N * n)
	b.ReportMetric(float64(hubTime)/total, "ns/delivery")
	b.ReportMetric(float64(loopTime)/total, "ns/send")
	b.ReportMetric(float64(loopTime)/float64(hubTime), "rate/plain")
	b.ReportMetric(0, "ns/op")
}

type silent struct{}

func (silent) Join(*server.Context, server.Payload) error             { return nil }
func (silent) HandleIn(*server.Context, string, server.Payload) error { return nil }
func (silent) Leave(*server.Context, error)                           {}

func joinRaw(tb testing.TB, addr, topic string) net.Conn {
	c := openWebSocket(tb, addr, "/socket/websocket?vsn=2.0.0")
	join := `["3","3","` + topic + `","phx_join",{}]`
	reply := `["3","3","` + topic + `","phx_reply",{"status":"ok","response":{}}]`
	if _, err := c.Write(frame.AppendClient(nil, ws.OpText, [4]byte{1, 2, 3, 4}, []byte(join))); err != nil {
		tb.Fatal(err)
	}
	got := make([]byte, 2+len(reply))
	if _, err := io.ReadFull(c, got); err != nil || string(got[2:]) != reply {
		tb.Fatalf("join: %q, %v", got, err)
	}
	return c
}

func drain(tb testing.TB, clients []net.Conn, buf []byte) {
	for _, c := range clients {
		if _, err := io.ReadFull(c, buf); err != nil {
			tb.Fatal(err)
		}
	}
}

// serverSide finds the n descriptors of this process that are the server's ends of connections to addr.
func serverSide(tb testing.TB, addr string, n int) []int {
	tb.Helper()
	_, port, _ := net.SplitHostPort(addr)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	var fds []int
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		local, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		sa, ok := local.(*unix.SockaddrInet4)
		if !ok || strconv.Itoa(sa.Port) != port {
			continue
		}
		if _, err := unix.Getpeername(fd); err == nil {
			fds = append(fds, fd)
		}
	}
	if len(fds) != n {
		tb.Fatalf("found %d of the server's %d sockets", len(fds), n)
	}
	return fds
}
