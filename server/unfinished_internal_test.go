package server

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestUnfinishedModel begins, grows and ends messages at random, and holds what is given up against a list.
func TestUnfinishedModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const limit, most = 1000, 200
	u := unfinished{limit: limit}
	var begun, ending []*piece // those that are kept, the first in front, and those that were given up
	sum := func(list []*piece) (n int64) {
		for _, p := range list {
			n += p.held
		}
		return n
	}
	for step := range 20_000 {
		switch n := rnd.IntN(10); {
		case n < 4 || len(begun) == 0: // begin
			begun = append(begun, &piece{conn: new(wsConn)})
		case n == 4: // end one
			i := rnd.IntN(len(begun))
			u.end(begun[i])
			begun = slices.Delete(begun, i, i+1)
			continue
		case n == 5: // the connections of some that were given up come to their end
			for _, p := range ending {
				if rnd.IntN(4) == 0 {
					u.end(p)
					ending = slices.DeleteFunc(slices.Clone(ending), func(other *piece) bool { return other == p })
				}
			}
			continue
		}
		p := begun[len(begun)-1]
		if p.held != 0 {
			p = begun[rnd.IntN(len(begun))]
		}
		held := min(most, p.held+1+rnd.Int64N(100))
		grown := sum(begun) - p.held + held
		var want []*wsConn
		rest := slices.Clone(begun)
		for ; grown > limit; rest = rest[1:] {
			want = append(want, rest[0].conn)
			grown -= rest[0].held
			if rest[0] == p {
				grown -= held - p.held
			}
		}
		if sum(begun)+sum(ending)-p.held+held > 2*limit && slices.Contains(rest, p) {
			want = append(want, p.conn)
			rest = slices.DeleteFunc(rest, func(other *piece) bool { return other == p })
		}
		if got := u.grow(p, held); !slices.Equal(got, want) {
			t.Fatalf("step %d: %d are given up, want %d", step, len(got), len(want))
		}
		for _, other := range begun {
			switch {
			case slices.Contains(rest, other):
			case other == p:
				u.end(p) // as keep does
			default:
				ending = append(ending, other)
			}
		}
		begun = rest
		if got := u.grow(&piece{held: 1}, 99); got != nil {
			t.Fatalf("step %d: one that was given up gives up others", step)
		}
		if u.kept != sum(begun) || u.held != sum(begun)+sum(ending) || u.kept > limit || u.held > 2*limit {
			t.Fatalf("step %d: %d kept of %d held; %d and %d are", step, u.kept, u.held, sum(begun), sum(begun)+sum(ending))
		}
	}
	for _, p := range append(begun, ending...) {
		u.end(p)
	}
	if u.held != 0 || u.kept != 0 || u.messages.Len() != 0 {
		t.Errorf("at the end %d kept, %d held, %d messages", u.kept, u.held, u.messages.Len())
	}
}
