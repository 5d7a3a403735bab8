package server_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/server/servertest"
)

// Clients that join a busy topic and never read are ended at the limit of their outboxes. Those beside them get every
// message, others' echoes take what they took before, and the memory that waited for them comes back.
func TestSlowReaders(t *testing.T) {
	const slow, mostSent = 5, 1000
	srv := servertest.Start(t, hostileConfig())
	quick, bystander := srv.Dial(wsPath), srv.Dial(wsPath)
	quick.Join("room:1", nil)
	bystander.Join("room:2", nil)
	before := restingOf(srv.Server)
	quiet := echoes(bystander, "room:2", 100, nil)
	for range slow {
		nc := dialTCP(t, srv.Addr())
		_ = nc.SetReadBuffer(4 << 10)
		rawSocket(t, nc, wsPath)
	}
	big := object{"pad": strings.Repeat("x", 128<<10)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for sent := 0; srv.Stats().SlowClosed < slow; sent++ {
			if sent == mostSent {
				t.Errorf("128 MB were broadcast, and %d of %d are too slow", srv.Stats().SlowClosed, slow)
				return
			}
			if err := srv.Broadcast("room:1", "big", big); err != nil {
				t.Error(err)
				return
			}
			quick.NextEvent("big")
		}
	})
	stays(t, quiet, echoes(bystander, "room:2", 100, whenDone(&wg)))
	quick.ExpectNothing()
	if st := srv.Stats(); st.SlowClosed != slow || st.SlowDropped != 0 {
		t.Errorf("%d ended and %d messages dropped, want %d and none", st.SlowClosed, st.SlowDropped, slow)
	}
	comesBack(t, srv.Server, before, 8<<20)
}
