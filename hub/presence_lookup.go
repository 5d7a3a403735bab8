package hub

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Get returns what List says of one key, an object with its metas, and whether it is present at all. It
// looks through the topic's entries, a nanosecond or two for each, with the topic's lock held.
func (p *Presence) Get(topic, key string) (json.RawMessage, bool) {
	sh := p.shard(topic)
	var entries []*PresenceEntry
	sh.mu.Lock()
	for _, e := range sh.state.List(topic) {
		if e.Key() == key {
			entries = append(entries, e)
		}
	}
	sh.mu.Unlock()
	if len(entries) == 0 {
		return nil, false
	}
	list := appendPresences(make([]byte, 0, presencesSize(entries)), entries, p.fetch(topic, entries))
	return list[len(appendJSONString([]byte{'{'}, key))+len(`:`) : len(list)-len(`}`)], true
}

// UpdateFunc replaces the meta of an entry by what f makes of it, and returns the new phx_ref. No lock is
// held while f runs: if the entry was updated meanwhile, f is called again with the new meta, and if it was
// untracked the error is ErrNotTracked. An error of f is returned, and nothing has changed.
func (p *Presence) UpdateFunc(topic, key string, f func(old json.RawMessage) (json.RawMessage, error), owner Subscriber) (ref string, err error) {
	for {
		o := p.owners.lock(owner)
		old := o.find(topic, key)
		o.unlock()
		if old == nil {
			return "", ErrNotTracked
		}
		meta, err := f(json.RawMessage(old.Meta()))
		if err != nil {
			return "", err
		}
		compact, err := p.compact(meta)
		if err != nil {
			return "", err
		}
		o = p.owners.lock(owner)
		if o.find(topic, key) == old {
			return p.replace(&o, old, compact)
		}
		o.unlock()
	}
}

// fetch asks Fetch for what it has to add to the keys of entries, and keeps what is an object.
func (p *Presence) fetch(topic string, lists ...[]*PresenceEntry) map[string]json.RawMessage {
	if p.cfg.Fetch == nil {
		return nil
	}
	var keys []string
	seen := map[string]bool{}
	for _, entries := range lists {
		for _, e := range entries {
			if e != nil && !seen[e.Key()] {
				seen[e.Key()] = true
				keys = append(keys, e.Key())
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	fetched := p.cfg.Fetch(topic, keys)
	objects := make(map[string]json.RawMessage, len(fetched))
	for key, text := range fetched {
		var b bytes.Buffer
		if utf8.Valid(text) && json.Compact(&b, text) == nil && b.Bytes()[0] == '{' {
			objects[key] = b.Bytes()
		}
	}
	return objects
}
