package limit

import (
	"hash/maphash"
	"sync"
	"time"
	"unsafe"
)

// The table is cut into shards, each with its own lock. 64 is several times the processors of a
// large host that come to open connections at one moment.
const (
	shardBits = 6
	shards    = 1 << shardBits
)

// Entries are allocated by the chunk and never move. 128 of 32 bytes are 4,096: a size class of the
// allocator, with nothing wasted.
const (
	chunkBits  = 7
	chunkLen   = 1 << chunkBits
	chunkBytes = chunkLen * int(unsafe.Sizeof(entry{}))
)

// An entry is an address that has connections open, or whose rates are remembered. Other entries are
// named by index; 0 is none.
type entry struct {
	key    uint64
	chain  uint32 // the next of its bucket, or of the free ones
	open   uint32 // connections
	older  uint32 // its neighbours among the idle, while open is 0
	newer  uint32
	opened SmallMeter
	joined SmallMeter
}

// bounds is what all shards share.
type bounds struct {
	idle  int     // a shard may keep this many idle entries,
	live  int     // and more while all of its entries are not more than this
	rates [2]Rate // of opened and joined
}

// unused reports whether nothing of an entry's rates is used, so that nothing is lost with it.
func (b *bounds) unused(e *entry, now time.Duration) bool {
	return e.opened.ahead(&b.rates[0], now) == 0 && e.joined.ahead(&b.rates[1], now) == 0
}

// A shard is a hash table with chains, and a list of its idle entries in the order in which their
// last connection closed.
type shard struct {
	mu sync.Mutex // protects the following

	chunks  []*[chunkLen]entry
	buckets []uint32 // first entry of each chain; a power of two of them, at least as many as entries
	used    uint32   // entries ever handed out of chunks; the first is none
	free    uint32   // first of those given back
	oldest  uint32   // of the idle entries
	newest  uint32

	live      int // entries in the table
	idle      int // of these, without a connection
	forgotten uint64

	_ [32]byte // to 128 bytes, two cache lines, which are fetched together: no shard disturbs another
}

func (s *shard) entry(i uint32) *entry { return &s.chunks[i>>chunkBits][i%chunkLen] }

// known reports whether there is an entry.
func (s *shard) known(key, h uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.findLocked(key, h) != 0
}

// bucket is where a hash's chain begins. The lowest bits have chosen the shard.
func (s *shard) bucket(h uint64) *uint32 {
	return &s.buckets[h>>shardBits&uint64(len(s.buckets)-1)]
}

func (s *shard) findLocked(key, h uint64) uint32 {
	if len(s.buckets) == 0 {
		return 0
	}
	i := *s.bucket(h)
	for i != 0 && s.entry(i).key != key {
		i = s.entry(i).chain
	}
	return i
}

// insertLocked adds an entry for a key that has none. One that was given back is as it was left.
func (s *shard) insertLocked(seed maphash.Seed, key, h uint64) uint32 {
	if s.live >= len(s.buckets) {
		s.growLocked(seed)
	}
	i := s.free
	if i != 0 {
		s.free = s.entry(i).chain
	} else {
		i = s.allocateLocked()
	}
	b := s.bucket(h)
	*s.entry(i) = entry{key: key, chain: *b}
	*b = i
	s.live++
	return i
}

func (s *shard) allocateLocked() uint32 {
	if s.used == 0 {
		s.used = 1
	}
	if int(s.used>>chunkBits) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkLen]entry))
	}
	s.used++
	return s.used - 1
}

// growLocked doubles the buckets. Of a million entries a shard has 16,000, whose chains are made anew.
func (s *shard) growLocked(seed maphash.Seed) {
	old := s.buckets
	s.buckets = make([]uint32, max(16, 2*len(old)))
	for _, i := range old {
		for i != 0 {
			e := s.entry(i)
			next, b := e.chain, s.bucket(maphash.Comparable(seed, e.key))
			e.chain, *b = *b, i
			i = next
		}
	}
}

// dropLocked takes an entry that is not in the list of the idle out of the table.
func (s *shard) dropLocked(seed maphash.Seed, i uint32) {
	e := s.entry(i)
	at := s.bucket(maphash.Comparable(seed, e.key))
	for *at != i {
		at = &s.entry(*at).chain
	}
	*at = e.chain
	e.chain, s.free = s.free, i
	s.live--
}

// linkIdleLocked makes an entry the newest of the idle.
func (s *shard) linkIdleLocked(i uint32) {
	s.entry(i).older = s.newest
	if s.newest != 0 {
		s.entry(s.newest).newer = i
	} else {
		s.oldest = i
	}
	s.newest = i
	s.idle++
}

func (s *shard) unlinkIdleLocked(i uint32) {
	e := s.entry(i)
	if e.older != 0 {
		s.entry(e.older).newer = e.newer
	} else {
		s.oldest = e.newer
	}
	if e.newer != 0 {
		s.entry(e.newer).older = e.older
	} else {
		s.newest = e.older
	}
	e.older, e.newer = 0, 0
	s.idle--
}

// expirePerOpen is how many idle entries an Open may drop. It adds one at most, so that with two the
// idle become fewer, and no call is long.
const expirePerOpen = 2

// expireLocked drops the oldest idle entries if nothing is lost with them.
func (s *shard) expireLocked(b *bounds, seed maphash.Seed, now time.Duration) {
	for n := 0; n < expirePerOpen && s.oldest != 0 && b.unused(s.entry(s.oldest), now); n++ {
		s.forgetLocked(seed)
	}
}

func (s *shard) forgetLocked(seed maphash.Seed) {
	i := s.oldest
	s.unlinkIdleLocked(i)
	s.dropLocked(seed, i)
}

// trimLocked drops the oldest idle entries until there is room for more entries, and reports whether
// anything was lost with them.
func (s *shard) trimLocked(b *bounds, seed maphash.Seed, more int, now time.Duration) (lost bool) {
	for s.idle > b.idle && s.live+more > b.live {
		if !b.unused(s.entry(s.oldest), now) {
			s.forgotten++
			lost = true
		}
		s.forgetLocked(seed)
	}
	return lost
}
