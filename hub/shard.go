package hub

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// shardCount is how many ways the topics are divided, so that work on different topics seldom meets
// at a lock: of 64 cores all at it at once, one in five finds its shard taken. Empty shards cost
// 32 KiB in all.
const shardCount = 256

// shard is one part of the topics under one lock, which is held for short, bounded work only: the
// longest are the copy of one page and the growing of the table.
type shard struct {
	mu sync.Mutex // protects the following, with the records in topics, and their subscribers' slots

	topics        table
	subscriptions int
	broadcasts    uint64

	deliveries atomic.Uint64 // counted when the lock is free already

	// Two cache lines, since x86 fetches them in pairs: a core that takes this lock is not to slow
	// down another that takes the next one.
	_ [128 - 88]byte
}

func (sh *shard) subscribe(hash uint32, name string, s Subscriber) {
	sh.mu.Lock()
	t := sh.topics.find(hash, name)
	if t == nil {
		t = &topic{name: strings.Clone(name), hash: hash}
		sh.topics.insert(t)
	}
	s.subscription().topic.Store(t)
	t.add(s)
	sh.subscriptions++
	sh.mu.Unlock()
}

func (sh *shard) unsubscribe(s *Subscription) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.at == 0 {
		return false
	}
	t := s.topic.Load()
	t.remove(s.at - 1)
	s.at = 0
	sh.subscriptions--
	if t.count() == 0 {
		sh.topics.remove(t)
	}
	return true
}

// replace gives s the slot of old. A fan-out has copied that before, or will copy it after.
func (sh *shard) replace(old *Subscription, s Subscriber) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if old.at == 0 {
		return false
	}
	t := old.topic.Load()
	s.subscription().topic.Store(t)
	t.put(s, old.at-1)
	old.at = 0
	return true
}

// endFanout lets the slots of t move again, when no other fan-out needs them, and fills the holes.
func (sh *shard) endFanout(t *topic) {
	sh.mu.Lock()
	t.fanouts--
	for t.fanouts == 0 && t.settle(pageSlots) {
		sh.mu.Unlock()
		runtime.Gosched()
		sh.mu.Lock()
	}
	sh.mu.Unlock()
}
