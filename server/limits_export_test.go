package server

import (
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"
)

// SetClock gives the limits a clock of the test.
func (l *Limits) SetClock(now func() time.Duration) { l.clock = now }

// What a connection costs that is counted, against the sum in Limits.
func TestSeatSize(t *testing.T) {
	if n := sizeClass(int(unsafe.Sizeof(seat{}))); n != 32 {
		t.Errorf("a seat holds %d bytes, Limits says 32", n)
	}
}

// A server without limits and proxies has no gate, and its connections no guest and no seat.
func TestNoLimitsNoGate(t *testing.T) {
	s := newFakeServer(t, Config{})
	if s.gate != nil {
		t.Fatal("there is a gate")
	}
	c := &fakeConn{}
	if h := s.accept(c); h != s.shared {
		t.Errorf("the first handler is a %T, not the shared greeter", h)
	}
	if k, _ := fakeSocket(s, true); k.seat() != nil {
		t.Error("a socket has a seat")
	}
}

// A message that counts is answered on the loop without allocation all the same.
func TestCountedHeartbeatWithoutAllocation(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	s := newFakeServer(t, Config{Limits: Limits{Messages: Rate{PerSecond: 1e6, Burst: 1 << 20}}})
	for name, f := range map[string][]byte{
		"heartbeat": masked(ws.OpText, `[null,"7","phoenix","heartbeat",{}]`), "ping": masked(ws.OpPing, "hello"),
	} {
		k, c := fakeSocket(s, true)
		k.conn = &seat{Conn: c}
		buf := make([]byte, 0, 256)
		if n := testing.AllocsPerRun(1000, func() { k.receive(f, buf) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if c.sends < 1000 || k.seat().messages == 0 {
			t.Errorf("%s: %d answers", name, c.sends)
		}
	}
}
