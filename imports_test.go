package main

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/dormouse-ws/dormouse"

// Imports only go down: from the programs to server, from there to what it is made of. Each rule says
// which of our packages another may import, and why not others.
var importRules = []struct {
	of  string   // a package, or all below it with a final "..."
	may []string // of ours, likewise
	why string
}{
	{"poller", nil, "it moves bytes and knows no protocol: what is above it, it calls through poller.Handler and poller.Task"},
	{"hub", nil, "it knows topics and neither sockets nor serializers: what is above it, it calls through hub.Subscriber"},
	{"server/frame", nil, "it is RFC 6455 as functions of bytes, so that it can be tested and fuzzed without anything else"},
	{"tuning", nil, "it looks at the kernel and must work where the server does not"},
	{"server/limit", nil, "it counts addresses and the time between two things, of whatever kind"},
	{"server/proxy", nil, "it reads what proxies say of their clients, as functions of bytes and header lines"},
	{"server", []string{"server/frame", "server/limit", "server/proxy", "hub", "poller"}, "it puts these together, and they do not know each other"},
	{"bench/sample", nil, "it reads what a process and the kernel spend, of any program"},
	{"bench", []string{"server/frame", "poller", "tuning", "bench/sample"}, "it is a client: if it used the server's code for channels, one mistake would hide the other"},
	{"bench/report", []string{"bench", "bench/sample"}, "it shows a result, and must not reach into a run"},
	{"bench/report/reporttest", []string{"bench", "bench/sample"}, "it makes results for tests"},
	{"bench/agent", []string{"bench", "bench/sample"}, "it is a bench.Generator elsewhere, and knows no more than that"},
	{"server/metrics", []string{"server", "poller", "hub"}, "it tells what the server counts, so that whoever wants no Prometheus links none"},
	{"server/drive", []string{"server", "server/frame", "poller", "hub"}, "it drives the real server without a network"},
	{"server/servertest", []string{"server", "poller"}, "it is for users of the library: it sees what they see"},
	{"examples/...", []string{"server", "poller"}, "they show what a user needs, and a user needs no more"},
	{"e2e/leaktest", nil, "every package's tests import it"},
	{"e2e/windowtest", nil, "any package's tests may import it"},
}

// TestImportDirection looks at the files that are built, not at tests.
func TestImportDirection(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Name}} {{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if fields[0] == "main" && !strings.Contains(fields[1], "/examples/") {
			continue // programs know everybody
		}
		pkg := strings.TrimPrefix(strings.TrimPrefix(fields[1], module), "/")
		for _, imported := range fields[2:] {
			if below, ours := strings.CutPrefix(imported, module); ours {
				checkImport(t, pkg, strings.TrimPrefix(below, "/"))
			}
		}
	}
}

func checkImport(t *testing.T, pkg, imported string) {
	if imported == "" {
		t.Errorf("%s imports package main; nobody may", pkg)
		return
	}
	for _, r := range importRules {
		if !covers(r.of, pkg) {
			continue
		}
		for _, p := range r.may {
			if covers(p, imported) {
				return
			}
		}
		t.Errorf("%s imports %s. It may import of ours: %v, because %s. Declare an interface in %s and let "+
			"the package above implement it, or move the code up", pkg, imported, r.may, r.why, pkg)
		return
	}
	t.Errorf("%s imports %s, and there is no rule for %s: add one to importRules, with its reason", pkg, imported, pkg)
}

// covers reports whether pattern is pkg, or with a final "..." above it.
func covers(pattern, pkg string) bool {
	prefix, below := strings.CutSuffix(pattern, "...")
	return pattern == pkg || below && strings.HasPrefix(pkg, prefix)
}

func TestCovers(t *testing.T) {
	for _, row := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"hub", "hub", true}, {"hub", "hub/x", false}, {"examples/...", "examples/chat", true}, {"examples/...", "hub", false},
	} {
		if got := covers(row.pattern, row.pkg); got != row.want {
			t.Errorf("covers(%q, %q) = %v", row.pattern, row.pkg, got)
		}
	}
}
