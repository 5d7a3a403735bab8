package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Revert puts back what Apply found, the last first, and returns what became of each. A value that is neither
// what Apply wrote nor what it found is somebody else's by now: it is left, and named. What could not be put
// back stays in the state, so that Revert can be asked again; when nothing is left, the state is removed.
//
// A boot in between changes nothing: what a file brought back at boot is ours, and what is as it was found
// needs nothing.
func (t Tuner) Revert(dryRun bool) ([]Step, error) {
	if dryRun {
		s, err := t.load()
		if err != nil {
			return nil, err
		}
		if s.empty() {
			return nil, ErrNothingToRevert
		}
		return t.undo(s, true), nil
	}
	l, err := t.lock(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNothingToRevert
	}
	if err != nil {
		return nil, err
	}
	defer l.release()
	s, err := t.load()
	if err != nil {
		return nil, err
	}
	if s.empty() {
		return nil, errors.Join(ErrNothingToRevert, t.forget())
	}
	before := s.clone()
	steps := t.undo(s, false)
	switch {
	case s.empty():
		err = t.forget()
	case !s.equal(before):
		err = t.store(s)
	}
	return steps, err
}

// undo puts back every entry of a state, and takes out of it what is done with.
func (t Tuner) undo(s *state, dry bool) []Step {
	s.reboot(t.bootID())
	var steps []Step
	tell := func(step Step) bool {
		if dry && step.Outcome == Done {
			step.Outcome = Would
		}
		steps = append(steps, step)
		return step.Outcome < Left
	}
	s.Files = backwards(s.Files, func(f savedFile) bool { return tell(t.undoFile(f, dry)) })
	s.Dirs = backwards(s.Dirs, func(d string) bool { return t.undoDir(d, dry) })
	s.Limits = backwards(s.Limits, func(l savedLimit) bool { return tell(t.undoLimit(l, dry)) })
	s.Values = backwards(s.Values, func(v savedValue) bool {
		if s.file(limitsConf) != nil && v.Path == nrOpenFile {
			if step, held := t.holdForLogins(v); held {
				return tell(step)
			}
		}
		return tell(t.undoValue(v, dry))
	})
	return steps
}

// backwards calls done for each element from the last to the first, and returns those for which it is false.
func backwards[E any](all []E, done func(E) bool) []E {
	var rest []E
	for _, e := range slices.Backward(all) {
		if !done(e) {
			rest = append(rest, e)
		}
	}
	slices.Reverse(rest)
	return rest
}

// nameOf is a file of the kernel as people call it.
func nameOf(name string) string {
	if key, ok := strings.CutPrefix(name, "/proc/sys/"); ok && !strings.Contains(key, ".") {
		return strings.ReplaceAll(key, "/", ".")
	}
	return name
}

func (t Tuner) undoValue(v savedValue, dry bool) Step {
	step := Step{What: nameOf(v.Path), To: orEmpty(v.Found)}
	now, err := t.get(v.Path)
	if err == nil {
		step.From = orEmpty(now)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		step.Outcome, step.Why = Already, "it is gone, with what was set"
		return step
	case err != nil:
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, v.Path)
		return step
	case same(v.Path, now, v.Found):
		step.Outcome = Already
		return step
	case !v.isOurs(now):
		step.Outcome, step.To = Left, ""
		step.Why = "it was changed by somebody else since, to " + orEmpty(now) + "; tune apply found " + orEmpty(v.Found)
		step.Fix = fmt.Sprintf("if it is to be %s again: echo %[1]s > %s", v.Found, v.Path)
		return step
	case dry:
		return step
	}
	became, err := t.set(v.Path, v.Found)
	switch {
	case err != nil:
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, v.Path)
	case !same(v.Path, became, v.Found):
		step.Outcome, step.To = Failed, orEmpty(became)
		step.Why = "the kernel took " + v.Found + " without an error, and it is " + became
	}
	return step
}

func (t Tuner) undoLimit(l savedLimit, dry bool) Step {
	step := Step{What: fmt.Sprintf("RLIMIT_NOFILE of %s (%d)", clip(l.Command), l.PID), To: l.Found.String()}
	p, err := t.task(l.PID)
	now := rlimit{}
	if err == nil && p.start == l.Start {
		now, err = t.sys().prlimit(l.PID, nil)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH), err == nil && p.start != l.Start:
		step.Outcome, step.To, step.Why = Already, "", "it has ended; what it started keeps its limits"
		return step
	case err != nil:
		step.Outcome, step.Why, step.Fix = Failed, limitUnknown(err), "do it as root"
		return step
	}
	switch step.From = now.String(); {
	case now == l.Found:
		step.Outcome = Already
		return step
	case !slices.Contains(l.Ours, now):
		step.Outcome, step.To = Left, ""
		step.Why = "it was changed by somebody else since, to " + now.String() + "; tune apply found " + l.Found.String()
		step.Fix = fmt.Sprintf("if it is to be so again: prlimit --pid %d --nofile=%s", l.PID, l.Found)
		return step
	case dry:
		return step
	}
	if _, err := t.sys().prlimit(l.PID, &l.Found); err != nil {
		step.Outcome, step.Why, step.Fix = Failed, limitUnknown(err), "do it as root"
		return step
	}
	step.Why = "what it has started since keeps its limits"
	return step
}

func (t Tuner) undoFile(f savedFile, dry bool) Step {
	step := Step{What: f.Path}
	now, exists, err := t.fragment(f.Path)
	if _, why := t.missingDir(f.Path); err == nil && why != "" && exists {
		err = errors.New(why)
	}
	if err == nil && !dry {
		err = t.discard(tempOf(t.at(f.Path)))
	}
	switch {
	case errors.Is(err, unix.ELOOP):
		step.Outcome, step.Why = Left, "it was replaced by a symbolic link since"
		step.Fix = "remove the link and revert again"
		return step
	case err != nil:
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, f.Path)
		return step
	case f.asFound(now, exists):
		step.Outcome = Already
		return step
	case !f.isOurs(now, exists):
		step.Outcome, step.Why = Left, "it was changed by somebody else since"
		step.Fix = "take out by hand what is not wanted, or remove it and revert again"
		if !exists {
			step.Why = "it was removed by somebody else since"
			step.Fix = "what was there before is in " + stateFile + ", in base64"
		}
		return step
	case dry:
		return step
	case f.Existed:
		err = t.replace(f.Path, f.Found, f.Mode)
	default:
		if err = t.discard(t.at(f.Path)); err == nil {
			err = t.sys().sync(t.at(path.Dir(f.Path)))
		}
	}
	if err != nil {
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, f.Path)
		return step
	}
	if f.Path == dropIn {
		step.Why = "it is in force until systemctl daemon-reload"
	}
	return step
}

// undoDir removes a directory that was made, if nothing is in it. It is not worth a step.
func (t Tuner) undoDir(d string, dry bool) bool {
	if dry || t.missing(d) {
		return true
	}
	if names, err := t.host().files.ReadDir(strings.TrimPrefix(d, "/")); err != nil || len(names) > 0 {
		return err == nil && !t.ours(d) // somebody else uses it
	}
	return t.sys().remove(t.at(d)) == nil && t.sys().sync(t.at(path.Dir(d))) == nil
}

// ours reports whether a directory still has a file that Apply wrote.
func (t Tuner) ours(dir string) bool {
	return slices.ContainsFunc(ourFiles(), func(f string) bool { return path.Dir(f) == dir && !t.missing(f) })
}
