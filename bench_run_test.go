package main

// In the package: run is the program, and nothing else of it is exported.

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
	"github.com/dormouse-ws/dormouse/bench/report"
)

// benchRun runs a small scenario. Each rests once, for 2.5 s, to read memory.
func benchRun(t *testing.T, args string) (stdout, stderr string, err error) {
	t.Helper()
	t.Setenv(asProgram, "1")
	var out, errs bytes.Buffer
	err = run(context.Background(), strings.Fields("bench "+args), &out, &errs)
	return out.String(), errs.String(), err
}

// valid fails the test unless err is that of a valid run, or of one in which this machine was too slow to be a
// load generator: that is found out, and no mistake.
func valid(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, exitStatus(statusInvalid)) {
		t.Error(err)
	}
}

// A run against a server of its own, with its files.
func TestBenchRun(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	stdout, stderr, err := benchRun(t, "connect --connections 50 --arrival-rate 500 --hold 0s --plateau 0 --json "+file+" --html "+page)
	valid(t, err)
	if !strings.Contains(stdout, "connect") {
		t.Errorf("the summary is %q, and beside it %q", stdout, stderr)
	}
	r, err := report.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if r.Counts.Joins != 50 || r.Counts.Errors != 0 || !r.Target.Own || r.Target.Engine != "epoll" || r.Target.PID == 0 {
		t.Errorf("%+v of %+v", r.Counts, r.Target)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "<html") {
		t.Errorf("the page is %.80q, %v", text, err)
	}
}

// A target that is not there fails the run, which has its report all the same.
func TestBenchRunFails(t *testing.T) {
	stdout, _, err := benchRun(t, "connect --connections 5 --hold 0s --plateau 0 --quiet --url ws://127.0.0.1:1") // tcpmux, which nobody runs
	if err != exitStatus(statusFailed) {
		t.Errorf("%v, want exit status %d", err, statusFailed)
	}
	for _, want := range []string{"FAILED", "refused"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the summary does not say %q:\n%s", want, stdout)
		}
	}
}

// watchedRun measures with an own server, and calls seen at the first second in which all are joined.
func watchedRun(t *testing.T, ctx context.Context, seen func(bench.Point)) (*bench.Result, error) {
	t.Helper()
	t.Setenv(asProgram, "1")
	o, err := flagsOf(t, "connect --connections 20 --plateau 0 --hold 1h")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := o.check()
	if err != nil {
		t.Fatal(err)
	}
	done := false
	return o.measure(ctx, cfg, func(p bench.Point) {
		if !done && p.Counts.Joined == 20 && p.Target != nil {
			done = true
			seen(p)
		}
	})
}

// Ctrl-C gives what was done so far.
func TestBenchRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := watchedRun(t, ctx, func(bench.Point) { cancel() })
	if err != nil {
		t.Fatal(err)
	}
	if !r.Stopped || r.Counts.Joins != 20 || r.Counts.Lost != 0 {
		t.Errorf("stopped %v, %+v", r.Stopped, r.Counts)
	}
}

// So does the death of the own server, which is the error.
func TestBenchRunLosesItsServer(t *testing.T) {
	r, err := watchedRun(t, context.Background(), func(p bench.Point) { _ = syscall.Kill(p.Target.PID, syscall.SIGKILL) })
	if r == nil || err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v, %v", r, err)
	}
	if r.Counts.Joins != 20 {
		t.Errorf("%+v", r.Counts)
	}
}

// Target and generators share a kernel only where no agent is elsewhere.
func TestGeneratesHere(t *testing.T) {
	for agents, want := range map[string]bool{
		"": true, "127.0.0.1:1,[::1]:2,localhost:3": true, "127.0.0.1:1,10.0.0.2:9900": false, "a.example.com:1": false,
	} {
		var o benchOptions
		if agents != "" {
			o.agents, _ = agent.ParseList(agents)
		}
		if got := o.generatesHere(); got != want {
			t.Errorf("%q: %v", agents, got)
		}
	}
}

func TestBenchEngines(t *testing.T) {
	stdout, _, err := benchRun(t, "engines --connections 20 --arrival-rate 1k --plateau 0 --rate 20 --duration 1s --quiet")
	valid(t, err)
	for _, want := range []string{"epoll", "netpoll", "goroutine", "20 connections"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table does not have %q:\n%s", want, stdout)
		}
	}
}
