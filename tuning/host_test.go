package tuning

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// A mapTree is a tree of files in memory. The content "!EACCES" is that of a file that may not be read.
type mapTree map[string]string

func (m mapTree) ReadFile(name string) ([]byte, error) {
	content, ok := m[name]
	switch {
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: fs.ErrNotExist}
	case content == "!EACCES":
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: fs.ErrPermission}
	}
	return []byte(content), nil
}

func (m mapTree) ReadDir(name string) ([]string, error) {
	names := map[string]bool{}
	for file := range m {
		if rest, ok := strings.CutPrefix(file, name+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			names[first] = true
		}
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: fs.ErrNotExist}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// hostOf is a host with these files, pages of 4 KiB and an empty environment.
func hostOf(t testing.TB, content map[string]string) *Host {
	t.Helper()
	for name := range content {
		if path.Clean(name) != name || name[0] == '/' {
			t.Fatalf("%q is no name of a file as in io/fs", name)
		}
	}
	return &Host{files: mapTree(content), env: func(string) string { return "" }, page: 4096}
}

// withEnv returns h with a variable in its environment.
func withEnv(h *Host, name, value string) *Host {
	with := *h
	with.env = func(n string) string {
		if n == name {
			return value
		}
		return h.env(n)
	}
	return &with
}

// examineOne returns what one check of a group finds.
func examineOne(t testing.TB, checks []Check, name string, h *Host, g Goal) Finding {
	t.Helper()
	g, err := g.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Name == name {
			return c.examine(&c, h, g)
		}
	}
	t.Fatalf("there is no check %s", name)
	return Finding{}
}
