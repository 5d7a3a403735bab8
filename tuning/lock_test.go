package tuning

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// While one Apply is in the middle of it, nobody else changes anything.
func TestOneAtATime(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	inside, goOn := make(chan struct{}), make(chan struct{})
	f.before = func(call string) {
		if call == "write nr_open" {
			close(inside)
			<-goOn
		}
	}
	var first error
	var wg sync.WaitGroup
	wg.Go(func() { _, first = u.Apply(fullReport(), ApplyOptions{}) })
	<-inside
	other, calls := tunerOf(u.Root)
	for name, do := range map[string]func() error{
		"apply":  func() error { _, err := other.Apply(fullReport(), ApplyOptions{}); return err },
		"revert": func() error { _, err := other.Revert(false); return err },
	} {
		err := do()
		if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "(pid "+strconv.Itoa(os.Getpid())+")") {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(goOn)
	wg.Wait()
	if first != nil || len(calls.calls) > 0 {
		t.Errorf("%v, %q", first, calls.calls)
	}
	f.before = nil
	revert(t, u)
}

// Many at once, some of which take the lock's file away at their end: each either works or is kept out.
func TestManyAtOnce(t *testing.T) {
	root := rootOf(t, nil)
	before := snapshot(t, root)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			u, _ := tunerOf(root)
			for range 50 {
				if _, err := u.Apply(reportOf(10, raise("fs.nr_open", "2001024")), ApplyOptions{}); err != nil && !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
				if _, err := u.Revert(false); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNothingToRevert) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	u, _ := tunerOf(root)
	if _, err := u.Revert(false); err != nil && !errors.Is(err, ErrNothingToRevert) {
		t.Fatal(err)
	}
	if after := snapshot(t, root); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// The directory is taken away by another that has finished, right after it was made: it is made again.
func TestLockOutlivesAnother(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	taken := 0
	f.before = func(call string) {
		if call == "sync lib" && taken < 3 { // the last call of makeDir
			taken++
			remove(t, u.Root, stateDir)
		}
	}
	if s := apply(t, u, reportOf(10, raise("fs.nr_open", "2001024")), ApplyOptions{})["fs.nr_open"]; s.Outcome != Done || taken != 3 {
		t.Errorf("%+v, taken away %d times", s, taken)
	}
}

// A lock that a dead process left is no lock, whatever is written in it.
func TestStaleLock(t *testing.T) {
	u, _ := tunerOf(rootOf(t, nil))
	put(t, u.Root, lockFile, "not a number, and longer than any number is")
	apply(t, u, fullReport(), ApplyOptions{})
	if got := textAt(t, u.Root, lockFile); got != strconv.Itoa(os.Getpid()) {
		t.Errorf("the lock says %q", got)
	}
	if _, err := os.Lstat(filepath.Join(u.Root, stateFile)); err != nil {
		t.Error(err)
	}
}
