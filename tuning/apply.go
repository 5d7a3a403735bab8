package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// A Tuner changes this host. The zero value changes the real one. Its methods may be called from any goroutine
// and any process: one at a time works, another gets [ErrBusy].
type Tuner struct {
	// Root is the directory that is taken for /, for tests. "": /.
	Root string

	calls system // nil: the kernel's
}

// ApplyOptions say how far [Tuner.Apply] goes.
type ApplyOptions struct {
	// Persist also writes the files below /etc that make the settings last over a boot.
	Persist bool

	// DryRun changes nothing, and says what would be done.
	DryRun bool

	// PID is the process whose RLIMIT_NOFILE is raised by prlimit(2), so that what is started from it
	// has that limit. 0: the process that called this one, and if that is sudo(8) or its like, its caller.
	PID int
}

// An Outcome is what became of a [Step].
type Outcome uint8

const (
	Done    Outcome = iota
	Already         // it was so
	Would           // in a dry run
	Left            // on purpose, and Step.Why says why
	Failed          // and Step.Why says why, Step.Fix what the operator has to do
)

func (o Outcome) String() string {
	switch o {
	case Done:
		return "done"
	case Already:
		return "already"
	case Would:
		return "would"
	case Left:
		return "left"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("outcome %d", uint8(o))
}

// MarshalText writes an Outcome as its name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Step is one thing that was done, or could not be.
type Step struct {
	What    string  `json:"what"`           // as net.core.somaxconn, /etc/sysctl.d/90-dormouse.conf, RLIMIT_NOFILE of bash (412)
	From    string  `json:"from,omitempty"` // a limit is soft:hard
	To      string  `json:"to,omitempty"`   // what it is now, which the kernel may have rounded
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`
	Fix     string  `json:"fix,omitempty"`
}

// The errors of a Tuner that a caller may want to tell from others. Nothing was changed then.
var (
	ErrBusy            = errors.New("another tune apply or revert is running")
	ErrNothingToRevert = errors.New("there is nothing to revert: no tune apply has changed this host, or it has been reverted")
)

// A change is one thing that Apply means to write.
type change interface {
	// step is the change as it stands: Would, or anything else if there is nothing to do.
	step() Step

	// save puts into the state what was found and what is about to be written.
	save(s *state)

	// do writes it. s is what has been saved.
	do(t Tuner, s *state) Step
}

// A verdict that needs no writing is a change as well.
type noChange Step

func (c noChange) step() Step            { return Step(c) }
func (noChange) save(*state)             {}
func (c noChange) do(Tuner, *state) Step { return Step(c) }

// Apply makes what a Report finds wanting: the settings of every Finding whose Verdict is Raise or Set, never
// lower than they are at this moment; RLIMIT_NOFILE of a process; and with Persist the files for the next
// boot. It returns what became of each, in the order in which it was done: fs.nr_open comes before the limits
// that it bounds.
//
// What was found is saved in /var/lib/dormouse/tuning.json and synced before the first write. If that cannot
// be, nothing is changed and the error says why. A step that fails does not stop the others, and is no error.
//
// Doing it twice is doing it once. What was found first stays what Revert goes back to, unless somebody else
// has changed it in between: then that is what was found.
func (t Tuner) Apply(r *Report, o ApplyOptions) ([]Step, error) {
	if r == nil {
		return nil, errors.New("tuning: there is no report to apply")
	}
	if o.PID < 0 {
		return nil, fmt.Errorf("tuning: no process has the number %d", o.PID)
	}
	if o.DryRun {
		s, err := t.load()
		if err != nil && !errors.Is(err, fs.ErrPermission) { // a dry run is for everybody
			return nil, err
		}
		return stepsOf(t.plan(r, o, s)), nil
	}
	if t.missing(stateDir) {
		if changes := t.plan(r, o, &state{}); !anyWould(changes) {
			return stepsOf(changes), nil // for which nobody needs the right to write anything
		}
	}
	l, err := t.lock(true)
	if err != nil {
		return nil, err
	}
	defer l.release()
	s, err := t.load()
	if err != nil {
		return nil, err
	}
	changes := t.plan(r, o, s)
	if anyWould(changes) {
		if err := t.writeAhead(s, changes); err != nil {
			return nil, err
		}
	}
	steps := make([]Step, len(changes))
	for i, c := range changes {
		steps[i] = c.do(t, s)
	}
	return steps, t.settle(s)
}

// plan is everything that Apply has to do or to say, in order.
func (t Tuner) plan(r *Report, o ApplyOptions, s *state) []change {
	changes := t.planValues(r)
	changes = append(changes, t.planLimit(r.Goal, o.PID))
	if o.Persist {
		changes = append(changes, t.planFiles(r, s)...)
	}
	return changes
}

func stepsOf(changes []change) []Step {
	steps := make([]Step, len(changes))
	for i, c := range changes {
		steps[i] = c.step()
	}
	return steps
}

func anyWould(changes []change) bool {
	for _, c := range changes {
		if c.step().Outcome == Would {
			return true
		}
	}
	return false
}

// writeAhead saves what is about to be written. On an error nothing has been changed, and nothing will be.
func (t Tuner) writeAhead(s *state, changes []change) error {
	first := s.empty()
	boot := t.bootID()
	s.reboot(boot)
	s.BootID, s.Time = boot, time.Now().UTC().Truncate(time.Second)
	for _, c := range changes {
		if c.step().Outcome == Would {
			c.save(s)
		}
	}
	err := t.store(s)
	if err == nil {
		return nil
	}
	if first {
		t.forget() // if it cannot be removed either, it says of nothing that it was changed
	}
	why, fix := explain(err, stateFile)
	if fix != "" {
		why += ": " + fix
	}
	return fmt.Errorf("nothing was changed, as what was found could not be saved for revert in %s: %s (%w)", stateFile, why, err)
}

// settle ends an Apply: what is as it was found is forgotten, the rest is confirmed. An error leaves the state
// that was written ahead, which Revert can use.
func (t Tuner) settle(s *state) error {
	before := s.clone()
	s.confirm(t)
	switch {
	case s.empty():
		return t.forget()
	case s.equal(before):
		return nil
	}
	if err := t.store(s); err != nil {
		return fmt.Errorf("%s could not be brought up to date, but revert can use it as it is: %w", stateFile, err)
	}
	return nil
}

// confirm compares a state with the host after an Apply: what is as it was found is forgotten, and what the
// kernel made of a value is known.
func (s *state) confirm(t Tuner) {
	s.Values = slices.DeleteFunc(s.Values, func(v savedValue) bool {
		now, err := t.get(v.Path)
		return err == nil && same(v.Path, now, v.Found) || errors.Is(err, fs.ErrNotExist)
	})
	for i := range s.Values {
		v := &s.Values[i]
		if now, err := t.get(v.Path); err == nil && v.Pending {
			if v.isOurs(now) {
				v.Ours = latest(v.Ours, now)
			}
			v.Pending = false
		}
	}
	s.Limits = slices.DeleteFunc(s.Limits, func(l savedLimit) bool {
		p, err := t.task(l.PID)
		if err != nil || p.start != l.Start {
			return err == nil || errors.Is(err, fs.ErrNotExist)
		}
		now, err := t.sys().prlimit(l.PID, nil)
		return err == nil && now == l.Found
	})
	s.Files = slices.DeleteFunc(s.Files, func(f savedFile) bool {
		now, existed, err := t.fragment(f.Path)
		return err == nil && existed == f.Existed && string(now) == string(f.Found) && !t.left(f.Path)
	})
	s.Dirs = slices.DeleteFunc(s.Dirs, func(d string) bool { return t.missing(d) })
}

// at is where an absolute name lies below the Root.
func (t Tuner) at(name string) string { return filepath.Join("/", t.Root, name) }

// sys is how the host is changed.
func (t Tuner) sys() system {
	if t.calls == nil {
		return kernel{}
	}
	return t.calls
}

// host is what can be read below the Root.
func (t Tuner) host() *Host {
	h := ThisHost()
	h.files = tree(t.at("/"))
	return h
}
