package agent

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// TestLook asks an agent for who listens on this host: this process.
func TestLook(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, stop := start(t, Options{Token: "secret"}, nil)
	defer stop()
	at := netip.MustParseAddrPort(l.Addr().String())
	for range 2 { // found, and known
		p, k, err := New(a, "secret").Look(t.Context(), at)
		if err != nil || p.PID != os.Getpid() || p.RSS == 0 || k.SlabBytes == 0 {
			t.Errorf("%+v, %+v, %v", p, k, err)
		}
	}
	if _, _, err := New(a, "other").Look(t.Context(), at); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("with another token: %v", err)
	}
	l.Close()
	nobody := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1)
	if _, _, err := New(a, "secret").Look(t.Context(), nobody); err == nil || !strings.Contains(err.Error(), "listens") {
		t.Errorf("where nobody listens: %v", err)
	}
}
