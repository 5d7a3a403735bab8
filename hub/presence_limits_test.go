package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// TestWaitingIsBounded: while a diff does not end, neither churn nor updates grow what waits, and
// leaves beyond the limit close the topic to new entries.
func TestWaitingIsBounded(t *testing.T) {
	const limit = 50
	s := newStage(t, hub.PresenceConfig{TopicEntries: limit, OwnerEntries: 2 * limit})
	a, b := &deaf{}, &deaf{}
	for i := range limit - 1 {
		s.track("t", fmt.Sprint(i), `{}`, a)
	}
	s.diffs = nil
	s.during = []func(){func() {
		for i := range 1000 {
			s.update("t", "0", fmt.Sprintf(`{"n":%d}`, i), a)
			s.Untrack("t", "last", b)
			s.track("t", "last", `{}`, b)
		}
		if n := s.Stats().Waiting; n != 2+2 { // old and new meta, of two keys
			t.Errorf("%d changes wait", n)
		}
		if n := hub.Queued(s.Presence, "t"); n > 200 {
			t.Errorf("%d places for changes that wait", n)
		}
		s.UntrackAll(a)
		s.UntrackAll(b)
		if _, err := s.Track("t", "new", json.RawMessage(`{}`), a); !errors.Is(err, hub.ErrTopicEntries) {
			t.Errorf("%d leaves wait, track: %v", s.Stats().Waiting, err)
		}
	}}
	s.track("t", "last", `{}`, b)
	if len(s.diffs) != 2 {
		t.Errorf("%d diffs", len(s.diffs))
	}
	s.track("t", "new", `{}`, a)
	if st := s.Stats(); st.Entries != 1 || st.Topics != 1 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestStatsCount(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a := &deaf{}
	s.track("t", "k", `{}`, a)
	s.update("t", "k", `{}`, a)
	s.track("u", "k", `{}`, a)
	want := hub.PresenceStats{Entries: 2, Topics: 2, Changes: 4, Diffs: 3}
	st := s.Stats()
	if bytes := st.DiffBytes; bytes < 150 || bytes > 400 {
		t.Errorf("%d bytes of diffs", bytes)
	}
	st.DiffBytes = 0
	if st != want {
		t.Errorf("%+v", st)
	}
}

// TestSpawn is given what is left after each diff; the caller goes on only if it refuses.
func TestSpawn(t *testing.T) {
	var tasks []func()
	refuse := false
	s := newStage(t, hub.PresenceConfig{Spawn: func(task func()) bool {
		if !refuse {
			tasks = append(tasks, task)
		}
		return !refuse
	}})
	a, b, c, d := &deaf{}, &deaf{}, &deaf{}, &deaf{}
	s.track("t", "a", `{}`, a)
	if len(tasks) != 0 {
		t.Fatal("a calm topic spawned")
	}
	s.during = []func(){func() { s.track("t", "c", `{}`, c) }}
	s.track("t", "b", `{}`, b)
	if len(tasks) != 1 || len(s.diffs) != 2 {
		t.Fatalf("%d tasks, %d diffs", len(tasks), len(s.diffs))
	}
	tasks[0]()
	tasks[0]() // late: nothing waits
	if len(s.diffs) != 3 {
		t.Fatalf("%d diffs", len(s.diffs))
	}
	refuse = true
	s.during = []func(){func() { s.UntrackAll(a) }, func() { s.UntrackAll(b) }}
	s.track("t", "d", `{}`, d)
	if len(s.diffs) != 6 {
		t.Errorf("refused, and %d diffs", len(s.diffs))
	}
}

// TestBroadcastPanics: it reaches the caller, and what waits goes with the next change.
func TestBroadcastPanics(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a, b, c := &deaf{}, &deaf{}, &deaf{}
	s.during = []func(){func() { s.track("t", "b", `{}`, b); panic("deliver") }}
	func() {
		defer func() {
			if recover() != "deliver" {
				t.Error("the panic did not reach the caller")
			}
		}()
		s.track("t", "a", `{}`, a)
	}()
	s.diffs = nil
	s.track("t", "c", `{}`, c)
	s.want("after the panic", `{joins:{b:{[{ref:r2}]},c:{[{ref:r3}]}},leaves:{}}`)
	if s.Count("t") != 3 {
		t.Errorf("%d entries", s.Count("t"))
	}
}

func TestConfigPanics(t *testing.T) {
	for name, cfg := range map[string]hub.PresenceConfig{
		"no Broadcast":   {},
		"negative limit": {Broadcast: func(*hub.Message) {}, TopicEntries: -1},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			hub.NewPresence(cfg)
		}()
	}
}

// TestEpochsDiffer: refs of two lives of one server must not meet, or a client that comes back keeps
// the metas of the former.
func TestEpochsDiffer(t *testing.T) {
	refs := map[string]bool{}
	for epoch := range uint64(50) {
		for _, name := range []string{"a", "b"} {
			p := hub.NewPresence(hub.PresenceConfig{
				Broadcast: func(*hub.Message) {}, Replica: hub.Replica{Name: name, Epoch: epoch + 1},
			})
			for _, topic := range []string{"room:1", "room:2"} {
				for range 20 {
					ref, err := p.Track(topic, "k", json.RawMessage(`{}`), &deaf{})
					if err != nil || refs[ref] {
						t.Fatalf("%s of epoch %d: %s again, or %v", name, epoch+1, ref, err)
					}
					refs[ref] = true
				}
			}
		}
	}
}

// TestPresencePart: members of a cluster agree on these numbers, across versions.
func TestPresencePart(t *testing.T) {
	for topic, part := range map[string]int{"": 25, "room:1": 47, "room:lobby": 46, "Raum:\u00e4": 43} {
		if got := hub.PresencePart(topic); got != part {
			t.Errorf("%q is in part %d, want %d", topic, got, part)
		}
	}
}

// TestWireForm: and on these bytes, and on the ref that follows from name, epoch, part and clock.
func TestWireForm(t *testing.T) {
	s := hub.NewPresenceState(hub.Replica{Name: "a", Epoch: 300}, 7)
	e := s.Join("t", "k", `{}`)
	s.Leave(s.Join("t", "k", `{}`))
	const (
		ref  = "s_qBV5Wveks"
		want = "\x01\x01" + "\x01a\xac\x02" + "\x01\x01\x02" + "\x01" + "\x01\x00\x02t\x01k\x02{}"
	)
	if data, _ := s.Full().MarshalBinary(); string(data) != want {
		t.Errorf("encoded %q, want %q", data, want)
	}
	if e.Ref() != ref {
		t.Errorf("ref %s, want %s", e.Ref(), ref)
	}
}

func TestPresenceSizes(t *testing.T) {
	for name, size := range hub.PresenceSizes() {
		if size[0] != size[1] {
			t.Errorf("%s takes %d bytes, want %d", name, size[0], size[1])
		}
	}
}

// TestPresenceAllocations: what a connection that tracks nothing pays at its end.
func TestPresenceAllocations(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	owner := &deaf{}
	if n := testing.AllocsPerRun(100, func() { s.UntrackAll(owner) }); n != 0 {
		t.Errorf("UntrackAll of nothing: %v allocations", n)
	}
}
