package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A tlsSeen is what a handler was told of one link.
type tlsSeen struct {
	link   *tlsLink
	ready  chan error
	data   chan []byte
	closed chan error
}

func (s *tlsSeen) OnData(_ poller.Conn, p []byte) int {
	s.data <- bytes.Clone(p)
	return len(p)
}
func (s *tlsSeen) OnTimeout(poller.Conn)               { s.link.Abort(errConnectTimeout) }
func (s *tlsSeen) OnClose(_ poller.Conn, reason error) { s.closed <- reason }

// read waits for n bytes.
func (s *tlsSeen) read(t *testing.T, n int) []byte {
	t.Helper()
	var all []byte
	for len(all) < n {
		all = append(all, receive(t, s.data)...)
	}
	return all
}

// receive waits for what comes on c. The time bounds a failing test only.
func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened")
	}
	return v
}

func startEngine(t *testing.T) *poller.Epoll {
	t.Helper()
	e, err := poller.NewEpoll(poller.Config{Accept: func(poller.Conn) poller.Handler { panic("no listener") }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

// dialTLS dials and begins the handshake. wrap is between the engine and the link.
func dialTLS(t *testing.T, e *poller.Epoll, to string, conf *tls.Config, wrap func(poller.Handler) poller.Handler) *tlsSeen {
	t.Helper()
	return dialQueued(t, e, to, conf, new(handshakeQueue), wrap)
}

func dialQueued(t *testing.T, e *poller.Epoll, to string, conf *tls.Config, q *handshakeQueue, wrap func(poller.Handler) poller.Handler) *tlsSeen {
	t.Helper()
	s := &tlsSeen{ready: make(chan error, 2), data: make(chan []byte, 1<<16), closed: make(chan error, 2)}
	s.link = newTLSLink(conf, q, s, func(err error) { s.ready <- err })
	var h poller.Handler = s.link
	if wrap != nil {
		h = wrap(h)
	}
	c, err := e.Dial(netip.Addr{}, netip.MustParseAddrPort(to), h)
	if err != nil {
		t.Fatal(err)
	}
	s.link.attach(c)
	return s
}

// certificates returns the configuration of a server for 127.0.0.1 and of a client that trusts it.
func certificates() (server, client *tls.Config) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// serve calls f for each connection, on a goroutine of its own that ends with the test.
func serve(t *testing.T, f func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

// A byteHandler gives what it gets byte by byte.
type byteHandler struct{ poller.Handler }

func (h byteHandler) OnData(c poller.Conn, p []byte) int {
	for i := range p {
		h.Handler.OnData(c, p[i:i+1:i+1])
	}
	return len(p)
}

func TestTLSLinkEcho(t *testing.T) {
	server, client := certificates()
	addr := serve(t, func(c net.Conn) {
		c = tls.Server(c, server)
		io.Copy(c, c)
	})
	e := startEngine(t)
	for _, row := range []struct {
		name    string
		version uint16
		wrap    func(poller.Handler) poller.Handler
	}{
		{"TLS 1.3", tls.VersionTLS13, nil},
		{"TLS 1.2", tls.VersionTLS12, nil},
		{"TLS 1.3, byte by byte", tls.VersionTLS13, func(h poller.Handler) poller.Handler { return byteHandler{h} }},
		{"TLS 1.2, byte by byte", tls.VersionTLS12, func(h poller.Handler) poller.Handler { return byteHandler{h} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			conf := client.Clone()
			conf.MaxVersion = row.version
			s := dialTLS(t, e, addr, conf, row.wrap)
			if err := receive(t, s.ready); err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{1, 100, maxPlaintext, maxPlaintext + 1, 100_000} {
				message := bytes.Repeat([]byte("x"), size)
				message[0], message[size-1] = '<', '>'
				if err := s.link.Write(message); err != nil {
					t.Fatal(err)
				}
				if got := s.read(t, size); !bytes.Equal(got, message) {
					t.Fatalf("%d bytes came back as %d others", size, len(got))
				}
			}
			s.link.CloseWith(nil)
			if err := receive(t, s.closed); err != nil {
				t.Errorf("closed because of %v", err)
			}
			if err := s.link.Write([]byte("x")); err == nil {
				t.Error("a write after the close succeeded")
			}
		})
	}
}

// TestTLSLinkOrder writes from many goroutines: every message must arrive whole.
func TestTLSLinkOrder(t *testing.T) {
	const writers, each = 8, 50
	server, client := certificates()
	got := make(chan string, 1)
	addr := serve(t, func(c net.Conn) {
		all, err := io.ReadAll(tls.Server(c, server))
		if err != nil {
			t.Error(err)
		}
		got <- string(all)
	})
	s := dialTLS(t, startEngine(t), addr, client, nil)
	if err := receive(t, s.ready); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, s.link.Write([]byte(strings.Repeat(string(rune('a'+w)), 99)+"\n")))
			}
			done <- err
		}()
	}
	for range writers {
		if err := receive(t, done); err != nil {
			t.Error(err)
		}
	}
	s.link.CloseWith([]byte("last"))
	lines := strings.Split(receive(t, got), "\n")
	if len(lines) != writers*each+1 || lines[writers*each] != "last" {
		t.Fatalf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
	for _, line := range lines[:writers*each] {
		if line != strings.Repeat(line[:1], 99) {
			t.Fatalf("%q", line)
		}
	}
}

func TestTLSLinkErrors(t *testing.T) {
	server, client := certificates()
	for _, row := range []struct {
		name  string
		serve func(net.Conn)
		conf  *tls.Config
		kind  string // of what ready and OnClose are told
	}{
		{"unknown authority", func(c net.Conn) { tls.Server(c, server).Handshake() }, &tls.Config{ServerName: "127.0.0.1"}, "TLS: unknown authority"},
		{"other name", func(c net.Conn) { tls.Server(c, server).Handshake() }, &tls.Config{RootCAs: client.RootCAs, ServerName: "other.test"}, "TLS: certificate of another name"},
		{"not TLS", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); io.Copy(io.Discard, c) }, client, "TLS: not TLS"},
		{"closed at once", func(c net.Conn) {
			io.ReadAtLeast(c, make([]byte, 5), 5)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
		}, client, "TLS: closed by server in the handshake"},
		{"reset", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }, client, "reset by peer"},
		{"no common version", func(c net.Conn) {
			tls.Server(c, &tls.Config{Certificates: server.Certificates, MaxVersion: tls.VersionTLS12}).Handshake()
			io.Copy(io.Discard, c)
		}, &tls.Config{RootCAs: client.RootCAs, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}, "TLS: remote error: tls: protocol version not supported"},
		{"flood", func(c net.Conn) {
			record := append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 1<<14)...)
			for {
				if _, err := c.Write(record); err != nil {
					return
				}
			}
		}, client, "TLS: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := dialTLS(t, startEngine(t), serve(t, row.serve), row.conf, nil)
			err := receive(t, s.ready)
			kind := kindOf(err)
			if kind != row.kind && row.name != "flood" || !strings.HasPrefix(kind, row.kind) {
				t.Errorf("ready: %q, want %q (%v)", kind, row.kind, err)
			}
			if got := kindOf(receive(t, s.closed)); got != kind {
				t.Errorf("closed: %q, ready: %q", got, kind)
			}
			if len(s.ready) > 0 || len(s.closed) > 0 || len(s.data) > 0 {
				t.Error("told twice")
			}
		})
	}
}

func TestTLSLinkRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := dialTLS(t, startEngine(t), addr, &tls.Config{ServerName: "x"}, nil)
	if err := receive(t, s.ready); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("ready: %v", err)
	}
	if err := receive(t, s.closed); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed: %v", err)
	}
}

// TestTLSLinkCloseNotify has the server end the stream and keep the connection.
func TestTLSLinkCloseNotify(t *testing.T) {
	server, client := certificates()
	ended := make(chan error, 1)
	addr := serve(t, func(c net.Conn) {
		s := tls.Server(c, server)
		io.ReadAtLeast(s, make([]byte, 1), 1)
		io.WriteString(s, "bye")
		s.CloseWrite()
		_, err := s.Read(make([]byte, 1))
		ended <- err
	})
	s := dialTLS(t, startEngine(t), addr, client, nil)
	if err := receive(t, s.ready); err != nil {
		t.Fatal(err)
	}
	s.link.Write([]byte("x"))
	if got := string(s.read(t, 3)); got != "bye" {
		t.Errorf("got %q", got)
	}
	if err := receive(t, s.closed); err != io.EOF {
		t.Errorf("closed because of %v", err)
	}
	if err := receive(t, ended); err != io.EOF {
		t.Errorf("the server saw %v for close_notify", err)
	}
}

// TestTLSLinkGarbage has the server break the protocol when it is up.
func TestTLSLinkGarbage(t *testing.T) {
	server, client := certificates()
	addr := serve(t, func(c net.Conn) {
		tls.Server(c, server).Handshake()
		io.WriteString(c, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 0x20))
		io.Copy(io.Discard, c)
	})
	s := dialTLS(t, startEngine(t), addr, client, nil)
	if err := receive(t, s.ready); err != nil {
		t.Fatal(err)
	}
	if kind := kindOf(receive(t, s.closed)); kind != "TLS: local error: tls: bad record MAC" {
		t.Errorf("closed: %q", kind)
	}
}

// TestTLSLinkQueue begins more handshakes than may go on at once, with a server that never answers.
func TestTLSLinkQueue(t *testing.T) {
	const more = 100
	addr := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	e := startEngine(t)
	var queue handshakeQueue
	var all []*tlsSeen
	for range maxHandshakes + more {
		all = append(all, dialQueued(t, e, addr, &tls.Config{ServerName: "x"}, &queue, nil))
	}
	queue.mu.Lock()
	running, waiting := queue.running, len(queue.waiting)
	queue.mu.Unlock()
	if running != maxHandshakes || waiting != more {
		t.Errorf("%d handshakes are running, %d wait", running, waiting)
	}
	for _, s := range all {
		s.link.SetDeadline(time.Millisecond)
	}
	for _, s := range all {
		if err := receive(t, s.ready); err != errConnectTimeout {
			t.Fatalf("ready: %v", err)
		}
		if err := receive(t, s.closed); err != errConnectTimeout {
			t.Fatalf("closed: %v", err)
		}
	}
	for idle := false; !idle; runtime.Gosched() {
		queue.mu.Lock()
		idle = queue.running == 0 && len(queue.waiting) == 0
		queue.mu.Unlock()
	}
}

// TestTLSLinkCloseInHandshake ends links in every way while the server does not answer.
func TestTLSLinkCloseInHandshake(t *testing.T) {
	addr := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	e := startEngine(t)
	for name, end := range map[string]func(*tlsLink){
		"Abort":     func(l *tlsLink) { l.Abort(nil) },
		"CloseWith": func(l *tlsLink) { l.CloseWith([]byte("x")) },
	} {
		s := dialTLS(t, e, addr, &tls.Config{ServerName: "x"}, nil)
		if err := s.link.Write([]byte("x")); err != poller.ErrClosed {
			t.Errorf("%s: a write in the handshake: %v", name, err)
		}
		end(s.link)
		if err := receive(t, s.ready); err != poller.ErrClosed {
			t.Errorf("%s: ready: %v", name, err)
		}
		if err := receive(t, s.closed); err != nil {
			t.Errorf("%s: closed: %v", name, err)
		}
	}
}

// A pipeConn is a connection whose second write, which ends a TLS 1.3 handshake, returns when hold is
// closed.
type pipeConn struct {
	poller.Conn // for what the test does not need
	pipe        net.Conn
	writes      int
	hold        chan struct{}
}

func (c *pipeConn) Write(p []byte) error {
	_, err := c.pipe.Write(p)
	if c.writes++; c.writes == 2 {
		<-c.hold
	}
	return err
}

// TestTLSLinkEarly has data come before the handshake is known to be done.
func TestTLSLinkEarly(t *testing.T) {
	server, client := certificates()
	near, far := net.Pipe()
	c := &pipeConn{pipe: near, hold: make(chan struct{})}
	s := &tlsSeen{ready: make(chan error, 1), data: make(chan []byte, 10), closed: make(chan error, 1)}
	s.link = newTLSLink(client, new(handshakeQueue), s, func(err error) { s.ready <- err })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := near.Read(buf)
			if err != nil {
				s.link.OnClose(c, err)
				return
			}
			s.link.OnData(c, buf[:n])
		}
	}()
	s.link.attach(c)
	peer := tls.Server(far, server)
	for _, text := range []string{"early", "!"} { // when the second was read, the first was handled
		if _, err := io.WriteString(peer, text); err != nil {
			t.Fatal(err)
		}
	}
	close(c.hold)
	if err := receive(t, s.ready); err != nil {
		t.Fatal(err)
	}
	if got := string(s.read(t, len("early!"))); got != "early!" {
		t.Errorf("got %q", got)
	}
	far.Close()
	if err := receive(t, s.closed); err != io.EOF {
		t.Errorf("closed because of %v", err)
	}
}

// TestTLSLinkMemory logs what an idle link costs on the heap, its connection's record of 64 bytes
// included.
func TestTLSLinkMemory(t *testing.T) {
	const links = 1000
	server, client := certificates()
	var hold []net.Conn // so that the server's ends stay as they are
	held := make(chan net.Conn)
	release := make(chan struct{})
	addr := serve(t, func(c net.Conn) {
		s := tls.Server(c, server)
		if s.Handshake() == nil {
			held <- s
			<-release
		}
	})
	defer close(release)
	e := startEngine(t)
	var queue handshakeQueue
	var all []*tlsSeen
	for range links {
		s := &tlsSeen{ready: make(chan error, 1), closed: make(chan error, 1)}
		s.link = newTLSLink(client, &queue, s, func(err error) { s.ready <- err })
		c, err := e.Dial(netip.Addr{}, netip.MustParseAddrPort(addr), s.link)
		if err != nil {
			t.Fatal(err)
		}
		s.link.attach(c)
		if err := receive(t, s.ready); err != nil {
			t.Fatal(err)
		}
		hold = append(hold, receive(t, held))
		all = append(all, s)
	}
	with := liveHeap()
	for _, s := range all {
		s.link.Abort(nil)
	}
	for _, s := range all {
		receive(t, s.closed)
		s.link = nil
	}
	t.Logf("%d bytes of heap for each idle link", (with-liveHeap())/links)
	runtime.KeepAlive(hold)
	runtime.KeepAlive(all)
}

func liveHeap() int64 {
	for range 3 { // pools let go of what is in them in two collections
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
