package report

// In the package: what is fuzzed is decode.

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
)

func TestSaveAndLoad(t *testing.T) {
	for name, r := range map[string]*bench.Result{
		"valid": reporttest.Valid(), "failed": reporttest.Failed(), "empty": {Format: bench.ResultFormat},
	} {
		path := filepath.Join(t.TempDir(), "run.json")
		if err := Save(path, r); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if before, after := inJSON(t, r), inJSON(t, again); !bytes.Equal(before, after) {
			t.Errorf("%s: it was %d bytes of JSON, and is %d", name, len(before), len(after))
		}
	}
}

func inJSON(t *testing.T, r *bench.Result) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWriteFileReplacesAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "page.html")
	text := func(s string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			io.WriteString(w, s)
			return err
		}
	}
	if err := WriteFile(path, text("first", nil)); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := WriteFile(path, text("second", full)); !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "first" {
		t.Errorf("a write that failed left %q", b)
	}
	if err := WriteFile(path, text("third", nil)); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "third" {
		t.Errorf("the file holds %q", b)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("files left behind: %v", files)
	}
}

// A link or a device is written, not replaced.
func TestWriteFileThroughALink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("longer than what comes"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }
	if err := errors.Join(WriteFile(link, write), WriteFile("/dev/null", write)); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "new" {
		t.Errorf("behind the link is %q", b)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	for _, row := range []struct{ file, want string }{
		{"", "no result of dormouse bench"},
		{"<html>", "no result of dormouse bench"},
		{"[1]", "no result of dormouse bench"},
		{"{}", "it has no format"},
		{`{"format":99,"config":7}`, "the format 99, and this program reads 1"},
		{`{"format":1,"config":7}`, "cannot be read"},
		{`{"format":1,"latency":{"echo":"!"}}`, "cannot be read"},
	} {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, []byte(row.file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v; want the path and %q", row.file, err, row.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// FuzzDecode reads any file, and draws and prints what it could read.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"points":[{"second":9000000000,"latency":{"x":{"count":1}}},null],"ledger":{"parts":[{"bytes":-1e300}]}}`))
	f.Add([]byte(`{"format":1,"latency":{"echo":null},"errors":[{"kind":"\u001b"}],"generators":[{}],"figures":[{"value":1e308,"unit":"s"}]}`))
	f.Add([]byte(`{"format":1,"points":[{"second":9223372036854775807}]}`))
	f.Add([]byte(`{"format":1,"ledger":{"parts":[{"why":"` + strings.Repeat(" ", 200) + `"}]}}`))
	r := reporttest.Failed()
	r.Points = r.Points[24:27]
	whole, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		var text bytes.Buffer
		if err := WriteText(&text, r, Screen{}); err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsRune(text.Bytes(), '\x1b') {
			t.Errorf("an escape sequence came through: %q", text.Bytes())
		}
		if err := WriteHTML(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if err := WriteCompareText(io.Discard, Named{"a", r}, Named{"b", r}, true); err != nil {
			t.Fatal(err)
		}
	})
}
