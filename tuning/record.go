package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// recordingHead opens a recording. It promises what withheld and trimmed keep.
const recordingHead = `# What dormouse tune read of a host, and all that is needed to examine it elsewhere.
# Of the environment it has the variables of the Go runtime alone. It has no name of the host, no address, no
# user, no connection and no comment of a file below /etc; of systemd's units it has the limits, of the mounts
# those of cgroups, of all other processes dormouse serve and bench alone, and of their command lines these words.
# Names of network interfaces (enx0a1b2c3d4e5f is an address too), of groups and of cgroups are in it.
# What nobody should see can be deleted: a line "unreadable NAME" above the files, in place of a file, says so.
`

// recordedVariables are those of the environment that a recording holds; all others are empty in it.
func recordedVariables() []string { return []string{"GOGC", "GOMAXPROCS", "GOMEMLIMIT"} }

// Record examines h for g, and for other goals so that they can be asked of the recording, and returns all
// that was read: a txtar archive for [ParseRecording]. Nothing is read twice, so it is of one moment as far
// as the kernel's files are. An error is one of the Goal, or names a file that a recording cannot hold.
func Record(h *Host, g Goal) ([]byte, error) {
	r := &recorder{from: h.files, missing: map[string]bool{}, recording: newRecording()}
	watched := &Host{files: r, env: onlyRecorded(h.env), page: h.page}
	for _, role := range []Role{g.Role, Server, LoadGen, Both} {
		for _, connections := range []int64{g.Connections, 1, MaxConnections} {
			g := g
			g.Role, g.Connections = role, connections
			if _, err := Examine(watched, g); err != nil {
				return nil, err
			}
		}
	}
	r.forgetOthers()
	return r.format(watched.env, watched.page)
}

// forgetOthers takes out which processes there are, but for those that may hold connections of a goal.
func (r *recorder) forgetOthers() {
	delete(r.listed, "proc")
	delete(r.unreadable, "proc")
	delete(r.failed, "proc")
	another := func(name string) bool {
		ok, _ := path.Match("proc/*/cmdline", name)
		return ok && r.contents[name] == ""
	}
	maps.DeleteFunc(r.contents, func(name, _ string) bool { return another(name) })
	maps.DeleteFunc(r.unreadable, func(name string, _ bool) bool { return another(name) })
	maps.DeleteFunc(r.failed, func(name, _ string) bool { return another(name) })
}

func onlyRecorded(env func(string) string) func(string) string {
	return func(name string) string {
		if among(name, recordedVariables()...) {
			return env(name)
		}
		return ""
	}
}

// A recorder is files that remember what was read of others. Not for several goroutines.
type recorder struct {
	from    files
	missing map[string]bool // as a file or, with a "/" after it, as a directory
	*recording
}

func (r *recorder) ReadFile(name string) ([]byte, error) {
	if !r.missing[name] && !r.knows(name) {
		r.readFile(name)
	}
	return r.recording.ReadFile(name)
}

func (r *recorder) readFile(name string) {
	if withheld(name) {
		r.unreadable[name] = true
		return
	}
	content, err := r.from.ReadFile(name)
	switch {
	case err == nil:
		r.contents[name] = trimmed(name, string(content))
	case errors.Is(err, fs.ErrNotExist):
		r.missing[name] = true
	case errors.Is(err, fs.ErrPermission):
		r.unreadable[name] = true
	default:
		r.failed[name] = failure(name, err)
	}
}

func (r *recorder) ReadDir(name string) ([]string, error) {
	_, listed := r.listed[name]
	if !listed && !r.missing[name+"/"] && !r.unreadable[name] {
		r.readDir(name)
	}
	if r.missing[name+"/"] {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.ENOENT}
	}
	return r.recording.ReadDir(name)
}

func (r *recorder) readDir(name string) {
	names, err := r.from.ReadDir(name)
	switch {
	case err == nil:
		r.listed[name] = slices.Sorted(slices.Values(names))
	case errors.Is(err, fs.ErrPermission):
		r.unreadable[name] = true
	case errors.Is(err, fs.ErrNotExist) || r.knows(name):
		r.missing[name+"/"] = true
	default:
		r.failed[name] = failure(name, err)
	}
}

// failure is the text of an error other than that a file is missing or may not be read: a directory, or what
// a driver says.
func failure(name string, err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Op + " /" + name + ": " + p.Err.Error()
	}
	return err.Error()
}

// format writes it as an archive.
func (r *recording) format(env func(string) string, page int64) ([]byte, error) {
	count := 0
	for name := range r.names() {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("tuning: cannot record %q: %w", name, err)
		}
		count++
	}
	b := []byte(recordingHead)
	b = fmt.Appendf(b, "%s\npage %d\n", recordingVersion, page)
	for _, name := range recordedVariables() {
		if v := env(name); v != "" {
			b = fmt.Appendf(b, "env %s %+q\n", name, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.unreadable)) {
		b = fmt.Appendf(b, "unreadable %s\n", name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.failed)) {
		b = fmt.Appendf(b, "failed %s %+q\n", name, r.failed[name])
	}
	for _, dir := range slices.Sorted(maps.Keys(r.listed)) {
		b = fmt.Appendf(b, "directory %s\n", dir)
		for _, name := range r.listed[dir] {
			b = fmt.Appendf(b, "entry %s\n", path.Join(dir, name))
		}
	}
	archive := &txtar.Archive{}
	for _, name := range slices.Sorted(maps.Keys(r.contents)) {
		content := r.contents[name]
		if !plain(content) {
			b = fmt.Appendf(b, "quoted %s\n", name)
			content = strconv.QuoteToASCII(content) + "\n"
			count++
		}
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(content)})
	}
	archive.Comment = b
	if b = txtar.Format(archive); len(b) > maxRecording || count > maxRecordedNames {
		return nil, fmt.Errorf("tuning: a recording of %d bytes with %d names: want %d and %d at most",
			len(b), count, maxRecording, maxRecordedNames)
	}
	return b, nil
}

// plain reports whether a txtar archive gives a content back as it is. In a file of a recording no line
// begins as a marker, also where it would be none.
func plain(content string) bool {
	return content == "" ||
		utf8.ValidString(content) && content[len(content)-1] == '\n' &&
			!strings.ContainsFunc(content, unprintable) && !strings.HasPrefix(content, "-- ") &&
			!strings.Contains(content, "\n-- ")
}

// unprintable is what mail and editors change.
func unprintable(r rune) bool {
	return r != '\n' && r != '\t' && unicode.IsControl(r) || r == utf8.RuneError
}

// withheld reports whether a file is left out of recordings: of /proc all is that is not in this list, since
// environments, command lines, connections and addresses of peers lie there.
func withheld(name string) bool {
	dir, base := path.Split(name)
	below := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	switch {
	case below("proc/sys/kernel/"):
		return among(base, "hostname", "domainname", "boot_id", "uuid", "core_pattern", "modprobe", "hotplug") ||
			dir == "proc/sys/kernel/keys/"
	case below("proc/sys/"), below("proc/pressure/"), below("sys/") && !below("sys/class/dmi/") && base != "address",
		below("etc/sysctl."), below("etc/security/"), ofSystemd(name):
		return false
	case dir == "proc/":
		return !among(base, "buddyinfo", "cpuinfo", "filesystems", "interrupts", "loadavg", "meminfo", "modules",
			"slabinfo", "softirqs", "stat", "swaps", "uptime", "vmstat", "zoneinfo")
	case below("proc/net/"):
		return !among(base, "netstat", "protocols", "snmp", "snmp6", "sockstat", "sockstat6", "softnet_stat") &&
			dir != "proc/net/stat/"
	case below("proc/"):
		pid, err := strconv.Atoi(path.Base(dir))
		ofHolder := err == nil && pid > 0 && among(base, "cmdline", "fd")
		return !among(base, "cgroup", "limits", "mountinfo", "oom_score_adj", "status", "uid_map") && !ofHolder || strings.Count(name, "/") != 2
	}
	return true
}

// ofSystemd reports whether a file is of systemd's configuration.
func ofSystemd(name string) bool {
	return slices.ContainsFunc(systemdRoots(), func(root string) bool { return strings.HasPrefix(name, root+"/") })
}

// trimmed takes out of a file what names persons and machines and is of no use to a check.
func trimmed(name, content string) string {
	trim := func(line string) string { return line }
	dir, base := path.Split(name)
	ofProcess := strings.HasPrefix(name, "proc/") && strings.Count(name, "/") == 2
	switch {
	case ofProcess && base == "cmdline":
		return commandOf(content)
	case ofSystemd(name):
		trim = trimUnit
	case strings.HasPrefix(dir, "etc/security/"):
		trim = trimLoginLimit
	case strings.HasPrefix(name, "etc/"):
		trim = trimComment
	case ofProcess && base == "mountinfo":
		trim = trimMount
	case ofProcess && base == "status":
		trim = trimStatus
	}
	var b strings.Builder
	for line := range strings.Lines(content) {
		b.WriteString(trim(line))
	}
	return b.String()
}

func trimComment(line string) string {
	if s := strings.TrimSpace(line); s != "" && (s[0] == '#' || s[0] == ';') {
		return ""
	}
	return line
}

// trimUnit keeps the limits of a unit of systemd: others of its lines may be an environment.
func trimUnit(line string) string {
	key, _, _ := strings.Cut(line, "=")
	if strings.HasPrefix(line, "[") || strings.Contains(key, "Limit") && trimComment(line) != "" {
		return line
	}
	return ""
}

// trimLoginLimit takes the names of users out of limits.conf(5), and the comments.
func trimLoginLimit(line string) string {
	line, _, comment := strings.Cut(line, "#")
	user, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	user, _, _ = strings.Cut(user, "\t")
	switch {
	case user == "":
		return ""
	case !among(user, "*", "root") && user[0] != '@' && user[0] != '%':
		line = strings.Replace(line, user, "somebody", 1)
	}
	if comment {
		line += "\n"
	}
	return line
}

// trimMount keeps what has to do with cgroups.
func trimMount(line string) string {
	_, rest, _ := strings.Cut(line, " - ")
	kind, _, _ := strings.Cut(rest, " ")
	if among(kind, "cgroup", "cgroup2") {
		return line
	}
	return ""
}

func trimStatus(line string) string {
	word, _, _ := strings.Cut(line, ":")
	if among(word, "Name", "Pid", "PPid", "Tgid", "Ngid", "Uid", "Gid", "Groups", "TracerPid") || strings.HasPrefix(word, "NS") {
		return ""
	}
	return line
}
