package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The events by which phoenix.js's Presence hears of presences.
const (
	EventPresenceDiff  = "presence_diff"  // of the messages that Broadcast is given
	EventPresenceState = "presence_state" // as which a payload from Snapshot is to be pushed
)

// Errors of Track and Update.
var (
	ErrAlreadyTracked = errors.New("hub: presence: the owner tracks this key in this topic already; use Update")
	ErrNotTracked     = errors.New("hub: presence: the owner does not track this key in this topic; use Track")
	ErrPresenceKey    = errors.New("hub: presence: a key or topic is too long, or no UTF-8")
	ErrPresenceMeta   = errors.New("hub: presence: a meta is too large, or no JSON object in UTF-8")
	ErrOwnerEntries   = errors.New("hub: presence: the owner tracks as many entries as it may")
	ErrTopicEntries   = errors.New("hub: presence: the topic has as many entries as it may")
	ErrTopicBytes     = errors.New("hub: presence: the topic's list is as long as it may be")
)

// PresenceConfig is for [NewPresence]. Only Broadcast must be set.
type PresenceConfig struct {
	// Broadcast gives a message to all local subscribers of its topic, as a Hub's does, and returns
	// when that is done: it paces the diffs. For one topic no two calls run at once.
	Broadcast func(*Message)

	// Spawn runs a task on another goroutine, soon, or reports false and does not run it at all. It is
	// given one when, after a diff, there is more to say already. nil, or false: the goroutine that
	// broadcast the diff goes on with the next, as long as changes keep coming.
	Spawn func(task func()) bool

	// Fetch, if set, adds to what is said of a key beside its metas: it returns a JSON object for each of
	// the keys that has something to add, and its members stand beside "metas" in lists, snapshots and
	// both halves of diffs. It is called for each diff with the keys in it, for each snapshot that is
	// encoded with those of the topic, and by List and Get; without locks, on their goroutines. Until it
	// returns, that diff and the snapshot wait for it. It must not panic, nor ask for a snapshot. What is
	// no object is left out. DiffBytes does not count it.
	Fetch func(topic string, keys []string) map[string]json.RawMessage

	// Replica is who this is in the cluster. Default: the name "local" and the microseconds since 1970.
	// The epoch must be another after a restart, also without a cluster: clients that come back
	// compare refs, and a ref that is used again shows them the meta that they remember.
	Replica Replica

	// TopicEntries bounds the entries of a topic, as they are visible here, for Track alone: what a
	// merge brings is not refused, as it has been let in elsewhere. Default 10,000.
	TopicEntries int

	// TopicBytes bounds the list of a topic, as List returns it without what Fetch adds, for Track and for an
	// update that makes it longer, be it by the phx_ref_prev of an entry's first. Default 448 KiB, some 4,500
	// entries with metas of 50 bytes: the list twice, for a client that comes back (see Resync), and the longest
	// diff come to 960 KiB, of the 1 MiB that an outbox holds.
	//
	// What a merge brings counts and is not refused: two replicas that have heard the same would differ for ever.
	// So a topic can be over it by what others have let in before they had heard of each other, after a netsplit
	// up to as many times as there are members; until it is below again, everywhere, nothing is let in.
	TopicBytes int

	// OwnerEntries bounds the entries of one owner. Default 100, as the topics of a connection.
	// A call looks through them all.
	OwnerEntries int

	MetaBytes int // bounds a meta, without white space between its parts. Default 4096.
	KeyBytes  int // bounds a key. Default 255, as other names on the wire.

	// DiffBytes bounds a diff: what comes to more goes in several, one after the other. One change is
	// never divided. Default 65536: a sixteenth of an outbox, and some 600 joins.
	DiffBytes int
}

func (c *PresenceConfig) setDefaults() {
	if c.Broadcast == nil {
		panic("hub: PresenceConfig.Broadcast is not set")
	}
	if c.Replica.Name == "" {
		c.Replica.Name = "local"
	}
	if c.Replica.Epoch == 0 {
		c.Replica.Epoch = uint64(time.Now().UnixMicro())
	}
	for _, f := range []struct {
		name         string
		field        *int
		defaultValue int
	}{
		{"TopicEntries", &c.TopicEntries, 10_000},
		{"TopicBytes", &c.TopicBytes, 448 << 10},
		{"OwnerEntries", &c.OwnerEntries, 100},
		{"MetaBytes", &c.MetaBytes, 4096},
		{"KeyBytes", &c.KeyBytes, 255},
		{"DiffBytes", &c.DiffBytes, 64 << 10},
	} {
		if *f.field < 0 {
			panic(fmt.Sprintf("hub: PresenceConfig.%s is %d; 0 is the default, %d", f.name, *f.field, f.defaultValue))
		}
		if *f.field == 0 {
			*f.field = f.defaultValue
		}
	}
}

// A Presence knows who is present in which topic, and tells the subscribers by diffs. Its methods may be
// called from any goroutine, also within Broadcast, and also for one owner at once. It starts no
// goroutine and sets no timer.
//
// # Promises
//
//  1. A change in a topic that is calm is broadcast before the call returns. A topic is calm when no
//     diff of it is being broadcast.
//  2. What changes while a diff is being broadcast goes into the next one, which begins when that has
//     ended. So a topic has at most one diff under way and keeps at most one goroutine busy, however
//     fast the changes come, and the others' calls do not wait for it.
//  3. Within what waits, an entry that came and left again is not mentioned, and of several updates
//     only the last is. Old and new meta of an update are in the same diff, also a divided one. The
//     phx_ref_prev is always that of the update before, which clients then may not have heard of.
//  4. Who has taken a Snapshot while subscribed, and applies to it the diffs that come from then on as
//     phoenix.js does, has in the end what List returns. For the order in which to do it see Snapshot.
//  5. What waits in a topic is bounded: by its entries that are not announced yet, and as many leaves as
//     TopicEntries; beyond that Track fails with ErrTopicEntries. Untrack, merges, and updates that make no list
//     longer never fail by a limit of the topic.
//  6. An owner that tracks nothing takes no memory, and neither does a topic in which nobody is tracked.
//     An owner's entries are found without a search, whatever else is tracked.
//
// If Broadcast panics, that diff has reached some and is not repeated, and what waits goes out with the
// topic's next change.
//
// # Size and cost
//
// An entry takes 64 bytes, key and meta, 8 in its topic and some 30 for its owner: 160 to 175 bytes with
// a key of 8 and a meta of 44. One that is alone in its topic takes 305. To come and go takes 2 µs
// besides the fan-out, in a topic of one as of a million. A snapshot takes 0.2 µs for each entry of the
// topic, once between two diffs for all that ask for it. BenchmarkTrack, BenchmarkBurst and
// BenchmarkPresenceMemory show these.
//
// What no batching saves is that every subscriber is told of every entry: TopicEntries joins of 90
// bytes are 0.9 MB for each subscriber, in some 14 diffs if they come at once, and as much again is the
// presence_state of who comes after them. A topic's limits are to be chosen by that.
//
// # Locks
//
// An owner's, and under it a topic's; both for some part of all owners or topics. No other code runs
// under them, and the work is short but for these: Snapshot and List copy 8 bytes for each entry of the
// topic, a topic's slots move as it grows, and Full and the merging of a full state walk over a part.
type Presence struct {
	shards [presenceShards]presenceShard
	owners presenceOwners
	cfg    PresenceConfig
}

// NewPresence returns a Presence in which nobody is. It needs no closing. It panics if cfg cannot be.
func NewPresence(cfg PresenceConfig) *Presence {
	cfg.setDefaults()
	p := &Presence{cfg: cfg}
	p.owners.init()
	for i := range p.shards {
		p.shards[i].state = NewPresenceState(cfg.Replica, uint64(i))
	}
	return p
}

// Track adds an entry and returns its phx_ref. meta, a JSON object, is not kept; phx_ref and
// phx_ref_prev in it are overridden. The owner need not be subscribed to the topic.
//
// The entry stays until Untrack or UntrackAll, and so does the owner in memory. If the owner ends while
// Track runs, UntrackAll must be called after both.
func (p *Presence) Track(topic, key string, meta json.RawMessage, owner Subscriber) (ref string, err error) {
	if len(key) > p.cfg.KeyBytes || !utf8.ValidString(key) || len(topic) > maxDecodedString || !utf8.ValidString(topic) {
		return "", ErrPresenceKey
	}
	compact, err := p.compact(meta)
	if err != nil {
		return "", err
	}
	sh := p.shard(topic)
	e, err := p.track(sh, topic, key, compact, owner)
	if err != nil {
		return "", err
	}
	p.flush(sh, e.Topic())
	return e.Ref(), nil
}

func (p *Presence) track(sh *presenceShard, topic, key, meta string, owner Subscriber) (*PresenceEntry, error) {
	o := p.owners.lock(owner)
	defer o.unlock()
	switch {
	case o.find(topic, key) != nil:
		return nil, ErrAlreadyTracked
	case o.count() >= p.cfg.OwnerEntries:
		return nil, ErrOwnerEntries
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n := p.cfg.TopicEntries; len(sh.state.List(topic)) >= n || sh.diffs.get(topic).waitingLeaves() >= n {
		return nil, ErrTopicEntries
	}
	if !p.fits(sh.state.bytes(topic) + entrySize(key, meta, false)) {
		return nil, ErrTopicBytes
	}
	e := sh.state.Join(topic, key, meta)
	sh.diffsOf(e.Topic()).join(e, false)
	o.add(e)
	return e, nil
}

// Update replaces the meta of an entry and returns its new phx_ref. ErrTopicBytes: the entry is as it was.
func (p *Presence) Update(topic, key string, meta json.RawMessage, owner Subscriber) (ref string, err error) {
	compact, err := p.compact(meta)
	if err != nil {
		return "", err
	}
	o := p.owners.lock(owner)
	old := o.find(topic, key)
	if old == nil {
		o.unlock()
		return "", ErrNotTracked
	}
	return p.replace(&o, old, compact)
}

// replace puts an entry with another meta in the place of old, if there is room, unlocks the owner and flushes.
func (p *Presence) replace(o *ownerEntries, old *PresenceEntry, meta string) (ref string, err error) {
	sh := p.shard(old.Topic())
	sh.mu.Lock()
	if more := entrySize(old.Key(), meta, true) - old.size(); more > 0 && !p.fits(old.topic.bytes+more) {
		sh.mu.Unlock()
		o.unlock()
		return "", ErrTopicBytes
	}
	e := sh.state.Update(old, meta)
	sh.diffsOf(e.Topic()).replace(old, e)
	sh.mu.Unlock()
	o.replace(old, e)
	o.unlock()
	p.flush(sh, e.Topic())
	return e.Ref(), nil
}

// fits reports whether entries of so many bytes make a list that a topic may have.
func (p *Presence) fits(bytes int) bool { return bytes+len(`{}`)-len(`,`) <= p.cfg.TopicBytes }

// Untrack takes the owner's entry away and reports whether there was one.
func (p *Presence) Untrack(topic, key string, owner Subscriber) bool {
	o := p.owners.lock(owner)
	e := o.find(topic, key)
	if e == nil {
		o.unlock()
		return false
	}
	o.remove(e)
	p.leave(e)
	o.unlock()
	p.flush(p.shard(topic), e.Topic())
	return true
}

// UntrackAll takes all entries of the owner away and returns how many there were. For an owner without
// entries it is two looks into a table. Who ends unsubscribes first, and so does not hear of itself.
func (p *Presence) UntrackAll(owner Subscriber) int {
	o := p.owners.lock(owner)
	entries := o.removeAll()
	for _, e := range entries {
		p.leave(e)
	}
	o.unlock()
	for _, e := range entries {
		p.flush(p.shard(e.Topic()), e.Topic())
	}
	return len(entries)
}

func (p *Presence) leave(e *PresenceEntry) {
	sh := p.shard(e.Topic())
	sh.mu.Lock()
	sh.state.Leave(e)
	sh.diffsOf(e.Topic()).leave(e)
	sh.mu.Unlock()
}

// List returns who is present in the topic, as the changes stand that calls have made, in the form of
// Snapshot. It is for the application, not for a presence_state.
func (p *Presence) List(topic string) json.RawMessage {
	sh := p.shard(topic)
	sh.mu.Lock()
	entries := append([]*PresenceEntry(nil), sh.state.List(topic)...)
	sh.mu.Unlock()
	return appendPresences(make([]byte, 0, presencesSize(entries)), entries, p.fetch(topic, entries))
}

// Count returns how many entries the topic has.
func (p *Presence) Count(topic string) int {
	sh := p.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.state.List(topic))
}

// PresenceStats are the counters of a [Presence].
type PresenceStats struct {
	Entries int // visible at present, also those of other replicas
	Topics  int // with entries
	Waiting int // changes that no diff has announced yet

	Changes   uint64 // entries that came or left; an update is two
	Diffs     uint64 // calls of Broadcast
	DiffBytes uint64 // of their payloads
}

// Stats returns the counters, each shard's as of a slightly different moment.
func (p *Presence) Stats() (st PresenceStats) {
	for i := range p.shards {
		sh := &p.shards[i]
		sh.mu.Lock()
		st.Entries += sh.state.Count()
		st.Topics += sh.state.topics.len()
		for _, d := range sh.diffs.m {
			st.Waiting += len(d.queue) - d.holes
		}
		st.Changes += sh.changes
		st.Diffs += sh.broadcasts
		st.DiffBytes += sh.broadcastBytes
		sh.mu.Unlock()
	}
	return st
}

// compact checks a meta and returns it without white space between its parts.
func (p *Presence) compact(meta json.RawMessage) (string, error) {
	var b bytes.Buffer
	if !utf8.Valid(meta) || json.Compact(&b, meta) != nil || b.Bytes()[0] != '{' || b.Len() > p.cfg.MetaBytes {
		return "", ErrPresenceMeta
	}
	return b.String(), nil
}
