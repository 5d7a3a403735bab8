package hub

import (
	"encoding/base64"
	"encoding/binary"
)

// A PresenceEntry is one meta of one key in one topic. It never changes: an update puts another in its
// place. It takes 64 bytes, the bytes of key and meta, and 8 in its topic; one of another replica
// takes some 30 more, for the index by clock.
type PresenceEntry struct {
	topic   *presenceTopic
	replica *presenceReplica
	data    string // key and meta: one allocation for both
	ref     uint64
	prev    uint64 // the ref of the entry that this one replaced, or 0
	pending uint64 // place in the outgoing diffs, plus one; 0: clients are told. Not the state's.
	keyLen  uint32
	at      uint32 // place in topic.entries, or notListed
}

// notListed is the place of an entry that has left, or whose replica is down.
const notListed = ^uint32(0)

// Topic returns the name of the topic.
func (e *PresenceEntry) Topic() string { return e.topic.name }

// Key returns the key, which other entries of the topic may have too.
func (e *PresenceEntry) Key() string { return e.data[:e.keyLen] }

// Meta returns the meta, a JSON object without phx_ref and phx_ref_prev.
func (e *PresenceEntry) Meta() string { return e.data[e.keyLen:] }

// Ref returns the phx_ref, which no other entry of the cluster has, nor will have.
func (e *PresenceEntry) Ref() string { return refString(e.ref) }

// Prev returns the phx_ref_prev: the ref of the entry that this one replaced, or "".
func (e *PresenceEntry) Prev() string {
	if e.prev == 0 {
		return ""
	}
	return refString(e.prev)
}

// clock returns when e came, by its replica's clock. It is of no use when the replica's epoch is over.
func (e *PresenceEntry) clock() uint64 { return e.ref - e.replica.base }

// listed reports whether e is visible.
func (e *PresenceEntry) listed() bool { return e.at != notListed }

func refString(ref uint64) string {
	return string(appendRef(make([]byte, 0, 11), ref))
}

// appendRef appends ref in 11 characters that need no escape in JSON.
func appendRef(dst []byte, ref uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], ref)
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

// presenceTopic is the visible entries of one topic.
type presenceTopic struct {
	name    string
	entries []*PresenceEntry
	bytes   int          // the sizes of entries
	told    weakSnapshot // of the entries, while they stay and somebody uses it. Not the state's.
}

func (t *presenceTopic) add(e *PresenceEntry) {
	t.bytes += e.size()
	e.topic, e.at = t, uint32(len(t.entries))
	t.entries = append(t.entries, e)
}

// remove puts the last entry in the place of e, and gives back memory when three quarters are unused.
func (t *presenceTopic) remove(e *PresenceEntry) {
	t.bytes -= e.size()
	n := len(t.entries) - 1
	last := t.entries[n]
	t.entries[e.at], last.at = last, e.at
	t.entries[n], t.entries = nil, t.entries[:n]
	e.at = notListed
	if c := cap(t.entries); c > 4 && n < c/4 {
		t.entries = append(make([]*PresenceEntry, 0, 2*n), t.entries...)
	}
}

// replace puts e in the place of old.
func (t *presenceTopic) replace(old, e *PresenceEntry) {
	t.bytes += e.size() - old.size()
	e.topic, e.at = t, old.at
	t.entries[e.at] = e
	old.at = notListed
}
