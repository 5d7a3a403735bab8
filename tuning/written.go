package tuning

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// What is as it was wanted is no Setting of a Report any more: a switch that does not matter in its new place, an
// interface that has RPS now. It is so because our files say so at boot, or an Apply has said it since: the files
// keep their lines, or a second Apply would take away what the first one wrote.

// withWritten returns all Settings of a Report, and those that our files have and it has not, in the order of the
// table. What is in none of its rows is not ours, and is left out.
func (t Tuner) withWritten(all []wanted) []wanted {
	written := func(w wanted) {
		i := rowOf(w.Path)
		known := entry(all, func(o *wanted) bool { return o.Path == w.Path }) != nil
		if i < 0 || known || !settable(w.Path) || !writable(w.Path, w.Value) {
			return
		}
		c := Checks()[i]
		w.name, w.why = cmp.Or(w.Key, w.Path), c.Why
		if w.order = exactly; c.setting != nil {
			w.order = c.setting.order
		}
		_, err := integers(w.Value)
		w.text = err != nil || w.isMask()
		at := slices.IndexFunc(all, func(o wanted) bool { return rowOf(o.Path) > i })
		if at < 0 {
			at = len(all)
		}
		all = slices.Insert(all, at, w)
	}
	all = slices.Clone(all)
	if text, _, err := t.fragment(sysctlConf); err == nil {
		for _, l := range parseSysctls(string(text)) {
			key := strings.ReplaceAll(strings.TrimPrefix(l.path, "/proc/sys/"), "/", ".")
			written(wanted{Setting: Setting{Key: key, Path: l.path, Value: l.value}})
		}
	}
	if text, _, err := t.fragment(tmpfilesConf); err == nil {
		for _, s := range parseTmpfiles(string(text)) {
			written(wanted{Setting: s})
		}
	}
	return all
}

// rowOf is the index in Checks of the row that a file belongs to, -1 if there is none.
func rowOf(name string) int {
	return slices.IndexFunc(Checks(), func(c Check) bool {
		return name == "/"+sysctlFile(c.Name) || strings.HasPrefix(name, "/sys/") && strings.HasSuffix(name, "/"+c.Name)
	})
}

// parseTmpfiles reads the lines of a file of tmpfiles.d(5) that write below /sys.
func parseTmpfiles(text string) (all []Setting) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 7 && f[0] == "w" && strings.HasPrefix(f[1], "/sys/") {
			all = append(all, Setting{Path: path.Clean(f[1]), Value: f[6]})
		}
	}
	return all
}

// modulesConf is our file of modules-load.d(5), which systemd reads before sysctl.d(5).
const modulesConf = "/etc/modules-load.d/90-dormouse.conf"

// modulesText is what modulesConf is to say: without the module the settings of net.netfilter are not there when
// sysctl.d(5) is read, and rules that load it come later. "" where no setting is of it, and where it is not a module
// of this host.
func (t Tuner) modulesText(lines []wanted) string {
	h := t.host()
	ofModule := slices.ContainsFunc(lines, func(w wanted) bool { return strings.HasPrefix(w.Key, "net.netfilter.") })
	if !ofModule || h.container() || !h.exists("sys/module/nf_conntrack/initstate") {
		return ""
	}
	return "# Written by dormouse tune apply --persist. dormouse tune revert takes it back.\n\n" +
		comment("So that the settings of net.netfilter in "+sysctlConf+" are there when it is read.") + "nf_conntrack\n"
}
