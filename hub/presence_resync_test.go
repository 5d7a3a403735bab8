package hub_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// TestResyncWhileCalm is called at once, and leaves nothing behind.
func TestResyncWhileCalm(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	var got []string
	push := func(state json.RawMessage) { got = append(got, s.plain(state)) }
	s.Resync("t", 1, push)
	s.track("t", "a", `{}`, &deaf{})
	s.Resync("t", 1, push)
	s.Resync("u", 1, push)
	if want := []string{`{}`, `{a:{[{ref:r1}]}}`, `{}`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s.want("diffs", `{joins:{a:{[{ref:r1}]}},leaves:{}}`)
}

// TestResyncBetweenDiffs: while a diff is under way it waits for the end of that, and the next one for it.
func TestResyncBetweenDiffs(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a, b := &deaf{}, &deaf{}
	push := func(name string) func(json.RawMessage) {
		return func(state json.RawMessage) { s.diffs = append(s.diffs, name+" "+s.plain(state)) }
	}
	s.during = []func(){func() {
		s.Resync("t", 1, push("replaced"))
		s.track("t", "b", `{}`, b)
		s.Resync("t", 1, push("state"))
		s.UntrackAll(a)
		if len(s.diffs) != 1 {
			t.Errorf("before the diff has ended: %q", s.diffs)
		}
	}, func() { s.Resync("t", 1, push("last")) }}
	s.track("t", "a", `{}`, a)
	s.want("in this order", `{joins:{a:{[{ref:r1}]}},leaves:{}}`,
		`state {a:{[{ref:r1}]}}`,
		`{joins:{b:{[{ref:r2}]}},leaves:{a:{[{ref:r1}]}}}`,
		`last {b:{[{ref:r2}]}}`)
}

// TestResyncReaches all that wait, each once, and may change the topic.
func TestResyncReaches(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a, b := &deaf{}, &deaf{}
	calls := map[int]int{}
	s.during = []func(){func() {
		for who := range 50 {
			s.Resync("t", who, func(json.RawMessage) {
				calls[who]++
				if who == 7 {
					s.track("t", "b", `{}`, b)
				}
			})
		}
	}}
	s.track("t", "a", `{}`, a)
	for who := range 50 {
		if calls[who] != 1 {
			t.Errorf("%d was called %d times", who, calls[who])
		}
	}
	s.want("what it changed comes after it", `{joins:{a:{[{ref:r1}]}},leaves:{}}`, `{joins:{b:{[{ref:r2}]}},leaves:{}}`)
}

// TestResyncPanics: it reaches the caller, and the topic goes on.
func TestResyncPanics(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	func() {
		defer func() {
			if recover() != "push" {
				t.Error("the panic did not reach the caller")
			}
		}()
		s.Resync("t", 1, func(json.RawMessage) { panic("push") })
	}()
	s.track("t", "a", `{}`, &deaf{})
	s.want("after the panic", `{joins:{a:{[{ref:r1}]}},leaves:{}}`)
}
