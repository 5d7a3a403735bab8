package sample

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestFindListener(t *testing.T) {
	mount := recorded(t)
	for _, row := range []struct {
		addr string
		want bool
	}{
		{"127.0.0.1:4000", true},
		{"[::ffff:127.0.0.1]:4000", true},
		{"0.0.0.0:4000", true},
		{"127.0.0.2:4000", false}, // another address
		{"127.0.0.1:4096", false}, // a listener behind the first connection: there is none in a real file
		{"127.0.0.1:2024", false}, // listens, but its process is not to be seen
		{"127.0.0.1:50090", false},
	} {
		pid, name, ok := findListener(mount, netip.MustParseAddrPort(row.addr))
		if ok != row.want {
			t.Errorf("%s: %v, want %v", row.addr, ok, row.want)
		}
		if ok && (pid != 4711 || name != "my (odd) srv") {
			t.Errorf("%s: %d, %s", row.addr, pid, name)
		}
	}
	if _, _, ok := findListener(t.TempDir(), netip.MustParseAddrPort("127.0.0.1:4000")); ok {
		t.Error("found in nothing")
	}
}

func TestListenerServes(t *testing.T) {
	for _, row := range []struct {
		own, addr string
		want      int
	}{
		{"127.0.0.1:80", "127.0.0.1:80", 2},
		{"127.0.0.1:80", "127.0.0.1:81", -1},
		{"127.0.0.1:80", "127.0.0.2:80", -1},
		{"0.0.0.0:80", "127.0.0.2:80", 1},
		{"[::]:80", "[::1]:80", 1},
		{"[::]:80", "127.0.0.1:80", 0},
		{"0.0.0.0:80", "[::1]:80", -1},
		{"127.0.0.1:80", "0.0.0.0:80", 0},
		{"[fe80::1]:80", "[fe80::1%eth0]:80", 2},
	} {
		l := listener{addr: netip.MustParseAddrPort(row.own)}
		if got := l.serves(netip.MustParseAddrPort(row.addr)); got != row.want {
			t.Errorf("%s serves %s: %d, want %d", row.own, row.addr, got, row.want)
		}
	}
}

// A listener of this process, on one address and on all.
func TestFindThisProcess(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", ":0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		pid, _, ok := FindListener(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port))
		if !ok || pid != os.Getpid() {
			t.Errorf("%s: found %v, %d; want %d", addr, ok, pid, os.Getpid())
		}
		if _, _, ok := FindListener(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)); ok {
			t.Errorf("%s: found for an address of another host", addr)
		}
		l.Close()
		if _, _, ok := FindListener(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)); ok {
			t.Errorf("%s: found after it was closed", addr)
		}
	}
}

func FuzzListeners(f *testing.F) {
	for _, file := range []string{"testdata/proc/net/tcp", "testdata/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("0: 0:0 0 0A 0 0 0 0 0 0")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range listeners(strings.NewReader(text)) {
			if !l.addr.IsValid() {
				t.Errorf("an address that is none from %q", text)
			}
		}
	})
}
