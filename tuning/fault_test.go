package tuning

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

var faultNames = map[fault]string{
	refused: "is refused", broken: "breaks", killedHalf: "is the last, half done", killedDone: "is the last",
}

// foundFile is what somebody had before under one of our names.
const foundFile = "# mine\nnet.core.somaxconn = 4096\n"

// countCalls is how many calls an Apply, or a Revert after it, makes that change something.
func countCalls(t *testing.T, files map[string]string) (apply, revert int) {
	t.Helper()
	u, f := tunerOf(rootOf(t, files))
	if _, err := u.Apply(fullReport(), ApplyOptions{Persist: true}); err != nil {
		t.Fatal(err)
	}
	apply = len(f.calls)
	if _, err := u.Revert(false); err != nil {
		t.Fatal(err)
	}
	return apply, len(f.calls) - apply
}

// Whatever call an Apply fails at or is killed at, Revert makes the host what it was.
func TestApplyFailsAnywhere(t *testing.T) {
	for _, files := range []map[string]string{nil, {sysctlConf: foundFile}} {
		n, _ := countCalls(t, files)
		if n < 30 {
			t.Fatalf("only %d calls: the test looks at the wrong thing", n)
		}
		for kind, name := range faultNames {
			if files != nil && kind != killedDone {
				continue // the same but for a few calls
			}
			for at := range n {
				t.Run(fmt.Sprintf("call %d %s", at, name), func(t *testing.T) { failAt(t, files, kind, at) })
			}
		}
	}
}

func failAt(t *testing.T, files map[string]string, kind fault, at int) {
	root := rootOf(t, files)
	before := snapshot(t, root)
	u, f := tunerOf(root)
	f.fault, f.at = kind, at
	steps, err := u.Apply(fullReport(), ApplyOptions{Persist: true})
	if err != nil && !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	if err != nil && steps == nil && stateless(undone(snapshot(t, root))) != stateless(undone(before)) {
		t.Errorf("an error without steps (%v), and something was changed at %s:\n%s", err, f.calls[at], snapshot(t, root))
	}
	if kind == refused && err == nil && f.calls[at][:4] == "writ" && byOutcome(steps, Failed) == 0 {
		t.Errorf("%s was refused, and no step failed: %+v", f.calls[at], steps)
	}
	f.fault, f.dead = none, false
	if _, err := u.Revert(false); err != nil && !errors.Is(err, ErrNothingToRevert) {
		t.Fatal(err)
	}
	if after := snapshot(t, root); after != before || f.limits[shellPID] != (rlimit{1024, 20000}) {
		t.Errorf("the fault was at %s\nbefore:\n%s\nafter:\n%s\n%v", f.calls[at], before, after, f.limits)
	}
}

// undone is a snapshot without our own directory.
func undone(snapshot string) string {
	var kept []string
	for l := range strings.Lines(snapshot) {
		if !strings.Contains(l, stateDir[1:]) {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "")
}

func byOutcome(steps []Step, o Outcome) (n int) {
	for _, s := range steps {
		if s.Outcome == o {
			n++
		}
	}
	return n
}

// Whatever call a Revert fails at or is killed at, another one finishes it.
func TestRevertFailsAnywhere(t *testing.T) {
	files := map[string]string{limitsConf: "# mine\n"}
	skip, n := countCalls(t, files)
	if n < 20 {
		t.Fatalf("only %d calls: the test looks at the wrong thing", n)
	}
	for kind, name := range faultNames {
		for at := range n {
			t.Run(fmt.Sprintf("call %d %s", at, name), func(t *testing.T) {
				root := rootOf(t, files)
				before := snapshot(t, root)
				u, f := tunerOf(root)
				apply(t, u, fullReport(), ApplyOptions{Persist: true})
				f.fault, f.at = kind, skip+at
				if _, err := u.Revert(false); err != nil && !errors.Is(err, errFault) {
					t.Fatal(err)
				}
				f.fault, f.dead = none, false
				if _, err := u.Revert(false); err != nil && !errors.Is(err, ErrNothingToRevert) {
					t.Fatal(err)
				}
				if after := snapshot(t, root); after != before || f.limits[shellPID] != (rlimit{1024, 20000}) {
					t.Errorf("the fault was at %s\nbefore:\n%s\nafter:\n%s\n%v", f.calls[skip+at], before, after, f.limits)
				}
			})
		}
	}
}

// An Apply that was killed is done again instead of reverted: nothing of what was found is lost.
func TestApplyAfterAKill(t *testing.T) {
	n, _ := countCalls(t, nil)
	for at := range n {
		root := rootOf(t, nil)
		before := snapshot(t, root)
		u, f := tunerOf(root)
		f.fault, f.at = killedDone, at
		_, _ = u.Apply(fullReport(), ApplyOptions{Persist: true})
		f.fault, f.dead = none, false
		for what, s := range apply(t, u, fullReport(), ApplyOptions{Persist: true}) {
			if s.Outcome != Done && s.Outcome != Already {
				t.Errorf("after a kill at %s: %s: %+v", f.calls[at], what, s)
			}
		}
		revert(t, u)
		if after := snapshot(t, root); after != before {
			t.Fatalf("killed at %s\nbefore:\n%s\nafter:\n%s", f.calls[at], before, after)
		}
	}
}

// A process that was killed between writing a value that the kernel rounds and looking at it.
func TestRevertOfARoundedValueAfterAKill(t *testing.T) {
	for _, row := range []struct {
		made, after string
	}{
		{"2097152", "1048576"}, {"2000000", "1048576"}, // rounded, cut
		{"1000", "1000"}, {"9000000", "9000000"}, // neither: somebody else's
	} {
		u, f := tunerOf(rootOf(t, nil))
		f.made = map[string]string{"fs/nr_open": row.made}
		f.before = func(call string) {
			if strings.HasPrefix(call, "write nr_open") {
				f.fault, f.at = killedDone, len(f.calls)
			}
		}
		_, _ = u.Apply(reportOf(10, raise("fs.nr_open", "2001024")), ApplyOptions{})
		f.fault, f.dead, f.made, f.before = none, false, nil, nil
		_, _ = u.Revert(false)
		if got := textAt(t, u.Root, "proc/sys/fs/nr_open"); got != row.after {
			t.Errorf("the kernel made %s, and Revert %s, not %s", row.made, got, row.after)
		}
	}
}

const killVariable = "DORMOUSE_TUNING_TEST_KILL" // root, and the call at which the process kills itself

// TestKilledProcess is the process that is killed; the test is the next one.
func TestKilledProcess(t *testing.T) {
	root, at, ok := strings.Cut(os.Getenv(killVariable), "|")
	if !ok {
		t.Skip("it is run by TestKill alone")
	}
	u, f := tunerOf(root)
	f.fault = killedReal
	f.at, _ = strconv.Atoi(at)
	_, err := u.Apply(fullReport(), ApplyOptions{Persist: true})
	t.Fatalf("it lived on: %v", err)
}

// A process is really killed, which takes its lock away, while its state stays.
func TestKill(t *testing.T) {
	n, _ := countCalls(t, nil)
	for at := 0; at < n; at += max(1, n/8) {
		root := rootOf(t, nil)
		before := snapshot(t, root)
		c := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		c.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", killVariable, root, at))
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the process was not killed at call %d: %v\n%s", at, err, out)
		}
		u, _ := tunerOf(root)
		if _, err := u.Revert(false); err != nil && !errors.Is(err, ErrNothingToRevert) {
			t.Fatal(err)
		}
		if after := snapshot(t, root); after != before {
			t.Fatalf("killed at call %d\nbefore:\n%s\nafter:\n%s", at, before, after)
		}
	}
}
