package tuning

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func fragmentsOf(t testing.TB, g Goal) map[string]Fragment {
	t.Helper()
	all, err := Fragments(g)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]Fragment{}
	for _, f := range all {
		named[f.Name] = f
	}
	return named
}

func TestFragmentsHaveTheirPlaces(t *testing.T) {
	all, err := Fragments(Goal{Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"sysctl /etc/sysctl.d/90-dormouse.conf",
		"limits /etc/security/limits.d/90-dormouse.conf",
		"systemd /etc/systemd/system/dormouse.service.d/90-limits.conf",
	}
	var got []string
	for _, f := range all {
		got = append(got, f.Name+" "+f.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := Fragments(Goal{}); err == nil {
		t.Error("no connections, and no error")
	}
}

// What the files say must not change with what they were not asked for: the command in their first lines
// would make others.
func TestFragmentsDependOnConnectionsAndRoleAlone(t *testing.T) {
	for _, role := range []Role{Server, LoadGen, Both} {
		plain := Goal{Connections: 1_000_000, Role: role}
		busy := plain
		busy.TLS, busy.MessageRate, busy.MessageBytes, busy.Memory = true, 1e6, 1<<20, 64<<30
		busy.Sources, busy.Targets = 9, 3
		a, b := fragmentsOf(t, plain), fragmentsOf(t, busy)
		for name := range a {
			if a[name] != b[name] {
				t.Errorf("%v: %s changes with the work: %s", role, name, firstChange(a[name].Text, b[name].Text))
			}
		}
	}
}

func firstChange(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(la), len(lb)) {
		if la[i] != lb[i] {
			return fmt.Sprintf("%q, %q", la[i], lb[i])
		}
	}
	return "their lengths"
}

// The same goal makes the same text, at most 80 columns wide, of printable characters.
func TestFragmentsText(t *testing.T) {
	for _, g := range goals() {
		first, again := fragmentsOf(t, g), fragmentsOf(t, g)
		for name, f := range first {
			if f != again[name] {
				t.Errorf("%v: %s is not the same twice", g, name)
			}
			if !strings.HasSuffix(f.Text, "\n") || strings.HasSuffix(f.Text, "\n\n") {
				t.Errorf("%v: %s does not end with one newline", g, name)
			}
			for l := range strings.Lines(f.Text) {
				l = strings.TrimSuffix(l, "\n")
				command := strings.HasPrefix(l, "# Written by:")
				if len([]rune(l)) > commentWidth && !command || l != strings.TrimRight(clean(l), " ") {
					t.Errorf("%v: %s: %q", g, name, l)
				}
			}
		}
	}
}

// goals are all profiles in all roles, and the smallest and the largest goal.
func goals() []Goal {
	var all []Goal
	for _, role := range []Role{Server, LoadGen, Both} {
		for _, p := range Profiles() {
			all = append(all, Goal{Connections: p.Connections, Role: role})
		}
		all = append(all, Goal{Connections: 1, Role: role}, Goal{Connections: MaxConnections, Role: role})
	}
	return all
}

func TestPrintCommand(t *testing.T) {
	for _, row := range []struct {
		g    Goal
		want string
	}{
		{Goal{Connections: 2_000_000, Role: Server}, "dormouse tune print --profile 2m --only sysctl"},
		{Goal{Connections: 2_000_001, Role: Server}, "dormouse tune print --connections 2000001 --only sysctl"},
		{Goal{Connections: 100_000, Role: LoadGen}, "dormouse tune print --profile 100k --role loadgen --only sysctl"},
	} {
		if got := printCommand(row.g, "sysctl"); got != row.want {
			t.Errorf("%v: %s, want %s", row.g, got, row.want)
		}
		first, _, _ := strings.Cut(fragmentsOf(t, row.g)["sysctl"].Text, "\n\n")
		if !strings.Contains(first, "\n# Written by: "+row.want+"\n") {
			t.Errorf("the file does not say %q:\n%s", row.want, first)
		}
	}
}

// settled returns the lines that are not comments.
func settled(text string) []string {
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' && l[0] != ';' {
			lines = append(lines, l)
		}
	}
	return lines
}

func TestLimitsAndSystemdFragments(t *testing.T) {
	for _, g := range goals() {
		n := strconv.FormatInt(openLimit(g), 10)
		f := fragmentsOf(t, g)
		if got, want := settled(f["limits"].Text), []string{"* hard nofile " + n, "root hard nofile 1048576"}; !slices.Equal(got, want) {
			t.Errorf("%v: limits sets %q, want %q: root must be able to log in where fs.nr_open is not set", g, got, want)
		}
		if got, want := settled(f["systemd"].Text), []string{"[Service]", "LimitNOFILE=" + n}; !slices.Equal(got, want) {
			t.Errorf("%v: systemd sets %q, want %q", g, got, want)
		}
	}
}

// The files of one goal go together: logins with the limit of one must be possible with the fs.nr_open of the
// other, the goal with that limit, as far as the kernel goes, and nobody must have less than without the files.
func TestOpenLimitIsNoMoreThanNrOpen(t *testing.T) {
	for _, g := range goals() {
		settings, err := parseSysctl(fragmentsOf(t, g)["sysctl"].Text)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(settings, func(a assignment) bool { return a.key == "fs.nr_open" })
		bound := int64(nrOpenDefault)
		if i >= 0 {
			bound = numbersOf(t, settings[i].value)[0]
		}
		if limit := openLimit(g); limit > bound || limit < min(descriptors(g), mostSlots) || limit < nrOpenDefault {
			t.Errorf("%v: a limit of %d with fs.nr_open = %d", g, limit, bound)
		}
	}
}

// A limit above fs.nr_open refuses logins. One that is no more than the kernel's own cannot.
func TestLimitsWarnAboveTheDefaultOfTheKernel(t *testing.T) {
	for _, row := range []struct {
		connections int64
		warns       bool
	}{
		{1, false}, {nrOpenDefault - spareDescriptors - 1, false}, {nrOpenDefault - spareDescriptors, false},
		{nrOpenDefault - spareDescriptors + 1, true},
	} {
		text := fragmentsOf(t, Goal{Connections: row.connections})["limits"].Text
		if got := strings.Contains(text, "DANGER"); got != row.warns {
			t.Errorf("%d connections: warned is %v", row.connections, got)
		}
	}
}

// Whatever the words are, none of them becomes a setting.
func FuzzComment(f *testing.F) {
	f.Add("net.ipv4.tcp_mem = 1 2 3\nkernel.panic = 1\r\n; x\x00\u2028y")
	f.Add(strings.Repeat("a.b/", 60) + "\v\f" + strings.Repeat("é", 200))
	f.Fuzz(func(t *testing.T, text string) {
		w := new(commented)
		w.comment(text)
		for l := range bytes.Lines([]byte(w.String())) {
			if !bytes.HasPrefix(l, []byte("# ")) || !bytes.HasSuffix(l, []byte("\n")) {
				t.Errorf("%q makes the line %q", text, l)
			}
			if n := len([]rune(string(l))) - 1; n > commentWidth {
				t.Errorf("%q makes a line of %d columns", text, n)
			}
		}
	})
}
