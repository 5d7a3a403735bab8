package tuning

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// persistedText is our file of sysctl.d(5): every Setting of sysctl(8) that would not last without it, merged with
// what is there now and with what the file says already, and its lines as Settings. An optional one begins with "-":
// it may be missing at boot, as those of a module.
func (t Tuner) persistedText(g Goal, all []wanted, s *state) (string, []wanted) {
	optional := map[string]bool{}
	for _, c := range Checks() {
		if c.setting != nil && c.setting.optional {
			optional[c.setting.key] = true
		}
	}
	before := map[string]string{}
	if text, _, err := t.fragment(sysctlConf); err == nil {
		for _, l := range parseSysctls(string(text)) {
			before[l.path] = l.value
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by dormouse tune apply --persist, for %d connections (%s).\n", g.Connections, g.Role)
	b.WriteString("# Nothing here was lower than what the host had. dormouse tune revert takes it back.\n")
	b.WriteString("# What is enough at boot without a line has none.\n")
	var lines []wanted
	for _, w := range all {
		if w.Key == "" || !settable(w.Path) {
			continue
		}
		if now, err := t.get(w.Path); err == nil {
			w.Value = w.merged(now)
		}
		v, written := before[w.Path]
		if written && writable(w.Path, v) {
			w.Value = w.merged(v)
		} else if t.lasts(w, s) {
			continue
		}
		if !writable(w.Path, w.Value) {
			continue
		}
		b.WriteString("\n" + comment(w.why))
		if optional[w.Key] {
			b.WriteString("-")
		}
		fmt.Fprintf(&b, "%s = %s\n", w.Key, w.Value)
		lines = append(lines, w)
	}
	return b.String(), lines
}

// tmpfilesText is our file of tmpfiles.d(5), for what sysctl.d(5) cannot set; "" if there is nothing.
func (t Tuner) tmpfilesText(all []wanted, s *state) string {
	var b strings.Builder
	before, _, _ := t.fragment(tmpfilesConf)
	ours := parseTmpfiles(string(before))
	for _, w := range all {
		if w.Key != "" || !strings.HasPrefix(w.Path, "/sys/") || !settable(w.Path) || !writable(w.Path, w.Value) {
			continue
		}
		written := slices.ContainsFunc(ours, func(o Setting) bool { return o.Path == w.Path })
		if !written && t.lasts(w, s) {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("# Written by dormouse tune apply --persist. dormouse tune revert takes it back.\n" +
				"# An interface that comes after systemd-tmpfiles-setup.service is missed: check again after a boot.\n")
		}
		fmt.Fprintf(&b, "\n%sw %s - - - - %s\n", comment(w.why), w.Path, w.Value)
	}
	return b.String()
}

// comment writes a sentence as lines that begin with #.
func comment(text string) string {
	const width = 78
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	if line != "#" {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// A sysctlLine is an assignment in a file of sysctl.d(5).
type sysctlLine struct {
	path  string // /proc/sys/...; may be a pattern
	value string // one space between words
}

// parseSysctls reads a file of sysctl.d(5). What is no assignment is left out.
func parseSysctls(text string) []sysctlLine {
	var lines []sysctlLine
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(strings.TrimPrefix(key, "-"))
		if !ok || key == "" {
			continue
		}
		// If the first separator is a dot, dots and slashes change places; the rest stands as it is.
		if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
			key = strings.Map(func(r rune) rune {
				switch r {
				case '.':
					return '/'
				case '/':
					return '.'
				}
				return r
			}, key)
		}
		lines = append(lines, sysctlLine{"/proc/sys/" + key, strings.Join(strings.Fields(value), " ")})
	}
	return lines
}

// A sysctlFileAt is a file that is read after ours.
type sysctlFileAt struct {
	name  string
	lines []sysctlLine
}

type sysctlFiles []sysctlFileAt

// laterSysctls returns the files that are read after ours at boot, in that order: those of sysctl.d(5) whose
// names sort after it, of each name that of the first directory; and /etc/sysctl.conf, which sysctl --system
// (procps) reads last of all, and systemd where 99-sysctl.conf links to it.
func (t Tuner) laterSysctls() sysctlFiles {
	return t.sysctlFiles(func(name string) bool { return name > path.Base(sysctlConf) })
}

// sysctlFiles returns those of the names that are wanted, and /etc/sysctl.conf.
func (t Tuner) sysctlFiles(want func(name string) bool) sysctlFiles {
	h := t.host()
	at := map[string]string{}
	for _, dir := range []string{"etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"} {
		for _, name := range h.dir(dir) {
			if _, hidden := at[name]; !hidden && strings.HasSuffix(name, ".conf") && want(name) {
				at[name] = dir + "/" + name
			}
		}
	}
	names := make([]string, 0, len(at))
	for name := range at {
		names = append(names, name)
	}
	slices.Sort(names)
	var all sysctlFiles
	for _, name := range names {
		if text, err := h.text(at[name]); err == nil {
			all = append(all, sysctlFileAt{"/" + at[name], parseSysctls(text)})
		}
	}
	if text, err := h.text("etc/sysctl.conf"); err == nil {
		all = append(all, sysctlFileAt{"/etc/sysctl.conf", parseSysctls(text)})
	}
	return all
}

// overrules reports whether a line of ours is undone by a file that is read later, and what to say of it.
func (files sysctlFiles) overrules(w wanted) (change, bool) {
	name, value := files.lastLine(w.Path)
	if name == "" || w.merged(value) == value {
		return nil, false
	}
	return noChange{
		What: w.name + " after the next boot", From: w.Value, To: value, Outcome: Left,
		Why: name + " sets it to " + value + ", and is read after " + sysctlConf,
		Fix: "remove the line there, or make it " + w.Value,
	}, true
}

// lastLine returns what becomes of a setting when the files are read, and by which; "" if none has it.
func (files sysctlFiles) lastLine(setting string) (name, value string) {
	exact := false // an explicit key excludes itself from patterns
	for _, f := range files {
		for _, l := range f.lines {
			is := l.path == setting
			if ok, _ := path.Match(l.path, setting); is || ok && !exact {
				name, value, exact = f.name, l.value, exact || is
			}
		}
	}
	return name, value
}

// last is the value of lastLine; false if none has it.
func (files sysctlFiles) last(setting string) (string, bool) {
	name, value := files.lastLine(setting)
	return value, name != ""
}
