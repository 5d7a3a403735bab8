package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
	"github.com/dormouse-ws/dormouse/poller"
)

// benchOptions are the flags of a scenario.
type benchOptions struct {
	cfg    bench.Config // what was told of it
	most   int          // connections when nobody says how many
	engine string       // of the own server

	agents      []agent.Entry
	targetAgent []agent.Entry // one at most
	tokenFile   string

	pid     int    // of the target; 0: whoever listens at its address
	metrics string // auto, none, or a URL

	json, html string
	quiet      bool
}

// A flagGroup is a set of flags with a heading in the help.
type flagGroup struct {
	title string
	*pflag.FlagSet
}

func newFlagGroup(title string) flagGroup {
	f := pflag.NewFlagSet(title, pflag.ContinueOnError)
	f.SortFlags = false
	return flagGroup{title, f}
}

// flag adds a flag that parse reads and set is given.
func flag[T any](g flagGroup, name, kind, def, usage string, parse func(string) (T, error), set func(T)) {
	g.Var(&value[T]{kind: kind, def: def, parse: parse, set: set}, name, usage)
}

func assign[T any](p *T) func(T) { return func(t T) { *p = t } }

func collect[T any](p *[]T) func(T) { return func(t T) { *p = append(*p, t) } }

// orElse assigns other instead of a zero, which in a bench.Config is a value that was not told.
func orElse[T comparable](p *T, other T) func(T) {
	return func(t T) {
		if *p = t; t == *new(T) {
			*p = other
		}
	}
}

// useFlags gives cmd the flags of groups, which its help lists under their headings.
func useFlags(cmd *cobra.Command, groups []flagGroup) {
	const width = 90 // columns
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.FlagSet)
	}
	cmd.Flags().SortFlags = false
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range groups {
			fmt.Fprintf(&b, "\n%s:\n%s", g.title, g.FlagUsagesWrapped(width))
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
		return err
	})
}

func asIs(s string) (string, error) { return s, nil }

// notEmpty is asIs of what there is a default for: who writes nothing has a mistake in a script.
func notEmpty(s string) (string, error) {
	if s == "" {
		return "", errors.New("want something; leave the flag out for the default")
	}
	return s, nil
}

// scenarioFlags are the flags that mean something to s.
func scenarioFlags(s benchScenario, o *benchOptions) []flagGroup {
	o.cfg.Scenario = s.name
	def := s.defaults()
	groups := []flagGroup{targetFlags(s, o, def), userFlags(s, o, def)}
	if s.duration != "" {
		groups = append(groups, trafficFlags(s, o, def))
	}
	return append(groups, measureFlags(o), outputFlags(o))
}

func targetFlags(s benchScenario, o *benchOptions, def bench.Config) flagGroup {
	g, c := newFlagGroup("Target"), &o.cfg
	flag(g, "url", "URL", "", "a server; of several, connections take turns (default: one of its own)", parseURL, collect(&c.URLs))
	flag(g, "engine", "NAME", "", "of the server of its own: "+strings.Join(poller.Names(), ", "), asIs, assign(&o.engine))
	if s.plain {
		flag(g, "protocol", "NAME", string(def.Protocol), "phoenix, or websocket: no topics, and what is sent comes back", parseProtocol, assign(&c.Protocol))
	}
	flag(g, "header", "LINE", "", "for the upgrade request, as 'Origin: https://a.com'; repeatable", asIs, collect(&c.Header))
	g.BoolVar(&c.Insecure, "insecure", false, "accept any certificate of a wss target")
	flag(g, "timeout", "TIME", def.Timeout.String(), "of a connect with its upgrade, and of a reply", parseSpan, assign(&c.Timeout))
	return g
}

func userFlags(s benchScenario, o *benchOptions, def bench.Config) flagGroup {
	g, c := newFlagGroup("Users"), &o.cfg
	o.most = cmp.Or(s.connections, defaultConnections)
	flag(g, "connections", "N", "", fmt.Sprintf("how many, as 15000 or 15k (default: what the descriptor limit allows, at most %d)", o.most),
		parseSome, assign(&c.Connections))
	flag(g, "arrival-rate", "RATE", number(def.ArrivalRate), "how many arrive each second", parseRate, assign(&c.ArrivalRate))
	flag(g, "phase", "TIME@RATE", "", "how they arrive instead of that, as 10s@1000/s; repeatable", bench.ParsePhase, collect(&c.Phases))
	flag(g, "plateau", "N", "", "let arrivals rest at this number, to read memory at two sizes; 0: do not (default: a tenth, at most 1000)",
		parseCount, orElse(&c.Plateau, -1))
	if s.hold != "" {
		flag(g, "hold", "TIME", def.Hold.String(), s.hold, parseTime, orElse(&c.Hold, time.Nanosecond))
	}
	topic := "that they join"
	if s.rooms {
		topic = "that they join, with a colon and the room's number behind it"
	}
	flag(g, "topic", "TOPIC", def.Topic, topic, notEmpty, assign(&c.Topic))
	flag(g, "params", "JSON", def.Params, "the object that they join with", notEmpty, assign(&c.Params))
	if s.rooms {
		flag(g, "rooms", "N", "", "how many topics (default: one for each 1000 connections)", parseCount, assign(&c.Rooms))
	}
	flag(g, "heartbeat", "TIME", def.Heartbeat.String(), "between two heartbeats of a user; 0: none", parseTime, orElse(&c.Heartbeat, -1))
	flag(g, "source", "ADDRESS", "", "to connect from, or a range (10.0.0.5-10.0.0.20) or prefix (10.0.0.0/24); repeatable, or with commas "+
		"(default: what is needed of 127.0.0.0/8 on loopback, else the kernel's choice)",
		parseList, func(list []string) { c.Sources = append(c.Sources, list...) })
	return g
}

func trafficFlags(s benchScenario, o *benchOptions, def bench.Config) flagGroup {
	g, c := newFlagGroup("Traffic"), &o.cfg
	flag(g, "duration", "TIME", def.Duration.String(), s.duration, parseSpan, assign(&c.Duration))
	if s.rate == "" {
		return g
	}
	flag(g, "rate", "RATE", number(def.Rate), s.rate, parseRate, assign(&c.Rate))
	if s.active {
		flag(g, "active", "N", "", "how many of the users send (default: all, at most 1000)", parseCount, assign(&c.Active))
	}
	if s.slow {
		flag(g, "slow", "SHARE", number(def.Slow), "of the users that stop reading, as 0.1 or 10%", parseShare, assign(&c.Slow))
	}
	event := "that is pushed, and that the target broadcasts"
	if s.reply {
		event = "that is pushed, and that the target answers with the payload"
	}
	flag(g, "event", "EVENT", def.Event, event, notEmpty, assign(&c.Event))
	flag(g, "payload", "JSON", def.Payload, "its payload, with %m for the mark by which a message is known again", notEmpty, assign(&c.Payload))
	size := ""
	if def.Size > 0 {
		size = strconv.Itoa(def.Size)
	}
	flag(g, "size", "BYTES", size, "to which the mark is padded", parseCount, assign(&c.Size))
	if !s.reply {
		g.BoolVar(&c.Others, "others", false, "the sender itself does not get it, as with broadcast_from")
	}
	flag(g, "settle", "TIME", def.Settle.String(), "to wait at the end for what is on its way", parseSpan, assign(&c.Settle))
	return g
}

func measureFlags(o *benchOptions) flagGroup {
	g := newFlagGroup("Measuring")
	flag(g, "pid", "PID", "", "of the target, to read its memory and CPU (default: who listens at the URL, if on this machine)", parseCount, assign(&o.pid))
	o.metrics = metricsAuto
	flag(g, "metrics", "URL", o.metrics, "of the target's Prometheus metrics, to read its Go heap; auto: /metrics of the target; none", asIs, assign(&o.metrics))
	flag(g, "agents", "LIST", "", "that do it in place of this machine, as a:9900,b:9900=2, where b does two thirds",
		agent.ParseList, assign(&o.agents))
	flag(g, "target-agent", "AGENT", "", "on the target's machine, as t:9900: reads its memory, CPU and kernel there",
		agent.ParseList, assign(&o.targetAgent))
	flag(g, "token-file", "FILE", "", "with the agents' token (default: $"+tokenVariable+")", asIs, assign(&o.tokenFile))
	g.Uint64Var(&o.cfg.Seed, "seed", 0, "`N` makes what is random the same again; 0: another each time")
	return g
}

func outputFlags(o *benchOptions) flagGroup {
	g := newFlagGroup("Output")
	flag(g, "html", "FILE", "", "for a report with charts", asIs, assign(&o.html))
	jsonFlag(g, o, "for all results, to be read by dormouse bench compare and by programs")
	quietFlag(g, o)
	return g
}

func jsonFlag(g flagGroup, o *benchOptions, usage string) {
	flag(g, "json", "FILE", "", usage, asIs, assign(&o.json))
}

func quietFlag(g flagGroup, o *benchOptions) {
	g.BoolVar(&o.quiet, "quiet", false, "no progress, only the summary at the end")
}

// number writes a default as a person would.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
