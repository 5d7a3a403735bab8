package main

// In the package: run is the program, and nothing else of it is exported.

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/bench/report"
)

func TestBenchCompare(t *testing.T) {
	dir := t.TempDir()
	a, b, html := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json"), filepath.Join(dir, "c.html")
	for path, engine := range map[string]string{a: "goroutine", b: "epoll"} {
		if err := report.Save(path, engineResult(engine)); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if err := run(context.Background(), []string{"bench", "compare", a, b, "--html", html}, &out, &errs); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{a, b, "echo"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q does not have %s", out.String(), want)
		}
	}
	if page, err := os.ReadFile(html); err != nil || !strings.Contains(string(page), "<html") {
		t.Errorf("the page: %.80q, %v", page, err)
	}
	if err := run(context.Background(), []string{"bench", "compare", a, filepath.Join(dir, "none.json")}, &out, &errs); err == nil {
		t.Error("a file that is not there: no error")
	}
}
