package poller_test

import (
	"runtime/debug"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
)

// On the default engine neither a send that the kernel takes nor an echo on the loop allocates.
func TestSendAndEchoDoNotAllocate(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	p := newProbe()
	p.data = func(c poller.Conn, b []byte) int { c.Write(b); return len(b) }
	r := startRig(t, engines[0].make, poller.Config{Accept: p.accept, Loops: 1})
	c := r.dial()
	conn := wait(t, p.opened, "open")
	frame, buf := make([]byte, 64), make([]byte, 64)
	check := func(what string, f func()) {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %.1f allocations, want 0", what, n)
		}
	}
	check("Send", func() { conn.Send(frame); readFullInto(t, c, buf) })
	check("echo", func() { mustWrite(t, c, frame); readFullInto(t, c, buf) })
}

func readFullInto(t *testing.T, r interface{ Read([]byte) (int, error) }, b []byte) {
	for got := 0; got < len(b); {
		n, err := r.Read(b[got:])
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
}

// raceEnabled reports whether the race detector is built in: its sync.Pool drops at random.
func raceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}
