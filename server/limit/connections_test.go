package limit_test

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

func connections(tb testing.TB, cfg limit.Config) *limit.Connections {
	tb.Helper()
	c, err := limit.NewConnections(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// v4 returns one of 2^24 addresses.
func v4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }

// open opens one that must be let in.
func open(tb testing.TB, c *limit.Connections, a netip.Addr, now time.Duration) limit.Slot {
	tb.Helper()
	slot, r := c.Open(a, now)
	if r.Name != limit.None || slot == 0 {
		tb.Fatalf("%v at %v: %v, slot %d", a, now, r, slot)
	}
	return slot
}

// refused opens one that must not be let in.
func refused(tb testing.TB, c *limit.Connections, a netip.Addr, now time.Duration, want limit.Name) limit.Refusal {
	tb.Helper()
	before := c.Counters().Refused(want)
	slot, r := c.Open(a, now)
	if r.Name != want || slot != 0 {
		tb.Fatalf("%v at %v: %v, slot %d; want a refusal for %v", a, now, r, slot, want)
	}
	if n := c.Counters().Refused(want) - before; n != 1 {
		tb.Errorf("a refusal for %v was counted %d times", want, n)
	}
	return r
}

func TestConfig(t *testing.T) {
	r := rate(t, 1, 1)
	for _, row := range []struct {
		name string
		cfg  limit.Config
		err  string
	}{
		{"nothing", limit.Config{}, ""},
		{"Max below", limit.Config{Max: -1}, "Max is -1"},
		{"Max at the most", limit.Config{Max: 32_000_000}, ""},
		{"Max above", limit.Config{Max: 32_000_001}, "Max is 32000001"},
		{"MaxPerAddress below", limit.Config{MaxPerAddress: -1}, "MaxPerAddress is -1"},
		{"MaxPerAddress as Max", limit.Config{Max: 5, MaxPerAddress: 5}, ""},
		{"MaxPerAddress above Max", limit.Config{Max: 5, MaxPerAddress: 6}, "MaxPerAddress is 6, more than Max, which is 5"},
		{"Remembered below", limit.Config{Remembered: -1}, "Remembered is -1"},
		{"Remembered above", limit.Config{Remembered: 32_000_001}, "Remembered is"},
		{"V4Bits", limit.Config{V4Bits: 33}, "IPv4 prefix of 33"},
		{"V6Bits", limit.Config{V6Bits: 128}, "IPv6 prefix of 128"},
		{"Networks alone", limit.Config{Networks: []limit.Network{{New: r}}}, "Networks needs"},
		{"Networks", limit.Config{MaxPerAddress: 1, Networks: []limit.Network{{New: r}}}, ""},
		{"Networks' prefix", limit.Config{MaxPerAddress: 1, Networks: []limit.Network{{V6Bits: 65}}}, "IPv6 prefix of 65"},
	} {
		_, err := limit.NewConnections(row.cfg)
		if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: error %v, want %q", row.name, err, row.err)
		}
	}
}

func TestMax(t *testing.T) {
	for _, cfg := range []limit.Config{{Max: 3}, {Max: 3, MaxPerAddress: 3}} {
		c := connections(t, cfg)
		var slots []limit.Slot
		for i := range 3 {
			slots = append(slots, open(t, c, v4(i), 0))
		}
		refused(t, c, v4(9), 0, limit.ConnectionCount)
		refused(t, c, netip.Addr{}, 0, limit.ConnectionCount)
		c.Close(&slots[0], 0)
		open(t, c, v4(9), 0)
		refused(t, c, v4(8), 0, limit.ConnectionCount)
	}
}

func TestMaxPerAddress(t *testing.T) {
	c := connections(t, limit.Config{MaxPerAddress: 2})
	a, _ := open(t, c, v4(1), 0), open(t, c, netip.MustParseAddr("::ffff:10.0.0.1"), 0)
	refused(t, c, v4(1), 0, limit.AddressConnections)
	open(t, c, v4(2), 0)
	c.Close(&a, 0)
	open(t, c, v4(1), 0)
	refused(t, c, v4(1), 0, limit.AddressConnections)
}

func TestNewRates(t *testing.T) {
	c := connections(t, limit.Config{New: rate(t, 10, 3), NewPerAddress: rate(t, 1, 2)})
	a, b := open(t, c, v4(1), 0), open(t, c, v4(1), 0)
	r := refused(t, c, v4(1), 0, limit.AddressConnectionRate)
	if r.Wait < 990*time.Millisecond || r.Wait > 1010*time.Millisecond {
		t.Errorf("wait %v, want about 1 s", r.Wait)
	}
	c.Close(&a, 0)
	c.Close(&b, 0)
	refused(t, c, v4(1), 0, limit.AddressConnectionRate) // closing gives no rate back
	open(t, c, v4(2), 0)                                 // what was refused for an address is not charged to all
	if r := refused(t, c, v4(3), 0, limit.ConnectionRate); r.Wait != 100*time.Millisecond {
		t.Errorf("wait %v, want 100 ms", r.Wait)
	}
	open(t, c, v4(3), 100*time.Millisecond) // nor the other way round: 3 has used nothing
	open(t, c, v4(3), 200*time.Millisecond)
	refused(t, c, v4(3), 300*time.Millisecond, limit.AddressConnectionRate)
	if n := c.Stats(0).Open; n != 3 {
		t.Errorf("%d open, want 3", n)
	}
}

func TestJoinsPerAddress(t *testing.T) {
	c := connections(t, limit.Config{JoinsPerAddress: rate(t, 1, 3)})
	a, b, other := open(t, c, v4(1), 0), open(t, c, v4(1), 0), open(t, c, v4(2), 0)
	for i, slot := range []limit.Slot{a, b, a} {
		if r := c.Join(slot, 0); r.Name != limit.None {
			t.Fatalf("join %d: %v", i, r)
		}
	}
	if r := c.Join(b, 0); r.Name != limit.AddressJoinRate || r.Wait <= 0 {
		t.Errorf("join 4: %v", r)
	}
	if r := c.Join(other, 0); r.Name != limit.None {
		t.Errorf("another address: %v", r)
	}
	c.Close(&a, 0)
	c.Close(&b, 0)
	again := open(t, c, v4(1), 0)
	if r := c.Join(again, 0); r.Name != limit.AddressJoinRate {
		t.Errorf("after all have closed: %v", r)
	}
	if n := c.Counters().Refused(limit.AddressJoinRate); n != 2 {
		t.Errorf("%d counted, want 2", n)
	}
	c.Close(&again, 0)
	if r := c.Join(again, 0); r.Name != limit.None {
		t.Errorf("a closed slot: %v", r)
	}
}

func TestCloseTwice(t *testing.T) {
	c := connections(t, limit.Config{MaxPerAddress: 2})
	a, b := open(t, c, v4(1), 0), open(t, c, v4(1), 0)
	c.Close(&a, 0)
	c.Close(&a, 0)
	var none limit.Slot
	c.Close(&none, 0)
	if a != 0 || c.Stats(0).Open != 1 {
		t.Errorf("slot %d, %d open", a, c.Stats(0).Open)
	}
	c.Close(&b, 0)
	if st := c.Stats(0); st.Open != 0 || st.Addresses != 0 || st.Remembered != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCloseOfACopy(t *testing.T) {
	c := connections(t, limit.Config{NewPerAddress: rate(t, 1, 5)})
	slot := open(t, c, v4(1), 0)
	same := slot
	c.Close(&slot, 0)
	defer func() {
		if recover() == nil {
			t.Error("a count below zero is nobody's mistake")
		}
		slot = open(t, c, v4(1), 0) // no lock is left behind
		c.Close(&slot, 0)
	}()
	c.Close(&same, 0)
}

// Without a limit by address there is no table.
func TestOffCostsNothing(t *testing.T) {
	c := connections(t, limit.Config{Max: 1000, New: rate(t, 1e6, 1000)})
	slots := make([]limit.Slot, 1000)
	for i := range slots {
		slots[i] = open(t, c, v4(i), 0)
	}
	if st := c.Stats(0); st != (limit.Stats{Open: 1000}) {
		t.Errorf("%+v", st)
	}
	if r := c.Join(slots[0], 0); r.Name != limit.None {
		t.Error(r)
	}
	for i := range slots {
		c.Close(&slots[i], 0)
	}
	if n := c.Stats(0).Open; n != 0 {
		t.Errorf("%d open", n)
	}
}

// What is replenished is dropped by those that come after.
func TestExpiry(t *testing.T) {
	c := connections(t, limit.Config{NewPerAddress: rate(t, 1, 1)})
	for i := range 10_000 {
		slot := open(t, c, v4(i), 0)
		c.Close(&slot, 0)
	}
	if n := c.Stats(0).Remembered; n != 10_000 {
		t.Fatalf("%d remembered, want 10,000", n)
	}
	for i := range 10_000 {
		slot := open(t, c, v4(100_000+i), 2*time.Second)
		c.Close(&slot, 2*time.Second)
	}
	if st := c.Stats(0); st.Remembered > 10_500 || st.Forgotten != 0 {
		t.Errorf("%+v, want about 10,000 remembered", st)
	}
	if _, err := c.Check(); err != nil {
		t.Error(err)
	}
}

// Addresses are remembered in the room that connections do not use, and give way to them.
func TestRoomForMax(t *testing.T) {
	c := connections(t, limit.Config{NewPerAddress: rate(t, 1, 1), Max: 4000, Remembered: limit.Shards})
	for i := range 2000 {
		slot := open(t, c, v4(i), 0)
		c.Close(&slot, 0)
	}
	if st := c.Stats(0); st.Remembered != 2000 || st.Forgotten != 0 {
		t.Errorf("%+v, want 2,000 remembered", st)
	}
	for i := range 4000 {
		open(t, c, v4(10_000+i), 0)
	}
	if st := c.Stats(0); st.Addresses != 4000 || st.Remembered > 2*limit.Shards*10 || st.Forgotten == 0 {
		t.Errorf("%+v, want 4,000 and few remembered", st)
	}
	if _, err := c.Check(); err != nil {
		t.Error(err)
	}
}

// TestMaximaHoldForAMoment opens and closes from many goroutines. The shadow is counted up after Open
// and down before Close, so that it is never more than what Connections has.
func TestMaximaHoldForAMoment(t *testing.T) {
	const goroutines, addresses, perAddress, most = 8, 5, 3, 10
	c := connections(t, limit.Config{Max: most, MaxPerAddress: perAddress, JoinsPerAddress: rate(t, 1e6, 10)})
	var all atomic.Int64
	var each [addresses]atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			var held [4]limit.Slot
			var of [4]int
			for i := range 20_000 {
				now, k := time.Duration(i)*time.Microsecond, (i*7+g)%len(held)
				if held[k] != 0 {
					each[of[k]].Add(-1)
					all.Add(-1)
					c.Close(&held[k], now)
					continue
				}
				of[k] = (i*3 + g) % addresses
				slot, r := c.Open(v4(of[k]), now)
				if r.Name != limit.None {
					continue
				}
				held[k] = slot
				if n := each[of[k]].Add(1); n > perAddress {
					t.Errorf("an address has %d", n)
				}
				if n := all.Add(1); n > most {
					t.Errorf("%d in all", n)
				}
				c.Join(slot, now)
			}
			for k := range held {
				if held[k] != 0 {
					each[of[k]].Add(-1)
					all.Add(-1)
				}
				c.Close(&held[k], time.Second)
			}
		})
	}
	wg.Wait()
	open, err := c.Check()
	if err != nil || len(open) != 0 || c.Stats(0).Open != 0 {
		t.Errorf("left: %v, %+v, %v", open, c.Stats(0), err)
	}
}
