package hub_test

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// The naive model: a context is a set of clocks, written out, and joining is its definition.
func modelJoin(a, b hub.DeltaView) hub.DeltaView {
	j := maps.Clone(a)
	for name, q := range b {
		p, ok := a[name]
		switch {
		case !ok || q.Epoch > p.Epoch:
			j[name] = q
		case q.Epoch == p.Epoch:
			j[name] = modelJoinPart(p, q)
		}
	}
	return j
}

func modelJoinPart(p, q hub.PartView) hub.PartView {
	m := hub.PartView{Epoch: p.Epoch, Seen: maps.Clone(p.Seen), Entries: map[uint64]hub.ItemView{}}
	maps.Copy(m.Seen, q.Seen)
	for c, it := range p.Entries {
		if _, both := q.Entries[c]; both || !q.Seen[c] {
			m.Entries[c] = it
		}
	}
	for c, it := range q.Entries {
		if _, both := p.Entries[c]; both || !p.Seen[c] {
			m.Entries[c] = it
		}
	}
	return m
}

// pool returns deltas and full states of a random history, in which replicas have also begun anew.
func pool(r *rand.Rand) []hub.PresenceDelta {
	c, epoch := newCluster(r, "a", "b"), uint64(1)
	for range 1 + r.IntN(30) {
		c.change()
		if r.IntN(6) == 0 {
			c.deltas = append(c.deltas, c.states[c.names[r.IntN(2)]].Full())
		}
		if r.IntN(15) == 0 {
			epoch++
			c.states["a"] = newState("a", epoch)
			c.mine["a"] = nil
			c.states["b"].ReplicaUp(hub.Replica{Name: "a", Epoch: epoch})
		}
		if r.IntN(5) == 0 {
			_, _, _ = c.states["b"].Merge(c.states["a"].Full())
		}
	}
	c.flush()
	return c.deltas
}

// TestLattice holds Join against the model, and against the laws of a join.
func TestLattice(t *testing.T) {
	r := seeded(t)
	for range 300 {
		deltas := pool(r)
		pick := func() hub.PresenceDelta {
			d := deltas[r.IntN(len(deltas))]
			for range r.IntN(3) {
				d = d.Join(deltas[r.IntN(len(deltas))])
			}
			return d
		}
		for range 20 {
			checkLaws(t, pick(), pick(), pick())
		}
	}
}

func checkLaws(t *testing.T, a, b, c hub.PresenceDelta) {
	t.Helper()
	ab := hub.View(a.Join(b))
	if want := modelJoin(hub.View(a), hub.View(b)); !reflect.DeepEqual(ab, want) {
		t.Fatalf("%v and %v\nmake %v\nwant %v", hub.View(a), hub.View(b), ab, want)
	}
	for _, law := range []struct {
		name string
		l, r hub.PresenceDelta
	}{
		{"commutative", a.Join(b), b.Join(a)},
		{"associative", a.Join(b).Join(c), a.Join(b.Join(c))},
		{"idempotent", a.Join(a), a},
		{"absorbing", a.Join(b).Join(a), a.Join(b)},
	} {
		if l, r := encode(t, law.l), encode(t, law.r); !bytes.Equal(l, r) {
			t.Fatalf("not %s: %v, %v", law.name, hub.View(law.l), hub.View(law.r))
		}
	}
}

func encode(t *testing.T, d hub.PresenceDelta) []byte {
	t.Helper()
	data, err := d.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestStateMergesAsDeltasJoin: what a state is after merges is the join of what it merged.
func TestStateMergesAsDeltasJoin(t *testing.T) {
	r := seeded(t)
	for range 300 {
		s, sum := newState("o", 1), newState("o", 1).Full()
		for _, name := range []string{"a", "b"} {
			s.ReplicaUp(hub.Replica{Name: name, Epoch: 1})
		}
		sum = sum.Join(s.Full())
		for _, d := range scrambled(r, pool(r)) {
			mustMerge(t, s, d)
			sum = sum.Join(d)
			if got, want := encode(t, s.Full()), encode(t, sum); !bytes.Equal(got, want) {
				t.Fatalf("state %v\nwant %v", hub.View(s.Full()), hub.View(sum))
			}
		}
	}
}

func TestDeltaRoundTrip(t *testing.T) {
	r := seeded(t)
	for range 200 {
		for _, d := range pool(r) {
			data := encode(t, d)
			var back hub.PresenceDelta
			if err := back.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(hub.View(back), hub.View(d)) {
				t.Fatalf("%v came back as %v", hub.View(d), hub.View(back))
			}
			for cut := range data {
				if err := back.UnmarshalBinary(data[:cut]); !errors.Is(err, hub.ErrPresenceEncoding) {
					t.Fatalf("cut to %d of %d bytes: %v", cut, len(data), err)
				}
			}
		}
	}
}

func TestDeltaDecodeRefuses(t *testing.T) {
	part := func(body string) string { return "\x01\x01\x01a\x01" + body } // one part: a, epoch 1
	for _, row := range []struct{ name, data string }{
		{"nothing", ""},
		{"another version", "\x02\x00"},
		{"bytes at the end", "\x01\x00\x00"},
		{"a number of two bytes for one", "\x01\x80\x00"},
		{"a number above 64 bits", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"two parts of one name", "\x01\x02\x01a\x01\x00\x00\x01a\x01\x00\x00"},
		{"parts out of order", "\x01\x02\x01b\x01\x00\x00\x01a\x01\x00\x00"},
		{"a name that is no UTF-8", "\x01\x01\x01\xff\x01\x00\x00"},
		{"clock 0", part("\x01\x00\x00\x00")},
		{"spans that touch", part("\x02\x01\x00\x01\x00\x00")},
		{"a span that runs over", part("\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00")},
		{"an entry not seen", part("\x01\x01\x00" + "\x01\x02\x00\x02t\x01k\x02{}")},
		{"an entry at clock 0", part("\x01\x01\x00" + "\x01\x00\x00\x02t\x01k\x02{}")},
		{"no topic", part("\x01\x01\x00" + "\x01\x01\x00\x00\x01k\x02{}")},
		{"a topic said twice", part("\x01\x01\x01" + "\x02\x01\x00\x02t\x01k\x02{}\x01\x00\x02t\x01k\x02{}")},
		{"a key that is no UTF-8", part("\x01\x01\x00" + "\x01\x01\x00\x02t\x01\xff\x02{}")},
		{"a meta that is a list", part("\x01\x01\x00" + "\x01\x01\x00\x02t\x01k\x02[]")},
		{"a meta with white space", part("\x01\x01\x00" + "\x01\x01\x00\x02t\x01k\x03{ }")},
		{"a meta that is no JSON", part("\x01\x01\x00" + "\x01\x01\x00\x02t\x01k\x02{{")},
		{"more entries than bytes", part("\x01\x01\x00" + "\xff\xff\xff\xff\x0f")},
		{"more parts than bytes", "\x01\xff\xff\xff\xff\x0f"},
	} {
		var d hub.PresenceDelta
		if err := d.UnmarshalBinary([]byte(row.data)); !errors.Is(err, hub.ErrPresenceEncoding) || !d.Empty() {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	var d hub.PresenceDelta
	good := part("\x01\x01\x01" + "\x02\x01\x00\x02t\x01k\x02{}\x01\x00\x00\x01k\x02{}")
	if err := d.UnmarshalBinary([]byte(good)); err != nil || d.Len() != 2 {
		t.Errorf("what the rows vary is refused itself: %v", err)
	}
}

// contradict reports whether one clock has two meanings, which no two replicas make of it.
func contradict(a, b hub.DeltaView) bool {
	for name, p := range a {
		for c, it := range p.Entries {
			other, ok := b[name].Entries[c]
			if ok && b[name].Epoch == p.Epoch && other != it {
				return true
			}
		}
	}
	return false
}

// FuzzPresenceDelta: what is decoded is encoded to the same bytes, and obeys the laws; and a state
// that merges it is whole.
func FuzzPresenceDelta(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		deltas := pool(r)
		a, _ := deltas[0].MarshalBinary()
		b, _ := deltas[len(deltas)-1].MarshalBinary()
		f.Add(a, b)
	}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		var a, b hub.PresenceDelta
		if a.UnmarshalBinary(x) != nil || b.UnmarshalBinary(y) != nil {
			return
		}
		if !bytes.Equal(encode(t, a), x) {
			t.Fatalf("%q was decoded and is encoded %q", x, encode(t, a))
		}
		if contradict(hub.View(a), hub.View(b)) {
			return
		}
		if ab, ba := encode(t, a.Join(b)), encode(t, b.Join(a)); !bytes.Equal(ab, ba) {
			t.Fatalf("joined one way %q, the other %q", ab, ba)
		}
		if aab := encode(t, a.Join(a.Join(b))); !bytes.Equal(aab, encode(t, a.Join(b))) {
			t.Fatalf("a joined twice: %q", aab)
		}
		s := newState("o", 1)
		for _, name := range []string{"a", "b"} {
			s.ReplicaUp(hub.Replica{Name: name, Epoch: 1})
		}
		for _, d := range []hub.PresenceDelta{a, b, a} {
			_, _, _ = s.Merge(d)
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
