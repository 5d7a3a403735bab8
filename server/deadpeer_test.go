package server_test

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/server/servertest"
	"golang.org/x/sys/unix"
)

// A desert is a network of its own in which packets vanish once it has dried up, without a FIN, a RST or an error.
type desert struct{ calls chan func() }

// newDesert skips the test where a process may not have a network namespace.
func newDesert(t testing.TB) *desert {
	d := &desert{make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and the namespace with both
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = setLoopback(true)
		}
		if made <- err; err != nil {
			return
		}
		for f := range d.calls {
			f()
		}
	}()
	if err := <-made; err != nil {
		t.Skipf("no network namespace for this process: %v", err)
	}
	t.Cleanup(func() { close(d.calls) })
	return d
}

// do runs f on the thread that is in the desert; the sockets that it makes stay there.
func (d *desert) do(f func()) {
	done := make(chan bool)
	d.calls <- func() { f(); close(done) }
	<-done
}

// setLoopback sets the loopback device of this thread's namespace up or down.
func setLoopback(up bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	flags := lo.Uint16() &^ unix.IFF_UP
	if up {
		flags |= unix.IFF_UP
	}
	lo.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// peopled opens n sockets in the desert at path, and then nothing arrives there any more.
func (d *desert) peopled(t testing.TB, srv *servertest.Server, n int, path string) {
	t.Helper()
	var l net.Listener
	var err error
	d.do(func() { l, err = net.Listen("tcp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		<-served
	})
	for range n {
		var nc net.Conn
		d.do(func() { nc, err = net.Dial("tcp", l.Addr().String()) })
		if err != nil {
			t.Fatal(err)
		}
		rawSocket(t, newRawConn(t, nc), path)
	}
	d.do(func() { err = setLoopback(false) })
	if err != nil {
		t.Fatal(err)
	}
}

// A peer that has vanished without a FIN is ended by the timeout if it was idle, and by the limit of its outbox
// if it is sent to; everybody else is served meanwhile.
func TestDeadPeers(t *testing.T) {
	const n = 20
	for _, row := range []struct {
		name, path string
		flood      bool
	}{
		{"1.9: idle", "/short/websocket", false},
		{"sent to", wsPath, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			windowtest.Run(t, 500*time.Millisecond, func(t testing.TB, window time.Duration) {
				d := newDesert(t)
				srv := servertest.Start(t, hostileConfig(window))
				alive := srv.Dial(wsPath)
				alive.Join("room:1", nil)
				before := restingOf(srv.Server)
				d.peopled(t, srv, n, row.path)
				if row.flood {
					floodDesert(t, srv, alive, n)
				}
				echoes(alive, "room:1", 50)
				if st := srv.Stats().Engine; int(st.Open) != before.open+n {
					t.Fatalf("%d of %d have ended before others were served: %+v", before.open+n-int(st.Open), n, st)
				}
				before.goroutines++ // Serve, of the listener in the desert
				comesBack(t, srv.Server, before, 8<<20)
				if st := srv.Stats(); st.Engine.ClosedByPeer != 0 {
					t.Errorf("%d have said that they went", st.Engine.ClosedByPeer)
				}
			})
		})
	}
}

// floodDesert broadcasts until n peers in the desert are too slow; alive gets everything.
func floodDesert(t testing.TB, srv *servertest.Server, alive *servertest.Client, n int64) {
	t.Helper()
	big := object{"pad": strings.Repeat("x", 128<<10)}
	for sent := 0; srv.Stats().SlowClosed < n; sent++ {
		if st := srv.Stats(); sent > 1000 || st.Engine.WriteTimeouts > 0 {
			t.Fatalf("%d MB were sent into the desert, and %d of %d are too slow, %d ended by the write timeout",
				sent/8, st.SlowClosed, n, st.Engine.WriteTimeouts)
		}
		if err := srv.Broadcast("room:1", "big", big); err != nil {
			t.Fatal(err)
		}
		alive.NextEvent("big")
	}
}
