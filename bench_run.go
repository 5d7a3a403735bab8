package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
	"github.com/dormouse-ws/dormouse/bench/report"
)

// run carries out the scenario and tells of it.
func (o *benchOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := o.check()
	if err != nil {
		return err
	}
	progress, done := func(bench.Point) {}, func() {}
	if !o.quiet {
		live := newLive(stderr, cfg)
		defer context.AfterFunc(ctx, func() { live.Note(stopping) })()
		progress, done = live.Point, live.Close
	}
	r, err := o.measure(ctx, cfg, progress)
	done()
	if r == nil {
		if ctx.Err() != nil {
			return errors.New("interrupted before the run began")
		}
		return err
	}
	if err := errors.Join(o.tell(stdout, r), err); err != nil {
		return err
	}
	return verdictStatus(r)
}

// stopping is said at the first Ctrl-C.
const stopping = "stopping, with the report of what was done so far; Ctrl-C again leaves at once"

// newLive is the line that shows how the run goes on.
func newLive(w io.Writer, cfg bench.Config) *report.Live {
	if !capable(w) {
		return report.NewLive(w, nil, cfg)
	}
	return report.NewLive(w, func() int { return columns(w) }, cfg)
}

// tell writes the summary and the files.
func (o *benchOptions) tell(stdout io.Writer, r *bench.Result) error {
	var errs []error
	if o.json != "" {
		errs = append(errs, report.Save(o.json, r))
	}
	if o.html != "" {
		errs = append(errs, report.WriteFile(o.html, func(w io.Writer) error { return report.WriteHTML(w, r) }))
	}
	// The last, as a closed pipe ends the program (SIGPIPE).
	errs = append(errs, report.WriteText(stdout, r, report.Screen{Colour: coloured(stdout), Columns: columns(stdout)}))
	return errors.Join(errs...)
}

func verdictStatus(r *bench.Result) error {
	switch r.Verdict {
	case bench.Failed:
		return exitStatus(statusFailed)
	case bench.Invalid:
		return exitStatus(statusInvalid)
	}
	return nil
}

// measure carries out what check has returned. A Result may come with an error: the bench's own server has
// died.
func (o *benchOptions) measure(ctx context.Context, cfg bench.Config, progress func(bench.Point)) (*bench.Result, error) {
	members, err := o.members()
	if err != nil {
		return nil, err
	}
	c := bench.Conductor{Config: cfg, Members: members, Progress: progress, Command: os.Args, Version: version()}
	if !o.own() {
		t, err := o.findTarget(ctx)
		if err != nil {
			return nil, err
		}
		t.sameHost = t.sameHost && o.generatesHere()
		return conduct(ctx, c, t)
	}
	own, err := startServer(ctx, o.serveArgs()...)
	if err != nil {
		return nil, err
	}
	defer own.stop()
	ctx, unwatch := own.watch(ctx)
	defer unwatch()
	c.Config.URLs = []string{own.url}
	r, err := conduct(ctx, c, ownTarget(own, o.engine))
	select {
	case <-own.ended:
		err := own.death()
		if r != nil {
			r.Verdict, r.Stopped = bench.Failed, false
			r.Reasons = append([]string{"The bench's own server has ended on the way."}, r.Reasons...)
		}
		return r, err
	default:
		return r, err
	}
}

func conduct(ctx context.Context, c bench.Conductor, t benchTarget) (*bench.Result, error) {
	c.Target, c.TargetInfo, c.SameHost = t.sample, t.info, t.sameHost
	if t.sample != nil {
		defer t.sample.Close()
	}
	r, err := bench.Conduct(ctx, c)
	if r != nil {
		redact(r)
	}
	return r, err
}

// serveArgs are those of the bench's own server. It waits for heartbeats as it would for those of phoenix.js,
// and where there are none as long as it can.
func (o *benchOptions) serveArgs() []string {
	timeout := maxTimeout
	if beat := o.cfg.Heartbeat; beat >= 0 {
		timeout = min(max(2*beat, time.Minute), maxTimeout)
	}
	return []string{"--engine", o.engine, "--timeout", timeout.String()}
}

// members are the generators: the agents, or this process.
func (o *benchOptions) members() ([]bench.Member, error) {
	if len(o.agents) == 0 {
		return []bench.Member{{Name: "local", Generator: bench.Local{}}}, nil
	}
	token, err := agentToken(o.tokenFile)
	if err != nil {
		return nil, err
	}
	var members []bench.Member
	for _, a := range o.agents {
		members = append(members, bench.Member{Name: a.Address, Generator: agent.New(a.Address, token), Weight: a.Weight})
	}
	return members, nil
}

// generatesHere reports whether the generators are on this machine.
func (o *benchOptions) generatesHere() bool {
	return !slices.ContainsFunc(o.agents, func(a agent.Entry) bool {
		at, err := netip.ParseAddrPort(a.Address)
		return (err != nil || !at.Addr().IsLoopback()) && !strings.HasPrefix(a.Address, "localhost:")
	})
}

// tokenVariable is the environment variable with the agents' token.
const tokenVariable = "DORMOUSE_AGENT_TOKEN"

// agentToken reads the token with which agents are asked. Those that listen on loopback may have none.
func agentToken(file string) (string, error) {
	if file == "" {
		return os.Getenv(tokenVariable), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("--token-file is %q, which is empty", file)
	}
	return token, nil
}
