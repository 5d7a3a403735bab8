package windowtest

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// tried runs f as the body of a test with windows from 50 ms on, and returns the windows that it was given.
func tried(t *testing.T, f func(t testing.TB, window time.Duration)) (outer *attempt, windows []time.Duration) {
	outer = &attempt{TB: t}
	outer.run(func() {
		Run(outer, 50*time.Millisecond, func(t testing.TB, window time.Duration) {
			windows = append(windows, window)
			f(t, window)
		})
	})
	return outer, windows
}

// What fails with every window fails the test, with what it said at the end.
func TestFailsInTheEnd(t *testing.T) {
	want := []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 800 * time.Millisecond, 3200 * time.Millisecond, 12800 * time.Millisecond}
	for name, fail := range map[string]func(t testing.TB){
		"no": func(t testing.TB) { t.Error("no") }, "never": func(t testing.TB) { t.Fatalf("%s", "never") },
		"Fail": testing.TB.Fail, "FailNow": testing.TB.FailNow,
	} {
		outer, windows := tried(t, func(t testing.TB, _ time.Duration) { fail(t) })
		if !slices.Equal(windows, want) {
			t.Errorf("%s: windows of %v, want %v", name, windows, want)
		}
		if !outer.Failed() || strings.Count(outer.said, name) != 1 {
			t.Errorf("failed: %v, said %q, want %q once", outer.Failed(), outer.said, name)
		}
	}
}

// An attempt that is lost leaves nothing to the next: its goroutine has ended where it failed, its cleanups have run, the
// last one first, and its context is over by then.
func TestLostAttempt(t *testing.T) {
	var did []string
	say := func(what string) { did = append(did, what) }
	outer, _ := tried(t, func(t testing.TB, window time.Duration) {
		ctx := t.Context()
		t.Cleanup(func() { say("first cleanup") })
		t.Cleanup(func() {
			if say("last cleanup"); ctx.Err() == nil {
				say("the context lives")
			}
			if window == 200*time.Millisecond {
				t.FailNow()
			}
		})
		if say(window.String()); window == 50*time.Millisecond {
			t.Fatal("too slow")
		}
		say("on")
	})
	want := []string{"50ms", "last cleanup", "first cleanup", "200ms", "on", "last cleanup", "first cleanup",
		"800ms", "on", "last cleanup", "first cleanup"}
	if !slices.Equal(did, want) || outer.Failed() {
		t.Errorf("did %q, want %q; failed: %v", did, want, outer.Failed())
	}
}

// What succeeds is not tried again, and what failed before does not count.
func TestSucceeds(t *testing.T) {
	outer, windows := tried(t, func(t testing.TB, window time.Duration) {
		if window < time.Second {
			t.Error("too slow")
		}
	})
	if outer.Failed() || len(windows) != 4 {
		t.Errorf("failed: %v, %d windows, want 4", outer.Failed(), len(windows))
	}
}
