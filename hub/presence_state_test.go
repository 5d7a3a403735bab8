package hub_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// seeded returns a source of chance whose seed is printed if the test fails, and taken from -seed.
func seeded(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("replay with -run '%s' -seed %d", t.Name(), seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func newState(name string, epoch uint64) *hub.PresenceState {
	return hub.NewPresenceState(hub.Replica{Name: name, Epoch: epoch}, 0)
}

// introduce makes the states know each other.
func introduce(states map[string]*hub.PresenceState) {
	for _, s := range states {
		for name := range states {
			s.ReplicaUp(hub.Replica{Name: name, Epoch: 1})
		}
	}
}

// present returns the visible entries, by ref, as text.
func present(s *hub.PresenceState, topics []string) map[string]string {
	all := map[string]string{}
	for _, topic := range topics {
		for _, e := range s.List(topic) {
			all[e.Ref()] = fmt.Sprintf("%s %s %s", e.Topic(), e.Key(), e.Meta())
		}
	}
	return all
}

func mustMerge(t *testing.T, s *hub.PresenceState, d hub.PresenceDelta) (joins, leaves []*hub.PresenceEntry) {
	t.Helper()
	joins, leaves, err := s.Merge(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return joins, leaves
}

var someTopics = []string{"room:1", "room:2", "room:3"}

func TestStateJoinUpdateLeave(t *testing.T) {
	a, b := newState("a", 1), newState("b", 1)
	introduce(map[string]*hub.PresenceState{"a": a, "b": b})
	e := a.Join("room:1", "ann", `{"n":1}`)
	joins, leaves := mustMerge(t, b, a.Delta())
	if len(joins) != 1 || len(leaves) != 0 || joins[0].Ref() != e.Ref() || joins[0].Key() != "ann" || joins[0].Prev() != "" {
		t.Fatalf("join: %v, %v", joins, leaves)
	}
	u := a.Update(e, `{"n":2}`)
	joins, leaves = mustMerge(t, b, a.Delta())
	if len(joins) != 1 || len(leaves) != 1 || joins[0].Prev() != e.Ref() || joins[0].Meta() != `{"n":2}` || leaves[0].Meta() != `{"n":1}` {
		t.Fatalf("update: %v, %v", joins, leaves)
	}
	a.Leave(u)
	joins, leaves = mustMerge(t, b, a.Delta())
	if len(joins) != 0 || len(leaves) != 1 || leaves[0].Ref() != u.Ref() || a.Count()+b.Count() != 0 {
		t.Fatalf("leave: %v, %v", joins, leaves)
	}
	if d := a.Delta(); !d.Empty() {
		t.Errorf("nothing happened: %v", hub.View(d))
	}
}

// TestStateAddWins: a removal that comes late or again does not touch what was added after it.
func TestStateAddWins(t *testing.T) {
	a, b := newState("a", 1), newState("b", 1)
	introduce(map[string]*hub.PresenceState{"a": a, "b": b})
	first := a.Join("room:1", "ann", `{}`)
	mustMerge(t, b, a.Delta())
	a.Leave(first)
	removal := a.Delta()
	again := a.Join("room:1", "ann", `{}`)
	addition := a.Delta()
	mustMerge(t, b, addition)
	for range 2 {
		mustMerge(t, b, removal)
		if got := b.List("room:1"); len(got) != 1 || got[0].Ref() != again.Ref() {
			t.Fatalf("%v", got)
		}
	}
	late := newState("late", 1)
	late.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
	mustMerge(t, late, removal)
	mustMerge(t, late, addition)
	if late.Count() != 1 {
		t.Errorf("%d entries", late.Count())
	}
}

// TestStateDownUpGone is section 6.4: a replica that is down leaves as a whole, one that heals has its refs of before,
// and one that is gone comes back by a full transfer.
func TestStateDownUpGone(t *testing.T) {
	a, b := newState("a", 1), newState("b", 1)
	introduce(map[string]*hub.PresenceState{"a": a, "b": b})
	stays, goes := a.Join("room:1", "stays", `{}`), a.Join("room:1", "goes", `{}`)
	mustMerge(t, b, a.Delta())
	if leaves := b.ReplicaDown("a"); len(leaves) != 2 || b.Count() != 0 || len(b.ReplicaDown("a")) != 0 {
		t.Fatalf("down: %v, %d", leaves, b.Count())
	}
	if clocks := hub.View(b.Clocks()); len(clocks) != 1 {
		t.Errorf("clocks of one that is down: %v", clocks)
	}
	a.Leave(goes)
	if joins, leaves := mustMerge(t, b, a.Delta()); len(joins)+len(leaves) != 0 {
		t.Errorf("merged while down: %v, %v", joins, leaves)
	}
	joins, leaves := b.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
	if len(joins) != 1 || len(leaves) != 0 || joins[0].Ref() != stays.Ref() || joins[0].Topic() != "room:1" {
		t.Fatalf("up: %v, %v", joins, leaves)
	}
	if leaves := b.ReplicaGone("a"); len(leaves) != 1 || b.Count() != 0 {
		t.Fatalf("gone: %v", leaves)
	}
	if joins, _ := mustMerge(t, b, a.Full()); len(joins) != 0 {
		t.Errorf("one that is gone came back by a merge: %v", joins)
	}
	b.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
	if names := b.Behind(a.Clocks()); !slices.Equal(names, []string{"a"}) {
		t.Errorf("behind: %v", names)
	}
	if joins, _ := mustMerge(t, b, a.Full("a")); len(joins) != 1 || joins[0].Ref() != stays.Ref() {
		t.Errorf("after its return: %v", joins)
	}
}

// TestStateEpochs is section 6.4: what a replica had leaves as soon as it starts again under its name.
func TestStateEpochs(t *testing.T) {
	b := newState("b", 1)
	b.ReplicaUp(hub.Replica{Name: "a", Epoch: 5})
	old, current, next := newState("a", 4), newState("a", 5), newState("a", 6)
	for _, s := range []*hub.PresenceState{old, current, next} {
		s.Join("room:1", "ann", `{}`)
	}
	if joins, _ := mustMerge(t, b, old.Delta()); len(joins) != 0 {
		t.Errorf("an epoch that is over: %v", joins)
	}
	mustMerge(t, b, current.Delta())
	if joins, leaves := b.ReplicaUp(hub.Replica{Name: "a", Epoch: 4}); len(joins)+len(leaves) != 0 || b.Count() != 1 {
		t.Errorf("old news: %v, %v", joins, leaves)
	}
	before := b.List("room:1")[0].Ref()
	joins, leaves := mustMerge(t, b, next.Delta())
	if len(joins) != 1 || len(leaves) != 1 || leaves[0].Ref() != before || joins[0].Ref() == before {
		t.Errorf("a new epoch by a merge: %v, %v", joins, leaves)
	}
	if _, leaves := b.ReplicaUp(hub.Replica{Name: "a", Epoch: 7}); len(leaves) != 1 || b.Count() != 0 {
		t.Errorf("a new epoch by a sign of life: %v", leaves)
	}
}

func TestStateSuperseded(t *testing.T) {
	for _, row := range []struct {
		name  string
		epoch uint64
		joins int
		want  error
	}{
		{"an earlier life of this replica", 4, 3, nil},
		{"what it has said itself", 5, 1, nil},
		{"somebody else counts further", 5, 2, hub.ErrPresenceSuperseded},
		{"a later life", 6, 0, hub.ErrPresenceSuperseded},
	} {
		self, other := newState("a", 5), newState("a", row.epoch)
		mine := self.Join("room:1", "ann", `{}`)
		for range row.joins {
			other.Join("room:1", "bob", `{}`)
		}
		if _, _, err := self.Merge(other.Full()); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
		if got := self.List("room:1"); len(got) != 1 || got[0] != mine {
			t.Errorf("%s: a merge touched its own entries: %v", row.name, got)
		}
	}
}

// TestStateHugeSpan: a delta takes time by what it holds, not by the numbers in it.
func TestStateHugeSpan(t *testing.T) {
	a, b := newState("a", 1), newState("b", 1)
	b.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
	a.Join("room:1", "ann", `{}`)
	mustMerge(t, b, a.Delta())
	if _, leaves := mustMerge(t, b, hub.DeltaOfSpan(hub.Replica{Name: "a", Epoch: 1}, 1<<60)); len(leaves) != 1 {
		t.Errorf("%v", leaves)
	}
}

// TestStateRecordIsBounded: what comes and goes between two deltas is not kept.
func TestStateRecordIsBounded(t *testing.T) {
	a := newState("a", 1)
	stays := a.Join("room:1", "stays", `{}`)
	a.Delta()
	a.Leave(stays)
	for range 20_000 {
		a.Leave(a.Join("room:1", "comes and goes", `{}`))
	}
	if n := a.Recorded(); n > 2500 {
		t.Errorf("%d places recorded", n)
	}
	d := a.Delta()
	if v := hub.View(d)["a"]; d.Len() != 0 || len(v.Seen) != 40_002 {
		t.Errorf("%d entries, %d clocks", d.Len(), len(v.Seen))
	}
}

func TestStateForeignEntry(t *testing.T) {
	a, b := newState("a", 1), newState("b", 1)
	b.ReplicaUp(hub.Replica{Name: "a", Epoch: 1})
	a.Join("room:1", "ann", `{}`)
	mustMerge(t, b, a.Delta())
	defer func() {
		if recover() == nil {
			t.Error("another replica's entry was taken away")
		}
	}()
	b.Leave(b.List("room:1")[0])
}

// cluster is replicas that change at random, and all the deltas that they made.
type cluster struct {
	r      *rand.Rand
	names  []string
	states map[string]*hub.PresenceState
	mine   map[string][]*hub.PresenceEntry
	deltas []hub.PresenceDelta
	n      int
}

func newCluster(r *rand.Rand, names ...string) *cluster {
	c := &cluster{r: r, names: names, states: map[string]*hub.PresenceState{}, mine: map[string][]*hub.PresenceEntry{}}
	for _, name := range names {
		c.states[name] = newState(name, 1)
	}
	introduce(c.states)
	return c
}

// change lets one replica do something, and sometimes take a delta.
func (c *cluster) change() {
	name := c.names[c.r.IntN(len(c.names))]
	s, mine := c.states[name], c.mine[name]
	c.n++
	meta := fmt.Sprintf(`{"n":%d}`, c.n)
	i := 0
	if len(mine) > 0 {
		i = c.r.IntN(len(mine))
	}
	switch op := c.r.IntN(8); {
	case op < 3 || len(mine) == 0:
		key := string(rune('a' + c.r.IntN(4)))
		c.mine[name] = append(mine, s.Join(someTopics[c.r.IntN(len(someTopics))], key, meta))
	case op < 5:
		mine[i] = s.Update(mine[i], meta)
	default:
		s.Leave(mine[i])
		c.mine[name] = slices.Delete(mine, i, i+1)
	}
	if c.r.IntN(3) == 0 {
		c.deltas = append(c.deltas, s.Delta())
	}
}

// flush makes deltas of what is left.
func (c *cluster) flush() {
	for _, name := range c.names {
		c.deltas = append(c.deltas, c.states[name].Delta())
	}
}

// truth returns what is present, in all replicas' own view of themselves.
func (c *cluster) truth() map[string]string {
	all := map[string]string{}
	for _, name := range c.names {
		for _, e := range c.mine[name] {
			all[e.Ref()] = fmt.Sprintf("%s %s %s", e.Topic(), e.Key(), e.Meta())
		}
	}
	return all
}

// TestStateConverges gives all deltas to observers, each in an order of its own and some twice, one by
// one or joined before; to one the full states. All must see the truth.
func TestStateConverges(t *testing.T) {
	r := seeded(t)
	for range 200 {
		c := newCluster(r, "a", "b", "c")
		for range r.IntN(60) {
			c.change()
		}
		c.flush()
		want := c.truth()
		for range 4 {
			o := newState("o", 1)
			for _, name := range c.names {
				o.ReplicaUp(hub.Replica{Name: name, Epoch: 1})
			}
			view := map[string]string{}
			for _, d := range scrambled(r, c.deltas) {
				follow(view, o, d, t)
			}
			if got := present(o, someTopics); !maps.Equal(got, want) || !maps.Equal(view, want) {
				t.Fatalf("deltas lead to %v, by their changes to %v, want %v", got, view, want)
			}
			for _, name := range c.names {
				if behind := o.Behind(c.states[name].Clocks()); len(behind) != 0 {
					t.Fatalf("it has all deltas and is behind with %v", behind)
				}
			}
		}
		for _, from := range c.names { // full states, in a ring
			for i := range c.names {
				mustMerge(t, c.states[c.names[(i+1)%len(c.names)]], c.states[from].Full())
			}
		}
		for _, name := range c.names {
			if got := present(c.states[name], someTopics); !maps.Equal(got, want) {
				t.Fatalf("full states lead %s to %v, want %v", name, got, want)
			}
		}
	}
}

// follow merges d and keeps a view by what Merge says has changed.
func follow(view map[string]string, s *hub.PresenceState, d hub.PresenceDelta, t *testing.T) {
	joins, leaves := mustMerge(t, s, d)
	for _, e := range leaves {
		if _, ok := view[e.Ref()]; !ok {
			t.Fatalf("%s left and was not there", e.Ref())
		}
		delete(view, e.Ref())
	}
	for _, e := range joins {
		if _, ok := view[e.Ref()]; ok {
			t.Fatalf("%s came twice", e.Ref())
		}
		view[e.Ref()] = fmt.Sprintf("%s %s %s", e.Topic(), e.Key(), e.Meta())
	}
}

// scrambled returns deltas in any order, some twice, some joined with others.
func scrambled(r *rand.Rand, deltas []hub.PresenceDelta) (list []hub.PresenceDelta) {
	for _, d := range deltas {
		list = append(list, d)
		if r.IntN(3) == 0 {
			list = append(list, d)
		}
		if r.IntN(3) == 0 {
			list = append(list, d.Join(deltas[r.IntN(len(deltas))]))
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
