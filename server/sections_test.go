package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each section of the protocol that binds a server is named by a test: in its comment, or at the beginning of its or a
// row's name. Which rules of the section it checks, only a reader can say.
func TestEverySectionIsNamed(t *testing.T) {
	doc, err := os.ReadFile("PHOENIX_PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, pattern := range []string{"*_test.go", "../hub/*_test.go", "../e2e/*.test.mjs"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if !strings.Contains(line, "RFC") { // which has sections of the same numbers
					tests = append(tests, line)
				}
			}
		}
	}
	sections := regexp.MustCompile(`(?m)^##+ ([1-6]\.\d+|7)\b`).FindAllStringSubmatch(string(doc), -1)
	if len(sections) < 40 {
		t.Fatalf("%d sections", len(sections))
	}
	for _, s := range sections {
		if s[1] == "4.6" { // it says: see 5.8
			continue
		}
		named := regexp.MustCompile("(?m)(?:[\"`(]|ections? |, | and |with )" + regexp.QuoteMeta(s[1]) + `(?:\.\d+)?(?:[:,). ]|$)`)
		if !slices.ContainsFunc(tests, func(line string) bool { return strings.Contains(line, s[1]) && named.MatchString(line) }) {
			t.Errorf("no test names section %s", s[1])
		}
	}
}
