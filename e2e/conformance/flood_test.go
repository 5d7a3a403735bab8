package conformance_test

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// tightGC has the programs collect early, so that resident memory tells what is kept from what is not yet
// collected.
const tightGC = "10"

// halfRequests are the ways to stop in the middle of a handshake.
func halfRequests() [][]byte {
	head := upgradeHead("/", "Cookie: "+string(repeat('c', 400)))
	return [][]byte{nil, head[:1], head[:10], head[:len(head)/2], head[:len(head)-1]}
}

// TestHalfRequests: ten thousand connections that each send half a request harm nobody, and leave
// nothing behind: neither those that close nor those that the deadline ends.
func TestHalfRequests(t *testing.T) {
	n, limitGrowth := 10_000, 1.1
	if testing.Short() || raceEnabled {
		n, limitGrowth = 1000, 2
	}
	t.Setenv("GOGC", tightGC)
	onEngines(t, func(t *testing.T, engine string) {
		e := startEcho(t, engine)
		bystander := dial(t, e.addr, "/")
		bystander.alive()
		descriptors, idle := e.descriptors(), e.memory("VmRSS")
		var after [3]int
		for round := range after {
			held := flood(t, e.addr, n, func() { bystander.alive() })
			eventually(t, "a descriptor for each connection", func() (bool, string) {
				got := e.descriptors()
				return got >= descriptors+n, fmt.Sprint(got)
			})
			full := e.memory("VmRSS")
			for range 100 {
				bystander.alive()
			}
			newcomer := dial(t, e.addr, "/")
			newcomer.alive()
			for _, c := range append(held, newcomer.c) {
				c.Close()
			}
			e.settled(descriptors)
			after[round] = e.memory("VmRSS")
			t.Logf("round %d: %d kB before, %d kB with %d half requests (%d B each), %d kB after",
				round+1, idle, full, n, (full-idle)*1024/n, after[round])
		}
		// When the collector happens to run says where a round ends: what leaks is above all before it.
		if last, before := float64(after[2]), float64(max(after[0], after[1])); last > limitGrowth*before+4096 {
			t.Errorf("resident memory grows from round to round: %v kB", after)
		}
		bystander.alive()
	})
}

// flood opens n connections with half a request each and goes on with other things in between.
func flood(t *testing.T, addr string, n int, other func()) []net.Conn {
	t.Helper()
	halves := halfRequests()
	held := make([]net.Conn, 0, n)
	t.Cleanup(func() {
		for _, c := range held {
			c.Close()
		}
	})
	for i := range n {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		held = append(held, c)
		if half := halves[i%len(halves)]; len(half) > 0 {
			if _, err := c.Write(half); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		if i%200 == 0 {
			other()
		}
	}
	return held
}

// TestHalfRequestsTimeOut: the server ends them by itself.
func TestHalfRequestsTimeOut(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the deadline of ten seconds")
	}
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // it is waiting that takes the time
			e := startEcho(t, engine)
			bystander := dial(t, e.addr, "/")
			bystander.alive()
			before := e.descriptors()
			held := flood(t, e.addr, 500, bystander.alive)
			begun := time.Now()
			for i, c := range held {
				p := &peer{t: t, c: c.(*net.TCPConn), r: bufio.NewReader(c)}
				_ = c.SetDeadline(begun.Add(patience))
				if i%len(halfRequests()) == 0 {
					p.eof()
				} else {
					p.refused(408)
				}
				c.Close()
			}
			e.settled(before)
			bystander.alive()
		})
	}
}

// TestChurn: clients that come and go, in every way to go.
func TestChurn(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 500
	}
	goings := []func(p *peer){
		func(*peer) {},
		func(p *peer) { p.send([]byte("GET / HT")) },
		func(p *peer) { _ = p.c.SetLinger(0) },
		func(p *peer) { p.send(upgradeHead("/")) },
		func(p *peer) { p.send(upgradeHead("/"), text("and away")) },
		func(p *peer) { p.send(upgradeHead("/")); p.upgraded(); _ = p.c.SetLinger(0) },
		func(p *peer) { p.send(upgradeHead("/"), closeCode(1001)); p.upgraded(); p.wantClose(1001) },
		func(p *peer) { p.send([]byte(plainGet)); p.answered(404) },
	}
	t.Setenv("GOGC", tightGC)
	onEngines(t, func(t *testing.T, engine string) {
		e := startEcho(t, engine)
		bystander := dial(t, e.addr, "/")
		bystander.alive()
		before := e.descriptors()
		var memory [4]int
		for quarter := range memory {
			for i := range n / len(memory) {
				p := connect(t, e.addr)
				goings[i%len(goings)](p)
				p.c.Close()
			}
			e.settled(before)
			bystander.alive()
			memory[quarter] = e.memory("VmRSS")
		}
		t.Logf("resident after each quarter: %v kB", memory)
		// Under the race detector the programs keep what it remembers of ended goroutines.
		if !raceEnabled && memory[3] > memory[0]*5/4+4096 {
			t.Errorf("resident memory grows: %v kB", memory)
		}
	})
}
