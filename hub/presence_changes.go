package hub

import "slices"

// Delta returns this replica's changes since the last call, the first time since the beginning. It is
// empty when there were none. Until it is first called nothing is recorded; from then on it must be
// called again and again, since the record grows: by 8 bytes for each entry that came and is still
// there, and for each that was there at the last call and has left.
func (s *PresenceState) Delta() (d PresenceDelta) {
	now := s.self.seen.last()
	c := s.changes
	switch {
	case c == nil && now > 0:
		d = s.Full(s.self.Name)
	case c != nil && c.since < now:
		p := presencePart{Replica: s.self.Replica, seen: c.seen(now)}
		p.entries = items(slices.DeleteFunc(c.come, func(e *PresenceEntry) bool { return !e.listed() }))
		d = PresenceDelta{[]presencePart{p}}
	}
	s.changes = &presenceChanges{since: now}
	return d
}

// presenceChanges records a replica's own changes. A nil one records nothing.
type presenceChanges struct {
	since  uint64           // the clock at which it begins
	come   []*PresenceEntry // since, in the order of their clocks
	lapsed int              // how many of those have left again
	gone   []uint64         // the clocks of entries that had come before, and left
}

// lapsedMin is how many lapsed entries are not worth clearing away.
const lapsedMin = 1024

func (c *presenceChanges) joined(e *PresenceEntry) {
	if c == nil {
		return
	}
	if c.lapsed > lapsedMin && c.lapsed > len(c.come)/2 {
		c.come = slices.DeleteFunc(c.come, func(e *PresenceEntry) bool { return !e.listed() })
		c.lapsed = 0
	}
	c.come = append(c.come, e)
}

// left is to be called before e is taken away.
func (c *presenceChanges) left(e *PresenceEntry) {
	switch {
	case c == nil:
	case e.clock() <= c.since:
		c.gone = append(c.gone, e.clock())
	default:
		c.lapsed++
	}
}

// seen returns the clocks that the changes are about: those since, and those of what has left.
func (c *presenceChanges) seen(now uint64) (seen clockSet) {
	slices.Sort(c.gone)
	for _, clock := range c.gone {
		seen.add(clock)
	}
	return seen.union(clockSet{{c.since + 1, now}})
}
