package poller

import "unsafe"

// A driven connection costs what one of the epoll engine does, and 16 bytes for its peer.
const (
	_ = uint(80 - unsafe.Sizeof(memConn{}))
	_ = uint(16 - unsafe.Sizeof(slot[memConn]{}))
)
