package hub

import (
	"encoding/json"
	"sync"
	"weak"
)

// What an entry takes in JSON beside key and meta, and what it takes more once it was updated.
const (
	presenceOverhead = len(`"":{"metas":[,"phx_ref":""]},`) + refBytes
	presencePrev     = len(`,"phx_ref_prev":""`) + refBytes
	refBytes         = 11
)

// entrySize returns how many bytes an entry adds to a list at most: one less for the first of a topic or with the
// empty meta, some 16 and the key less for a further meta of a key.
func entrySize(key, meta string, updated bool) int {
	n := presenceOverhead + len(key) + len(meta)
	if !plainJSON(key) {
		n = presenceOverhead - len(`""`) + len(appendJSONString(nil, key)) + len(meta)
	}
	if updated {
		n += presencePrev
	}
	return n
}

func (e *PresenceEntry) size() int { return entrySize(e.Key(), e.Meta(), e.prev != 0) }

// A presenceSnapshot is what the clients of a topic have been told. It is encoded once for all that ask
// for it between two diffs.
type presenceSnapshot struct {
	once    sync.Once
	entries []*PresenceEntry
	json    json.RawMessage
}

// weakSnapshot refers to a snapshot without keeping it.
type weakSnapshot struct {
	p weak.Pointer[presenceSnapshot]
}

// Snapshot returns the payload of a presence_state: an object of the keys, each with its metas. It is
// what the diffs that have begun to be broadcast come to, and so may lack what a call has just changed
// and a diff is about to say. The bytes may be shared and must not be changed.
//
// To bring a subscriber up to date: subscribe it, then take the snapshot, then push it to the
// subscriber as presence_state, once. Diffs may reach the subscriber before the push and after it; it
// needs all that come from its subscription on, in their order. phoenix.js keeps those that come before
// the first presence_state of a join, and applies them after it; what the snapshot has already does no
// harm. A second presence_state in the same join may take back what a diff has said meanwhile, unless it is one of
// Resync.
func (p *Presence) Snapshot(topic string) json.RawMessage {
	sh := p.shard(topic)
	sh.mu.Lock()
	s := sh.snapshotLocked(topic)
	sh.mu.Unlock()
	return s.encode(p, topic)
}

func (s *presenceSnapshot) encode(p *Presence, topic string) json.RawMessage {
	s.once.Do(func() {
		s.json = appendPresences(make([]byte, 0, presencesSize(s.entries)), s.entries, p.fetch(topic, s.entries))
		s.entries = nil
	})
	return s.json
}

// snapshotLocked returns the entries without what waits to come, and with what waits to go.
func (sh *presenceShard) snapshotLocked(topic string) *presenceSnapshot {
	t, d := sh.state.topics.get(topic), sh.diffs.get(topic)
	if t != nil {
		if s := t.told.p.Value(); s != nil {
			return s
		}
	}
	s := &presenceSnapshot{}
	if t != nil {
		s.entries = append(s.entries, t.entries...)
		t.told.p = weak.Make(s)
	}
	if d == nil {
		return s
	}
	for _, c := range d.queue {
		switch {
		case c.e == nil:
		case c.leaves:
			s.entries = append(s.entries, c.e)
		default:
			s.entries[c.e.at] = nil
		}
	}
	return s
}

// diffPayload returns the payload of a presence_diff.
func diffPayload(joins, leaves []*PresenceEntry, fetched map[string]json.RawMessage) []byte {
	const frame = `{"joins":,"leaves":}`
	dst := make([]byte, 0, len(frame)+presencesSize(joins)+presencesSize(leaves))
	dst = append(dst, `{"joins":`...)
	dst = appendPresences(dst, joins, fetched)
	dst = append(dst, `,"leaves":`...)
	dst = appendPresences(dst, leaves, fetched)
	return append(dst, '}')
}

// presencesSize returns how many bytes appendPresences appends at most, beside what was fetched.
func presencesSize(entries []*PresenceEntry) (n int) {
	for _, e := range entries {
		if e != nil {
			n += e.size()
		}
	}
	return n + len(`{}`)
}

// appendPresences appends an object of the keys, each with what was fetched for it and all its metas. Nil
// entries are passed over.
func appendPresences(dst []byte, entries []*PresenceEntry, fetched map[string]json.RawMessage) []byte {
	next, follows := chainByKey(entries)
	dst = append(dst, '{')
	comma := false
	for i, e := range entries {
		if e == nil || follows[i] {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = appendJSONString(dst, e.Key())
		dst = append(dst, ':', '{')
		if f := fetched[e.Key()]; len(f) > len(`{}`) {
			dst = append(append(dst, f[1:len(f)-1]...), ',') // before the metas: of two members the last counts
		}
		dst = append(dst, `"metas":[`...)
		dst = e.appendMeta(dst)
		for n := next[i]; n != 0; n = next[n] {
			dst = append(dst, ',')
			dst = entries[n].appendMeta(dst)
		}
		dst = append(dst, `]}`...)
	}
	return append(dst, '}')
}

// chainByKey returns, for each entry, the place of the next with the same key, or 0, and whether it is
// such a next one: each key may come only once in an object.
func chainByKey(entries []*PresenceEntry) (next []uint32, follows []bool) {
	next, follows = make([]uint32, len(entries)), make([]bool, len(entries))
	if len(entries) == 1 {
		return next, follows
	}
	last := make(map[string]uint32, len(entries))
	for i, e := range entries {
		if e == nil {
			continue
		}
		if l, ok := last[e.Key()]; ok {
			next[l], follows[i] = uint32(i), true
		}
		last[e.Key()] = uint32(i)
	}
	return next, follows
}

// appendMeta appends the meta with its refs, which come last: of two members with one name JSON.parse
// takes the last.
func (e *PresenceEntry) appendMeta(dst []byte) []byte {
	meta := e.Meta()
	dst = append(dst, meta[:len(meta)-1]...)
	if len(meta) > len(`{}`) {
		dst = append(dst, ',')
	}
	dst = append(dst, `"phx_ref":"`...)
	dst = appendRef(dst, e.ref)
	if e.prev != 0 {
		dst = append(dst, `","phx_ref_prev":"`...)
		dst = appendRef(dst, e.prev)
	}
	return append(dst, `"}`...)
}

// appendJSONString appends s, which is UTF-8, as a JSON string.
func appendJSONString(dst []byte, s string) []byte {
	if !plainJSON(s) {
		quoted, _ := json.Marshal(s)
		return append(dst, quoted...)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// plainJSON reports whether s, which is UTF-8, stands in a JSON string as it is.
func plainJSON(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
