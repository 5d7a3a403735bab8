package tuning

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recordedHost is one of testdata/hosts.
func recordedHost(t testing.TB, name string) *Host {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "hosts", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseRecording(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return h
}

// recordedHosts are the names of all recordings.
func recordedHosts(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "hosts", "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(filepath.Base(n), ".txtar")
	}
	return names
}

// goldenGoals is what each recording is asked, and the suffixes of the files with the answers.
func goldenGoals() map[string]Goal {
	return map[string]Goal{
		"server-2m":    {Connections: 2_000_000},
		"server-100k":  {Connections: 100_000, MessageRate: 10_000, TLS: true},
		"loadgen-1m":   {Connections: 1_000_000, Role: LoadGen, Sources: 8, Targets: 2},
		"both-100k":    {Connections: 100_000, Role: Both},
		"server-15000": {Connections: 15_000, Memory: 1 << 30},
	}
}

// goldenFor says which goals a host is asked: the shapes differ, and a golden file that says what another
// one says is only in the way.
func goldenFor(host string) []string {
	switch host {
	case "stock-debian":
		return []string{"server-2m", "server-15000", "both-100k"}
	case "loadgen":
		return []string{"loadgen-1m"}
	case "vm-hybrid", "beside":
		return []string{"both-100k"}
	case "container-v1", "container-v2", "no-conntrack":
		return []string{"server-100k"}
	}
	return []string{"server-2m"}
}

func TestGolden(t *testing.T) {
	wanted := map[string]bool{}
	for _, host := range recordedHosts(t) {
		h := recordedHost(t, host)
		for _, goal := range goldenFor(host) {
			r, err := Examine(h, goldenGoals()[goal])
			if err != nil {
				t.Fatal(err)
			}
			var plain, json bytes.Buffer
			if err := r.WriteText(&plain, Terminal{}); err != nil {
				t.Fatal(err)
			}
			golden(t, wanted, host+"."+goal+".txt", plain.Bytes())
			if goal != "server-2m" { // one goal's JSON is enough to see its form
				continue
			}
			if err := r.WriteJSON(&json); err != nil {
				t.Fatal(err)
			}
			golden(t, wanted, host+"."+goal+".json", json.Bytes())
		}
	}
	noOthers(t, wanted)
}

// golden compares with a file of testdata/golden, or writes it.
func golden(t *testing.T, wanted map[string]bool, name string, got []byte) {
	t.Helper()
	wanted[name] = true
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v: run with -update", err)
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was; see what changed with -update and git diff:\n%s", name, firstDifference(got, want))
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

// noOthers fails for golden files that nothing is compared with any more.
func noOthers(t *testing.T, wanted map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", "golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if wanted[e.Name()] {
			continue
		}
		if *update {
			err = os.Remove(filepath.Join("testdata", "golden", e.Name()))
			if err != nil {
				t.Error(err)
			}
			continue
		}
		t.Errorf("nothing is compared with %s any more", e.Name())
	}
}

// TestRecordedHosts is about what holds for each host and each goal.
func TestRecordedHosts(t *testing.T) {
	for _, host := range recordedHosts(t) {
		h := recordedHost(t, host)
		for _, g := range someGoals() {
			r, err := Examine(h, g)
			if err != nil {
				t.Fatal(err)
			}
			checkReport(t, host, r)
			for line := range strings.Lines(text(t, r, false)) {
				if n := utf8.RuneCountInString(line) - 1; n > defaultColumns && !isCommand(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "now"))) {
					t.Errorf("%s: %d columns: %q", host, n, line)
				}
			}
		}
	}
}

// Two looks at the same files say the same.
func TestExamineIsAFunction(t *testing.T) {
	for _, host := range recordedHosts(t) {
		h := recordedHost(t, host)
		for _, g := range someGoals() {
			var texts [2]string
			for i := range texts {
				r, err := Examine(h, g)
				if err != nil {
					t.Fatal(err)
				}
				texts[i] = text(t, r, false)
			}
			if texts[0] != texts[1] {
				t.Errorf("%s: two reports of %+v differ", host, g)
			}
		}
	}
}

// Recordings go to a public place. What could name a machine or a person is not in them.
func TestRecordingsAreAnonymous(t *testing.T) {
	for _, host := range recordedHosts(t) {
		b, err := os.ReadFile(filepath.Join("testdata", "hosts", host+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"/home/", "/root", "PPid:", "Uid:", "hostname", "boot_id", "/address --"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s contains %q", host, word)
			}
		}
		if !bytes.HasPrefix(b, []byte("# ")) {
			t.Errorf("%s does not say how it came about", host)
		}
	}
}

// Names of the shapes that tests of this package count on.
func TestShapes(t *testing.T) {
	want := []string{"advice", "beside", "container-v1", "container-v2", "loadgen", "no-conntrack", "stock-debian", "tuned-host", "unreadable", "vm-hybrid"}
	if got := recordedHosts(t); !slices.Equal(got, want) {
		t.Errorf("the recordings are %v, want %v", got, want)
	}
}
