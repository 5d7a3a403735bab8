// Package poller holds stream sockets and moves bytes: event loops, shared workers, deadlines. It knows no
// protocol; whoever does implements [Handler] and [Task]. Connections are accepted, or made by [Epoll.Dial].
//
// # Promises
//
//  1. An open connection with nothing in flight holds a record and a slot: in the epoll engine 80 bytes,
//     no goroutine, no timer, no buffer. Its outbox and mailbox come from pools and go back there.
//  2. OnData and OnTimeout of a connection run one at a time, on whoever reads it; its tasks run one at a
//     time, in order, on a worker; both may run at once. OnClose comes after all of them, once.
//  3. data given to OnData is valid until it returns. What Write is given is the caller's again on return;
//     what Send is given must never change.
//  4. What one goroutine sends to one connection arrives in that order, each frame whole.
//  5. A task that blocks delays its own connection. Nobody else's bytes wait for it: in the epoll engine a
//     loop whose worker is held up moves to another within about two milliseconds.
//  6. Every queue has a limit, and [Config] says what happens at it.
//  7. A handle that outlives its connection refuses; it never reaches a descriptor's next owner.
//  8. With [Config.Recover] a panic of a Handler or a Task ends its own connection; without, the program.
//  9. Nothing is logged. [Stats] counts, and errors are returned or given to OnClose.
//
// # Locks
//
// They are taken in this order: a connection's own, a loop's, that of the workers. None is held while a
// Handler or a Task runs.
package poller
