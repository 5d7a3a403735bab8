package server

// In the package: the outbox of a connection is the test's, and what a server holds is looked at.

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/dormouse-ws/dormouse/hub"
)

// TestPresenceIsMadeWhenUsed: what only asks makes nothing, and a channel that never tracks looks nothing up.
func TestPresenceIsMadeWhenUsed(t *testing.T) {
	s := newFakeServer(t, Config{})
	k, c := fakeSocket(s, true)
	fakeJoin(k, "quiet:1")
	h := Handle{k.first}
	c.keep = true
	if err := h.PushPresenceState(); err != nil || string(c.last[2:]) != `["1",null,"quiet:1","presence_state",{}]` {
		t.Errorf("state: %v, sent %q", err, c.last)
	}
	_, present := s.PresenceOf("quiet:1", "k")
	_, err := h.Update("k", nil)
	if string(s.Presences("quiet:1").Bytes()) != `{}` || present || s.PresenceCount("quiet:1") != 0 ||
		h.Untrack("k") || err != hub.ErrNotTracked || s.Stats().Presence != (hub.PresenceStats{}) {
		t.Errorf("somebody is present: %s", s.Presences("quiet:1").Bytes())
	}
	if s.presences.made.Load() != nil {
		t.Fatal("looking made a Presence")
	}
	if _, err := h.Track("k", nil); err != nil || s.PresenceCount("quiet:1") != 1 {
		t.Errorf("track: %v", err)
	}
	k.endChannels()
	if n := s.PresenceCount("quiet:1"); n != 0 {
		t.Errorf("%d are present at the end", n)
	}
	t.Logf("a server without presence holds %d bytes for it", unsafe.Sizeof(s.presences))
}

// TestWhatWasLeft: only a server that has presence remembers it, for the topic alone (but for one in 64), and within
// the record that a connection with an id has anyway.
func TestWhatWasLeft(t *testing.T) {
	s := newFakeServer(t, Config{Presence: PresenceConfig{Resync: true}})
	k, c := fakeSocket(s, true)
	c.keep = true
	visit := func(topic string) (states int) {
		fakeJoin(k, topic)
		before := c.sends
		if err := (Handle{k.first}).PushPresenceState(); err != nil {
			t.Error(err)
		}
		states = c.sends - before
		k.first.stop(nil)
		return states
	}
	if n, m := visit("quiet:1"), visit("quiet:1"); n != 1 || m != 1 || k.ident != nil {
		t.Errorf("without presence: %d and %d states, remembered %v", n, m, k.ident)
	}
	other, _ := fakeSocket(s, true)
	fakeJoin(other, "quiet:9")
	if _, err := (Handle{other.first}).Track("k", nil); err != nil {
		t.Fatal(err)
	}
	if n, m, o := visit("quiet:1"), visit("quiet:1"), visit("quiet:2"); n != 1 || m != 2 || o != 1 {
		t.Errorf("%d states for the first join, %d for a return, %d in another topic", n, m, o)
	}
	if got := string(c.last[2:]); got != `["1","1","quiet:2","phx_close",{}]` {
		t.Errorf("sent at last %q", got)
	}
	s.cfg.Presence.Resync = false
	k, c = fakeSocket(s, true)
	c.keep = true
	if n, m := visit("quiet:1"), visit("quiet:1"); n != 1 || m != 1 || k.ident != nil {
		t.Errorf("without Resync: %d and %d states, remembered %v", n, m, k.ident)
	}
	fakeJoin(k, "quiet:1")
	k.endChannels()
	other.endChannels()
	if other.ident != nil {
		t.Error("the end of a connection is remembered")
	}
	if n := unsafe.Sizeof(identity{}); n != 48 {
		t.Errorf("an identity takes %d bytes, want 48", n)
	}
}

// TestPresenceIsNotDropped: under DropSlow too a client that does not read is closed rather than left with a
// list that is wrong for ever.
func TestPresenceIsNotDropped(t *testing.T) {
	for _, row := range []struct {
		name  string
		act   func(s *Server, ch *channel)
		close bool
	}{
		{"another broadcast", func(s *Server, ch *channel) { deliverTo(s, ch.Topic()) }, false},
		{"presence_diff", func(_ *Server, ch *channel) { _, _ = Handle{ch}.Track("k", nil) }, true},
		{"presence_state", func(_ *Server, ch *channel) { _ = Handle{ch}.PushPresenceState() }, true},
		{"presence_diff that was intercepted", func(_ *Server, ch *channel) { _ = Handle{ch}.Push(hub.EventPresenceDiff, nil) }, true},
	} {
		s := newFakeServer(t, Config{SlowConsumer: DropSlow})
		k, c := fakeSocket(s, true)
		fakeJoin(k, "quiet:1")
		c.full = true
		row.act(s, k.first)
		st := s.Stats()
		if closed := c.closeCode() == codeTryAgainLater; closed != row.close || st.SlowClosed == 1 != row.close || st.SlowDropped == 1 == row.close {
			t.Errorf("%s: closed %v, want %v; %d closed, %d dropped", row.name, closed, row.close, st.SlowClosed, st.SlowDropped)
		}
		k.endChannels()
	}
}

// TestPresenceSpawnIsBounded: beyond the limit, and after the shutdown, a task is refused.
func TestPresenceSpawnIsBounded(t *testing.T) {
	var ps presences
	gate := make(chan bool)
	ran := make(chan bool, maxDiffTasks)
	for range maxDiffTasks {
		if !ps.spawn(func() { <-gate; ran <- true }) {
			t.Fatal("refused below the limit")
		}
	}
	if ps.spawn(func() {}) {
		t.Error("accepted above the limit")
	}
	close(gate)
	for range maxDiffTasks {
		<-ran
	}
	for !ps.spawn(func() { ran <- true }) { // as soon as one of them has ended
		runtime.Gosched()
	}
	<-ran
	if err := ps.close(t.Context()); err != nil {
		t.Error(err)
	}
	if ps.spawn(func() {}) {
		t.Error("accepted after the end")
	}
}

// TestPresenceCloseWaits for the tasks, but not longer than it may.
func TestPresenceCloseWaits(t *testing.T) {
	var ps presences
	gate := make(chan bool)
	ps.spawn(func() { <-gate })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ps.close(over); err != context.Canceled {
		t.Errorf("while a task runs: %v", err)
	}
	close(gate)
	if err := ps.close(t.Context()); err != nil {
		t.Error(err)
	}
}

// An explosive cannot be encoded.
type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("oops") }

// TestPresenceFetchPanics: what Fetch returns may panic when it is encoded, for its key alone.
func TestPresenceFetchPanics(t *testing.T) {
	s := newFakeServer(t, Config{Log: slog.New(slog.DiscardHandler), Presence: PresenceConfig{
		Fetch: func(string, []string) map[string]any {
			return map[string]any{"a": explosive{}, "b": map[string]any{"name": "Bo"}}
		},
	}})
	k, _ := fakeSocket(s, true)
	fakeJoin(k, "quiet:1")
	for _, key := range []string{"a", "b"} {
		if _, err := (Handle{k.first}).Track(key, nil); err != nil {
			t.Fatal(err)
		}
	}
	list := string(s.Presences("quiet:1").Bytes())
	if !strings.Contains(list, `"a":{"metas":[`) || !strings.Contains(list, `"name":"Bo"`) || s.Stats().Panics == 0 {
		t.Errorf("%d panics, the list is %s", s.Stats().Panics, list)
	}
}
