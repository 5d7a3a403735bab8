package hub

import (
	"fmt"
	"unsafe"
)

// PageSlots lets tests make topics of a little more or less than a number of pages.
const PageSlots = pageSlots

// ShardCount lets a benchmark say what an empty hub costs.
const ShardCount = shardCount

// Check reports what is wrong inside h, or nil. With quiet, no call of h is under way or has panicked,
// and so there must be no holes and no fan-outs.
func Check(h *Hub, quiet bool) error {
	for i := range h.shards {
		if err := h.shards[i].check(h, uint32(i), quiet); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return nil
}

func (sh *shard) check(h *Hub, number uint32, quiet bool) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	topics, subscriptions := 0, 0
	for i, hash := range sh.topics.hashes {
		t := sh.topics.topics[i]
		if hash == 0 && t == nil {
			continue
		}
		topics++
		switch {
		case hash == 0 || t == nil || t.hash != hash || h.hash(t.name) != hash:
			return fmt.Errorf("place %d: hash %d does not go with %+v", i, hash, t)
		case hash%shardCount != number:
			return fmt.Errorf("%s: in the wrong shard", t.name)
		case sh.topics.find(hash, t.name) != t:
			return fmt.Errorf("%s: not found in its place %d", t.name, i)
		case t.count() == 0:
			return fmt.Errorf("%s: nobody is on it", t.name)
		}
		if err := t.check(quiet); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		subscriptions += t.count()
	}
	if topics != sh.topics.n || subscriptions != sh.subscriptions {
		return fmt.Errorf("%d topics, %d subscriptions; counted %d and %d",
			topics, subscriptions, sh.topics.n, sh.subscriptions)
	}
	if size := len(sh.topics.hashes); size != len(sh.topics.topics) || size > max(tableMin, tableSparse*topics) {
		return fmt.Errorf("a table of %d for %d topics", size, topics)
	}
	return nil
}

// check holds the slots against what the subscribers believe, and the holes against the empty slots.
func (t *topic) check(quiet bool) error {
	n, empty := 0, map[uint32]bool{}
	for i := range t.end() {
		s := *t.slot(i)
		if s == nil {
			empty[i] = true
			continue
		}
		n++
		if sub := s.subscription(); sub.topic.Load() != t || sub.at != i+1 {
			return fmt.Errorf("slot %d: its subscriber believes %d", i, sub.at)
		}
	}
	if n != t.count() {
		return fmt.Errorf("%d subscribers, counted %d", n, t.count())
	}
	if quiet && (t.fanouts != 0 || len(empty) != 0) {
		return fmt.Errorf("%d fan-outs and %d holes at rest", t.fanouts, len(empty))
	}
	if t.rest == nil {
		return nil
	}
	if t.rest.holed() {
		for _, i := range t.rest.big.holes {
			if i < t.rest.end && !empty[i] {
				return fmt.Errorf("hole %d is taken or listed twice", i)
			}
			delete(empty, i)
		}
	}
	if len(empty) != 0 {
		return fmt.Errorf("holes not listed: %v", empty)
	}
	return t.rest.check(quiet)
}

// check looks for memory beyond need.
func (c *crowd) check(quiet bool) error {
	used := int(c.end) - 1
	for p := range c.pages() + 1 {
		for i, s := range c.page(uint32(p)) {
			if p*pageSlots+i >= used && s != nil {
				return fmt.Errorf("slot %d of %d holds on to a subscriber", p*pageSlots+i+1, c.end)
			}
		}
	}
	if !quiet {
		return nil
	}
	if c.big != nil {
		if len(c.big.pages) == 0 || c.big.holes != nil {
			return fmt.Errorf("it is big, for %d, or keeps room for holes", used)
		}
		for _, p := range c.big.pages[len(c.big.pages):cap(c.big.pages)] {
			if p != nil {
				return fmt.Errorf("a page is held on to beyond the %d in use", len(c.big.pages))
			}
		}
	}
	if used == 0 || len(c.first)/4 > used || c.pages()*pageSlots > used+pageSlots/2 {
		return fmt.Errorf("%d slots in the first page and %d pages more, for %d", len(c.first), c.pages(), used)
	}
	return nil
}

// Slots returns how many slots the topic takes, with holes.
func Slots(h *Hub, topic string) int {
	hash := h.hash(topic)
	sh := h.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return int(sh.topics.find(hash, topic).end())
}

// Sizes returns what the records take, and what the package's arithmetic rests on.
func Sizes() map[string][2]uintptr {
	return map[string][2]uintptr{
		"Subscription": {unsafe.Sizeof(Subscription{}), 16},
		"topic":        {unsafe.Sizeof(topic{}), 48},
		"crowd":        {unsafe.Sizeof(crowd{}), 40},
		"page":         {unsafe.Sizeof([pageSlots]Subscriber{}), 4096 - 16},
		"shard":        {unsafe.Sizeof(shard{}), 128},
	}
}
