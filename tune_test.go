package main

// In the package: the flags are the program's own.

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/tuning"
)

// tune runs the program.
func tune(args ...string) (stdout string, err error) {
	var out, errs bytes.Buffer
	err = run(context.Background(), append([]string{"tune"}, args...), &out, &errs)
	return out.String(), err
}

func TestTuneMistakesAreExplained(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.txtar")
	garbage := filepath.Join(t.TempDir(), "garbage.txtar")
	if err := os.WriteFile(garbage, []byte("-- ../../etc/passwd --\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args string
		want []string
	}{
		{"bogus", []string{`"bogus"`, "check, print, apply, revert or record"}},
		{"check extra", []string{`"extra"`, "--help"}},
		{"check --connections 0", []string{"--connections", "1 at least"}},
		{"check --connections x", []string{"--connections", "1m"}},
		{"check --connections 1m --profile 2m", []string{"connections", "profile"}},
		{"check --profile 3m", []string{"--profile", "100k, 1m, 2m, 10m"}},
		{"check --role client", []string{"--role", "server, loadgen or both"}},
		{"check --memory 0", []string{"--memory", "24GiB"}},
		{"check --memory 10x", []string{"--memory", "24GiB"}},
		{"check --message-rate -1", []string{"--message-rate"}},
		{"check --host " + missing, []string{missing, "no such file"}},
		{"check --host " + garbage, []string{garbage, "tune record"}},
		{"print --only systctl", []string{"--only", "sysctl, limits, systemd"}},
		{"apply --pid 0", []string{"--pid"}},
		{"check --held-by 0", []string{"--held-by", "4711,4712, or none"}},
		{"check --held-by 5,5", []string{"--held-by", "4711,4712, or none"}},
		{"check --held-by none,5", []string{"--held-by", "4711,4712, or none"}},
		{"check --held-by 2147483647", []string{"no process 2147483647", "--held-by"}},
	} {
		_, err := tune(strings.Fields(row.args)...)
		if err == nil {
			t.Errorf("dormouse tune %s: no error", row.args)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("dormouse tune %s: %q does not say %q", row.args, err, want)
			}
		}
	}
}

func TestParseBytes(t *testing.T) {
	for _, row := range []struct {
		s    string
		want int64 // 0: an error
	}{
		{"1", 1}, {"1000B", 1000}, {"64KiB", 64 << 10}, {"64kib", 64 << 10}, {"24GiB", 24 << 30}, {"24G", 24 << 30},
		{"24GB", 24e9}, {"1.5GiB", 3 << 29}, {"2T", 2 << 40}, {"0.5KiB", 512},
		{"", 0}, {"0", 0}, {"-1", 0}, {"x", 0}, {"1 GiB", 0}, {"GiB", 0}, {"1GG", 0}, {"1e30", 0}, {"NaN", 0}, {"Inf", 0},
		{"0.3", 0}, {"2000000TiB", 0},
	} {
		got, err := parseBytes(row.s)
		if got != row.want || (err == nil) != (row.want != 0) {
			t.Errorf("%q: %d, %v; want %d", row.s, got, err, row.want)
		}
	}
}

// A recording of this host is judged as this host is, and its status is that of the report.
func TestTuneCheckOfARecording(t *testing.T) {
	recorded, err := tune("record")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "host.txtar")
	if err := os.WriteFile(file, []byte(recorded), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, connections := range []string{"100", "1000m"} {
		out, err := tune("check", "--host", file, "--connections", connections, "--json")
		var r struct {
			Reachable bool
			Holds     *int64
			StoppedBy string
		}
		if broken := json.Unmarshal([]byte(out), &r); broken != nil {
			t.Fatalf("%v in %.200s", broken, out)
		}
		if want := error(exitStatus(statusShort)); r.Reachable != (err == nil) || err != nil && err != want {
			t.Errorf("%s connections: %+v, and the exit is %v", connections, r, err)
		}
		if connections == "1000m" && (r.Reachable || r.StoppedBy == "") {
			t.Errorf("this host holds a thousand million connections: %+v", r)
		}
	}
}

// What is printed for one file is what is printed for it among all.
func TestTunePrint(t *testing.T) {
	all, err := tune("print", "--profile", "2m")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range fragmentNames() {
		one, err := tune("print", "--connections", "2000000", "--only", name)
		if err != nil || one == "" || !strings.Contains(all, one) {
			t.Errorf("%s: %v; not among all:\n%s", name, err, one)
		}
	}
}

// serve says what stops it, a line for each, and the command.
func TestStartChecks(t *testing.T) {
	stock, err := os.ReadFile("tuning/testdata/hosts/stock-debian.txtar")
	if err != nil {
		t.Fatal(err)
	}
	h, err := tuning.ParseRecording(stock)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		limit int
		want  []string // a line each, in any order
	}{
		{0, []string{`msg="room for connections" at_most=`}},
		{100, nil},
		{2_000_000, []string{
			`msg="RLIMIT_NOFILE stops connections at `,
			`msg="fs.nr_open stops connections at 1047552 of the 2000000 of --max-connections"`,
			`msg="memory stops connections at `,
		}},
	} {
		var out bytes.Buffer
		startChecks(h, row.limit, slog.New(slog.NewTextHandler(&out, nil)))
		for _, want := range row.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("limit %d: no line has %q:\n%s", row.limit, want, &out)
			}
		}
		if got := strings.Count(out.String(), "\n"); row.limit != 2_000_000 && got != len(row.want) {
			t.Errorf("limit %d: %d lines, want %d:\n%s", row.limit, got, len(row.want), &out)
		}
	}
}
