package hub

// topic is the record of one topic that somebody is on, or was: subscriptions keep pointing to it for
// the name. Its subscribers stand in numbered slots, of which the first is in the record itself.
//
// While no fan-out is under way, the slots are dense: whoever leaves is replaced by the last. During
// a fan-out nobody moves, so that it meets everyone once: whoever leaves then makes a hole, which the
// next to join fills, or else settle when the fan-outs are over.
//
// name and hash never change; the lock of the topic's shard protects the rest.
type topic struct {
	name    string
	one     Subscriber // slot 0
	rest    *crowd     // slots 1 and up; nil while there never was a second subscriber
	hash    uint32     // of name: chooses the shard and the place in its table
	fanouts uint32     // under way, and needing the slots to stay
}

// count returns the number of subscribers.
func (t *topic) count() int {
	switch {
	case t.rest != nil:
		return int(t.rest.n)
	case t.one != nil:
		return 1
	}
	return 0
}

// end returns the number of slots that are taken or holes.
func (t *topic) end() uint32 {
	switch {
	case t.rest != nil:
		return t.rest.end
	case t.one != nil:
		return 1
	}
	return 0
}

func (t *topic) slot(i uint32) *Subscriber {
	if i == 0 {
		return &t.one
	}
	return t.rest.slot(i)
}

// add puts s into a hole, or behind the last slot if there is none.
func (t *topic) add(s Subscriber) {
	if t.end() == 0 {
		t.put(s, 0)
		return
	}
	if t.rest == nil {
		t.rest = &crowd{n: 1, end: 1}
	}
	t.rest.n++
	t.put(s, t.rest.vacant())
}

func (t *topic) put(s Subscriber, i uint32) {
	*t.slot(i) = s
	s.subscription().at = i + 1
}

// remove empties slot i, which must be taken. When it was the last subscriber's, t lets go of
// everything but the name, so that a fan-out under way finds nobody, and the shard drops t.
func (t *topic) remove(i uint32) {
	if t.count() == 1 {
		t.one, t.rest = nil, nil
		return
	}
	t.rest.n--
	if t.fanouts > 0 || t.rest.holed() {
		*t.slot(i) = nil
		t.rest.addHole(i)
		return
	}
	t.fill(i)
	t.trim()
}

// settle fills holes in up to budget steps and reports whether there may be more. No fan-out may be
// under way.
func (t *topic) settle(budget int) bool {
	c := t.rest
	if c == nil {
		return false
	}
	for ; budget > 0 && c.holed(); budget-- {
		if *t.slot(c.end - 1) == nil {
			c.end-- // its entry among the holes is now one beyond the end
			continue
		}
		if i := c.popHole(); i < c.end {
			t.fill(i)
		}
	}
	if c.holed() {
		return true
	}
	t.trim()
	return false
}

// fill moves the last subscriber into slot i, if that is another.
func (t *topic) fill(i uint32) {
	c := t.rest
	last := t.slot(c.end - 1)
	if i != c.end-1 {
		t.put(*last, i)
	}
	*last = nil
	c.end--
}

// trim gives back memory that the slots no longer need. They must be dense.
func (t *topic) trim() {
	if t.rest.end == 1 {
		t.rest = nil
		return
	}
	t.rest.trim()
}

// copyPage copies page p of the slots into buf, of a page and one, as far as they are below end, and
// reports how much of buf that takes and whether there are pages after this. buf[0] is for slot 0,
// which goes with page 0. Holes, and slot skip, are nil: one copy and a loop that passes over nil, when
// the lock is free again, are faster than a loop here that leaves them out.
func (t *topic) copyPage(buf []Subscriber, p, end, skip uint32) (n int, more bool) {
	end = min(end, t.end())
	base := p * pageSlots // the slot that buf[0] would be
	if base >= end {
		return 0, false
	}
	n = 1
	buf[0] = nil
	if p == 0 {
		buf[0] = t.one
	}
	if base+1 < end {
		n += copy(buf[1:], t.rest.page(p)[:min(end-base-1, pageSlots)])
	}
	if i := skip - base; i < uint32(n) {
		buf[i] = nil
	}
	return n, base+uint32(n) < end
}
