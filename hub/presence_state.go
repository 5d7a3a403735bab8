package hub

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// A Replica is a member of the cluster that tracks presences, during one life.
type Replica struct {
	Name string // no other member may have it at the same time

	// Epoch is higher in each life of the name: the start in microseconds since 1970 will do. When a
	// higher one is heard of, the entries of the lower ones are gone.
	Epoch uint64
}

// ErrPresenceSuperseded says that somebody else counts under this replica's name: two members have the
// same, or this one began with a lower epoch than in its last life. The others will ignore what it
// tracks from now on; it must begin again, with another name or a higher epoch.
var ErrPresenceSuperseded = errors.New("hub: another replica counts under this one's name: " +
	"give each member of the cluster a name of its own, and each start a higher epoch")

// A PresenceState is who is present, in all topics, as one replica knows it: an add-wins observed-remove
// set as a plain value, with no locks, goroutines or clocks of its own.
//
// An entry is identified by the replica that added it and that replica's clock, which each of its
// changes moves by one. The causal context is, for each replica, the epoch and the clocks that have
// been seen. What a context covers and its state lacks has left. From this follow the promises:
//
//  1. Merging is commutative, associative and idempotent. Deltas may come late, twice, in any order or
//     through others.
//  2. Two replicas with equal contexts have equal entries, so that clocks alone show who lacks what:
//     see Behind.
//  3. Only the replica that added an entry takes it away; of its own entries a merge takes none. An
//     entry that was added again while its old removal was under way stays: it has a clock that the
//     removal does not cover.
//  4. A leave leaves nothing behind but a clock in a span of seen ones; spans that touch are one.
//
// Which replicas are up, down or gone is not part of the value but this replica's own view of it:
// entries of a replica that is down are kept but not visible, and one that is gone is forgotten, and
// ignored in merges until ReplicaUp.
type PresenceState struct {
	self     *presenceReplica
	salt     uint64
	replicas map[string]*presenceReplica // self with them
	topics   shrinkMap[string, *presenceTopic]
	visible  int
	changes  *presenceChanges // nil until Delta is called
}

// presenceReplica is what is known of one replica. base makes refs of its clocks.
type presenceReplica struct {
	Replica
	base    uint64
	seen    clockSet
	entries shrinkMap[uint64, *PresenceEntry] // by clock; not of self, which looks for none
	down    bool
}

// NewPresenceState returns an empty state. salt tells apart the refs of states that count under the same
// replica, such as parts of the topics; all members must give the same part the same.
func NewPresenceState(self Replica, salt uint64) *PresenceState {
	s := &PresenceState{salt: salt, replicas: map[string]*presenceReplica{}}
	s.self = s.newReplica(self)
	return s
}

func (s *PresenceState) newReplica(r Replica) *presenceReplica {
	rep := &presenceReplica{Replica: r, base: refBase(r, s.salt)}
	s.replicas[r.Name] = rep
	return rep
}

// refBase returns where the refs of r begin. Two replicas' refs meet if they begin less apart than they
// count: among 1000 that count to 2^40 each, two do in one case of 17. It matters if both have the same
// key in the same topic at the same time.
func refBase(r Replica, salt uint64) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(r.Name) {
		h = (h ^ uint64(r.Name[i])) * 1099511628211
	}
	for _, v := range [...]uint64{r.Epoch, salt} { // the finish of splitmix64, for each
		h += v + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// Join adds an entry of this replica. meta is a JSON object. The same key may join many times.
func (s *PresenceState) Join(topic, key, meta string) *PresenceEntry {
	e := s.newEntry(key, meta)
	s.list(topic, e)
	return e
}

// Leave takes e away, which must be a present entry of this replica.
func (s *PresenceState) Leave(e *PresenceEntry) {
	s.mustOwn(e)
	s.changes.left(e)
	s.unlist(e)
	s.self.seen.add(s.self.seen.last() + 1) // so that who missed it can be told by the clocks
}

// Update puts a new entry with the same key in the place of e, which must be a present entry of this
// replica.
func (s *PresenceState) Update(e *PresenceEntry, meta string) *PresenceEntry {
	s.mustOwn(e)
	s.changes.left(e)
	u := s.newEntry(e.Key(), meta)
	u.prev = e.ref
	e.topic.replace(e, u)
	return u
}

func (s *PresenceState) mustOwn(e *PresenceEntry) {
	if e.replica != s.self || !e.listed() {
		panic("hub: not a present entry of this replica: " + e.Key())
	}
}

func (s *PresenceState) newEntry(key, meta string) *PresenceEntry {
	r := s.self
	clock := r.seen.last() + 1
	r.seen.add(clock)
	e := &PresenceEntry{replica: r, data: key + meta, keyLen: uint32(len(key)), ref: r.base + clock}
	s.changes.joined(e)
	return e
}

// list makes e visible.
func (s *PresenceState) list(topic string, e *PresenceEntry) {
	t := s.topics.get(topic)
	if t == nil {
		t = &presenceTopic{name: strings.Clone(topic)}
		s.topics.set(t.name, t)
	}
	t.add(e)
	s.visible++
}

// unlist makes e invisible. A topic without entries leaves nothing behind.
func (s *PresenceState) unlist(e *PresenceEntry) {
	t := e.topic
	t.remove(e)
	s.visible--
	if len(t.entries) == 0 {
		s.topics.delete(t.name)
	}
}

// List returns the visible entries of a topic, in no order. The slice is the state's.
func (s *PresenceState) List(topic string) []*PresenceEntry {
	if t := s.topics.get(topic); t != nil {
		return t.entries
	}
	return nil
}

// bytes returns the sizes of the visible entries of a topic.
func (s *PresenceState) bytes(topic string) int {
	if t := s.topics.get(topic); t != nil {
		return t.bytes
	}
	return 0
}

// Count returns how many entries are visible.
func (s *PresenceState) Count() int { return s.visible }

// ReplicaUp says that r lives, and returns the entries that are visible now and those that no longer
// are: those of r that were hidden, and those of an earlier life. A lower epoch than the known one is
// old news.
func (s *PresenceState) ReplicaUp(r Replica) (joins, leaves []*PresenceEntry) {
	rep := s.replicas[r.Name]
	switch {
	case rep == nil:
		s.newReplica(r)
		return nil, nil
	case rep == s.self || r.Epoch < rep.Epoch:
		return nil, nil
	case r.Epoch > rep.Epoch:
		leaves = s.succeed(rep, r.Epoch)
	}
	if rep.down {
		rep.down = false
		joins = rep.all()
		for _, e := range joins {
			s.list(e.topic.name, e)
		}
	}
	return joins, leaves
}

// ReplicaDown hides the entries of a replica and returns them. They are kept and merged, so that
// ReplicaUp can show them again with their refs.
func (s *PresenceState) ReplicaDown(name string) (leaves []*PresenceEntry) {
	rep := s.replicas[name]
	if rep == nil || rep == s.self || rep.down {
		return nil
	}
	rep.down = true
	leaves = rep.all()
	for _, e := range leaves {
		s.unlist(e)
	}
	return leaves
}

// ReplicaGone forgets a replica and returns those of its entries that were visible.
func (s *PresenceState) ReplicaGone(name string) (leaves []*PresenceEntry) {
	if rep := s.replicas[name]; rep == nil || rep == s.self {
		return nil
	}
	leaves = s.ReplicaDown(name)
	delete(s.replicas, name)
	return leaves
}

// succeed gives rep a higher epoch and returns the visible entries of the former one.
func (s *PresenceState) succeed(rep *presenceReplica, epoch uint64) (leaves []*PresenceEntry) {
	if !rep.down {
		leaves = rep.all()
		for _, e := range leaves {
			s.unlist(e)
		}
	}
	rep.entries = shrinkMap[uint64, *PresenceEntry]{}
	rep.Epoch, rep.seen = epoch, nil
	rep.base = refBase(rep.Replica, s.salt)
	return leaves
}

// all returns the entries of a replica that is not self, in the order of their clocks.
func (r *presenceReplica) all() []*PresenceEntry {
	return slices.SortedFunc(maps.Values(r.entries.m), func(a, b *PresenceEntry) int {
		if a.clock() < b.clock() {
			return -1
		}
		return 1
	})
}
