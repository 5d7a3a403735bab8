// Package hub knows who hears what: topics, their subscribers, and the fan-out of a message to them.
//
// A [Subscriber] embeds a [Subscription] and has a method Deliver. [Hub.Subscribe] puts it on one
// topic, [Hub.Broadcast] hands a [Message] to every subscriber of the message's topic. The hub knows
// no sockets, no serializers and no nodes; it keeps no goroutine.
//
// # Promises
//
//  1. A subscriber that is on the topic from before a broadcast begins until it returns gets the
//     message exactly once. (A [Hub.BroadcastFrom] skips one.)
//  2. A subscriber that joins during a broadcast may or may not get it. One that leaves may or may
//     not get it, and may get it a moment after Unsubscribe has returned: the fan-out had already
//     picked it up. One that leaves and joins again may get it twice, once for each subscription. Who must not
//     miss one in between is replaced by another subscriber, see [Hub.Replace].
//  3. Messages that one goroutine broadcasts to a topic arrive at each subscriber in that order.
//     Messages of different goroutines have no mutual order: two subscribers may see them swapped.
//  4. Deliver runs before Broadcast returns, on the goroutine that called it or, on a large topic, on
//     one of its helpers: see 7. With several publishers, or when a subscriber leaves and joins again,
//     its Deliver may run on several goroutines at once.
//  5. No lock is held during Deliver: it may call every method of the hub, for every subscriber. A
//     message that Deliver broadcasts to the same topic overtakes the one being delivered: the
//     subscribers still to come get the inner one first.
//  6. A large fan-out starves nobody. It visits the topic by pages of 255 slots, holds the lock only
//     to copy one, and between two yields the processor if it has run for 500 µs.
//  7. A broadcast allocates nothing, however many subscribers there are. To 16,320 and more it has
//     helpers, one for each 8,160 beyond the first: goroutines that are gone when it returns. All
//     fan-outs of a hub together have one helper less than half of the processors, so that one
//     publisher leaves the other half to loops and workers; who finds none free goes on alone. With
//     three processors or fewer there are none.
//  8. A topic that nobody is on leaves nothing behind, and the memory of one that was large goes
//     back as it empties.
//
// A panic in Deliver, or a call of runtime.Goexit, is not recovered here: it ends the fan-out, reaches
// the caller of Broadcast, from a helper without its stack, and leaves the hub whole. Whoever runs an
// application's code inside Deliver recovers there.
//
// # Size
//
// On top of its own 16 bytes in the subscriber a subscription costs one slot of 16 bytes in the
// topic, or, if it is the only one of its topic, the whole record of that: 48 bytes, some 17 in the
// table and the name. BenchmarkMemory shows the sums.
//
// # Locks
//
// Two kinds, never held together: a shard's lock, for the topics whose names hash to it, and a
// message's, while it is being encoded. Neither is held while code from outside runs, but for the
// encode function given to [Message.Encoded].
package hub
