package tuning

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// sampleReport has a Finding of each kind.
func sampleReport() *Report {
	r := &Report{
		Goal:    Goal{Connections: 2_000_000, Role: Server, MessageBytes: 1000, Sources: 1, Targets: 1},
		Machine: Machine{Kernel: "6.1.0-37-amd64", CPUs: 4, Memory: 8 << 30, Cgroup: "v2"},
		Findings: []Finding{
			{Name: "fs.nr_open", Verdict: Raise, Blocks: true, Value: "1048576", Needed: "2001024", Because: "2,000,000 connections + 1,024", Holds: 1_047_552,
				Why: "No limit of descriptors can be above it.", Source: "proc_sys_fs(5)", Now: "sysctl -w fs.nr_open=2001024", ForGood: "fs.nr_open = 2001024 in /etc/sysctl.d/90-dormouse.conf",
				Settings: []Setting{{Key: "fs.nr_open", Path: "/proc/sys/fs/nr_open", Value: "2001024"}}},
			{Name: "fs.file-max", Verdict: Unreadable, Blocks: true, Holds: Unbounded, Why: "It is how many files all processes may have open.", Reason: "no permission to read /proc/sys/fs/file-max: ask again as root"},
			{Name: "net.ipv4.tcp_rmem", Verdict: Raise, Value: "1024 4096 16384", Needed: "4096 131072 6291456", Holds: Unbounded, Because: "the kernel's own", Why: "A large message stalls in a small buffer.",
				Myth: "small buffers save no memory: an idle connection has none", Now: "sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456'", ForGood: "in a file", Settings: []Setting{{}}},
			{Name: "net.core.somaxconn", Verdict: OK, Value: "4096", Needed: "4096", Holds: Unbounded},
			{Name: "net.ipv4.tcp_max_syn_backlog", Verdict: NotNeeded, Value: "512", Reason: "SYN cookies are on", Holds: Unbounded, Myth: "raising it does nothing then"},
		},
		Prediction: Prediction{
			Kernel:      []Part{{"TCPv6", 2496, "slabinfo"}, {"sock_inode_cache", 832, "table"}},
			KernelBytes: 3328, ProcessBytes: 280, ProcessPeak: 560, Base: 25 << 20, Buffers: 0,
			Total: 25<<20 + 2_000_000*(3328+560), Available: 7 << 30, AvailableFrom: "MemAvailable", Largest: 1_926_000, Pressure: 470_000,
		},
		Holds: 1_047_552, StoppedBy: "fs.nr_open", Unknown: []string{"fs.file-max"},
	}
	return r
}

func text(t *testing.T, r *Report, colour bool) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b, Terminal{Colour: colour}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestVerdict(t *testing.T) {
	ok := func(r *Report) {
		r.Findings, r.Unknown, r.Holds, r.Reachable, r.StoppedBy = nil, nil, 2_000_000, true, memoryName
	}
	for _, c := range []struct {
		name   string
		change func(r *Report)
		want   string
	}{
		{"stopped", func(*Report) {}, "This host can hold 1,047,552 connections as it is, not 2,000,000: fs.nr_open stops the next one."},
		{"by memory", func(r *Report) { r.Holds, r.StoppedBy = 1_926_000, memoryName },
			"This host can hold 1,926,000 connections as it is, not 2,000,000: memory stops the next one."},
		{"none at all", func(r *Report) { r.Holds = 0 }, "This host can hold 0 connections as it is, not 2,000,000: fs.nr_open stops the next one."},
		{"but one", func(r *Report) { r.Goal.Connections, r.Holds = 2, 1 }, "This host can hold 1 connection as it is, not 2: fs.nr_open stops the next one."},
		{"exactly", ok, "This host can hold 2,000,000 connections as it is."},
		{"one unknown", func(r *Report) { ok(r); r.Reachable, r.Unknown = false, []string{"fs.nr_open"} },
			"It cannot be told whether this host can hold 2,000,000 connections: fs.nr_open cannot be read here."},
		{"three unknown", func(r *Report) { ok(r); r.Reachable, r.Unknown = false, []string{"a", "b", "c"} },
			"It cannot be told whether this host can hold 2,000,000 connections: a, b and c cannot be read here."},
		{"six unknown", func(r *Report) { ok(r); r.Reachable, r.Unknown = false, []string{"a", "b", "c", "d", "e", "f"} },
			"It cannot be told whether this host can hold 2,000,000 connections: a, b, c and 3 others cannot be read here."},
	} {
		r := sampleReport()
		c.change(r)
		if got, _, _ := strings.Cut(text(t, r, false), "\n\n"); strings.Join(strings.Fields(got), " ") != c.want &&
			!strings.HasPrefix(strings.Join(strings.Fields(got), " "), c.want+" ") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What a Finding says is in the text, where a reader looks for it.
func TestTextSaysEverything(t *testing.T) {
	got := text(t, sampleReport(), false)
	squeezed := strings.Join(strings.Fields(got), " ")
	for _, want := range []string{
		"fs.nr_open 1,048,576 2,001,024 stops at 1,047,552",
		"fs.nr_open: raise 1,048,576 to 2,001,024 why No limit of descriptors can be above it. needed 2,000,000 connections + 1,024 now sysctl",
		"now sysctl -w fs.nr_open=2001024 for good fs.nr_open = 2001024 in /etc/sysctl.d/90-dormouse.conf",
		"fs.file-max unread",
		"fs.file-max No permission to read /proc/sys/fs/file-max: ask again as root.",
		"small buffers save no memory",
		"net.core.somaxconn 4,096 4,096 ok",
		"net.ipv4.tcp_max_syn_backlog SYN cookies are on.",
		"net.ipv4.tcp_max_syn_backlog: raising it does nothing then.",
		"TCPv6 2,496 B 4.65 GiB from slabinfo",
		"enough for 1,926,000 connections, not 2,000,000",
		"sudo dormouse tune apply --connections 2000000",
		"--persist",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("nowhere does it say %q:\n%s", want, got)
		}
	}
}

func TestTextFitsTheTerminal(t *testing.T) {
	r := sampleReport()
	r.Findings[0].Value = strings.Repeat("word ", 60)
	r.Findings[0].Needed = strings.Repeat("x", 400)
	r.Findings[2].Name = "net.netfilter.nf_conntrack_tcp_timeout_established"
	r.Findings[4].Name = strings.Repeat("name.", 30)
	r.Findings[4].Reason = strings.Repeat("y", 300)
	for line := range strings.Lines(text(t, r, false)) {
		if n := utf8.RuneCountInString(line) - 1; n > defaultColumns {
			t.Errorf("%d columns, more than %d: %q", n, defaultColumns, line)
		}
	}
}

// Colour adds nothing but escape sequences.
func TestColour(t *testing.T) {
	plain, coloured := text(t, sampleReport(), false), text(t, sampleReport(), true)
	if strings.Contains(plain, "\x1b") {
		t.Error("an escape sequence that was not asked for")
	}
	if !strings.Contains(coloured, "\x1b[1;31m") {
		t.Error("no colour where it was asked for")
	}
	strip := strings.NewReplacer("\x1b[1;31m", "", "\x1b[1;32m", "", "\x1b[1;33m", "", "\x1b[0m", "")
	if got := strip.Replace(coloured); got != plain {
		t.Errorf("without its colours the text is another:\n%s\nwant\n%s", got, plain)
	}
}

// Files of a host hold what they like. A terminal must not obey it.
func TestTextIsClean(t *testing.T) {
	r := sampleReport()
	const evil = "\x1b[2J\x07\r\x00\u202e"
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, s := range []*string{&f.Value, &f.Needed, &f.Because, &f.Reason, &f.Why, &f.Myth, &f.Now, &f.ForGood} {
			*s += evil
		}
	}
	r.Machine.Kernel += evil
	r.Prediction.AvailableFrom += evil
	if got := text(t, r, false); strings.ContainsAny(got, "\x1b\x07\r\x00\u202e") {
		t.Errorf("a control character came through: %q", got)
	}
}

// brokenWriter takes so many bytes.
type brokenWriter int

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(b []byte) (int, error) {
	if len(b) > int(*w) {
		return 0, errBroken
	}
	*w -= brokenWriter(len(b))
	return len(b), nil
}

func TestWritersErrorsComeBack(t *testing.T) {
	r := sampleReport()
	for name, write := range map[string]func(io.Writer) error{
		"WriteText":      func(w io.Writer) error { return r.WriteText(w, Terminal{}) },
		"WriteJSON":      r.WriteJSON,
		"WriteStepsJSON": func(w io.Writer) error { return WriteStepsJSON(w, sampleSteps()) },
		"WriteSteps":     func(w io.Writer) error { return WriteSteps(w, sampleSteps(), Terminal{}) },
	} {
		w := brokenWriter(10)
		if err := write(&w); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want the writer's error", name, err)
		}
	}
}

// What is no limit is null; 0 is 0 and never left out.
func TestJSON(t *testing.T) {
	r := sampleReport()
	r.Findings[0].Holds = 0
	r.Prediction.Available, r.Prediction.Largest, r.Prediction.Pressure = Unbounded, Unbounded, 0
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Goal       map[string]any
		Findings   []map[string]any
		Prediction map[string]any
		Holds      any
		StoppedBy  string
		Reachable  *bool
		Unknown    []string
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	present := func(m map[string]any, key string, want any) {
		t.Helper()
		if v, ok := m[key]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", key, v, ok, want)
		}
	}
	present(got.Goal, "role", "server")
	present(got.Findings[0], "holds", 0.0)
	present(got.Findings[0], "verdict", "raise")
	present(got.Findings[0], "name", "fs.nr_open")
	present(got.Findings[1], "holds", nil)
	present(got.Findings[1], "verdict", "cannot be read here")
	present(got.Prediction, "available", nil)
	present(got.Prediction, "largest", nil)
	if _, ok := got.Prediction["pressure"]; ok {
		t.Error("a pressure that could not be read is there")
	}
	if got.Holds != 1_047_552.0 || got.StoppedBy != "fs.nr_open" || got.Reachable == nil || *got.Reachable || len(got.Unknown) != 1 {
		t.Errorf("the conclusion is %v", got)
	}
	if strings.Contains(b.String(), "9223372036854775807") {
		t.Error("a number that stands for no limit came through")
	}
}

func TestNextRepeatsTheGoal(t *testing.T) {
	for want, g := range map[string]Goal{
		" --connections 1000000": {Connections: 1_000_000},
		" --connections 5 --role both --tls --message-rate 0.5 --message-size 64 --memory 1073741824 --sources 2 --targets 3": {
			Connections: 5, Role: Both, TLS: true, MessageRate: 0.5, MessageBytes: 64, Memory: 1 << 30, Sources: 2, Targets: 3},
	} {
		g, err := g.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if got := g.flags(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What the last paragraph sends a reader to do is what there is to do.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(r *Report)
		want     []string
		unwanted []string
	}{
		{"nothing", func(r *Report) { r.Findings, r.Prediction.Largest = nil, Unbounded },
			[]string{"Nothing is to be changed."}, []string{"tune apply", "By hand", "No setting"}},
		{"memory alone", func(r *Report) { r.Findings = nil },
			[]string{"No setting gives the memory that is missing: it takes 273 MiB more, or --connections 1926000."}, []string{"tune apply", "Nothing"}},
		{"a limit of memory", func(r *Report) {
			r.Findings = []Finding{{Name: "memory.max", Verdict: Raise, Blocks: true, Now: "echo"}}
		}, []string{"By hand, as said above: memory.max."}, []string{"tune apply", "No setting"}},
		{"settings", func(r *Report) { r.Prediction.Largest = Unbounded },
			[]string{"tune apply", "It sets 2 settings, as far as it may"}, []string{"By hand", "No setting", "container"}},
		{"in a container", func(r *Report) { r.Machine.Container = true }, []string{"run it on the container's host"}, nil},
		{"the shell's limit", func(r *Report) {
			r.Findings = []Finding{{Name: "RLIMIT_NOFILE", Verdict: Raise, Blocks: true, Now: "prlimit --pid $$"}}
		}, []string{"It raises RLIMIT_NOFILE of the shell"}, []string{"By hand"}},
		{"the shell's limit that nobody may raise", func(r *Report) {
			r.Findings = []Finding{{Name: "RLIMIT_NOFILE", Verdict: Raise, Blocks: true, Now: "nobody in this session can"}}
		}, []string{"By hand, as said above: RLIMIT_NOFILE."}, []string{"tune apply"}},
		{"systemd's limit", func(r *Report) {
			r.Findings = []Finding{{Name: "DefaultLimitNOFILE", Verdict: Raise, ForGood: "a unit"}}
		}, []string{"--connections 2000000 --persist", "It writes files below /etc for the next boot"}, []string{"By hand"}},
	} {
		r := sampleReport()
		c.change(r)
		_, got, ok := strings.Cut(text(t, r, false), "\nNext\n")
		got = strings.Join(strings.Fields(got), " ")
		for _, s := range c.want {
			if !ok || !strings.Contains(got, s) {
				t.Errorf("%s: it does not say %q: %s", c.name, s, got)
			}
		}
		for _, s := range c.unwanted {
			if strings.Contains(got, s) {
				t.Errorf("%s: it says %q: %s", c.name, s, got)
			}
		}
	}
}

func TestRemarks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *Report)
		want   string
	}{
		{"short", func(*Report) {}, "fs.file-max cannot be read here and may stop it too. Its memory, the 7.00 GiB of MemAvailable, is enough for 1,926,000 connections."},
		{"short of memory", func(r *Report) { r.Holds, r.StoppedBy, r.Unknown = 1_926_000, memoryName, nil; r.Findings = nil }, "That is the 7.00 GiB of MemAvailable."},
		{"the same limit is told once", func(r *Report) {
			r.Holds, r.StoppedBy, r.Unknown = 1_926_000, memoryName, nil
			r.Findings = []Finding{{Name: "memory.max", Verdict: Raise, Blocks: true, Holds: 1_926_000}}
		}, "That is the 7.00 GiB of MemAvailable."},
		{"two settings", func(r *Report) {
			r.Unknown, r.Prediction.Largest = nil, Unbounded
			r.Findings = append(r.Findings, Finding{Name: "b", Verdict: Set, Blocks: true, Holds: Unbounded})
		}, "So would, after it, b."},
		{"exactly", func(r *Report) { r.Findings, r.Unknown, r.Holds, r.Reachable = nil, nil, 2_000_000, true }, "fs.nr_open stops the next one."},
		{"more", func(r *Report) { r.Findings, r.Unknown, r.Holds, r.Reachable = nil, nil, 2_000_001, true },
			"It could hold 2,000,001; then fs.nr_open stops the next one."},
		{"no limit known", func(r *Report) { r.Findings, r.Unknown, r.Holds, r.Reachable = nil, nil, Unbounded, true }, ""},
		{"hurts", func(r *Report) { r.Findings, r.Unknown, r.Holds = r.Findings[2:], nil, Unbounded },
			"Under load or in a storm it would suffer from what is to change below: 1 setting."},
		{"memory unread", func(r *Report) {
			r.Findings, r.Unknown, r.Holds, r.Reachable = nil, nil, Unbounded, true
			r.Prediction.Available, r.Prediction.Largest = Unbounded, Unbounded
		}, "How much memory there is cannot be read here: it may be too little."},
		{"memory unread, and said so", func(r *Report) {
			r.Findings, r.Unknown, r.Holds = nil, []string{memoryName}, Unbounded
			r.Prediction.Available, r.Prediction.Largest = Unbounded, Unbounded
		}, ""},
		{"low, and low enough", func(r *Report) { // is no reason to call it short
			r.Findings, r.Unknown, r.Holds = r.Findings[:1], nil, Unbounded
			r.Findings[0].Holds, r.StoppedBy = 2_000_000, "another"
		}, "Under load or in a storm it would suffer from what is to change below: 1 setting."},
	} {
		r := sampleReport()
		c.change(r)
		if got := strings.Join(r.remarks(), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// No line is longer than the terminal is wide, but those with a command. What is too narrow for tables is taken for
// as wide as they need.
func TestWriteTextWidth(t *testing.T) {
	for _, host := range []string{"stock-debian", "advice", "container-v2", "unreadable", "beside"} {
		r := examined(t, recordedHost(t, host), Goal{Connections: 2_000_000, Role: Both})
		lines := map[int]int{}
		for columns, want := range map[int]int{1: 60, 59: 60, 60: 60, 80: 80, 0: 100, 100: 100, 133: 133, 1000: 1000} {
			var b strings.Builder
			if err := r.WriteText(&b, Terminal{Columns: columns}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				lines[columns]++
				text := strings.TrimPrefix(strings.TrimSpace(line), "now")
				if n := utf8.RuneCountInString(line) - 1; n > want && !isCommand(strings.TrimSpace(text)) {
					t.Errorf("%s: %d columns of %d: %q", host, n, columns, line)
				}
			}
		}
		if lines[60] <= lines[80] || lines[80] <= lines[100] || lines[100] <= lines[1000] {
			t.Errorf("%s: a wider terminal does not take fewer lines: %v", host, lines)
		}
	}
}

func TestWriteStepsWidth(t *testing.T) {
	var b strings.Builder
	if err := WriteSteps(&b, sampleSteps(), Terminal{Columns: 60}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > 60 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}
