package main

import (
	"bytes"
	"context"
	goflag "flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = goflag.Bool("update", false, "write sysctl.conf.example and deploy/limits.conf anew")

// printed is what dormouse tune print writes for the goal of the files in deploy.
func printed(t *testing.T, only string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args := []string{"tune", "print", "--profile", "2m", "--only", only}
	if err := run(context.Background(), args, &stdout, &stderr); err != nil {
		t.Fatalf("dormouse %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return stdout.String()
}

// The files say in their first lines which command has made them, and that is the truth.
func TestExamplesAreWhatTunePrintWrites(t *testing.T) {
	for file, only := range map[string]string{"sysctl.conf.example": "sysctl", "deploy/limits.conf": "limits"} {
		want := printed(t, only)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what dormouse tune print --profile 2m --only %s writes; to write it anew: go test -run TestExamples . -update", file, only)
		}
	}
}

// unitLines returns the assignments of a unit as KEY=VALUE, those of one key in their order.
func unitLines(t *testing.T, text string) map[string][]string {
	t.Helper()
	settings, section := map[string][]string{}, ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		key, value, assigns := strings.Cut(l, "=")
		switch {
		case l == "" || l[0] == '#' || l[0] == ';':
		case l[0] == '[' && l[len(l)-1] == ']':
			section = l[1:len(l)-1] + "."
		case !assigns || section == "" || strings.TrimSpace(key) == "":
			t.Fatalf("%q is no line of systemd.syntax(7)", l)
		default:
			key = section + strings.TrimSpace(key)
			settings[key] = append(settings[key], strings.TrimSpace(value))
		}
	}
	return settings
}

func readUnit(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("deploy/dormouse.service")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestUnitKeepsItsPromises has a row for each thing that somebody relies on.
func TestUnitKeepsItsPromises(t *testing.T) {
	unit := unitLines(t, readUnit(t))
	for _, row := range []struct {
		key  string
		want []string // nil: it may not be there
		why  string
	}{
		{"Service.DynamicUser", []string{"yes"}, "it does not run as root"},
		{"Service.User", nil, "it does not run as root"},
		{"Service.CapabilityBoundingSet", []string{""}, "it has no capability"},
		{"Service.AmbientCapabilities", nil, "it has no capability"},
		{"Service.NoNewPrivileges", []string{"yes"}, "nor gets one"},
		{"Service.ProtectSystem", []string{"strict"}, "it writes no file"},
		{"Service.ProcSubset", nil, "net.Listen reads /proc/sys/net/core/somaxconn, and else listens with a backlog of 128"},
		{"Service.RestrictAddressFamilies", []string{"AF_INET AF_INET6"}, "it serves over TCP"},
		{"Service.SystemCallFilter", []string{"@system-service", "~@privileged @resources"}, "what it calls was looked at"},
		{"Service.SystemCallErrorNumber", []string{"EPERM"}, "else a refused call ends the process"},
		{"Service.Restart", []string{"on-failure"}, "SIGTERM ends it for good, a crash does not"},
		{"Service.LimitNOFILE", unitLines(t, printed(t, "systemd"))["Service.LimitNOFILE"], "it is for the goal of limits.conf"},
		{"Install.WantedBy", []string{"multi-user.target"}, "it starts at boot"},
	} {
		if got := unit[row.key]; !slices.Equal(got, row.want) {
			t.Errorf("%s is %q, want %q: %s", row.key, got, row.want, row.why)
		}
	}
	serve := serveCommand()
	if got, want := unit["Service.ExecStart"], "/usr/local/bin/dormouse "+serve.Name(); len(got) != 1 || got[0] != want {
		t.Errorf("ExecStart is %q, want %q", got, want)
	}
	stop, err := time.ParseDuration(strings.Join(unit["Service.TimeoutStopSec"], ""))
	if err != nil {
		t.Fatal(err)
	}
	drain, err := serve.Flags().GetDuration("drain")
	if err != nil {
		t.Fatal(err)
	}
	if stop <= drain {
		t.Errorf("SIGKILL comes after %v, before serve is done with its --drain of %v", stop, drain)
	}
}

// analyze runs systemd-analyze on a copy of the unit that starts a program which is there.
func analyze(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("left out: what systemd itself says of deploy/dormouse.service; it needs systemd-analyze")
	}
	help, _ := exec.Command(tool, "--help").Output()
	if !bytes.Contains(help, []byte("--offline")) || !bytes.Contains(help, []byte("--recursive-errors")) {
		t.Skip("left out: what systemd itself says of deploy/dormouse.service; it needs version 250 or newer")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(readUnit(t), "/usr/local/bin/dormouse", self, 1)
	file := filepath.Join(t.TempDir(), "dormouse.service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, append(args, file)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Of other units, as those that it orders itself after, nothing is asked: a container may have none.
func TestSystemdUnderstandsTheUnit(t *testing.T) {
	analyze(t, "verify", "--man=no", "--recursive-errors=no")
}

// An exposure of 2.0 at most, of 10. What is left is the network, which a server is for.
func TestSystemdFindsTheUnitSafe(t *testing.T) {
	analyze(t, "security", "--offline=true", "--no-pager", "--threshold=20")
}

// TestDockerfile holds what can be held without building it.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile("deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(string(b), "\nFROM ")
	build, last := "", "FROM "+stages[len(stages)-1]
	for _, s := range stages {
		if strings.HasPrefix(s, "docker.io/library/golang:") {
			build = s
		}
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	_, port, _ := strings.Cut(serveCommand().Flags().Lookup("addr").DefValue, ":")
	for _, row := range []struct{ what, text, want string }{
		{"the version of Go is that of go.mod", build, `^docker\.io/library/golang:` + regexp.QuoteMeta(string(version[1])) + `-`},
		{"the binary is static", build, `CGO_ENABLED=0 go build -trimpath `},
		{"the page's client is in it", build, `COPY --from=page /src/server/web/phoenix\.mjs server/web/`},
		{"nothing else is in the image", last, `^FROM scratch\n`},
		{"it is not root, and a number says so", last, `\nUSER [1-9]\d*:[1-9]\d*\n`},
		{"the port is serve's", last, `\nEXPOSE ` + port + `\n`},
		{"it serves", last, `\nENTRYPOINT \["/dormouse"\]\nCMD \["serve"\]\n$`},
	} {
		if !regexp.MustCompile(row.want).MatchString(row.text) {
			t.Errorf("%s: nothing matches %s in\n%s", row.what, row.want, row.text)
		}
	}
}

// What the build fetches or makes itself must not come from whoever builds, nor what git keeps.
func TestDockerIgnoresWhatIsBuilt(t *testing.T) {
	b, err := os.ReadFile(".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for _, name := range []string{".git", "bin", "**/node_modules", "server/web/phoenix.mjs"} {
		if !slices.Contains(lines, name) {
			t.Errorf(".dockerignore does not name %s", name)
		}
	}
}

func TestDeployReadmeNamesEachFile(t *testing.T) {
	readme, err := os.ReadFile("deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("deploy")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "README.md" && !bytes.Contains(readme, []byte("`"+e.Name()+"`")) {
			t.Errorf("deploy/README.md does not name %s", e.Name())
		}
	}
}
