package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The sizes that a reader can hold: a file is one subject, a function one screen.
const (
	maxFileLines     = 500 // aim at 300
	maxFunctionLines = 70  // aim at 40
)

// TestStyle reads every Go file of the module.
func TestStyle(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			checkStyle(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkStyle(t *testing.T, path string) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	if n := files.File(f.Pos()).LineCount(); n > maxFileLines {
		t.Errorf("%s has %d lines, more than %d: find the second subject in it and give that a file of its own", path, n, maxFileLines)
	}
	if strings.HasSuffix(path, "_test.go") {
		checkSleeps(t, files, f)
		return
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
			t.Errorf("%s: %s has %d lines, more than %d: move a part that has a name of its own into a function",
				files.Position(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
		}
	}
}

// checkSleeps reports calls of time.Sleep: a test that sleeps is slow where the machine is fast and
// fails where it is slow.
func checkSleeps(t *testing.T, files *token.FileSet, f *ast.File) {
	name := importedAs(f, "time")
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != "Sleep" {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && name != "" && x.Name == name {
			t.Errorf("%s: a test sleeps: wait for what it waits for, by a channel or by looking again until a deadline",
				files.Position(s.Pos()))
		}
		return true
	})
}

// importedAs returns the name that a file has for a package, or "" if it does not import it.
func importedAs(f *ast.File, path string) string {
	for _, i := range f.Imports {
		if i.Path.Value != `"`+path+`"` {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path
	}
	return ""
}
