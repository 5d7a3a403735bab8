package hub // clockSet is not exported, and the context of every state rests on it

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// clocksOf returns the clocks of s one by one.
func clocksOf(s clockSet) (list []uint64) {
	for _, p := range s {
		for c := p.from; c <= p.to; c++ {
			list = append(list, c)
		}
	}
	return list
}

func TestClockSetUnion(t *testing.T) {
	for _, row := range []struct {
		name    string
		a, b, u clockSet
	}{
		{"nothing", nil, nil, clockSet{}},
		{"one side", clockSet{{1, 2}}, nil, clockSet{{1, 2}}},
		{"a gap of one stays", clockSet{{1, 2}}, clockSet{{4, 4}}, clockSet{{1, 2}, {4, 4}}},
		{"neighbours become one", clockSet{{1, 2}}, clockSet{{3, 4}}, clockSet{{1, 4}}},
		{"overlap", clockSet{{1, 3}}, clockSet{{2, 5}}, clockSet{{1, 5}}},
		{"inside", clockSet{{1, 9}}, clockSet{{2, 3}, {5, 6}}, clockSet{{1, 9}}},
		{"a bridge", clockSet{{1, 1}, {3, 3}, {5, 5}}, clockSet{{2, 4}}, clockSet{{1, 5}}},
		{"behind", clockSet{{7, 8}}, clockSet{{1, 1}}, clockSet{{1, 1}, {7, 8}}},
	} {
		if u := row.a.union(row.b); !slices.Equal(u, row.u) {
			t.Errorf("%s: %v", row.name, u)
		}
		if u := row.b.union(row.a); !slices.Equal(u, row.u) {
			t.Errorf("%s, the other way: %v", row.name, u)
		}
	}
}

func TestClockSetValid(t *testing.T) {
	const most = ^uint64(0)
	for _, row := range []struct {
		s    clockSet
		want bool
	}{
		{nil, true},
		{clockSet{{1, 1}}, true},
		{clockSet{{0, 1}}, false},
		{clockSet{{2, 1}}, false},
		{clockSet{{1, 1}, {2, 2}}, false}, // one span
		{clockSet{{1, 1}, {3, 3}}, true},
		{clockSet{{3, 3}, {1, 1}}, false},
		{clockSet{{1, most - 1}}, true},
		{clockSet{{1, most}}, false}, // to+1 must be a number
	} {
		if got := row.s.valid(); got != row.want {
			t.Errorf("%v: %v", row.s, got)
		}
	}
}

// TestClockSetModel holds sets of clocks below 24 against sets as maps.
func TestClockSetModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	random := func() (s clockSet, m map[uint64]bool) {
		m = map[uint64]bool{}
		for range r.IntN(16) {
			c := 1 + r.Uint64N(24)
			s.add(c)
			m[c] = true
		}
		return s, m
	}
	for range 5000 {
		a, inA := random()
		b, inB := random()
		u := a.union(b)
		covers := true
		for c := uint64(1); c < 26; c++ {
			if a.has(c) != inA[c] || u.has(c) != (inA[c] || inB[c]) {
				t.Fatalf("%d: %v and %v make %v", c, a, b, u)
			}
			covers = covers && (inA[c] || !inB[c])
		}
		if !a.valid() || !u.valid() || a.count() != uint64(len(inA)) || len(clocksOf(a)) != len(inA) {
			t.Fatalf("%v is no set of %d", a, len(inA))
		}
		if a.covers(b) != covers {
			t.Fatalf("%v covers %v: want %v", a, b, covers)
		}
	}
}

func TestClockSetNextAllocatesNothing(t *testing.T) {
	s := clockSet{{1, 1}}
	if n := testing.AllocsPerRun(100, func() { s.add(s.last() + 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestShrinkMap(t *testing.T) {
	var s shrinkMap[int, int]
	for i := range 1000 {
		s.set(i, -i)
	}
	for i := range 1000 {
		if s.peak > max(shrinkMin, shrinkSparse*s.len()) {
			t.Fatalf("%d of a map of %d", s.len(), s.peak)
		}
		for _, k := range []int{i, 999} {
			if s.get(k) != -k {
				t.Fatalf("after %d removals %d is %d", i, k, s.get(k))
			}
		}
		s.delete(i)
	}
	if s.m != nil {
		t.Error("an empty map keeps its memory")
	}
	s.set(1, 1)
	s.delete(1)
	if n := testing.AllocsPerRun(100, func() { s.set(2, 2); s.delete(2) }); n != 0 {
		t.Errorf("one that comes and goes makes %v allocations", n)
	}
}
