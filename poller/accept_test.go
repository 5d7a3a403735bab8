package poller_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/poller"
)

// Out of descriptors, an engine waits, says so in its counters, and serves everybody later.
func TestAcceptOutlivesWantOfDescriptors(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			p := newProbe()
			p.data = echo
			eng, err := e.make(poller.Config{Accept: p.accept, LingerTimeout: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{Engine: eng, t: t, addr: l.Addr().String(), served: make(chan error, 1)}
			var peers []peerConn
			for range 10 { // into the backlog
				peers = append(peers, r.dial())
			}
			raise := exhaustDescriptors(t)
			t.Cleanup(func() { r.stop(patience) })
			go func() { r.served <- eng.Serve(l) }()
			eventually(t, "an accept error", func() bool { return r.Stats().AcceptErrors > 0 })
			raise()
			for _, c := range peers {
				mustWrite(t, c, []byte("x"))
				readFull(t, c, 1)
			}
		})
	}
}

// exhaustDescriptors leaves the process room for two descriptors more: the duplicate of a listener
// and one connection. raise takes it back, at the latest at the test's end.
func exhaustDescriptors(t *testing.T) (raise func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	raise = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(raise)
	next, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(next)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next) + 2, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	return raise
}

func TestSeveralListeners(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept})
		second, err := net.Listen("unix", t.TempDir()+"/socket")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- r.Serve(second) }()
		for range 2 { // the second time it is certainly being served
			u, err := net.Dial("unix", second.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []net.Conn{r.dial(), u} {
				mustWrite(t, c, []byte("x"))
				readFull(t, c, 1)
				c.Close()
				wait(t, p.closed, "close")
			}
		}
		r.stop(patience)
		if err := wait(t, served, "the end of Serve"); err != poller.ErrShutdown {
			t.Errorf("Serve: %v, want ErrShutdown", err)
		}
	})
}

// Accept may turn a connection away: by then the connection has no handler and is registered nowhere.
func TestEndInAccept(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		n := 0
		r := start(poller.Config{Accept: func(c poller.Conn) poller.Handler {
			switch n++; n % 3 {
			case 0:
				c.Abort(poller.ErrBusy)
			case 1:
				c.Close()
			case 2:
				c.Do(task(func(c poller.Conn) { c.CloseWith([]byte("no")) }))
			}
			return p
		}})
		const conns = 60
		for range conns {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				continue // reset before connect(2) returned
			}
			c.SetDeadline(time.Now().Add(patience))
			c.Read(make([]byte, 8))
			c.Close()
		}
		for range conns {
			if err := wait(t, p.closed, "close"); err != nil && err != poller.ErrBusy {
				t.Errorf("OnClose(%v)", err)
			}
		}
		eventually(t, "all descriptors to be closed", func() bool { return r.Stats().Open == 0 })
		r.Each(func(poller.Conn, poller.Handler) bool { t.Error("a closed connection is still listed"); return true })
	})
}

func TestNew(t *testing.T) {
	for _, name := range append(poller.Names(), "") {
		r := startRig(t, func(c poller.Config) (poller.Engine, error) { return poller.New(name, c) }, poller.Config{Accept: newProbe().accept})
		r.dial()
	}
	_, err := poller.New("kqueue", poller.Config{Accept: newProbe().accept})
	if err == nil {
		t.Fatal("no error for an engine that does not exist")
	}
	for _, name := range poller.Names() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
