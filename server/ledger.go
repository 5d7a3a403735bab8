package server

import "unsafe"

// A Ledger says what one sleeping connection holds in this process, in bytes, as the Go heap rounds
// the sizes: what the resident memory of a server grows by for each.
type Ledger struct {
	Record int // the engine's: poller.Conn and its slot
	Socket int // the connection as it speaks Phoenix Channels
	Topic  int // for each topic it has joined: the channel and its place among the subscribers
}

// IdleLedger returns the ledger of the epoll engine. A channel's own fields and a socket id, where the
// application has them, come on top.
func IdleLedger() Ledger {
	return Ledger{
		Record: 64 + 16, // poller: conn, slot; held by a test there
		Socket: sizeClass(int(unsafe.Sizeof(socket{}))),
		Topic:  sizeClass(int(unsafe.Sizeof(channel{}))) + 16, // hub: a slot of the topic
	}
}

// sizeClass rounds up to what the Go heap gives out for a small object (runtime/sizeclasses.go).
func sizeClass(n int) int {
	for _, c := range []int{8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160} {
		if n <= c {
			return c
		}
	}
	return n
}
