package limit_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

// randomV6 returns an address of 2001:db8::/32, each of its own /64 as good as always.
func randomV6(r *rand.Rand) netip.Addr { return v6(r.Uint32()) }

// TestAttack opens and closes connections from ten million addresses of one /32, a million a second,
// while honest clients hold connections and open others.
func TestAttack(t *testing.T) {
	attempts := 10_000_000
	if testing.Short() || underRace {
		attempts /= 10
	}
	const honest, most, remembered = 1000, 5_000, 20_000
	c := connections(t, limit.Config{
		Max: most, MaxPerAddress: 4, Remembered: remembered,
		New: rate(t, 100_000, 10_000), NewPerAddress: rate(t, 1, 3),
		Networks: []limit.Network{{New: rate(t, 100, 100)}, {V6Bits: 32, V4Bits: 8, New: rate(t, 10_000, 1000)}},
	})
	var held [honest]limit.Slot
	for i := range held {
		held[i] = open(t, c, v4(i), 0)
	}
	random, admitted, served, turnedAway := rand.New(rand.NewPCG(10, 6)), 0, 0, 0
	var attacker [2000]limit.Slot
	for i := range attempts {
		now := time.Duration(i) * time.Microsecond
		k := i % len(attacker)
		c.Close(&attacker[k], now)
		slot, r := c.Open(randomV6(random), now)
		if attacker[k] = slot; r.Name == limit.None {
			admitted++
		}
		if i%10_000 == 0 { // 100 a second, each client every 10 s
			another, r := c.Open(v4(i/10_000%honest), now)
			switch {
			case r.Name == limit.None:
				served++
			case now > 100*time.Millisecond:
				t.Fatalf("an honest client is refused at %v: %v", now, r)
			default:
				turnedAway++ // before it is seen, the attack uses up the burst in all
			}
			c.Close(&another, now)
		}
	}
	checkAttack(t, c, time.Duration(attempts)*time.Microsecond, remembered+most, admitted)
	for i := range held {
		c.Close(&held[i], 0)
	}
	for i := range attacker {
		c.Close(&attacker[i], 0)
	}
	if open, err := c.Check(); err != nil || len(open) != 0 || c.Stats(0).Open != 0 {
		t.Errorf("after the attack: %v, %v", open, err)
	}
	t.Logf("%d of %d attempts let in, honest: %d, and %d turned away; %+v", admitted, attempts, served, turnedAway, c.Stats(0))
}

func checkAttack(t *testing.T, c *limit.Connections, lasted time.Duration, entries, admitted int) {
	t.Helper()
	st := c.Stats(lasted)
	// 32 bytes an entry and up to 8 to find it, a chunk and a half per shard that is not full, the
	// shards, two sketches. A shard has a part of the entries that chance makes a little uneven.
	bound := entries*(32+8)*11/10 + limit.Shards*(limit.ChunkBytes+int(limit.ShardSize)) + 2*limit.SketchSaid
	if st.Bytes > bound {
		t.Errorf("%d bytes, more than %d: %+v", st.Bytes, bound, st)
	}
	// The wider network's rate, and what came before the first strain: the burst in all.
	if most := 10_000 + 1000 + int(lasted.Seconds()*10_000) + 100; admitted > most {
		t.Errorf("%d were let in, more than %d", admitted, most)
	}
}

// Without limits of networks an attack from many addresses takes what is for all, but no memory.
func TestAttackWithoutNetworks(t *testing.T) {
	c := connections(t, limit.Config{NewPerAddress: rate(t, 1, 3), Remembered: 10_000})
	random, sizes := rand.New(rand.NewPCG(7, 7)), []int{}
	for i := range 300_000 {
		slot := open(t, c, randomV6(random), 0)
		c.Close(&slot, 0)
		if i%100_000 == 99_999 {
			sizes = append(sizes, c.Stats(0).Bytes)
		}
	}
	if sizes[0] != sizes[2] {
		t.Errorf("the table grows: %d", sizes)
	}
	if st := c.Stats(0); st.Remembered > 10_000+limit.Shards || st.Forgotten < 280_000 {
		t.Errorf("%+v", st)
	}
}

func TestSizes(t *testing.T) {
	if limit.EntrySize != 32 || limit.ChunkBytes != 4096 || limit.ShardSize != 128 || limit.SketchSize != limit.SketchSaid {
		t.Errorf("entry %d, chunk %d, shard %d, sketch %d", limit.EntrySize, limit.ChunkBytes, limit.ShardSize, limit.SketchSize)
	}
}

func TestAllocations(t *testing.T) {
	c := connections(t, limit.Config{
		Max: 100, New: rate(t, 1e6, 1000), MaxPerAddress: 4, NewPerAddress: rate(t, 1e6, 1000),
		JoinsPerAddress: rate(t, 1e6, 1000), Networks: []limit.Network{{New: rate(t, 1e6, 1000)}},
	})
	now := time.Duration(0)
	a := v4(1)
	hold := open(t, c, a, 0)
	if n := testing.AllocsPerRun(1000, func() {
		now += time.Millisecond
		slot, _ := c.Open(a, now)
		c.Join(slot, now)
		c.Close(&slot, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	c.Close(&hold, now)
}
