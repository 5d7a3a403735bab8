package tuning

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// settable reports whether a file may be named by a Setting. It is a list of what there is, not of what is
// forbidden: below /proc/sys/kernel and /proc/sys/fs lie files by which whoever writes them runs programs as
// root (core_pattern, modprobe, binfmt_misc).
func settable(name string) bool {
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._:@-", c)) {
			return false
		}
	}
	if path.Clean(name) != name {
		return false
	}
	for _, pattern := range []string{
		"/proc/sys/vm/*", "/proc/sys/fs/*", "/proc/sys/fs/epoll/*", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max",
		"/sys/kernel/mm/transparent_hugepage/*", "/sys/kernel/mm/transparent_hugepage/khugepaged/*",
		"/sys/class/net/*/queues/*/*", "/sys/devices/system/clocksource/*/current_clocksource",
	} {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return strings.HasPrefix(name, "/proc/sys/net/")
}

// writable reports whether content, as [content] returns it, can be that of a settable file: numbers for the
// settings of sysctl(8), and words and masks below /sys.
func writable(name, content string) bool {
	const most = 4096 // as the kernel allows for a write to most of them
	for _, c := range content {
		number := c >= '0' && c <= '9' || c == '-' || c == ',' || c == ' '
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '+'
		if !number && (!word || strings.HasPrefix(name, "/proc/")) {
			return false
		}
	}
	return len(content) <= most && content == strings.Join(strings.Fields(content), " ")
}

// content returns what a file of the kernel says as one would write it: with one space between its words, and
// of the words on offer below /sys, as in "always [madvise] never", the one that is chosen.
func content(name, text string) string {
	fields := strings.Fields(text)
	for _, f := range fields {
		if inner, ok := strings.CutPrefix(f, "["); ok && strings.HasSuffix(inner, "]") && strings.HasPrefix(name, "/sys/") {
			return strings.TrimSuffix(inner, "]")
		}
	}
	return strings.Join(fields, " ")
}

// same reports whether two contents mean the same. Masks of processors are printed with zeros in front and a
// comma between words of 32 bits, however they were written (bitmap_print_to_pagebuf).
func same(name, a, b string) bool {
	if among(path.Base(name), masks()...) {
		a, b = mask(a), mask(b)
	}
	return a == b
}

func mask(s string) string {
	return strings.ToLower(strings.TrimLeft(strings.ReplaceAll(s, ",", ""), "0"))
}

// get reads a file of the kernel.
func (t Tuner) get(name string) (string, error) {
	data, err := t.sys().read(t.at(name))
	if err != nil {
		return "", err
	}
	c := content(name, string(data))
	if !writable(name, c) {
		return "", &GarbageError{Path: name, Content: clip(c)}
	}
	return c, nil
}

// set writes one, and returns what the kernel made of it, also after an error: of numbers in a row it may have
// taken the first.
func (t Tuner) set(name, value string) (became string, err error) {
	err = t.sys().write(t.at(name), []byte(value+"\n"))
	became, unread := t.get(name)
	return became, cmp.Or(err, unread)
}

// isOurs reports whether a value is one that was written here, or that the kernel made of one.
func (v *savedValue) isOurs(now string) bool {
	for _, o := range v.Ours {
		if same(v.Path, o, now) {
			return true
		}
	}
	return v.Pending && rounded(v.Found, v.Ours[len(v.Ours)-1], now)
}

// rounded reports whether now can be what the kernel made of a value that was written over another: it took
// some numbers of a row, cut them, or rounded them up (roundup_pow_of_two of net.core.rps_sock_flow_entries,
// the pages of nf_conntrack_buckets). It is asked only for the moment between a write and the look after it,
// in which the process was killed.
func rounded(found, wrote, now string) bool {
	f, w, n := strings.Fields(found), strings.Fields(wrote), strings.Fields(now)
	if len(f) != len(w) || len(n) != len(w) {
		return false
	}
	for i := range n {
		var v [3]int64
		for j, s := range []string{f[i], w[i], n[i]} {
			var err error
			if v[j], err = strconv.ParseInt(s, 10, 64); err != nil {
				return false
			}
		}
		if v[2] < min(v[0], v[1]) || v[2]/2 > max(v[0], v[1]) {
			return false
		}
	}
	return true
}

// A valueChange is a file of the kernel that is to hold something else.
type valueChange struct {
	Step
	path, found, want string
	now               string // a command that does the same
}

func (c *valueChange) step() Step { return c.Step }

// planValues has a change for each Setting of a Report.
func (t Tuner) planValues(r *Report) []change {
	var changes []change
	for _, w := range settingsOf(r) {
		changes = append(changes, t.planValue(w))
	}
	return changes
}

func (t Tuner) planValue(w wanted) change {
	step := Step{What: w.name, To: w.Value}
	if !settable(w.Path) || !writable(w.Path, w.Value) {
		step.Outcome, step.Why = Failed, fmt.Sprintf("%s is not among the files that apply and revert may write, or %q is no value of it", w.Path, clip(w.Value))
		return noChange(step)
	}
	now, err := t.get(w.Path)
	if err != nil {
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, w.Path)
		return noChange(step)
	}
	want := w.merged(now)
	step.From, step.To = orEmpty(now), orEmpty(want)
	if want == now || !w.bad {
		step.Outcome, step.To = Already, orEmpty(now)
		return noChange(step)
	}
	step.Outcome = Would
	c := &valueChange{Step: step, path: w.Path, found: now, want: want}
	if w.Key != "" {
		c.now = sysctlNow(w.Key, c.want)
	} else {
		c.now = fmt.Sprintf("echo %s > %s", c.want, w.Path)
	}
	return c
}

// orEmpty is a value as people see it.
func orEmpty(value string) string { return cmp.Or(value, "(empty)") }

func (c *valueChange) save(s *state) {
	v := s.value(c.path)
	if v == nil {
		s.Values = append(s.Values, savedValue{Path: c.path, Found: c.found})
		v = &s.Values[len(s.Values)-1]
	}
	if len(v.Ours) > 0 && !v.isOurs(c.found) {
		v.Found, v.Ours = c.found, nil // somebody else has been there since
	}
	v.Ours, v.Pending = latest(v.Ours, c.want), true
}

func (c *valueChange) do(t Tuner, s *state) Step {
	step := c.Step
	became, err := t.set(c.path, c.want)
	v := s.value(c.path)
	if became != "" && !same(c.path, became, c.found) {
		v.Ours = latest(v.Ours, became)
	}
	switch {
	case err != nil:
		step.Outcome = Failed
		step.Why, step.Fix = explain(err, c.path)
		if became != "" && !same(c.path, became, c.found) {
			step.To, step.Why = orEmpty(became), step.Why+"; it took a part, and is "+became+" now"
		}
		if !errors.Is(err, unix.EINVAL) {
			step.Fix = cmp.Or(step.Fix, "do it by hand") + ": " + c.now
		}
	case same(c.path, became, c.want):
		step.Outcome = Done
	case same(c.path, became, c.found):
		step.Outcome, step.To = Failed, orEmpty(became)
		step.Why = "the kernel took " + c.want + " without an error, and it is " + became + " as before"
		step.Fix = "set it on the host, if this is a container: " + c.now
	default:
		step.Outcome, step.To = Done, orEmpty(became)
		step.Why = "the kernel made " + became + " of " + c.want
	}
	return step
}
