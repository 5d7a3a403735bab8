package limit

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Network limits the new connections of wider prefixes than that of an address, so that whoever has
// very many addresses is held all the same: an IPv6 /32, the smallest that a provider is given, has
// 2^32 prefixes of 64 bits and 65,536 of 48. It is applied only under strain, and only to addresses
// that are not known: see [Config.Networks].
type Network struct {
	V4Bits int  // of the prefix, 1 to 32; 0 means 24, the longest that is routed between networks
	V6Bits int  // of the prefix, 1 to 64; 0 means 48, what a site is given (RFC 6177)
	New    Rate // new connections a second of each such prefix
}

// The size of a sketch. A network is refused for the sake of others only when others are at their
// limit in all of its rows: with h such networks, of random places, that has the probability
// (1-(1-1/columns)^h)^rows, which is 3e-7 for 100 of them and 2e-3 for 1,000.
const (
	rows       = 4
	columns    = 1 << 12
	columnBits = 12
	sketchSize = rows * columns * 8 // bytes
)

// A sketch holds the rates of any number of networks in fixed memory: a count-min sketch whose cells
// are meters, with conservative update (Estan and Varghese, 2002). Each network has one cell per row.
// What a cell shows used is never less than what each network of its has used, so no network gets more
// than its rate; it may be more, and the least of a network's cells is believed.
type sketch struct {
	keys  keys
	rate  Rate
	seed  maphash.Seed
	cells [rows][columns]atomic.Int64 // as Meter.full
}

func newSketch(n Network) (*sketch, error) {
	k, err := newKeys(n.V4Bits, n.V6Bits, 24, 48)
	if err != nil {
		return nil, err
	}
	return &sketch{keys: k, rate: n.New, seed: maphash.MakeSeed()}, nil
}

// allow is Meter.Allow for the network of addr.
func (s *sketch) allow(addr netip.Addr, now time.Duration) (wait time.Duration, ok bool) {
	if s.rate.Unlimited() {
		return 0, true
	}
	h := maphash.Comparable(s.seed, s.keys.of(addr))
	var cells [rows]*atomic.Int64
	for i := range cells {
		cells[i] = &s.cells[i][h>>(i*columnBits)%columns]
	}
	for {
		least, full := cells[0], cells[0].Load()
		for _, c := range cells[1:] {
			if f := c.Load(); f < full {
				least, full = c, f
			}
		}
		from := max(full, int64(now))
		if over := from - int64(now) - (s.rate.window - s.rate.interval); over > 0 {
			return time.Duration(over), false
		}
		// Those of one network meet at its least cell. Only who comes before the other cells are
		// raised can find another least one: one at a time on each processor, for some nanoseconds.
		if least.CompareAndSwap(full, from+s.rate.interval) {
			for _, c := range cells {
				raise(c, from+s.rate.interval)
			}
			return 0, true
		}
	}
}

func raise(c *atomic.Int64, to int64) {
	for {
		v := c.Load()
		if v >= to || c.CompareAndSwap(v, to) {
			return
		}
	}
}
