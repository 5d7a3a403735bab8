package main

// In the package: the flags are the program's own.

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
)

// flagsOf parses a command line of a scenario.
func flagsOf(t *testing.T, line string) (benchOptions, error) {
	t.Helper()
	args := strings.Fields(line)
	i := slices.IndexFunc(benchScenarios(), func(s benchScenario) bool { return s.name == args[0] })
	if i < 0 {
		t.Fatalf("no scenario %s", args[0])
	}
	var o benchOptions
	f := pflag.NewFlagSet(args[0], pflag.ContinueOnError)
	for _, g := range scenarioFlags(benchScenarios()[i], &o) {
		f.AddFlagSet(g.FlagSet)
	}
	return o, f.Parse(args[1:])
}

// What flags make of a run; what they do not say stays the default.
func TestBenchFlags(t *testing.T) {
	for _, row := range []struct {
		line string
		want bench.Config
	}{
		{"connect", bench.Config{}},
		{"connect --url ws://a:1 --url wss://b --connections 15k --arrival-rate 2k/s --plateau 100 --hold 1m --timeout 5s",
			bench.Config{URLs: []string{"ws://a:1", "wss://b"}, Connections: 15000, ArrivalRate: 2000, Plateau: 100, Hold: time.Minute, Timeout: 5 * time.Second}},
		{"connect --phase 10s@1000/s --phase 1m@5/s", bench.Config{Phases: []bench.Phase{{Duration: 10 * time.Second, Rate: 1000}, {Duration: time.Minute, Rate: 5}}}},
		{"connect --hold 0s --heartbeat 0s --plateau 0", bench.Config{Hold: 1, Heartbeat: -1, Plateau: -1}},
		{"connect --source 10.0.0.5,10.0.0.7-10.0.0.9 --source 10.1.0.0/24 --insecure --header A:b --header C:d,e",
			bench.Config{Sources: []string{"10.0.0.5", "10.0.0.7-10.0.0.9", "10.1.0.0/24"}, Insecure: true, Header: []string{"A:b", "C:d,e"}}},
		{"connect --topic a:b --params {} --seed 7 --protocol phoenix", bench.Config{Topic: "a:b", Params: "{}", Seed: 7, Protocol: bench.Phoenix}},
		{"broadcast --rate 0.5 --duration 1m --event e --payload {} --size 1k --others --settle 3s",
			bench.Config{Rate: 0.5, Duration: time.Minute, Event: "e", Payload: "{}", Size: 1000, Others: true, Settle: 3 * time.Second}},
		{"rooms --rooms 5", bench.Config{Rooms: 5}},
		{"chat --rooms 5", bench.Config{Rooms: 5}},
		{"echo --active 1k --protocol websocket", bench.Config{Active: 1000, Protocol: bench.WebSocket}},
		{"storm --duration 30s", bench.Config{Duration: 30 * time.Second}},
		{"slow --slow 20%", bench.Config{Slow: 0.2}},
	} {
		row.want.Scenario, _, _ = strings.Cut(row.line, " ")
		o, err := flagsOf(t, row.line)
		if err != nil || !reflect.DeepEqual(o.cfg, row.want) {
			t.Errorf("%s:\n%+v, %v\nwant\n%+v", row.line, o.cfg, err, row.want)
		}
	}
}

func TestBenchFlagsBesideTheRun(t *testing.T) {
	o, err := flagsOf(t, "echo --engine netpoll --pid 12 --metrics http://a/m --agents a:1,b:2=3 --token-file t --json j --html h --quiet")
	want := benchOptions{
		cfg: bench.Config{Scenario: "echo"}, most: defaultConnections, engine: "netpoll", pid: 12, metrics: "http://a/m",
		agents: []agent.Entry{{Address: "a:1", Weight: 1}, {Address: "b:2", Weight: 3}}, tokenFile: "t", json: "j", html: "h", quiet: true,
	}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v\nwant\n%+v", o, err, want)
	}
}

// A flag that means nothing to a scenario is not there.
func TestBenchFlagsOfScenarios(t *testing.T) {
	for flag, scenarios := range map[string]string{
		"hold": "connect", "protocol": "connect echo storm", "rooms": "rooms chat", "active": "echo", "slow": "slow",
		"rate": "broadcast rooms chat echo slow", "duration": "broadcast rooms chat echo storm slow",
		"others": "broadcast rooms chat slow", "connections": strings.Join(bench.Scenarios(), " "),
	} {
		for _, s := range benchScenarios() {
			var o benchOptions
			has := slices.ContainsFunc(scenarioFlags(s, &o), func(g flagGroup) bool { return g.Lookup(flag) != nil })
			if has != slices.Contains(strings.Fields(scenarios), s.name) {
				t.Errorf("%s has --%s: %v", s.name, flag, has)
			}
		}
	}
}

func TestBenchScenariosAreAll(t *testing.T) {
	var names []string
	for _, s := range benchScenarios() {
		names = append(names, s.name)
		if _, err := (bench.Config{Scenario: s.name, URLs: []string{"ws://localhost"}, Connections: 1}).Check(); err != nil {
			t.Errorf("%s has no defaults: %v", s.name, err)
		}
	}
	if !slices.Equal(names, bench.Scenarios()) {
		t.Errorf("%v, want %v", names, bench.Scenarios())
	}
}

// The examples in the help parse, and lines of it fit a terminal.
func TestBenchHelp(t *testing.T) {
	for _, s := range benchScenarios() {
		for line := range strings.Lines(s.example) {
			_, line, ok := strings.Cut(strings.TrimSpace(line), "dormouse bench ")
			if !ok {
				t.Errorf("%s: the example %q", s.name, line)
				continue
			}
			if _, err := flagsOf(t, strings.ReplaceAll(line, "'", "")); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
		var out bytes.Buffer
		if err := run(context.Background(), []string{"bench", s.name, "--help"}, &out, &out); err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 100 {
				t.Errorf("%s: %d columns: %s", s.name, len(line), line)
			}
		}
		for _, want := range []string{s.long, "Examples:", "Target:", "Users:", "Measuring:", "Output:", "--connections N", fmt.Sprintf("bench %s [flags]", s.name)} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the help does not have %q", s.name, want)
			}
		}
	}
}
