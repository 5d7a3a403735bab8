package tuning

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A state is what a Tuner found, and what it made of it. It is on the disk before anything is written, so an
// entry says what may have been done, not what was: Revert looks.
type state struct {
	Version int       `json:"version"`
	BootID  string    `json:"bootID"` // of the last Apply: /proc/sys/kernel/random/boot_id
	Time    time.Time `json:"time"`   // likewise

	// In the order in which they were written. Revert goes backwards.
	Values []savedValue `json:"values,omitempty"`
	Limits []savedLimit `json:"limits,omitempty"`
	Dirs   []string     `json:"dirs,omitempty"` // that were made
	Files  []savedFile  `json:"files,omitempty"`
}

// A savedValue is a file of the kernel.
type savedValue struct {
	Path  string   `json:"path"`
	Found string   `json:"found"`
	Ours  []string `json:"ours"` // what was written and what the kernel made of it, the latest last

	// Pending says that nobody has looked yet what the kernel made of the last of Ours.
	Pending bool `json:"pending,omitempty"`
}

// A savedLimit is the RLIMIT_NOFILE of a process. A process has one number and start time in a boot.
type savedLimit struct {
	PID     int      `json:"pid"`
	Start   uint64   `json:"start"` // in ticks since the boot: proc(5), /proc/pid/stat
	Command string   `json:"command"`
	Found   rlimit   `json:"found"`
	Ours    []rlimit `json:"ours"`
}

// A rlimit is a soft and a hard limit, as of getrlimit(2).
type rlimit struct {
	Soft uint64 `json:"soft"`
	Hard uint64 `json:"hard"`
}

// A savedFile is a file below /etc.
type savedFile struct {
	Path    string      `json:"path"`
	Existed bool        `json:"existed,omitempty"`
	Mode    fs.FileMode `json:"mode,omitempty"`  // if it existed
	Found   []byte      `json:"found,omitempty"` // likewise
	Ours    []string    `json:"ours"`            // SHA-256 of what was written, in hexadecimal, the latest last
}

const (
	stateVersion = 1
	stateBytes   = 8 << 20 // five files of fileBytes as base64, and the rest
	mostOurs     = 32      // of the goals that a host is tuned for one after the other; the oldest is forgotten
	mostEntries  = 1 << 14 // of queues of interfaces, the most numerous; a host has some hundreds
)

func (s *state) empty() bool {
	return len(s.Values)+len(s.Limits)+len(s.Files)+len(s.Dirs) == 0
}

func (s *state) clone() *state {
	c := *s
	c.Values, c.Limits = slices.Clone(s.Values), slices.Clone(s.Limits)
	c.Files, c.Dirs = slices.Clone(s.Files), slices.Clone(s.Dirs)
	return &c
}

func (s *state) equal(other *state) bool { return reflect.DeepEqual(s, other) }

// reboot forgets what ended with the boot before: processes, and that a write was pending.
func (s *state) reboot(boot string) {
	if s.BootID == boot {
		return
	}
	s.Limits = nil
	for i := range s.Values {
		s.Values[i].Pending = false
	}
}

func (s *state) value(name string) *savedValue {
	return entry(s.Values, func(v *savedValue) bool { return v.Path == name })
}

func (s *state) limit(p task) *savedLimit {
	return entry(s.Limits, func(l *savedLimit) bool { return l.PID == p.pid && l.Start == p.start })
}

func (s *state) file(name string) *savedFile {
	return entry(s.Files, func(f *savedFile) bool { return f.Path == name })
}

// entry returns the element that is, nil if none is.
func entry[E any](all []E, is func(*E) bool) *E {
	for i := range all {
		if is(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// latest puts v at the end of what was written.
func latest[E comparable](ours []E, v E) []E {
	ours = slices.DeleteFunc(slices.Clone(ours), func(o E) bool { return o == v })
	ours = append(ours, v)
	return ours[max(0, len(ours)-mostOurs):]
}

// load reads the state; an empty one if there is none. It never changes anything.
func (t Tuner) load() (*state, error) {
	info, err := os.Lstat(t.at(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return &state{Version: stateVersion}, nil
	}
	var data []byte
	if err == nil {
		if !info.Mode().IsRegular() || !ownedSafely(info) || info.Size() > stateBytes {
			return nil, fmt.Errorf("%s is %s (%s, %d bytes) that was not written by tune apply, or others can write to it: "+
				"nothing was changed. Move it away", stateFile, kindOf(info), info.Mode(), info.Size())
		}
		data, err = os.ReadFile(t.at(stateFile))
	}
	if err != nil {
		return nil, notChanged(err, stateFile)
	}
	s, err := parseState(data)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be understood (%w): nothing was changed. It has what tune apply found on this "+
			"host. If you know those values or need them no more, move the file away and ask again", stateFile, err)
	}
	return s, nil
}

// store writes the state.
func (t Tuner) store(s *state) error {
	data, err := s.encode()
	if err != nil {
		return err
	}
	return t.replace(stateFile, data, 0o600)
}

// encode writes a state as it is read again. One that would be refused then is refused now.
func (s *state) encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	if _, err := parseState(data); err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// forget removes the state, when nothing is left to revert, the lock with it, and the directory if it is empty.
// Whoever waits for the lock finds that it is not the one any more that lies there.
func (t Tuner) forget() error {
	err := errors.Join(t.discard(t.at(stateFile)), t.discard(tempOf(t.at(stateFile))))
	if err == nil {
		err = t.sys().sync(t.at(stateDir))
	}
	if err != nil {
		return fmt.Errorf("%s could not be removed, though it has nothing to revert any more: %w", stateFile, err)
	}
	// These two are for tidiness alone.
	if t.discard(t.at(lockFile)) == nil {
		_ = t.sys().remove(t.at(stateDir))
	}
	return nil
}

// bootID is "" where it cannot be read, as on no Linux.
func (t Tuner) bootID() string {
	s, _ := t.host().text("proc/sys/kernel/random/boot_id")
	return clip(s)
}

// parseState reads a state. Whatever it returns names no file but those that a Setting and Apply may write,
// each once, and holds nothing for them but what such a file can hold: the state is root's alone, but a
// Revert must not be a way to write anywhere else.
func parseState(data []byte) (*state, error) {
	if len(data) > stateBytes {
		return nil, fmt.Errorf("it has more than %d bytes", stateBytes)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	s := &state{}
	if err := d.Decode(s); err != nil {
		return nil, err
	}
	if rest := strings.TrimSpace(string(data[d.InputOffset():])); rest != "" {
		return nil, fmt.Errorf("%q comes after its end", clip(rest))
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("it is of version %d, and this program knows version %d", s.Version, stateVersion)
	}
	return s, s.check()
}

func (s *state) check() error {
	if len(s.Values)+len(s.Limits)+len(s.Files)+len(s.Dirs) > mostEntries {
		return fmt.Errorf("it has more than %d entries", mostEntries)
	}
	seen := map[string]bool{}
	once := func(name string) error {
		if seen[name] {
			return fmt.Errorf("it has %q twice", name)
		}
		seen[name] = true
		return nil
	}
	var err error
	for _, v := range s.Values {
		err = errors.Join(err, once(v.Path), v.check())
	}
	for _, l := range s.Limits {
		err = errors.Join(err, once(fmt.Sprintf("process %d", l.PID)), l.check())
	}
	for _, f := range s.Files {
		err = errors.Join(err, once(f.Path), f.check())
	}
	for _, d := range s.Dirs {
		err = errors.Join(err, once(d))
		if !slices.ContainsFunc(ourFiles(), func(f string) bool { return path.Dir(f) == d }) {
			err = errors.Join(err, fmt.Errorf("%q is no directory that tune apply makes", clip(d)))
		}
	}
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err
}

func (v *savedValue) check() error {
	if !settable(v.Path) {
		return fmt.Errorf("%q is no file that tune apply writes", clip(v.Path))
	}
	for _, content := range append([]string{v.Found}, v.Ours...) {
		if !writable(v.Path, content) {
			return fmt.Errorf("%q is no value of %s", clip(content), v.Path)
		}
	}
	if len(v.Ours) == 0 || len(v.Ours) > mostOurs {
		return fmt.Errorf("%s has %d values of ours", v.Path, len(v.Ours))
	}
	return nil
}

func (l *savedLimit) check() error {
	for _, r := range append([]rlimit{l.Found}, l.Ours...) {
		if r.Soft > r.Hard {
			return fmt.Errorf("the limits of process %d are %s", l.PID, r)
		}
	}
	if l.PID < 1 || len(l.Ours) == 0 || len(l.Ours) > mostOurs {
		return fmt.Errorf("process %d has %d limits of ours", l.PID, len(l.Ours))
	}
	return nil
}

func (f *savedFile) check() error {
	switch {
	case !slices.Contains(ourFiles(), f.Path):
		return fmt.Errorf("%q is no file that tune apply writes", clip(f.Path))
	case f.Mode&^fs.ModePerm != 0, len(f.Found) > fileBytes, !f.Existed && (len(f.Found) > 0 || f.Mode != 0):
		return fmt.Errorf("%s cannot have been as it says", f.Path)
	case len(f.Ours) == 0 || len(f.Ours) > mostOurs:
		return fmt.Errorf("%s has %d contents of ours", f.Path, len(f.Ours))
	}
	return nil
}
