// Package leaktest fails a test binary that leaves goroutines or descriptors behind. Only tests import it.
package leaktest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// grace is how long Main waits for goroutines that are on their way out. It bounds a failing run
// only: a clean one ends at the first look.
const grace = time.Minute

// Main runs the tests of a package and exits; call it from TestMain. After the tests it compares the
// goroutines and the descriptors of the process with those before and names what is left. The cleanups
// run between the tests and the comparison.
func Main(m *testing.M, cleanups ...func()) {
	// The runtime's poller and its wake-up come into being with the first pollable file and stay.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	before, running := descriptors(), goroutines(nil)
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	if code == 0 && !fuzzing() {
		if err := check(before, running); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// fuzzing reports whether this is a fuzz worker or its coordinator, which hold pipes of their own.
func fuzzing() bool {
	for _, a := range os.Args {
		if strings.HasPrefix(a, "-test.fuzz=") || a == "-test.fuzzworker" || a == "-test.fuzzworker=true" {
			return true
		}
	}
	return false
}

func check(before, running map[string]string) error {
	deadline := time.Now().Add(grace)
	for {
		stacks, fds := goroutines(running), added(before)
		if len(stacks) == 0 && len(fds) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("leaktest: left behind\ndescriptors: %s\ngoroutines:\n%s",
				strings.Join(fds, ", "), strings.Join(slices.Collect(maps.Values(stacks)), "\n\n"))
		}
		runtime.GC() // finalizers of net and os close what a test dropped without closing; that is no leak of ours
		runtime.Gosched()
	}
}

// goroutines maps the number of each goroutine to its stack, leaving out the caller, those in known
// (packages start some in their init) and the runtime's and testing's own.
func goroutines(known map[string]string) map[string]string {
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 2)
	left := map[string]string{}
	for i, g := range strings.Split(buf.String(), "\n\n") {
		id, _, _ := strings.Cut(g, " [")
		if _, was := known[id]; i == 0 || g == "" || was || isOwn(g) {
			continue
		}
		left[id] = g
	}
	return left
}

func isOwn(stack string) bool {
	for _, own := range []string{
		"testing.(*M).", "testing.runFuzz", "os/signal.loop", "os/signal.signal_recv",
		"runtime.ensureSigM", "runtime/pprof.", "runtime.ReadTrace",
	} {
		if strings.Contains(stack, own) {
			return true
		}
	}
	return false
}

// descriptors maps each open descriptor to what it points to.
func descriptors() map[string]string {
	fds := map[string]string{}
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fds
	}
	for _, n := range names {
		to, err := os.Readlink("/proc/self/fd/" + n.Name())
		if err == nil {
			fds[n.Name()] = to
		}
	}
	return fds
}

func added(before map[string]string) []string {
	var more []string
	for fd, to := range descriptors() {
		if _, was := before[fd]; was || strings.HasPrefix(to, "/proc/") {
			continue
		}
		more = append(more, fd+" -> "+to)
	}
	sort.Strings(more)
	return more
}
