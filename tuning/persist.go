package tuning

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tmpfilesConf is our file of tmpfiles.d(5).
const tmpfilesConf = "/etc/tmpfiles.d/90-dormouse.conf"

// ourFiles returns them in the order in which they are written.
func ourFiles() []string { return []string{sysctlConf, limitsConf, dropIn, tmpfilesConf, modulesConf} }

// A fileChange is a file below /etc that is to have another content.
type fileChange struct {
	Step
	path, text string
	makeDir    bool
	existed    bool
	found      []byte
	mode       fs.FileMode

	nofile  int64       // the most that it lets a login have; 0: it is not limits.d(5)
	sysctls *fileChange // which for this has to be there first; nil: nothing has
}

func (c *fileChange) step() Step { return c.Step }

// planFiles has a change for each file, and says which settings another file would undo at the next boot.
func (t Tuner) planFiles(r *Report, s *state) []change {
	all := t.withWritten(settingsOf(r))
	text, lines := t.persistedText(r.Goal, all, s)
	sysctls, changes := change(noChange{Outcome: Already}), []change(nil)
	if len(lines) > 0 || !t.missing(sysctlConf) {
		sysctls = t.planFile(sysctlConf, text, s)
		changes = append(changes, sysctls)
	}
	later := t.laterSysctls()
	nrOpen := t.nrOpenAtBoot()
	for _, l := range lines {
		c, overruled := later.overrules(l)
		if overruled {
			changes = append(changes, c)
		}
		if v, err := strconv.ParseInt(l.Value, 10, 64); err == nil && !overruled && l.Path == nrOpenFile {
			nrOpen = v
		}
	}
	fragments, err := Fragments(r.Goal)
	if err != nil {
		return append(changes, noChange{What: limitsConf, Outcome: Failed, Why: err.Error()})
	}
	for _, f := range fragments {
		if !among(f.Path, limitsConf, dropIn) {
			continue
		}
		c := t.planFile(f.Path, f.Text, s)
		if f.Path == limitsConf {
			c = guardLogins(c, sysctls, nrOpen)
		}
		changes = append(changes, keepHigher(c))
	}
	if text := t.tmpfilesText(all, s); text != "" {
		changes = append(changes, t.planFile(tmpfilesConf, text, s))
	}
	if text := t.modulesText(lines); text != "" {
		changes = append(changes, t.planFile(modulesConf, text, s))
	}
	return changes
}

// nrOpenAtBoot is fs.nr_open after the next boot where our file does not have it.
func (t Tuner) nrOpenAtBoot() int64 {
	value, _ := t.bootFiles().last(nrOpenFile)
	if v, err := strconv.ParseInt(value, 10, 64); err == nil {
		return v
	}
	return nrOpenDefault
}

// planFile is a fileChange, or what there is to say instead.
func (t Tuner) planFile(name, text string, s *state) change {
	step := Step{What: name, Outcome: Left}
	c := &fileChange{path: name, text: text}
	if c.makeDir, step.Why = t.missingDir(name); step.Why != "" {
		return noChange(step)
	}
	info, err := os.Lstat(t.at(name))
	if err == nil && !info.Mode().IsRegular() {
		step.Why = "it is " + kindOf(info) + ", which somebody has put there on purpose"
		step.Fix = "remove it, or merge by hand what tune print writes"
		return noChange(step)
	}
	if c.found, c.existed, err = t.fragment(name); err != nil {
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, name)
		return noChange(step)
	}
	if c.existed {
		c.mode = info.Mode().Perm()
	}
	saved := s.file(name)
	switch {
	case c.existed && string(c.found) == text:
		step.Outcome = Already
		return noChange(step)
	case saved != nil && !saved.isOurs(c.found, c.existed) && !saved.asFound(c.found, c.existed):
		step.Why = "it was changed or removed by somebody else since tune apply wrote it"
		step.Fix = "merge by hand what tune print writes, or dormouse tune revert first"
		return noChange(step)
	}
	step.Outcome = Would
	c.Step = step
	return c
}

// missingDir reports whether the directory of a file is to be made, or says why the file is not written. It
// goes from /etc down and follows no symbolic link: what lies behind one is not this host's to set up.
func (t Tuner) missingDir(name string) (missing bool, why string) {
	dir := path.Dir(name)
	if name == tmpfilesConf || name == modulesConf {
		if info, err := os.Stat(t.at("/etc/systemd")); err != nil || !info.IsDir() {
			return false, "there is no /etc/systemd, so no systemd to read it at boot"
		}
	}
	at := ""
	for _, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		at += "/" + part
		info, err := os.Lstat(t.at(at))
		switch {
		case errors.Is(err, fs.ErrNotExist) && at == dir:
			return true, ""
		case errors.Is(err, fs.ErrNotExist):
			return false, "there is no " + at + " on this host, so nothing that reads it"
		case err != nil:
			return false, err.Error()
		case !info.IsDir():
			return false, at + " is " + kindOf(info) + ", and is not followed"
		}
	}
	return false, ""
}

// fragment reads one of our files; not there is no error.
func (t Tuner) fragment(name string) (data []byte, existed bool, err error) {
	data, err = t.sys().read(t.at(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (t Tuner) missing(name string) bool {
	_, err := os.Lstat(t.at(name))
	return errors.Is(err, fs.ErrNotExist)
}

// left reports whether a killed or failed Apply has left the file that was to take a name.
func (t Tuner) left(name string) bool { return !t.missing(tempOf(name)) }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (f *savedFile) isOurs(now []byte, exists bool) bool {
	return exists && slices.Contains(f.Ours, digest(now))
}

func (f *savedFile) asFound(now []byte, exists bool) bool {
	return exists == f.Existed && string(now) == string(f.Found)
}

// keepHigher leaves a file alone that allows more already, as of a larger goal before.
func keepHigher(c change) change {
	f, ok := c.(*fileChange)
	if !ok || !f.existed {
		return c
	}
	least, most := nofileOf(string(f.found))
	if wantLeast, wantMost := nofileOf(f.text); least < wantLeast || most <= wantMost {
		return c
	}
	step := f.Step
	step.Outcome, step.Why = Already, fmt.Sprintf("it allows %d already", most)
	return noChange(step)
}

// nofileOf returns the least and the most descriptors that a file of limits.d(5) or a unit allows; 0 and 0 if
// there is none.
func nofileOf(text string) (least, most int64) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(strings.Replace(line, "LimitNOFILE=", " - nofile ", 1))
		i := slices.Index(fields, "nofile")
		if i < 1 || i+1 >= len(fields) {
			continue
		}
		for part := range strings.SplitSeq(fields[i+1], ":") {
			v, err := strconv.ParseInt(part, 10, 64)
			if err != nil || v < 0 {
				v = Unbounded // unlimited, infinity, -1
			}
			if least == 0 || v < least {
				least = v
			}
			most = max(most, v)
		}
	}
	return least, most
}

func (c *fileChange) save(s *state) {
	if dir := path.Dir(c.path); c.makeDir && !slices.Contains(s.Dirs, dir) {
		s.Dirs = append(s.Dirs, dir)
	}
	f := s.file(c.path)
	if f == nil {
		s.Files = append(s.Files, savedFile{Path: c.path, Existed: c.existed, Mode: c.mode, Found: c.found})
		f = &s.Files[len(s.Files)-1]
	}
	f.Ours = latest(f.Ours, digest([]byte(c.text)))
}

func (c *fileChange) do(t Tuner, s *state) Step {
	step := c.Step
	if why := c.refuse(t); why != "" {
		step.Outcome, step.Why = Left, why
		step.Fix = fmt.Sprintf("once fs.nr_open is %d or more, now and at boot, dormouse tune apply --persist again", c.nofile)
		return step
	}
	var err error
	if dir := path.Dir(c.path); c.makeDir && t.missing(dir) {
		if err = t.sys().mkdir(t.at(dir), 0o755); err == nil {
			err = t.sys().sync(t.at(path.Dir(dir)))
		}
	}
	if err == nil {
		err = t.replace(c.path, []byte(c.text), 0o644)
	}
	if err != nil {
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, c.path)
		step.Fix = cmp.Or(step.Fix, "write it by hand; tune print has the text")
		return step
	}
	step.Outcome = Done
	switch c.path {
	case limitsConf:
		step.Why = "it is for logins from now on, not for services"
	case dropIn:
		step.Why = "it is for the next start of dormouse.service, after systemctl daemon-reload"
	}
	return step
}
