package server

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/gobwas/ws"
)

// The loop answers heartbeats and pings in place: no allocation, no task.
func TestLoopAnswersWithoutAllocation(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	s := newFakeServer(t, Config{})
	for _, row := range []struct {
		name   string
		v2     bool
		op     ws.OpCode
		text   string
		answer string // without the header of two bytes
	}{
		{"V2 heartbeat", true, ws.OpText, `[null,"7","phoenix","heartbeat",{}]`,
			`[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`},
		{"V1 heartbeat", false, ws.OpText, `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}`,
			`{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"7"}`},
		{"ping", true, ws.OpPing, "hello", "hello"},
	} {
		k, c := fakeSocket(s, row.v2)
		c.inline, c.keep = false, true
		f := masked(row.op, row.text)
		buf := make([]byte, 0, 256)
		if n := k.receive(f, buf); n != len(f) || len(c.queued) != 0 || string(c.last[2:]) != row.answer {
			t.Fatalf("%s: took %d of %d bytes, queued %d tasks, answered %q", row.name, n, len(f), len(c.queued), c.last)
		}
		if n := testing.AllocsPerRun(1000, func() { k.receive(f, buf) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", row.name, n)
		}
		if k.cut != nil {
			t.Errorf("%s: the sleeping connection holds a decoder", row.name)
		}
	}
}

// A broadcast allocates for itself, and nothing for its subscribers.
func TestBroadcastAllocatesOnce(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	s := newFakeServer(t, Config{})
	var first float64
	for _, n := range []int{10, 1_000, 10_000} {
		topic := fmt.Sprint("quiet:", n)
		for i := range n {
			k, _ := fakeSocket(s, i%2 == 0)
			fakeJoin(k, topic)
		}
		allocs := fewestAllocs(func() {
			if got := deliverTo(s, topic); got != n {
				t.Fatalf("%d deliveries, want %d", got, n)
			}
		})
		t.Logf("%d subscribers: %v allocations", n, allocs)
		switch {
		case n == 10:
			first = allocs
		case allocs != first:
			t.Errorf("%d subscribers: %v allocations, want %v as for 10", n, allocs, first)
		}
	}
}

// fewestAllocs is the least of several counts. testing.AllocsPerRun counts the whole process: what the
// runtime and goroutines of other tests allocate meanwhile comes on top in some of them, and a collection
// may empty a pool in one.
func fewestAllocs(f func()) float64 {
	least := testing.AllocsPerRun(20, f)
	for range 4 {
		least = min(least, testing.AllocsPerRun(20, f))
	}
	return least
}

// What a sleeping connection holds, against the budgets of the design: 400 bytes as it idles joined to
// one topic with the engine's record, 320 after a collection, 100 for a further topic.
func TestSizes(t *testing.T) {
	for _, row := range []struct {
		name      string
		got, most uintptr
	}{
		{"wsConn", unsafe.Sizeof(wsConn{}), 40},
		{"socket", unsafe.Sizeof(socket{}), 64},
		{"channel", unsafe.Sizeof(channel{}), 80},
		{"Conn", unsafe.Sizeof(Conn{}), 64},
		{"hub.Subscription", unsafe.Sizeof(hub.Subscription{}), 16},
	} {
		if row.got > row.most {
			t.Errorf("%s is %d bytes, budget %d", row.name, row.got, row.most)
		}
	}
	l := IdleLedger()
	if sum := l.Record + l.Socket; sum > 200 {
		t.Errorf("an idle connection holds %d bytes in user space, budget 200", sum)
	}
	if sum := l.Record + l.Socket + l.Topic; sum > 320 {
		t.Errorf("a connection joined to one topic holds %d bytes in user space, budget 320", sum)
	}
	if l.Topic > 100 {
		t.Errorf("a further topic holds %d bytes, budget 100", l.Topic)
	}
}

// The ledger says what the heap grows by.
func TestLedgerIsMeasured(t *testing.T) {
	if underRace {
		t.Skip("the race detector's allocator rounds otherwise")
	}
	const sockets, slack = 10_000, 8 // bytes: the hub's pages, and what else the process does
	s := newFakeServer(t, Config{})
	c := &fakeConn{inline: true} // one for all: the engine's record is not in this sum
	kept := make([]*socket, sockets)
	at := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	empty := at()
	for i := range kept {
		kept[i] = &socket{wsConn: wsConn{conn: c, mount: s.routes[0]}, v2: true}
	}
	idle := at()
	for _, k := range kept {
		fakeJoin(k, "quiet:all")
	}
	joined := at()
	l := IdleLedger()
	check := func(what string, got, want int) {
		t.Logf("%s: %d bytes, ledger %d", what, got, want)
		if got < want-slack || got > want+slack {
			t.Errorf("%s: the heap grew by %d bytes, the ledger says %d", what, got, want)
		}
	}
	check("socket", (idle-empty)/sockets, l.Socket)
	check("topic", (joined-idle)/sockets, l.Topic)
	runtime.KeepAlive(kept)
}
