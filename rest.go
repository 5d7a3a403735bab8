package main

import (
	"runtime/debug"
	"time"

	"github.com/dormouse-ws/dormouse/server"
)

// A handshake or a close leaves about a kilobyte of garbage, which the runtime collects when the heap has
// doubled, or after two minutes. A server whose connections have come to rest has nothing to wait for.
const (
	restLook    = time.Second // between two looks
	restChanges = 1000        // connections opened and closed that are worth a collection
)

// collectAtRest gives memory back to the kernel once in a calm after many connections have come or gone:
// what a BEAM process does when it hibernates. The function it returns ends that.
func collectAtRest(s *server.Server) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		look := time.NewTicker(restLook)
		defer look.Stop()
		var last, collected int64
		for {
			select {
			case <-look.C:
			case <-done:
				return
			}
			e := s.Stats().Engine
			changes := e.Accepted + e.Closed
			if changes == last && changes-collected >= restChanges {
				debug.FreeOSMemory()
				collected = changes
			}
			last = changes
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
