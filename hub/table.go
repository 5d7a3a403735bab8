package hub

const (
	// tableMin is the least size of a table that holds anything.
	tableMin = 8

	// tableFullNum/tableFullDen is the load at which a table grows, by half. A probe walks over the
	// hashes, 16 to a cache line, so that the runs of 30 that come about at this load cost two lines.
	tableFullNum, tableFullDen = 7, 8

	// A table shrinks when fewer than one in tableSparse places is taken.
	tableSparse = 4
)

// table maps a topic's name to its record: open addressing with linear probing. It takes 12 bytes a
// place, since key and hash are the record's own; a map[string]*topic takes 25 and keeps them when
// topics go. The zero value is empty.
type table struct {
	hashes []uint32 // 0: empty
	topics []*topic // of the same length
	n      int      // places taken
}

// find returns the topic called name, or nil. hash is the name's, and not 0.
func (tb *table) find(hash uint32, name string) *topic {
	if tb.n == 0 {
		return nil
	}
	for i := tb.home(hash); tb.hashes[i] != 0; i = tb.next(i) {
		if tb.hashes[i] == hash && tb.topics[i].name == name {
			return tb.topics[i]
		}
	}
	return nil
}

// insert adds t, which must not be there.
func (tb *table) insert(t *topic) {
	if (tb.n+1)*tableFullDen > len(tb.hashes)*tableFullNum {
		tb.resize(max(tableMin, len(tb.hashes)+len(tb.hashes)/2))
	}
	tb.n++
	tb.place(t.hash, t)
}

// remove takes t out, which must be there, and closes the gap so that no probe ends too early.
func (tb *table) remove(t *topic) {
	gap := tb.home(t.hash)
	for tb.topics[gap] != t {
		gap = tb.next(gap)
	}
	for i := tb.next(gap); tb.hashes[i] != 0; i = tb.next(i) {
		if tb.distance(tb.home(tb.hashes[i]), i) >= tb.distance(gap, i) {
			tb.hashes[gap], tb.topics[gap] = tb.hashes[i], tb.topics[i]
			gap = i
		}
	}
	tb.hashes[gap], tb.topics[gap] = 0, nil
	tb.n--
	switch {
	case tb.n == 0:
		*tb = table{}
	case len(tb.hashes) > tableMin && tb.n*tableSparse < len(tb.hashes):
		tb.resize(max(tableMin, 2*tb.n))
	}
}

func (tb *table) resize(size int) {
	old := *tb
	tb.hashes, tb.topics = make([]uint32, size), make([]*topic, size)
	for i, hash := range old.hashes {
		if hash != 0 {
			tb.place(hash, old.topics[i])
		}
	}
}

func (tb *table) place(hash uint32, t *topic) {
	i := tb.home(hash)
	for tb.hashes[i] != 0 {
		i = tb.next(i)
	}
	tb.hashes[i], tb.topics[i] = hash, t
}

// home is where the search for a hash begins. It goes by the high bits: the low ones chose the shard
// and are the same all over the table.
func (tb *table) home(hash uint32) int {
	return int(uint64(hash) * uint64(len(tb.hashes)) >> 32)
}

func (tb *table) next(i int) int {
	if i++; i < len(tb.hashes) {
		return i
	}
	return 0
}

// distance is how many steps lead from one place to another.
func (tb *table) distance(from, to int) int {
	if d := to - from; d >= 0 {
		return d
	}
	return to - from + len(tb.hashes)
}
