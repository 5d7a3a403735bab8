package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// found is a Finding with what conclude and worse look at.
func found(name string, v Verdict, blocks bool, holds int64) Finding {
	return Finding{Name: name, Verdict: v, Blocks: blocks, Holds: holds}
}

func TestConclude(t *testing.T) {
	const goal = 1000
	for _, c := range []struct {
		name      string
		memory    int64
		findings  []Finding
		holds     int64
		stoppedBy string
		unknown   int
		reachable bool
	}{
		{name: "nothing is a limit", memory: Unbounded, holds: Unbounded, stoppedBy: "memory", reachable: true},
		{name: "memory for one fewer", memory: goal - 1, holds: goal - 1, stoppedBy: "memory"},
		{name: "memory for all", memory: goal, holds: goal, stoppedBy: "memory", reachable: true},
		{name: "a setting for one fewer", memory: goal + 1, findings: []Finding{found("a", Raise, true, goal-1)}, holds: goal - 1, stoppedBy: "a"},
		{name: "a setting for all", memory: goal + 1, findings: []Finding{found("a", OK, true, goal)}, holds: goal, stoppedBy: "a", reachable: true},
		{name: "a setting for more, memory for all", memory: goal, findings: []Finding{found("a", OK, true, goal+1)}, holds: goal, stoppedBy: "memory", reachable: true},
		{name: "memory comes first of two alike", memory: goal, findings: []Finding{found("a", OK, true, goal)}, holds: goal, stoppedBy: "memory", reachable: true},
		{name: "the table comes first of two alike", memory: goal, findings: []Finding{found("a", Raise, true, 5), found("b", Raise, true, 5)}, holds: 5, stoppedBy: "a"},
		{name: "the lowest of three", memory: goal, findings: []Finding{found("a", Raise, true, 7), found("b", Raise, true, 3), found("c", Raise, true, 5)}, holds: 3, stoppedBy: "b"},
		{name: "none at all", memory: goal, findings: []Finding{found("a", Raise, true, 0)}, holds: 0, stoppedBy: "a"},
		{name: "what cannot be read is not taken for good", memory: Unbounded, findings: []Finding{found("a", Unreadable, true, Unbounded)}, holds: Unbounded, stoppedBy: "memory", unknown: 1},
		{name: "what cannot be read and stops nothing", memory: Unbounded, findings: []Finding{found("a", Unreadable, false, Unbounded)}, holds: Unbounded, stoppedBy: "memory", reachable: true},
		{name: "what hurts stops nothing", memory: goal, findings: []Finding{found("a", Raise, false, Unbounded)}, holds: goal, stoppedBy: "memory", reachable: true},
		{name: "known to be short, and unknown", memory: goal, findings: []Finding{found("a", Unreadable, true, Unbounded), found("b", Raise, true, 1)}, holds: 1, stoppedBy: "b", unknown: 1},
	} {
		r := &Report{Goal: Goal{Connections: goal}, Findings: c.findings, Prediction: Prediction{Largest: c.memory}}
		r.conclude()
		if r.Holds != c.holds || r.StoppedBy != c.stoppedBy || len(r.Unknown) != c.unknown || r.Reachable != c.reachable {
			t.Errorf("%s: holds %d, stopped by %s, unknown %v, reachable %v, want %d, %s, %d, %v",
				c.name, r.Holds, r.StoppedBy, r.Unknown, r.Reachable, c.holds, c.stoppedBy, c.unknown, c.reachable)
		}
	}
}

func TestWorstFirst(t *testing.T) {
	want := []Finding{
		found("stops it at 5", Raise, true, 5),
		found("stops it at 7", Set, true, 7),
		found("stops it at 7, later in the table", Raise, true, 7),
		found("in the way of it", Set, true, Unbounded),
		found("might stop it", Unreadable, true, Unbounded),
		found("hurts", Raise, false, Unbounded),
		found("is not known and might hurt", Unreadable, false, Unbounded),
		found("is good, and the next limit", OK, true, 9),
		found("is good", OK, false, Unbounded),
		found("is not needed", NotNeeded, true, Unbounded),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	got[7], got[8] = got[8], got[7] // those alike stay in the order of the table
	slices.SortStableFunc(got, worse)
	for i := range want {
		if got[i].Name != want[i].Name {
			t.Errorf("%d: %s, want %s", i, got[i].Name, want[i].Name)
		}
	}
}

func TestExamineRefusesAGoal(t *testing.T) {
	h := hostOf(t, nil)
	for _, g := range []Goal{
		{}, {Connections: -1}, {Connections: MaxConnections + 1}, {Connections: 1, Role: Both + 1},
		{Connections: 1, MessageRate: -1}, {Connections: 1, MessageBytes: -1}, {Connections: 1, Memory: -1},
	} {
		if r, err := Examine(h, g); err == nil || r != nil {
			t.Errorf("%+v: %v, %v, want an error", g, r, err)
		}
	}
	for _, n := range []int64{1, MaxConnections} {
		if _, err := Examine(h, Goal{Connections: n}); err != nil {
			t.Errorf("%d connections: %v", n, err)
		}
	}
}

// TestTable is about the words of each Check.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Checks() {
		if names[c.Name] || c.Name == "" || strings.ContainsAny(c.Name, "\n\t") {
			t.Errorf("%q: want a name of its own", c.Name)
		}
		names[c.Name] = true
		if !oneSentence(c.Why) {
			t.Errorf("%s: Why is not one sentence: %q", c.Name, c.Why)
		}
		if c.Source == "" {
			t.Errorf("%s has no Source", c.Name)
		}
		if c.Role == 0 || c.Role > Both {
			t.Errorf("%s: role %v", c.Name, c.Role)
		}
		if c.examine == nil {
			t.Errorf("%s cannot be examined", c.Name)
		}
	}
}

// oneSentence reports whether s ends with its only full stop. One inside a word, as in tcp_mem's name or in
// 1.5, is none.
func oneSentence(s string) bool {
	inner, ok := strings.CutSuffix(s, ".")
	return ok && s == strings.TrimSpace(s) && !strings.Contains(inner, ". ") && !strings.HasSuffix(inner, ".") &&
		inner != "" && !strings.Contains(s, "\n")
}

func TestOneSentence(t *testing.T) {
	for s, want := range map[string]bool{
		"It matters.": true, "net.core.x is 1.5 of it.": true, "": false, ".": false, "It matters": false, "It matters. Much.": false,
		"It matters..": false, " It matters.": false, "It\nmatters.": false,
	} {
		if oneSentence(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// checkReport looks for what no report may say, whatever the host.
func checkReport(t *testing.T, host string, r *Report) {
	t.Helper()
	for _, fault := range reportFaults(r) {
		t.Errorf("%s, %s for %d: %s", host, r.Goal.Role, r.Goal.Connections, fault)
	}
}

func reportFaults(r *Report) (faults []string) {
	seen := map[string]bool{}
	for i, f := range r.Findings {
		wrong := func(what string) { faults = append(faults, fmt.Sprintf("%s (%s): %s", f.Name, f.Verdict, what)) }
		if seen[f.Name] {
			wrong("it is there twice")
		}
		seen[f.Name] = true
		if i > 0 && worse(r.Findings[i-1], f) > 0 {
			wrong("it is worse than what stands before it")
		}
		for what, is := range findingFaults(f, r.Goal) {
			if is {
				wrong(what)
			}
		}
	}
	if r.Reachable != (r.Holds >= r.Goal.Connections && len(r.Unknown) == 0) {
		faults = append(faults, "reachable, and it is not")
	}
	if r.StoppedBy != memoryName && !seen[r.StoppedBy] {
		faults = append(faults, r.StoppedBy+" stops it and is not in the table")
	}
	return faults
}

// findingFaults is what must not be of a Finding.
func findingFaults(f Finding, g Goal) map[string]bool {
	unfit := f.Verdict == Unreadable || f.Verdict == NotNeeded
	faults := map[string]bool{
		"it holds less than none":                   f.Holds < 0,
		"nothing is said about how to fix it":       f.bad() && f.Now+f.ForGood == "",
		"it has no arithmetic":                      f.bad() && f.Because == "",
		"it is to be fixed and not bad":             !f.bad() && f.Now+f.ForGood != "",
		"it has no reason":                          unfit && f.Reason == "",
		"its reason ends with a full stop":          strings.HasSuffix(f.Reason, "."),
		"it has nothing to say, and is a limit":     unfit && f.Holds != Unbounded,
		"it is unread, and to be set":               f.Verdict == Unreadable && len(f.Settings) > 0,
		"it stops the goal, and is no limit":        f.bad() && f.Blocks && f.Holds == Unbounded,
		"it only hurts, and holds fewer":            f.bad() && !f.Blocks && f.Holds < g.Connections,
		"it is good, and holds fewer":               f.Verdict == OK && f.Holds < g.Connections,
		"it is bad, and neither value nor need are": f.bad() && f.Value == "" && f.Needed == "",
	}
	for _, s := range f.Settings {
		below := strings.HasPrefix(s.Path, "/proc/sys/") && s.Path == "/"+sysctlFile(s.Key) || s.Key == "" && strings.HasPrefix(s.Path, "/sys/")
		faults[fmt.Sprintf("its setting is %+v", s)] = !below || s.Value == "" || strings.Contains(s.Value, "\n")
	}
	return faults
}

// someGoals are at the ends of what a goal may be, and of each role.
func someGoals() []Goal {
	var goals []Goal
	for _, n := range []int64{1, 100_000, 2_000_000, MaxConnections} {
		goals = append(goals, Goal{Connections: n}, Goal{Connections: n, Role: LoadGen, Sources: 8}, Goal{Connections: n, Role: Both, TLS: true, MessageRate: 1e5})
	}
	return append(goals, Goal{Connections: MaxConnections, Role: Both, MessageRate: 1e12, MessageBytes: 1 << 40, Memory: 1<<63 - 1, Sources: 1 << 31, Targets: 1 << 31})
}

// changed are files with one that is another; err, if there is one, is that of reading it.
type changed struct {
	files
	name    string
	content string
	err     error
}

func (c changed) ReadFile(name string) ([]byte, error) {
	if name == c.name {
		return []byte(c.content), c.err
	}
	return c.files.ReadFile(name)
}

// seenFiles are files that remember which were read.
type seenFiles struct {
	files
	names map[string]bool
}

func (s seenFiles) ReadFile(name string) ([]byte, error) {
	s.names[name] = true
	return s.files.ReadFile(name)
}

// Whatever a file holds, and also if it is not there, there is a report, which says of each check what the
// rules want.
func TestGarbage(t *testing.T) {
	contents := []string{"", "x", "99999999999999999999", "-1", "-99999999999999999999 1 2", "\x00\x00\x00", "1 2 3 4 5 6 7 8 9", "9223372036854775807", "0",
		"9223372036854775807 9223372036854775807 9223372036854775807", "0 0 0", "max", "0::/../../..", "\xff\xfe", strings.Repeat("A", 1<<20)}
	errs := []error{fs.ErrNotExist, fs.ErrPermission, errors.New("input/output error")}
	said := map[string]bool{} // a fault is told once, with the first file that it came of
	for host, role := range map[string]Role{"advice": Both, "container-v1": Server, "stock-debian": LoadGen} {
		h, g := recordedHost(t, host), Goal{Connections: 1_000_000, Role: role, MessageRate: 10, MessageBytes: 1000, Sources: 1, Targets: 1}
		for file, checks := range readers(h, g) {
			for _, content := range contents {
				examineChanged(t, said, h, checks, changed{files: h.files, name: file, content: content}, g)
			}
			for _, err := range errs {
				examineChanged(t, said, h, checks, changed{files: h.files, name: file, err: err}, g)
			}
		}
	}
}

// readers are the files that are read for a goal, and the checks that read them. One without is read for the
// prediction or the machine.
func readers(h *Host, g Goal) map[string][]Check {
	by := map[string][]Check{}
	for _, c := range Checks() {
		if c.Role&g.Role == 0 {
			continue
		}
		seen := seenFiles{files: h.files, names: map[string]bool{}}
		c.examine(&c, &Host{files: seen, env: h.env, page: h.page}, g)
		for name := range seen.names {
			by[name] = append(by[name], c)
		}
	}
	seen := seenFiles{files: h.files, names: map[string]bool{}}
	changed := &Host{files: seen, env: h.env, page: h.page}
	predict(changed, g)
	changed.machine()
	for name := range seen.names {
		if _, ok := by[name]; !ok {
			by[name] = nil
		}
	}
	return by
}

// examineChanged lets the checks that read a file look at it; those that do not say what they said before. The
// whole report is made of a few contents only: it takes a millisecond.
func examineChanged(t *testing.T, said map[string]bool, h *Host, checks []Check, c changed, g Goal) {
	t.Helper()
	where := fmt.Sprintf("%s with %.20q (%v)", c.name, c.content, c.err)
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("%s: panic: %v", where, v)
		}
	}()
	h = &Host{files: c, env: h.env, page: h.page}
	r := &Report{Goal: g}
	whole := c.err == nil && (c.content == "" || len(c.content) > 1<<10)
	if whole {
		var err error
		if r, err = Examine(h, g); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if n := len(text(t, r, false)); n > 200_000 {
			t.Errorf("%s: a text of %d bytes", where, n)
		}
	} else {
		r.Prediction, r.Machine = predict(h, g), h.machine()
		for _, check := range checks {
			r.Findings = append(r.Findings, check.examine(&check, h, g))
		}
		r.conclude()
		slices.SortStableFunc(r.Findings, worse)
	}
	for _, fault := range reportFaults(r) {
		if !said[fault] {
			t.Errorf("%s: %s", where, fault)
		}
		said[fault] = true
	}
}

// A setting whose file says nothing is not called good, and nothing is said to be wrong with it.
func TestUnreadIsNotGood(t *testing.T) {
	h := recordedHost(t, "tuned-host")
	for _, g := range []Goal{{Connections: 1_000_000, Role: Server}, {Connections: 1_000_000, Role: LoadGen, Sources: 64}} {
		g, err := g.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range Checks() {
			if c.setting == nil || c.Role&g.Role == 0 {
				continue
			}
			file := sysctlFile(c.setting.key)
			for name, with := range map[string]changed{
				"missing": {err: fs.ErrNotExist}, "forbidden": {err: fs.ErrPermission}, "empty": {}, "text": {content: "x\n"}, "too many": {content: "1 2 3 4 5 6\n"},
			} {
				with.files, with.name = h.files, file
				f := c.examine(&c, &Host{files: with, env: h.env, page: h.page}, g)
				if f.Verdict != Unreadable && f.Verdict != NotNeeded || f.Reason == "" {
					t.Errorf("%s of %s, %s: %s (%s)", file, g.Role, name, f.Verdict, f.Reason)
				}
			}
		}
	}
}

// A host of which nothing at all can be read is not called good.
func TestNothingReadable(t *testing.T) {
	for _, g := range someGoals() {
		r, err := Examine(hostOf(t, nil), g)
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, "no files", r)
		if r.Reachable {
			t.Errorf("%d connections are reachable on a host of which nothing is known", r.Goal.Connections)
		}
	}
}

func FuzzExamine(f *testing.F) {
	f.Add("proc/meminfo", "MemAvailable: 99999999999999 kB\n", int64(1_000_000), uint8(1), 0.0)
	f.Add("proc/self/limits", "Max open files  unlimited  20000  files\n", int64(1), uint8(3), 1e12)
	f.Add("proc/slabinfo", "TCP 1 1 99999999999 0 0 : tunables\n", int64(MaxConnections), uint8(2), 1.0)
	f.Add("proc/sys/net/ipv4/tcp_mem", "0 0 0", int64(10), uint8(1), 5.0)
	h := recordedHost(f, "advice")
	f.Fuzz(func(t *testing.T, name, content string, connections int64, role uint8, rate float64) {
		c := changed{files: h.files, name: name, content: content}
		r, err := Examine(&Host{files: c, env: h.env, page: h.page}, Goal{Connections: connections, Role: Role(role), MessageRate: rate})
		if err != nil {
			if _, bad := (Goal{Connections: connections, Role: Role(role), MessageRate: rate}).withDefaults(); bad == nil {
				t.Errorf("a good goal is refused: %v", err)
			}
			return
		}
		checkReport(t, name, r)
		text(t, r, true)
	})
}
