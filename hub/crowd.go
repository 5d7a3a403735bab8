package hub

// pageSlots is the number of slots in a page. With the allocator's 8 bytes before a large object that
// holds pointers, 255 slots of 16 bytes make 4088 and fill a size class of 4096; 256 would take 4864.
// A fan-out holds its lock for one page: about 0.2 µs.
const pageSlots = 255

// crowd is the slots of a topic from 1 on, for a topic that has had a second subscriber. The first
// page grows with the topic, so that a small topic is small; later ones are whole, so that a large
// topic never moves and has no more slack than a page.
type crowd struct {
	first []Subscriber // slots 1 to len; of those, taken or holes are the ones below end
	big   *big
	n     uint32 // subscribers, with slot 0
	end   uint32 // slots taken or holes, with slot 0
}

// big is what few topics need: those that outgrow the first page, or have holes.
type big struct {
	pages []*[pageSlots]Subscriber // the slots after the first page
	holes []uint32                 // all empty slots below end, once; and some numbers not below end
}

// more returns c.big, which it makes when there is none.
func (c *crowd) more() *big {
	if c.big == nil {
		c.big = &big{}
	}
	return c.big
}

// slot returns slot i, counted from 1.
func (c *crowd) slot(i uint32) *Subscriber {
	p, i := (i-1)/pageSlots, (i-1)%pageSlots
	return &c.page(p)[i]
}

// page returns page p, whose slots begin at 1 + p*pageSlots.
func (c *crowd) page(p uint32) []Subscriber {
	if p == 0 {
		return c.first
	}
	return c.big.pages[p-1][:]
}

// vacant returns an empty slot below end: a hole, or the one that end is moved beyond.
func (c *crowd) vacant() uint32 {
	for c.holed() {
		if i := c.popHole(); i < c.end {
			return i
		}
	}
	i := c.end
	c.end++ // no number in holes is caught up with: there are none
	switch p := (i - 1) / pageSlots; {
	case p == 0:
		c.growFirst(int(i))
	case int(p) > c.pages():
		c.more().pages = append(c.more().pages, new([pageSlots]Subscriber))
	}
	return i
}

// growFirst makes the first page hold at least need slots, by a quarter more than it had.
func (c *crowd) growFirst(need int) {
	if need <= len(c.first) {
		return
	}
	c.resizeFirst(min(pageSlots, max(need, len(c.first)+len(c.first)/4)))
}

func (c *crowd) resizeFirst(size int) {
	old := c.first
	c.first = make([]Subscriber, size)
	copy(c.first, old)
}

func (c *crowd) pages() int {
	if c.big == nil {
		return 0
	}
	return len(c.big.pages)
}

func (c *crowd) holed() bool { return c.big != nil && len(c.big.holes) > 0 }

func (c *crowd) addHole(i uint32) {
	b := c.more()
	b.holes = append(b.holes, i)
}

// popHole takes a number out of holes, which must have one. If it is not below end, it is stale.
func (c *crowd) popHole() uint32 {
	b := c.big
	i := b.holes[len(b.holes)-1]
	b.holes = b.holes[:len(b.holes)-1]
	return i
}

// trim gives back what c has far too much of, and keeps a little, so that a topic on the edge does
// not allocate with every coming and going. There must be no holes.
func (c *crowd) trim() {
	used := int(c.end) - 1
	if b := c.big; b != nil {
		b.holes = nil
		// One page may be empty, until the one before it is half empty too.
		keep := (used + pageSlots/2) / pageSlots
		switch {
		case keep == 0:
			c.big = nil
		case keep < len(b.pages):
			clear(b.pages[keep:])
			b.pages = b.pages[:keep]
			if cap(b.pages) > 4*keep {
				b.pages = append([]*[pageSlots]Subscriber(nil), b.pages...)
			}
		}
	}
	if used < len(c.first)/4 {
		c.resizeFirst(2 * used)
	}
}
