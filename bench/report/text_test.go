package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not as in %s; if it is better, run the test with -update. Got:\n%s", path, got)
	}
}

func TestTextGolden(t *testing.T) {
	for name, r := range map[string]*bench.Result{
		"valid.txt":   reporttest.Valid(),
		"invalid.txt": reporttest.Invalid(),
		"failed.txt":  reporttest.Failed(),
	} {
		var b bytes.Buffer
		if err := report.WriteText(&b, r, report.Screen{}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(line) - 1; n > 100 {
				t.Errorf("%s: a line of %d characters: %s", name, n, line)
			}
		}
	}
}

func TestCompareGolden(t *testing.T) {
	a := report.Named{Name: "before.json", Result: reporttest.Valid()}
	b := report.Named{Name: "after.json", Result: reporttest.Broadcast(5, 0.8)}
	b.Version = "dormouse 0.3.1"
	var out bytes.Buffer
	if err := report.WriteCompareText(&out, a, b, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", out.Bytes())
}

func TestCompareSaysWhatIsNotComparable(t *testing.T) {
	a := report.Named{Name: "a.json", Result: reporttest.Invalid()}
	b := report.Named{Name: "b.json", Result: reporttest.Failed()}
	b.Config.Scenario, b.Config.Connections, b.Stopped = "rooms", 100, true
	var out bytes.Buffer
	if err := report.WriteCompareText(&out, a, b, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "uncomparable.txt", out.Bytes())
}

// A terminal sees the verdict in colour and nothing else, least of all what a target wrote.
func TestOnlyTheVerdictIsColoured(t *testing.T) {
	for v, want := range map[bench.Verdict]string{
		bench.Valid: "\x1b[1;32mValid\x1b[0m", bench.Invalid: "\x1b[1;33mINVALID\x1b[0m", bench.Failed: "\x1b[1;31mFAILED\x1b[0m",
	} {
		r := reporttest.Failed()
		r.Verdict = v
		var plain, coloured bytes.Buffer
		if err := report.WriteText(&plain, r, report.Screen{}); err != nil {
			t.Fatal(err)
		}
		if err := report.WriteText(&coloured, r, report.Screen{Colour: true}); err != nil {
			t.Fatal(err)
		}
		word, rest, _ := strings.Cut(coloured.String(), "  ")
		_, same, _ := strings.Cut(plain.String(), "  ")
		if word != want || rest != same || strings.Contains(rest, "\x1b") {
			t.Errorf("%s: it begins with %q", v, word)
		}
	}
}
