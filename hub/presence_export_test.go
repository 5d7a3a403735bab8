package hub

import (
	"fmt"
	"unsafe"
)

// DeltaView is a PresenceDelta for tests to look at and to make: by replica.
type DeltaView map[string]PartView

// PartView is what a delta says of one replica.
type PartView struct {
	Epoch   uint64
	Seen    map[uint64]bool
	Entries map[uint64]ItemView
}

// ItemView is one entry.
type ItemView struct {
	Prev             uint64
	Topic, Key, Meta string
}

// View returns what d says.
func View(d PresenceDelta) DeltaView {
	v := DeltaView{}
	for _, p := range d.parts {
		pv := PartView{p.Epoch, map[uint64]bool{}, map[uint64]ItemView{}}
		if p.seen.count() < 1<<16 { // a fuzzer's span can have 2^64
			for _, c := range clocksOf(p.seen) {
				pv.Seen[c] = true
			}
		}
		for _, it := range p.entries {
			pv.Entries[it.clock] = ItemView{it.prev, it.topic, it.key, it.meta}
		}
		v[p.Name] = pv
	}
	return v
}

// Check reports what is wrong inside s, or nil.
func (s *PresenceState) Check() error {
	visible, listed := 0, map[string]int{}
	for name, t := range s.topics.m {
		if len(t.entries) == 0 || t.name != name {
			return fmt.Errorf("%s: a record %q of %d entries", name, t.name, len(t.entries))
		}
		visible += len(t.entries)
		if n, c := len(t.entries), cap(t.entries); c > 4 && n < c/4 {
			return fmt.Errorf("%s: room for %d, of %d", name, c, n)
		}
		for _, e := range t.entries[len(t.entries):cap(t.entries)] {
			if e != nil {
				return fmt.Errorf("%s: holds on to %q", name, e.Key())
			}
		}
		bytes := 0
		for i, e := range t.entries {
			bytes += e.size()
			r := s.replicas[e.replica.Name]
			switch {
			case e.at != uint32(i) || e.topic != t:
				return fmt.Errorf("%s: entry %d believes %d of %s", name, i, e.at, e.topic.name)
			case r != e.replica || r.down || !r.seen.has(e.clock()):
				return fmt.Errorf("%s: entry %d of %s is not to be seen", name, i, e.replica.Name)
			case r != s.self && r.entries.get(e.clock()) != e:
				return fmt.Errorf("%s: entry %d of %s is not in its index", name, i, r.Name)
			}
			listed[r.Name]++
		}
		if bytes != t.bytes {
			return fmt.Errorf("%s: %d bytes, counted %d", name, bytes, t.bytes)
		}
	}
	if visible != s.visible {
		return fmt.Errorf("%d entries, counted %d", visible, s.visible)
	}
	for name, r := range s.replicas {
		if !r.seen.valid() {
			return fmt.Errorf("%s: clocks %v", name, r.seen)
		}
		if n := r.entries.len(); r != s.self && !r.down && n != listed[name] {
			return fmt.Errorf("%s: %d entries are listed of %d", name, listed[name], n)
		}
	}
	return nil
}

// CheckPresence reports what is wrong inside p, or nil. With quiet no call is under way: nothing may wait.
func CheckPresence(p *Presence, quiet bool) error {
	own := 0
	for i := range p.shards {
		sh := &p.shards[i]
		sh.mu.Lock()
		err := sh.check(i, quiet)
		own += len(sh.state.own())
		sh.mu.Unlock()
		if err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	owned := 0
	for i := range p.owners.shards {
		sh := &p.owners.shards[i]
		owned += sh.one.len()
		for s, list := range sh.many.m {
			if len(list) < 2 || sh.one.get(s) != nil {
				return fmt.Errorf("an owner of %d is among many", len(list))
			}
			owned += len(list)
		}
	}
	if quiet && owned != own {
		return fmt.Errorf("owners have %d entries, topics %d of this replica", owned, own)
	}
	return nil
}

func (sh *presenceShard) check(number int, quiet bool) error {
	if err := sh.state.Check(); err != nil {
		return err
	}
	if quiet && sh.diffs.len() > 0 {
		return fmt.Errorf("%d topics are not calm", sh.diffs.len())
	}
	for name, d := range sh.diffs.m {
		holes, leaves := 0, 0
		for i, c := range d.queue {
			switch {
			case c.e == nil:
				holes++
				continue
			case c.e.pending != d.base+uint64(i)+1 || c.e.Topic() != name:
				return fmt.Errorf("%s: change %d: its entry believes %d of %s", name, i, c.e.pending, c.e.Topic())
			case c.leaves:
				leaves++
			}
			if c.leaves == c.e.listed() {
				return fmt.Errorf("%s: change %d of %q contradicts the state", name, i, c.e.Key())
			}
		}
		if holes != d.holes || leaves != d.leaves {
			return fmt.Errorf("%s: %d holes and %d leaves, counted %d and %d", name, holes, leaves, d.holes, d.leaves)
		}
	}
	for name := range sh.state.topics.m {
		if presenceShardOf(name) != number {
			return fmt.Errorf("%s is of another part", name)
		}
	}
	return nil
}

// PresencePart returns the part of a topic.
func PresencePart(topic string) int { return presenceShardOf(topic) }

// Queued returns how many places the queue of a topic's diffs takes, with holes.
func Queued(p *Presence, topic string) int {
	sh := p.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if d := sh.diffs.get(topic); d != nil {
		return len(d.queue)
	}
	return 0
}

// Recorded returns how many places the record of a state's changes takes.
func (s *PresenceState) Recorded() int { return len(s.changes.come) + len(s.changes.gone) }

// DeltaOfSpan returns a delta that has seen the clocks from 1 to to, and has no entries.
func DeltaOfSpan(r Replica, to uint64) PresenceDelta {
	return PresenceDelta{[]presencePart{{Replica: r, seen: clockSet{{1, to}}}}}
}

// PresenceSizes returns what the records take, and what the package's arithmetic rests on.
func PresenceSizes() map[string][2]uintptr {
	return map[string][2]uintptr{
		"PresenceEntry":  {unsafe.Sizeof(PresenceEntry{}), 64},
		"presenceTopic":  {unsafe.Sizeof(presenceTopic{}), 56},
		"presenceChange": {unsafe.Sizeof(presenceChange{}), 16},
	}
}
