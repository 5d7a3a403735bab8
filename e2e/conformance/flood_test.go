package conformance_test

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
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
		e := startEcho(t, engine, "-handshake-timeout", "1h") // which none of them meets
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
			newcomer.c.Close()
			for _, p := range held {
				p.c.Close()
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
func flood(t testing.TB, addr string, n int, other func()) []*peer {
	t.Helper()
	halves := halfRequests()
	held := make([]*peer, 0, n)
	t.Cleanup(func() {
		for _, p := range held {
			p.c.Close()
		}
	})
	for i := range n {
		nc, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		p := &peer{t: t, c: conn{nc.(*net.TCPConn)}} // without a reader, of which there would be thousands
		held = append(held, p)
		if half := halves[i%len(halves)]; len(half) > 0 {
			p.send(half)
		}
		if i%200 == 0 {
			other()
		}
	}
	return held
}

// TestHalfRequestsTimeOut: the server ends them by itself.
func TestHalfRequestsTimeOut(t *testing.T) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // it is waiting that takes the time
			windowtest.Run(t, time.Second, func(t testing.TB, window time.Duration) {
				e := startEcho(t, engine, "-handshake-timeout", window.String())
				bystander := dial(t, e.addr, "/")
				bystander.alive()
				before := e.descriptors()
				for i, p := range flood(t, e.addr, 500, bystander.alive) {
					p.r = bufio.NewReader(p.c)
					if i%len(halfRequests()) == 0 {
						p.eof()
					} else {
						p.refused(408)
					}
					p.c.Close()
				}
				e.settled(before)
				bystander.alive()
			})
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
