package hub

import "sync/atomic"

// A Subscriber hears what is broadcast to its topic. Only a type that embeds a [Subscription] can be
// one; it has room for one topic, so whoever is to hear several has a subscriber for each.
type Subscriber interface {
	// Deliver takes a message. It must not block, since the other subscribers wait for it: what
	// cannot be taken at once is queued within a limit or dropped, by the subscriber's own policy.
	// m belongs to all subscribers and must not be changed; it may be kept. For the goroutine that
	// it runs on and what it may call, see the promises of this package.
	Deliver(m *Message)

	// subscription is the embedded Subscription's: so the hub runs no foreign code under its lock.
	subscription() *Subscription
}

// A Subscription is a subscriber's place in a topic, to be embedded in it. The zero value is on no
// topic. It must not be copied once used.
//
// Subscribe for one subscriber, or Replace by it, must not run at the same time as any other call for it.
// Unsubscribe, Replace of it, Topic and BroadcastFrom it may, with each other and with broadcasts; and BroadcastFrom it
// with the call by which it is on a topic for the first time.
type Subscription struct {
	_     noCopy
	topic atomic.Pointer[topic] // set by Subscribe, and kept after Unsubscribe for the name
	at    uint32                // slot in topic, plus one; 0: not subscribed. The lock of topic's shard protects it.
}

// Topic returns the name of the topic that was last subscribed to, also after Unsubscribe, or "" if
// there was none. The string is one for all subscribers of the topic: they need no copy of it.
func (s *Subscription) Topic() string {
	t := s.topic.Load()
	if t == nil {
		return ""
	}
	return t.name
}

func (s *Subscription) subscription() *Subscription { return s }

// noCopy makes go vet report copies of what contains it.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
