package hub

import (
	"maps"
	"slices"
	"sort"
)

// A PresenceDelta is a part of a [PresenceState] that travels: entries, and the clocks that it knows
// about. It is immutable. The zero value says nothing.
//
// A delta of changes, a full state and clocks alone are the same thing and merge by the same rule.
type PresenceDelta struct {
	parts []presencePart // in rising order of their names, one for each
}

// presencePart is what a delta says of one replica. Every entry's clock is in seen.
type presencePart struct {
	Replica
	seen    clockSet
	entries []presenceItem // in rising order of their clocks
}

// presenceItem is an entry on its way.
type presenceItem struct {
	clock, prev      uint64
	topic, key, meta string
}

// Len returns how many entries d has.
func (d PresenceDelta) Len() (n int) {
	for _, p := range d.parts {
		n += len(p.entries)
	}
	return n
}

// Empty reports whether d says nothing.
func (d PresenceDelta) Empty() bool { return len(d.parts) == 0 }

func (p *presencePart) item(clock uint64) *presenceItem {
	i := sort.Search(len(p.entries), func(i int) bool { return p.entries[i].clock >= clock })
	if i < len(p.entries) && p.entries[i].clock == clock {
		return &p.entries[i]
	}
	return nil
}

// Join returns one delta that says what both do: several periods' changes can travel as one.
func (d PresenceDelta) Join(o PresenceDelta) PresenceDelta {
	var j PresenceDelta
	for a, b := d.parts, o.parts; len(a) > 0 || len(b) > 0; {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Name < b[0].Name:
			j.parts, a = append(j.parts, a[0]), a[1:]
		case len(a) == 0 || b[0].Name < a[0].Name:
			j.parts, b = append(j.parts, b[0]), b[1:]
		default:
			j.parts, a, b = append(j.parts, a[0].join(&b[0])), a[1:], b[1:]
		}
	}
	return j
}

// join is the rule of the set: of the same epoch stays what both have, and what one has and the other
// has not seen.
func (p *presencePart) join(o *presencePart) presencePart {
	switch {
	case p.Epoch > o.Epoch:
		return *p
	case p.Epoch < o.Epoch:
		return *o
	}
	j := presencePart{Replica: p.Replica, seen: p.seen.union(o.seen)}
	for a, b := p.entries, o.entries; len(a) > 0 || len(b) > 0; {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].clock < b[0].clock:
			if !o.seen.has(a[0].clock) {
				j.entries = append(j.entries, a[0])
			}
			a = a[1:]
		case len(a) == 0 || b[0].clock < a[0].clock:
			if !p.seen.has(b[0].clock) {
				j.entries = append(j.entries, b[0])
			}
			b = b[1:]
		default:
			j.entries, a, b = append(j.entries, a[0]), a[1:], b[1:]
		}
	}
	return j
}

// Merge takes in what d says of other replicas that are known, and returns what became visible and what
// no longer is. It takes time for what d says, and for a full state for the replica's entries.
//
// With ErrPresenceSuperseded the rest of d is merged nevertheless.
func (s *PresenceState) Merge(d PresenceDelta) (joins, leaves []*PresenceEntry, err error) {
	for i := range d.parts {
		p := &d.parts[i]
		rep := s.replicas[p.Name]
		switch {
		case rep == nil || p.Epoch < rep.Epoch:
			continue
		case rep == s.self:
			if p.Epoch > rep.Epoch || !rep.seen.covers(p.seen) {
				err = ErrPresenceSuperseded
			}
			continue
		case p.Epoch > rep.Epoch:
			leaves = append(leaves, s.succeed(rep, p.Epoch)...)
		default:
			leaves = append(leaves, s.mergeLeaves(rep, p)...)
		}
		joins = append(joins, s.mergeJoins(rep, p)...)
		rep.seen = rep.seen.union(p.seen)
	}
	return joins, leaves, err
}

// mergeLeaves takes away what p has seen and lacks. It goes by whichever is less, the clocks that p
// has seen or the entries.
func (s *PresenceState) mergeLeaves(rep *presenceReplica, p *presencePart) (leaves []*PresenceEntry) {
	var gone []*PresenceEntry
	if p.seen.count() < uint64(rep.entries.len()) {
		for _, span := range p.seen {
			for c := span.from; c <= span.to; c++ {
				if e := rep.entries.get(c); e != nil && p.item(c) == nil {
					gone = append(gone, e)
				}
			}
		}
	} else {
		for _, e := range rep.all() {
			if p.seen.has(e.clock()) && p.item(e.clock()) == nil {
				gone = append(gone, e)
			}
		}
	}
	for _, e := range gone {
		rep.entries.delete(e.clock())
		if e.listed() {
			s.unlist(e)
			leaves = append(leaves, e)
		}
	}
	return leaves
}

// mergeJoins adds the entries that rep has not seen.
func (s *PresenceState) mergeJoins(rep *presenceReplica, p *presencePart) (joins []*PresenceEntry) {
	for i := range p.entries {
		it := &p.entries[i]
		if rep.seen.has(it.clock) {
			continue
		}
		e := &PresenceEntry{
			replica: rep, data: it.key + it.meta, keyLen: uint32(len(it.key)),
			ref: rep.base + it.clock, prev: it.prev, at: notListed,
		}
		rep.entries.set(it.clock, e)
		if rep.down {
			e.topic = &presenceTopic{name: it.topic} // for the name, until ReplicaUp
			continue
		}
		s.list(it.topic, e)
		joins = append(joins, e)
	}
	return joins
}

// Full returns everything about the named replicas, or about all that are not down: those are left out
// because this replica hears no more of them, and who knows more would ask for them again and again.
func (s *PresenceState) Full(names ...string) PresenceDelta { return s.extract(names, true) }

// Clocks returns the causal context alone, about all replicas that are not down. It is for Behind: as
// it has no entries, it must not be merged.
func (s *PresenceState) Clocks() PresenceDelta { return s.extract(nil, false) }

func (s *PresenceState) extract(names []string, entries bool) (d PresenceDelta) {
	for _, name := range slices.Sorted(maps.Keys(s.replicas)) {
		rep := s.replicas[name]
		if rep.down || len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		p := presencePart{Replica: rep.Replica, seen: slices.Clone(rep.seen)}
		switch {
		case entries && rep == s.self:
			p.entries = items(s.own())
		case entries:
			p.entries = items(rep.all())
		}
		d.parts = append(d.parts, p)
	}
	return d
}

// Behind returns the names of the known replicas of which clocks, another's, has seen what this one
// has not: about these it should ask the other for a full state.
func (s *PresenceState) Behind(clocks PresenceDelta) (names []string) {
	for i := range clocks.parts {
		p := &clocks.parts[i]
		rep := s.replicas[p.Name]
		if rep == nil || rep == s.self || p.Epoch < rep.Epoch {
			continue
		}
		if p.Epoch > rep.Epoch || !rep.seen.covers(p.seen) {
			names = append(names, p.Name)
		}
	}
	return names
}

// own returns this replica's entries, in the order of their clocks.
func (s *PresenceState) own() (own []*PresenceEntry) {
	for _, t := range s.topics.m {
		for _, e := range t.entries {
			if e.replica == s.self {
				own = append(own, e)
			}
		}
	}
	slices.SortFunc(own, func(a, b *PresenceEntry) int {
		if a.clock() < b.clock() {
			return -1
		}
		return 1
	})
	return own
}

func items(entries []*PresenceEntry) []presenceItem {
	list := make([]presenceItem, len(entries))
	for i, e := range entries {
		list[i] = presenceItem{e.clock(), e.prev, e.topic.name, e.Key(), e.Meta()}
	}
	return list
}
