package hub

import (
	"encoding/json"
	"sync"
)

// presenceShards is how many parts the topics are divided into, each with a lock and a state. Members
// of a cluster exchange the states part by part, so all must have the same number and the same hash.
const presenceShards = 64

// presenceShard is one part of the topics.
type presenceShard struct {
	mu sync.Mutex // protects the following, and the entries' places in diffs

	state *PresenceState
	diffs shrinkMap[string, *presenceDiffs] // of the topics that are not calm

	changes, broadcasts, broadcastBytes uint64
}

// presenceShardOf returns the part of a topic, by FNV-1a. Who chooses names can crowd them into one
// part, which makes that lock busier and nothing else: the maps have seeds of their own.
func presenceShardOf(topic string) int {
	h := uint32(2166136261)
	for i := range len(topic) {
		h = (h ^ uint32(topic[i])) * 16777619
	}
	return int((h ^ h>>16) % presenceShards)
}

func (p *Presence) shard(topic string) *presenceShard { return &p.shards[presenceShardOf(topic)] }

// diffsOf returns the record of a topic's diffs, which it makes when there is none. Whoever asks makes
// a change, and flushes the topic when the lock is free. The name must be one that is kept.
func (sh *presenceShard) diffsOf(topic string) *presenceDiffs {
	d := sh.diffs.get(topic)
	if d == nil {
		d = &presenceDiffs{topic: topic}
		sh.diffs.set(topic, d)
	}
	return d
}

// presenceDiffs is the changes of one topic that clients have not been told. It exists while there are
// any, or somebody waits for the end of a diff, or a diff is under way. The lock of the topic's shard protects it.
type presenceDiffs struct {
	topic  string
	queue  []presenceChange // in the order of their coming; cancelled ones are holes
	base   uint64           // the number of queue[0]: an entry's place does not change as others go out
	holes  int
	leaves int
	flight bool // a diff is being broadcast; who does it looks for more when that is done

	resyncs map[any]func(json.RawMessage) // to be called before the next diff: see Resync
}

// presenceChange is the coming or going of e, or a hole if e is nil.
type presenceChange struct {
	e      *PresenceEntry
	leaves bool
	glued  bool // goes out with the change before it: the new meta of an update
}

func (d *presenceDiffs) waitingLeaves() int {
	if d == nil {
		return 0
	}
	return d.leaves
}

// join queues the coming of e, or forgets its going that waits.
func (d *presenceDiffs) join(e *PresenceEntry, glued bool) {
	if e.pending != 0 {
		d.cancel(e)
		return
	}
	d.push(presenceChange{e: e, glued: glued})
}

// leave queues the going of e, or forgets its coming that waits.
func (d *presenceDiffs) leave(e *PresenceEntry) {
	if e.pending != 0 {
		d.cancel(e)
		return
	}
	d.push(presenceChange{e: e, leaves: true})
	d.leaves++
}

// replace queues that e takes the place of old. If the coming of old waits still, so does e, there.
func (d *presenceDiffs) replace(old, e *PresenceEntry) {
	if old.pending == 0 {
		d.leave(old)
		d.join(e, true)
		return
	}
	d.queue[old.pending-1-d.base].e = e
	e.pending, old.pending = old.pending, 0
}

func (d *presenceDiffs) push(c presenceChange) {
	if d.holes > 64 && d.holes > len(d.queue)/2 {
		d.close()
	}
	d.queue = append(d.queue, c)
	c.e.pending = d.base + uint64(len(d.queue))
}

// cancel makes a hole of the change of e that waits.
func (d *presenceDiffs) cancel(e *PresenceEntry) {
	c := &d.queue[e.pending-1-d.base]
	if c.leaves {
		d.leaves--
	}
	c.e, e.pending = nil, 0
	d.holes++
}

// close closes the holes. It comes once for as many changes as it moves.
func (d *presenceDiffs) close() {
	kept := d.queue[:0]
	for _, c := range d.queue {
		if c.e != nil {
			kept = append(kept, c)
			c.e.pending = d.base + uint64(len(kept))
		}
	}
	clear(d.queue[len(kept):])
	d.queue, d.holes = kept, 0
}

// take removes the first changes, up to about limitBytes of their JSON, for a diff.
func (d *presenceDiffs) take(limitBytes int) (joins, leaves []*PresenceEntry) {
	size, i := 0, 0
	for ; i < len(d.queue); i++ {
		c := &d.queue[i]
		if c.e == nil {
			d.holes--
			continue
		}
		n := c.e.size()
		if size > 0 && size+n > limitBytes && !c.glued {
			break
		}
		size += n
		c.e.pending = 0
		if c.leaves {
			leaves = append(leaves, c.e)
			d.leaves--
		} else {
			joins = append(joins, c.e)
		}
		c.e = nil
	}
	d.queue, d.base = d.queue[i:], d.base+uint64(i)
	return joins, leaves
}

// flush broadcasts what waits in a topic, until nothing does or Spawn takes over. If a diff is under way,
// it leaves that to whoever broadcasts it.
func (p *Presence) flush(sh *presenceShard, topic string) {
	for {
		sh.mu.Lock()
		d := sh.diffs.get(topic)
		if d == nil || d.flight {
			sh.mu.Unlock()
			return
		}
		d.flight = true
		resync := sh.takeResyncLocked(d)
		joins, leaves := d.take(p.cfg.DiffBytes)
		if t := sh.state.topics.get(topic); t != nil && len(joins)+len(leaves) > 0 {
			t.told = weakSnapshot{}
		}
		sh.mu.Unlock()
		p.broadcast(sh, d, resync, joins, leaves)
		if p.cfg.Spawn != nil && sh.waits(topic) && p.cfg.Spawn(func() { p.flush(sh, topic) }) {
			return
		}
	}
}

// broadcast does what is to be done between two diffs, and sends one. A topic that is calm again leaves no record.
func (p *Presence) broadcast(sh *presenceShard, d *presenceDiffs, resync presenceResync, joins, leaves []*PresenceEntry) {
	var m *Message
	defer func() {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if m != nil {
			sh.changes += uint64(len(joins) + len(leaves))
			sh.broadcasts++
			sh.broadcastBytes += uint64(len(m.Payload))
		}
		d.flight = false
		if len(d.queue) == d.holes && len(d.resyncs) == 0 {
			sh.diffs.delete(d.topic)
		}
	}()
	resync.push(p)
	joins, leaves = withoutReturned(joins, leaves)
	if len(joins)+len(leaves) > 0 { // not all have cancelled each other
		m = &Message{Topic: d.topic, Event: EventPresenceDiff, Payload: diffPayload(joins, leaves, p.fetch(d.topic, joins, leaves))}
		p.cfg.Broadcast(m)
	}
}

// waits reports whether a topic has changes that nobody is about to broadcast.
func (sh *presenceShard) waits(topic string) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	d := sh.diffs.get(topic)
	return d != nil && !d.flight
}

// withoutReturned leaves out what is in both, by its ref: a replica that was forgotten came back with
// the same entries in other records. phoenix.js applies joins first, and would end up without them.
func withoutReturned(joins, leaves []*PresenceEntry) (j, l []*PresenceEntry) {
	if len(joins) == 0 || len(leaves) == 0 {
		return joins, leaves
	}
	left := make(map[uint64]bool, len(leaves))
	for _, e := range leaves {
		left[e.ref] = false
	}
	for _, e := range joins {
		if _, ok := left[e.ref]; ok {
			left[e.ref] = true
			continue
		}
		j = append(j, e)
	}
	for _, e := range leaves {
		if !left[e.ref] {
			l = append(l, e)
		}
	}
	return j, l
}
