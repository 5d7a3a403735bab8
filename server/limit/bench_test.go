package limit_test

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

func BenchmarkSmallMeter(b *testing.B) {
	r := rate(b, 1000, 100)
	var m limit.SmallMeter
	b.ReportAllocs()
	for i := range b.N {
		m.Allow(&r, time.Duration(i)*time.Microsecond)
	}
}

func BenchmarkMeter(b *testing.B) {
	r := rate(b, 1000, 100)
	var m limit.Meter
	b.ReportAllocs()
	for i := range b.N {
		m.Allow(&r, time.Duration(i)*time.Microsecond)
	}
}

// BenchmarkMeterShared is one meter of all processors.
func BenchmarkMeterShared(b *testing.B) {
	r := rate(b, 1e6, 1000)
	var m limit.Meter
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		now := time.Duration(n.Add(1))
		for pb.Next() {
			now += time.Microsecond
			m.Allow(&r, now)
		}
	})
}

func benchConfig(b *testing.B) limit.Config {
	return limit.Config{
		Max: 2_000_000, New: rate(b, 1e6, 1<<20), MaxPerAddress: 100, NewPerAddress: rate(b, 1000, 1000),
		JoinsPerAddress: rate(b, 1e6, 1000),
	}
}

// BenchmarkOpenClose is a connection and its end, of a known address and of one that is not, with as
// many other addresses open as the name says.
func BenchmarkOpenClose(b *testing.B) {
	for _, row := range []struct {
		name   string
		others int
	}{{"1", 1}, {"1000000", 1_000_000}} {
		c := connections(b, benchConfig(b))
		for i := range row.others {
			open(b, c, v4(i), time.Duration(i)*time.Microsecond)
		}
		now := time.Duration(row.others) * time.Microsecond
		b.Run("known/"+row.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				now += 2 * time.Microsecond
				slot, _ := c.Open(v4(i*7919%row.others), now)
				c.Close(&slot, now)
			}
		})
		b.Run("new/"+row.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				now += 2 * time.Microsecond
				slot, _ := c.Open(v6(uint32(i)), now)
				c.Close(&slot, now)
			}
		})
	}
}

// BenchmarkRefused is an attempt that an address's maximum refuses.
func BenchmarkRefused(b *testing.B) {
	cfg := benchConfig(b)
	cfg.MaxPerAddress = 1
	c := connections(b, cfg)
	open(b, c, v4(1), 0)
	b.ReportAllocs()
	for range b.N {
		c.Open(v4(1), 0)
	}
}

func BenchmarkJoin(b *testing.B) {
	c := connections(b, benchConfig(b))
	slot := open(b, c, v4(1), 0)
	b.ReportAllocs()
	for i := range b.N {
		c.Join(slot, time.Duration(i)*time.Microsecond)
	}
}

func BenchmarkOpenCloseParallel(b *testing.B) {
	c := connections(b, benchConfig(b))
	var n atomic.Uint32
	b.RunParallel(func(pb *testing.PB) {
		i, now := n.Add(1)<<24, time.Duration(0)
		for pb.Next() {
			i++
			now += 2 * time.Microsecond
			slot, _ := c.Open(v6(i), now)
			c.Close(&slot, now)
		}
	})
}

// BenchmarkAttack is attempts from ever new addresses under strain, with the networks' limits.
func BenchmarkAttack(b *testing.B) {
	cfg := benchConfig(b)
	cfg.New, cfg.Max, cfg.Networks = rate(b, 1000, 1000), 100_000, []limit.Network{{New: rate(b, 10, 10)}, {V6Bits: 32, New: rate(b, 100, 100)}}
	c, random := connections(b, cfg), rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for i := range b.N {
		now := time.Duration(i) * time.Microsecond
		slot, _ := c.Open(randomV6(random), now)
		c.Close(&slot, now)
	}
}

// BenchmarkMemory opens a million connections, each of an address of its own, and reports the bytes.
func BenchmarkMemory(b *testing.B) {
	const addresses = 1_000_000
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for range b.N {
		before := heap()
		c := connections(b, benchConfig(b))
		for i := range addresses {
			open(b, c, v4(i), time.Duration(i)*time.Microsecond)
		}
		b.ReportMetric((heap()-before)/addresses, "B/address")
		b.ReportMetric(float64(c.Stats(0).Bytes)/addresses, "said-B/address")
	}
}
