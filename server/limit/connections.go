package limit

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// most is the largest Max and the largest Remembered. Together they are less than 2^26 entries:
	// even if all were in one shard, the index of each fits beside the shard in a Slot. As many
	// sockets would take 128 GB of the kernel.
	most = 32_000_000

	defaultRemembered = 1 << 16 // 2.6 MB at most
)

// Config has the limits of Connections. The zero value limits nothing.
type Config struct {
	// Max is how many connections may be open in all, up to 32,000,000. 0 means no limit.
	Max int

	// New is how many may be opened a second in all.
	New Rate

	// MaxPerAddress is how many one address may have open. 0 means no limit. Many people can share
	// an address: a company, a campus, the customers of a mobile network (RFC 6269). What a wider
	// network may have open is the MaxPerAddress of another Connections, with shorter V4Bits and V6Bits.
	MaxPerAddress int

	// NewPerAddress is how many one address may open a second.
	NewPerAddress Rate

	// JoinsPerAddress is how many joins a second the connections of one address may make together.
	JoinsPerAddress Rate

	// Networks limits new connections by wider prefixes while there is strain: from when Max or New
	// refuses, or the rate of an address had to be forgotten, until for the longest window of New,
	// NewPerAddress and JoinsPerAddress, and about a second at least, neither has happened again and
	// no network was refused. All must allow; put the narrowest first, which keeps its own from using
	// up what is for all of the wider. Each takes 128 KiB.
	Networks []Network

	// V4Bits and V6Bits are how much of an address counts as one address: 1 to 32, 0 means 32, and 1
	// to 64, 0 means 64. A host can have any address of its /64 (RFC 4291 section 2.5.4, RFC 8981).
	V4Bits, V6Bits int

	// Remembered is for how many addresses, at least, the rates are kept after their last connection
	// has closed, up to 32,000,000. 0 means 65,536. With Max, addresses may also use the room that
	// connections do not.
	Remembered int
}

// validate names the field that is wrong.
func (c *Config) validate() error {
	switch {
	case c.Max < 0 || c.Max > most:
		return fmt.Errorf("limit: Max is %d, not between 0 and %d", c.Max, most)
	case c.MaxPerAddress < 0:
		return fmt.Errorf("limit: MaxPerAddress is %d, less than 0", c.MaxPerAddress)
	case c.Max > 0 && c.MaxPerAddress > c.Max:
		return fmt.Errorf("limit: MaxPerAddress is %d, more than Max, which is %d", c.MaxPerAddress, c.Max)
	case c.Remembered < 0 || c.Remembered > most:
		return fmt.Errorf("limit: Remembered is %d, not between 0 and %d", c.Remembered, most)
	case len(c.Networks) > 0 && !c.byAddress():
		return errors.New("limit: Networks needs one of MaxPerAddress, NewPerAddress and JoinsPerAddress: " +
			"it is for addresses that are not known, and without these none is")
	}
	return nil
}

// byAddress reports whether any limit needs to know addresses.
func (c *Config) byAddress() bool {
	return c.MaxPerAddress > 0 || !c.NewPerAddress.Unlimited() || !c.JoinsPerAddress.Unlimited()
}

// A Slot is a connection's part in Connections: 4 bytes that the connection keeps from Open to Close.
// The zero value has no part.
type Slot uint32

// unlisted is a connection that counts in all, but not for an address.
const unlisted Slot = 1

// Connections counts connections and limits them, in all and by address. Any goroutine may call.
type Connections struct {
	// Constant.
	cfg       Config
	byAddress bool
	keys      keys
	seed      maphash.Seed
	networks  []*sketch
	bounds    bounds
	memory    time.Duration // how long strain lasts

	open     atomic.Int64
	opened   Meter
	strain   atomic.Int64 // until then there is strain, in ns
	counters Counters
	shards   []shard // empty if not byAddress
}

// NewConnections returns Connections with nothing open, or an error that names the field of cfg.
func NewConnections(cfg Config) (*Connections, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	k, err := newKeys(cfg.V4Bits, cfg.V6Bits, 32, 64)
	if err != nil {
		return nil, err
	}
	c := &Connections{cfg: cfg, byAddress: cfg.byAddress(), keys: k, seed: maphash.MakeSeed()}
	c.cfg.Networks = nil // the caller's
	for _, n := range cfg.Networks {
		s, err := newSketch(n)
		if err != nil {
			return nil, err
		}
		c.networks = append(c.networks, s)
	}
	if c.cfg.Max == 0 {
		c.cfg.Max = most
	}
	if c.cfg.Remembered == 0 {
		c.cfg.Remembered = defaultRemembered
	}
	c.memory = max(time.Second, cfg.New.Window(), cfg.NewPerAddress.Window(), cfg.JoinsPerAddress.Window())
	c.bounds = bounds{rates: [2]Rate{cfg.NewPerAddress, cfg.JoinsPerAddress}}
	c.bounds.idle = (c.cfg.Remembered + shards - 1) / shards
	c.bounds.live = (c.cfg.Remembered + cfg.Max + shards - 1) / shards
	if c.byAddress {
		c.shards = make([]shard, shards)
	}
	return c, nil
}

// Open counts a connection of addr, or says which limit refuses it. An address that is not valid, as
// of a Unix socket, counts in all only. The limits of the address come first, then those of its
// networks, then those in all.
func (c *Connections) Open(addr netip.Addr, now time.Duration) (Slot, Refusal) {
	if !c.byAddress || !addr.IsValid() {
		if r := c.enter(now); r.Name != None {
			return 0, c.refuse(r)
		}
		return unlisted, Refusal{}
	}
	key := c.keys.of(addr)
	h := maphash.Comparable(c.seed, key)
	n := h % shards
	s := &c.shards[n]
	if c.strained(now) && !s.known(key, h) {
		for _, network := range c.networks {
			if wait, ok := network.allow(addr, now); !ok {
				c.strainFrom(now) // or it would end with the attack still there, and begin with what that takes first
				return 0, c.refuse(Refusal{NetworkConnectionRate, wait})
			}
		}
	}
	i, r := c.openIn(s, key, h, now)
	if r.Name != None {
		return 0, c.refuse(r)
	}
	return Slot(i<<shardBits | uint32(n)), Refusal{}
}

func (c *Connections) openIn(s *shard, key, h uint64, now time.Duration) (index uint32, r Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked(&c.bounds, c.seed, now)
	i := s.findLocked(key, h)
	if i != 0 {
		e := s.entry(i)
		if c.cfg.MaxPerAddress > 0 && int(e.open) >= c.cfg.MaxPerAddress {
			return 0, Refusal{Name: AddressConnections}
		}
		if wait, ok := e.opened.peek(&c.cfg.NewPerAddress, now); !ok {
			return 0, Refusal{AddressConnectionRate, wait}
		}
	}
	if r := c.enter(now); r.Name != None {
		return 0, r
	}
	switch {
	case i == 0:
		if s.trimLocked(&c.bounds, c.seed, 1, now) {
			c.strainFrom(now)
		}
		i = s.insertLocked(c.seed, key, h)
	case s.entry(i).open == 0:
		s.unlinkIdleLocked(i)
	}
	e := s.entry(i)
	e.open++
	if !c.cfg.NewPerAddress.Unlimited() {
		e.opened.add(&c.cfg.NewPerAddress, now)
	}
	return i, Refusal{}
}

// enter counts a connection in all. A place is taken before the rate is asked and given back if that
// refuses: whoever is refused for that place alone would have been refused for the rate.
func (c *Connections) enter(now time.Duration) Refusal {
	for {
		n := c.open.Load()
		if n >= int64(c.cfg.Max) {
			c.strainFrom(now)
			return Refusal{Name: ConnectionCount}
		}
		if c.open.CompareAndSwap(n, n+1) {
			break
		}
	}
	if wait, ok := c.opened.Allow(&c.cfg.New, now); !ok {
		c.open.Add(-1)
		c.strainFrom(now)
		return Refusal{ConnectionRate, wait}
	}
	return Refusal{}
}

// Close ends what Open has counted, and empties the slot; an empty one is left as it is.
func (c *Connections) Close(slot *Slot, now time.Duration) {
	held := *slot
	if held == 0 {
		return
	}
	*slot = 0
	if held != unlisted {
		c.closeIn(held, now)
	}
	c.open.Add(-1)
}

func (c *Connections) closeIn(slot Slot, now time.Duration) {
	s, i := c.at(slot)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(i)
	if e.open == 0 {
		panic("limit: a copy of a Slot was closed as well")
	}
	e.open--
	switch {
	case e.open > 0:
	case c.bounds.unused(e, now):
		s.dropLocked(c.seed, i)
	default:
		s.linkIdleLocked(i)
		if s.trimLocked(&c.bounds, c.seed, 0, now) {
			c.strainFrom(now)
		}
	}
}

// Join asks whether the address of an open connection may join once more now. Ask the connection's own
// meter first, so that one connection does not use up what its address shares.
func (c *Connections) Join(slot Slot, now time.Duration) Refusal {
	if c.cfg.JoinsPerAddress.Unlimited() || slot <= unlisted {
		return Refusal{}
	}
	s, i := c.at(slot)
	s.mu.Lock()
	wait, ok := s.entry(i).joined.Allow(&c.cfg.JoinsPerAddress, now)
	s.mu.Unlock()
	if !ok {
		return c.refuse(Refusal{AddressJoinRate, wait})
	}
	return Refusal{}
}

func (c *Connections) at(slot Slot) (*shard, uint32) {
	return &c.shards[slot%shards], uint32(slot) >> shardBits
}

func (c *Connections) refuse(r Refusal) Refusal {
	c.counters.Add(r.Name)
	return r
}

// strainFrom begins or prolongs strain. Its word is written at most once per 1/16 of its length, so
// that an attack does not make all processors fight for it.
func (c *Connections) strainFrom(now time.Duration) {
	until := int64(now + c.memory)
	if was := c.strain.Load(); until-was > int64(c.memory/16) {
		c.strain.CompareAndSwap(was, until)
	}
}

func (c *Connections) strained(now time.Duration) bool {
	return len(c.networks) > 0 && int64(now) < c.strain.Load()
}

// Counters returns the counters of refusals. Whoever limits by a meter of his own adds to them.
func (c *Connections) Counters() *Counters { return &c.counters }
