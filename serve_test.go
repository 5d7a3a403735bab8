package main

// In the package: run is the program, and nothing else of it is exported.

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server"
)

// What a person has mistyped is named, with what would be right.
func TestMistakesAreExplained(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct {
		args string
		want []string // in the message
	}{
		{"bogus", []string{`"bogus"`, "dormouse --help"}},
		{"--bogus", []string{"--bogus", "dormouse --help"}},
		{"serve extra", []string{`"extra"`, "dormouse serve --help"}},
		{"serve --bogus", []string{"--bogus", "dormouse serve --help"}},
		{"serve --engine x", []string{"--engine", `"x"`, "epoll, netpoll, goroutine"}},
		{"serve --slow x", []string{"--slow", `"x"`, "close or drop"}},
		{"serve --host http://a", []string{"--host", "without scheme"}},
		{"serve --origin example.com", []string{`"example.com"`, "//example.com"}},
		{"serve --timeout 0s", []string{"--timeout", "more than 0"}},
		{"serve --timeout 9999h", []string{"--timeout", "576h"}},
		{"serve --drain -1s", []string{"--drain"}},
		{"serve --max-connections -1", []string{"--max-connections is -1", "0 for what the host allows"}},
		{"serve --max-connections 2 --max-per-address 3", []string{"--max-per-address is 3", "--max-connections, which is 2"}},
		{"serve --new-per-second 2000000", []string{"--new-per-second is 2000000", "1000000 at most"}},
		{"serve --new-per-address -1", []string{"--new-per-address is -1"}},
		{"serve --joins-per-second -1", []string{"--joins-per-second is -1"}},
		{"serve --messages-per-second -1", []string{"--messages-per-second is -1"}},
		{"serve --proxy 10.0.0.1/8", []string{`"10.0.0.1/8"`, "10.0.0.0/8"}},
		{"serve --proxy nginx", []string{`"nginx"`}},
		{"serve --proxy-protocol", []string{"--proxy-protocol needs --proxy"}},
		{"serve --drain-batch 0", []string{"--drain-batch", "at a time"}},
		{"serve --drain-interval -1s", []string{"--drain-interval"}},
		{"serve --drain-delay -1s", []string{"--drain-delay"}},
		{"serve --report -1s", []string{"--report"}},
		{"serve --addr foo", []string{"--addr", `"foo"`, ":4000"}},
		{"serve --addr 127.0.0.1:99999", []string{"--addr", "invalid port"}},
		{"serve --addr " + taken.Addr().String(), []string{"in use", "--addr"}},
	} {
		var out, errs bytes.Buffer
		err := run(context.Background(), strings.Fields(row.args), &out, &errs)
		if err == nil {
			t.Errorf("dormouse %s: no error", row.args)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("dormouse %s: %q does not say %q", row.args, err, want)
			}
		}
	}
}

// The program ends in good order when it is told to, as by SIGTERM.
func TestServeEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	log := &watched{until: "listening on", seen: cancel}
	if err := run(ctx, []string{"serve", "--addr", "127.0.0.1:0"}, log, log); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "shutting down") {
		t.Errorf("logged %q", log.String())
	}
}

// Who has read that it listens can ask for a report.
func TestServeReportsAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reported := &watched{until: "msg=connections", seen: cancel}
	listens := &watched{until: "listening on", seen: func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) }}
	log := io.MultiWriter(reported, listens)
	if err := run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--report", "0s"}, log, log); err != nil {
		t.Error(err)
	}
	if !strings.Contains(reported.String(), reported.until) {
		t.Errorf("SIGUSR1 was lost: logged %q", reported.String())
	}
}

// A watched log calls seen when it has been told about until.
type watched struct {
	bytes.Buffer
	until string
	seen  func()
}

func (w *watched) Write(p []byte) (int, error) {
	defer func() {
		if bytes.Contains(p, []byte(w.until)) {
			w.seen()
		}
	}()
	return w.Buffer.Write(p)
}

// Without flags there are no limits, whose records each connection would have.
func TestServeWithoutLimits(t *testing.T) {
	var cfg server.Config
	if err := new(limitOptions).config(&cfg); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cfg, server.Config{}) {
		t.Errorf("%+v", cfg)
	}
}
