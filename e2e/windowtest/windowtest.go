// Package windowtest is for tests of a time that the system under test enforces, while the test itself has to keep up
// with it: a client that is slower than a window rightly finds its session ended. Only tests import it.
package windowtest

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

const (
	growth  = 4               // each window to the one before: a machine is seldom slow by half an order of magnitude
	longest = 4 * time.Second // windows below it are attempts; the one from here on counts, at 16 s at most

	// giveUp is after how long no more attempts are made: they were not lost to the window.
	giveUp = 30 * time.Second
)

// Run runs f with a window, and again with one four times as long each time that it fails, until the window is longer
// than any pause of a machine that still works. What fails then fails t; the attempts before are logged. So a passing
// test is as quick as its first window, and what is broken fails however often it is tried.
//
// f must start all that it needs anew: the cleanups of an attempt run before the next one. It should find out that it
// has lost, rather than wait for what cannot come any more.
func Run(t testing.TB, first time.Duration, f func(t testing.TB, window time.Duration)) {
	t.Helper()
	window := first
	for begun := time.Now(); window < longest && time.Since(begun) < giveUp; window *= growth {
		a := &attempt{TB: t}
		if a.run(func() { f(a, window) }); !a.Failed() {
			return
		}
		t.Logf("lost with a window of %v:%s", window, a.said)
	}
	for window < longest {
		window *= growth
	}
	f(t, window)
}

// An attempt is a test whose failures are kept, not told.
type attempt struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex // protects the following
	failed   bool
	said     string
	cleanups []func()
}

// run runs f as a test on a goroutine of its own, and then its cleanups.
func (a *attempt) run(f func()) {
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithCancel(a.TB.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer a.clean()
		defer cancel()
		f()
	}()
	<-done
}

// clean runs the cleanups, the last one first, also when one of them ends the goroutine.
func (a *attempt) clean() {
	a.mu.Lock()
	last := len(a.cleanups) - 1
	if last < 0 {
		a.mu.Unlock()
		return
	}
	f := a.cleanups[last]
	a.cleanups = a.cleanups[:last]
	a.mu.Unlock()
	defer a.clean()
	f()
}

func (a *attempt) note(text string) {
	_, file, line, _ := runtime.Caller(2)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
	a.said += fmt.Sprintf("\n%s:%d: %s", filepath.Base(file), line, text)
}

func (a *attempt) Error(args ...any)                 { a.note(fmt.Sprint(args...)) }
func (a *attempt) Errorf(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }

func (a *attempt) Fatal(args ...any) {
	a.note(fmt.Sprint(args...))
	runtime.Goexit()
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (a *attempt) Fail() { a.note("Fail") }

func (a *attempt) FailNow() {
	a.note("FailNow")
	runtime.Goexit()
}

func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

func (a *attempt) Context() context.Context { return a.ctx }
