package hub

import (
	"hash/maphash"
	"slices"
	"sync"
)

// ownerShards is how many ways the owners are divided; see shardCount, of which a quarter does, since
// an owner's lock is taken more seldom than a topic's is for messages.
const ownerShards = 64

// presenceOwners knows the entries of each owner that has any. One entry takes a place in a map of 16
// bytes each, some 30 with its slack; several take that and a slice.
type presenceOwners struct {
	seed   maphash.Seed
	shards [ownerShards]ownerShard
}

type ownerShard struct {
	mu   sync.Mutex // protects the following, and the entries' owners' slices
	one  shrinkMap[*Subscription, *PresenceEntry]
	many shrinkMap[*Subscription, []*PresenceEntry] // of owners that are not in one
}

// ownerEntries is the entries of one owner, whose shard is locked: in one or in many.
type ownerEntries struct {
	sh    *ownerShard
	owner *Subscription
	one   *PresenceEntry
	many  []*PresenceEntry
}

func (p *presenceOwners) init() { p.seed = maphash.MakeSeed() }

// lock locks the owner's shard.
func (p *presenceOwners) lock(owner Subscriber) ownerEntries {
	s := owner.subscription()
	sh := &p.shards[maphash.Comparable(p.seed, s)%ownerShards]
	sh.mu.Lock()
	return ownerEntries{sh: sh, owner: s, one: sh.one.get(s), many: sh.many.get(s)}
}

func (o *ownerEntries) unlock() { o.sh.mu.Unlock() }

func (o *ownerEntries) count() int {
	if o.one != nil {
		return 1
	}
	return len(o.many)
}

// find returns the entry with this key in this topic, or nil.
func (o *ownerEntries) find(topic, key string) *PresenceEntry {
	if e := o.one; e != nil && e.Key() == key && e.Topic() == topic {
		return e
	}
	for _, e := range o.many {
		if e.Key() == key && e.Topic() == topic {
			return e
		}
	}
	return nil
}

func (o *ownerEntries) add(e *PresenceEntry) {
	switch {
	case o.count() == 0:
		o.sh.one.set(o.owner, e)
	case o.one != nil:
		o.sh.one.delete(o.owner)
		o.sh.many.set(o.owner, []*PresenceEntry{o.one, e})
	default:
		o.sh.many.set(o.owner, append(o.many, e))
	}
}

func (o *ownerEntries) replace(old, e *PresenceEntry) {
	if o.one != nil {
		o.sh.one.set(o.owner, e)
		return
	}
	o.many[slices.Index(o.many, old)] = e
}

// remove takes e out, which must be there.
func (o *ownerEntries) remove(e *PresenceEntry) {
	if o.one != nil {
		o.sh.one.delete(o.owner)
		return
	}
	i, n := slices.Index(o.many, e), len(o.many)-1
	o.many[i], o.many[n] = o.many[n], nil
	if n > 1 {
		o.sh.many.set(o.owner, o.many[:n])
		return
	}
	o.sh.many.delete(o.owner)
	o.sh.one.set(o.owner, o.many[0])
}

// removeAll takes all entries out and returns them.
func (o *ownerEntries) removeAll() []*PresenceEntry {
	switch {
	case o.one != nil:
		o.sh.one.delete(o.owner)
		return []*PresenceEntry{o.one}
	case o.many != nil:
		o.sh.many.delete(o.owner)
	}
	return o.many
}
