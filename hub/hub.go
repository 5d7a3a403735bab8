package hub

import (
	"hash/maphash"
	"sync/atomic"
)

// A Hub holds topics and who is on them. Its methods may be called from any goroutine, also from
// within Deliver.
type Hub struct {
	shards [shardCount]shard // first, so that each begins a cache line
	seed   maphash.Seed

	helping     atomic.Int32 // helpers of fan-outs, see spread
	helperLimit int32        // how many there may be; 0: by the number of processors
	helperPages uint32       // of a topic for each of them, and for the caller
}

// New returns a Hub without topics. It needs no closing.
func New() *Hub {
	return &Hub{seed: maphash.MakeSeed(), helperPages: spreadPages}
}

// Subscribe puts s on the topic. It keeps no reference to the name's bytes: the name may lie in a
// buffer that is used again. It panics if s is on a topic already, since one subscriber has one place.
func (h *Hub) Subscribe(topic string, s Subscriber) {
	if h.subscribed(s.subscription()) {
		panic("hub: already subscribed, to " + s.subscription().Topic())
	}
	hash := h.hash(topic)
	h.shard(hash).subscribe(hash, topic, s)
}

// Unsubscribe takes s off its topic and reports whether it was on one. It takes the same time however
// many are on the topic. A message may still arrive after it: see the promises of this package.
func (h *Hub) Unsubscribe(s Subscriber) bool {
	sub := s.subscription()
	t := sub.topic.Load()
	return t != nil && h.shard(t.hash).unsubscribe(sub)
}

// Replace puts s, which must be on no topic, in the place of old and reports whether old was on one. Nobody misses
// anything in between: of each broadcast that old would have got, the one or the other gets it, old perhaps a moment
// after Replace has returned. For s it is as Subscribe, for old as Unsubscribe.
func (h *Hub) Replace(old, s Subscriber) bool {
	if h.subscribed(s.subscription()) {
		panic("hub: already subscribed, to " + s.subscription().Topic())
	}
	sub := old.subscription()
	t := sub.topic.Load()
	return t != nil && h.shard(t.hash).replace(sub, s)
}

// Broadcast delivers m to all subscribers of m.Topic and returns how many that were.
func (h *Hub) Broadcast(m *Message) int {
	return h.fanout(m, nil)
}

// BroadcastFrom is Broadcast without delivery to from, which need not be on the topic, and may come meanwhile.
func (h *Hub) BroadcastFrom(from Subscriber, m *Message) int {
	return h.fanout(m, from.subscription())
}

// Subscribers returns how many are on the topic.
func (h *Hub) Subscribers(topic string) int {
	hash := h.hash(topic)
	sh := h.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.topics.find(hash, topic)
	if t == nil {
		return 0
	}
	return t.count()
}

// Stats are the counters of a Hub.
type Stats struct {
	Topics        int    // with at least one subscriber
	Subscriptions int    // at present
	Broadcasts    uint64 // calls, also to topics that nobody is on
	Deliveries    uint64 // calls of Deliver, but for broadcasts that a panic ended
}

// Stats returns the counters, each shard's as of a slightly different moment.
func (h *Hub) Stats() Stats {
	var st Stats
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		st.Topics += sh.topics.n
		st.Subscriptions += sh.subscriptions
		st.Broadcasts += sh.broadcasts
		st.Deliveries += sh.deliveries.Load()
		sh.mu.Unlock()
	}
	return st
}

func (h *Hub) subscribed(s *Subscription) bool {
	t := s.topic.Load()
	if t == nil {
		return false
	}
	sh := h.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return s.at != 0
}

// hash returns the hash of a topic's name, which is never 0.
func (h *Hub) hash(topic string) uint32 {
	return max(1, uint32(maphash.String(h.seed, topic)))
}

// shard returns the shard for a hash by its low bits; the table in it goes by the high ones.
func (h *Hub) shard(hash uint32) *shard {
	return &h.shards[hash%shardCount]
}
