package main

// In the package: the checks are the program's own.

import (
	"context"
	"io"
	"strings"
	"testing"
)

// What cannot work is refused before anything is started, by flag, value and what is wanted.
func TestBenchMistakesAreExplained(t *testing.T) {
	for _, row := range []struct {
		args string
		want []string
	}{
		{"bogus", []string{`no scenario "bogus"`, "connect, broadcast", "dormouse bench --help"}},
		{"connect ws://localhost", []string{"--url ws://localhost"}},
		{"connect extra", []string{`"extra"`, "dormouse bench connect --help"}},
		{"connect --rate 1", []string{"unknown flag: --rate", "dormouse bench connect --help"}},
		{"connect --connections x", []string{"--connections", `"x"`, "15k", "dormouse bench connect --help"}},
		{"connect --connections 900m", []string{"900000000 connections need 900000200 descriptors", "ulimit -Hn", "LimitNOFILE", "fs.nr_open"}},
		{"connect --phase 100s@9m/s", []string{"--phase"}},
		{"connect --phase nonsense", []string{"--phase", `"nonsense"`, "10s@1000/s"}},
		{"connect --phase 100s@9000000/s", []string{"900000000 connections"}},
		{"connect --phase 1s@0.1/s", []string{"0 connections"}},
		{"connect --url http://localhost:4000", []string{"--url", "try ws://localhost:4000"}},
		{"connect --engine x", []string{"--engine", `"x"`, "epoll, netpoll, goroutine"}},
		{"connect --engine epoll --url ws://localhost", []string{"--engine", "--url"}},
		{"connect --pid 1", []string{"--pid", "--url"}},
		{"connect --metrics none", []string{"--metrics", "--url"}},
		{"connect --agents a:1", []string{"--agents", "--url", "127.0.0.1"}},
		{"connect --agents a=x --url ws://b", []string{"--agents", "weight"}},
		{"connect --agents a:1 --url ws://127.0.0.1:1 --token-file /none", []string{"--token-file", "/none"}},
		{"connect --agents a:1 --url ws://127.0.0.1:1 --token-file /dev/null", []string{"--token-file", "empty"}},
		{"connect --token-file x --url ws://b", []string{"--token-file", "--agents"}},
		{"connect --protocol websocket", []string{"--protocol", "--url"}},
		{"connect --protocol x", []string{"--protocol", "phoenix or websocket"}},
		{"connect --params x", []string{"params", `"x"`, "JSON object"}},
		{"connect --json /none/x.json", []string{"--json", "/none"}},
		{"connect --html /none/x.html", []string{"--html", "/none"}},
		{"connect --pid 999999999 --url ws://127.0.0.1:1", []string{"--pid", "999999999"}},
		{"connect --metrics http://127.0.0.1:1/metrics --url ws://127.0.0.1:1", []string{"--metrics", "refused"}},
		{"broadcast --size 4096", []string{"--size", "4096", "--url"}},
		{"broadcast --size 2m --url ws://b", []string{"size", "1048576"}},
		{"broadcast --payload {}", []string{"payload", "%m"}},
		{"broadcast --rate 0", []string{"--rate", "above 0"}},
		{"broadcast --duration 0s", []string{"--duration", "more than 0"}},
		{"slow --slow 1", []string{"--slow", "0.1 or 10%"}},
		{"engines --url ws://a", []string{"unknown flag: --url"}},
		{"compare a.json", []string{"two files", "dormouse bench compare --help"}},
		{"compare /none/a.json b.json", []string{"/none/a.json"}},
		{"compare go.mod go.mod", []string{"go.mod", "no result of dormouse bench"}},
	} {
		t.Setenv(tokenVariable, "")
		err := run(context.Background(), strings.Fields("bench "+row.args), io.Discard, io.Discard)
		if err == nil {
			t.Errorf("dormouse bench %s: no error", row.args)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("dormouse bench %s: %q does not say %q", row.args, err, want)
			}
		}
	}
}

// How many connections there are when nobody says.
func TestRoomFor(t *testing.T) {
	for _, row := range []struct {
		limit  uint64
		agents bool
		want   int
	}{
		{1 << 62, false, 15_000}, {15_200, false, 15_000}, {15_199, false, 14_999}, {1024, false, 824}, {100, false, 1}, {1024, true, 15_000},
	} {
		if got := roomFor(row.limit, row.agents, defaultConnections); got != row.want {
			t.Errorf("with %d descriptors, agents %v: %d, want %d", row.limit, row.agents, got, row.want)
		}
	}
}

func TestCheckDescriptors(t *testing.T) {
	for _, row := range []struct {
		wanted int
		limit  uint64
		agents bool
		want   string
	}{
		{15_000, 15_200, false, ""},
		{15_001, 15_200, false, "at most 15000 --connections"},
		{10, 100, false, "10 connections need 210 descriptors, and a process may have 100 here"},
		{1, 100, false, "one connection needs 201 descriptors"},
		{15_001, 15_200, true, ""},
	} {
		err := checkDescriptors(row.wanted, row.limit, row.agents)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%d of %d: %v, want %q", row.wanted, row.limit, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), "at most 0") {
			t.Errorf("%d of %d: nobody wants that: %v", row.wanted, row.limit, err)
		}
	}
}
