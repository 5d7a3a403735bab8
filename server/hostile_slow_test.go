package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// Clients that join a busy topic and never read are ended at the limit of their outboxes. Those beside them get every
// message and are served until then, and the memory that waited for the slow ones comes back once the write timeout has
// ended them.
func TestSlowReaders(t *testing.T) { windowtest.Run(t, 500*time.Millisecond, slowReaders) }

func slowReaders(t testing.TB, window time.Duration) {
	const slow, mostSent = 5, 1000
	srv := servertest.Start(t, hostileConfig(window))
	quick, bystander := srv.Dial(wsPath), srv.Dial(wsPath)
	quick.Join("room:1", nil)
	bystander.Join("room:2", nil)
	before := restingOf(srv.Server)
	for range slow {
		nc := dialTCP(t, srv.Addr())
		_ = nc.SetReadBuffer(4 << 10)
		rawSocket(t, nc, wsPath)
	}
	big := object{"pad": strings.Repeat("x", 128<<10)}
	for sent := 0; srv.Stats().SlowClosed < slow; sent++ {
		if st := srv.Stats(); sent == mostSent || st.SlowClosed+st.Engine.WriteTimeouts >= slow && st.SlowClosed < slow {
			t.Fatalf("%d MB were broadcast, and %d of %d are too slow, %d ended by the write timeout", sent/8, st.SlowClosed, slow, st.Engine.WriteTimeouts)
		}
		if err := srv.Broadcast("room:1", "big", big); err != nil {
			t.Fatal(err)
		}
		quick.NextEvent("big")
		echoes(bystander, "room:2", 1)
	}
	quick.ExpectNothing()
	if st := srv.Stats(); st.SlowClosed != slow || st.SlowDropped != 0 {
		t.Errorf("%d ended and %d messages dropped, want %d and none", st.SlowClosed, st.SlowDropped, slow)
	}
	comesBack(t, srv.Server, before, 8<<20)
}
