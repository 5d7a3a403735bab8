package limit_test

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

// v6 returns an address of one of the 2^32 prefixes of 64 bits in 2001:db8::/32.
func v6(n uint32) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 15: 1})
}

func newSketch(tb testing.TB, n limit.Network) limit.Sketch {
	tb.Helper()
	s, err := limit.NewSketch(n)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSketchAlone(t *testing.T) {
	s := newSketch(t, limit.Network{New: rate(t, 10, 5)})
	for i := range uint32(5) {
		if _, ok := s.Allow(v6(i), 0); !ok {
			t.Fatalf("event %d of the burst refused", i)
		}
	}
	if wait, ok := s.Allow(v6(6), 0); ok || wait != 100*time.Millisecond {
		t.Errorf("the sixth: %v, %v; want a wait of 100 ms", wait, ok)
	}
	if _, ok := s.Allow(v6(1<<16), 0); !ok {
		t.Error("another /48 is refused: one network fills a cell in each row, and two meet in all four once in 3e14")
	}
	if _, ok := s.Allow(v6(7), 100*time.Millisecond); !ok {
		t.Error("not allowed after the wait")
	}
}

// With others in its cells, a network gets no more than its rate, and at the start no less.
func TestSketchAmongOthers(t *testing.T) {
	const networks, each = 500, 40
	s, random := newSketch(t, limit.Network{New: rate(t, 10, 5)}), rand.New(rand.NewPCG(1, 2))
	var got [networks]int
	for i := range networks * each {
		n := random.IntN(networks)
		if _, ok := s.Allow(v6(uint32(n)<<16|uint32(i)), 0); ok {
			got[n]++
		}
	}
	less := 0
	for n, k := range got {
		if k > 5 {
			t.Errorf("network %d got %d of a burst of 5", n, k)
		}
		if k < 5 {
			less++
		}
	}
	// (1-(1-1/4096)^500)^4 = 1.7e-4 of 500: 0.08 networks. Ten are out of reach of chance.
	if less > 10 {
		t.Errorf("%d of %d networks got less than their burst", less, networks)
	}
}

func TestSketchManyGoroutines(t *testing.T) {
	const goroutines, burst = 8, 2000
	s := newSketch(t, limit.Network{New: rate(t, 1, burst)})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range uint32(burst) {
				if _, ok := s.Allow(v6(i), 0); ok {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// Each event that finds another least cell is one that others have in hand. They lose none.
	if n := allowed.Load(); n < burst || n > goroutines*burst/2 {
		t.Errorf("%d allowed of a burst of %d", n, burst)
	}
}

func TestNetworksOnlyUnderStrain(t *testing.T) {
	c := connections(t, limit.Config{
		New: rate(t, 100, 50), NewPerAddress: rate(t, 100, 10),
		Networks: []limit.Network{{New: rate(t, 1, 2)}, {V6Bits: 32, V4Bits: 16, New: rate(t, 1, 4)}},
	})
	known := open(t, c, v4(0), 0)
	for i := 1; i < 50; i++ {
		open(t, c, v4(i), 0) // all of one /24, and of its burst of 2 nothing is asked
	}
	refused(t, c, v4(50), 0, limit.ConnectionRate)
	if !c.Stats(0).Strained {
		t.Fatal("no strain after a refusal in all")
	}
	const now = 500 * time.Millisecond
	open(t, c, v4(51), now)
	open(t, c, v4(52), now)
	refused(t, c, v4(53), now, limit.NetworkConnectionRate)
	open(t, c, v4(0), now)   // one that is known is let in
	open(t, c, v4(256), now) // and one of another /24
	open(t, c, v4(512), now)
	refused(t, c, v4(768), now, limit.NetworkConnectionRate) // the fifth of its /16
	if !c.Stats(1200 * time.Millisecond).Strained {
		t.Error("strain ends a second after it began, though networks were refused since")
	}
	if c.Stats(2 * time.Second).Strained {
		t.Error("strain goes on")
	}
	open(t, c, v4(53), time.Hour)
	c.Close(&known, time.Hour)
}

func TestForgettingIsStrain(t *testing.T) {
	c := connections(t, limit.Config{
		NewPerAddress: rate(t, 1, 1), Remembered: 1, Networks: []limit.Network{{New: rate(t, 1, 1)}},
	})
	for i := range 10 * limit.Shards {
		slot, r := c.Open(v4(i), 0)
		if r.Name == limit.NetworkConnectionRate {
			if st := c.Stats(0); st.Forgotten == 0 || !st.Strained {
				t.Errorf("%+v", st)
			}
			return
		}
		c.Close(&slot, 0)
	}
	t.Errorf("no network was refused: %+v", c.Stats(0))
}
