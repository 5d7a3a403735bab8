package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/poller"
)

func enginesCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "engines [flags]",
		Short: "The same load on each engine of dormouse serve in turn, in one table",
		Long: `For each engine a server is started anew. Users arrive and stay, as in
dormouse bench connect, then some of them send requests, as in dormouse bench echo.

The table has a line for each engine:
  B/connection   resident memory of the server: the slope between two numbers
                 of connections
  goroutines     of the server when all are connected
  CPU/request    of the server while requests are sent
  echo           round trips, from when a request was due
  connect        from when a user was due to the end of its upgrade`,
		Example: `  dormouse bench engines
  dormouse bench engines --connections 5k --rate 2k --json engines.json`,
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.runEngines(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	useFlags(cmd, enginesFlags(&o))
	return cmd
}

func enginesFlags(o *benchOptions) []flagGroup {
	echo := echoScenario()
	def := echo.defaults()
	o.cfg.Scenario, o.metrics = echo.name, metricsAuto
	output := newFlagGroup("Output")
	jsonFlag(output, o, "for all results, in a list")
	quietFlag(output, o)
	return []flagGroup{userFlags(echo, o, def), trafficFlags(echo, o, def), output}
}

// runEngines measures one engine after the other. When it is interrupted it tells of those that it has.
func (o *benchOptions) runEngines(ctx context.Context, stdout, stderr io.Writer) error {
	var results []*bench.Result
	var failed error
	for _, engine := range poller.Names() {
		one := *o
		one.engine = engine
		r, err := one.runEngine(ctx, stderr)
		if r != nil {
			results = append(results, r)
		}
		if failed = err; err != nil || ctx.Err() != nil {
			break
		}
	}
	if len(results) == 0 {
		return failed
	}
	if ctx.Err() != nil && (failed == nil || errors.Is(failed, context.Canceled)) {
		failed = errors.New("interrupted: not all engines were measured")
	}
	err := errors.Join(o.saveEngines(results), writeEngines(stdout, results), failed)
	if err != nil {
		return err
	}
	return worst(results)
}

func (o *benchOptions) runEngine(ctx context.Context, stderr io.Writer) (*bench.Result, error) {
	cfg, err := o.check()
	if err != nil {
		return nil, err
	}
	var progress func(bench.Point)
	if !o.quiet {
		live := newLive(stderr, cfg)
		defer live.Close()
		live.Note("engine " + o.engine)
		progress = live.Point
	}
	return o.measure(ctx, cfg, progress)
}

func (o *benchOptions) saveEngines(results []*bench.Result) error {
	if o.json == "" {
		return nil
	}
	return report.WriteFile(o.json, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(results)
	})
}

// worst is the exit status of several runs: a failed one weighs more than an invalid one.
func worst(results []*bench.Result) error {
	var status error
	for _, r := range results {
		if err := verdictStatus(r); err != nil && status != exitStatus(statusFailed) {
			status = err
		}
	}
	return status
}

// writeEngines prints the table, and what is to be said of the runs.
func writeEngines(w io.Writer, results []*bench.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "engine\tB/connection\tgoroutines\tCPU/request\techo p50\tp99\tp99.9\tconnect p99\t\n")
	for _, r := range results {
		echo := r.Latency[bench.LatencyEcho].Summary()
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Target.Engine, memoryEach(r), goroutines(r), cpuEach(r),
			driveTime(echo.P50), driveTime(echo.P99), driveTime(echo.P999), driveTime(r.Latency[bench.LatencyConnect].Quantile(0.99)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	c := results[0].Config
	fmt.Fprintf(w, "\n%d connections, %d of them with %s requests/s for %v.\n", c.Connections, c.Active, number(c.Rate), c.Duration)
	for _, r := range results {
		if r.Verdict != bench.Valid {
			fmt.Fprintf(w, "%s is %s:\n", r.Target.Engine, r.Verdict)
		}
		for _, reason := range r.Reasons {
			fmt.Fprintf(w, "  - %s\n", reason)
		}
	}
	return nil
}

const unknown = "-"

// memoryEach is the target's resident memory for each connection.
func memoryEach(r *bench.Result) string {
	if r.Ledger == nil {
		return unknown
	}
	for _, p := range r.Ledger.Parts {
		if p.Where == "target" && p.Total && p.Why == "" {
			return fmt.Sprintf("%.0f", p.Bytes)
		}
	}
	return unknown
}

// goroutines is how many the target had when all were connected.
func goroutines(r *bench.Result) string {
	last := unknown
	for _, p := range r.Points {
		if p.Stage == bench.StageArrived && p.Target != nil && p.Target.Go != nil {
			last = fmt.Sprint(p.Target.Go.Goroutines)
		}
	}
	return last
}

// cpuEach is the processor time of the target for each request, over the seconds with requests.
func cpuEach(r *bench.Result) string {
	var first, last *bench.Point
	for i := range r.Points {
		p := &r.Points[i]
		if p.Stage != bench.StageArrived || p.Target == nil {
			continue
		}
		if first == nil {
			first = p
		}
		last = p
	}
	if first == nil || last.Counts.Answered == first.Counts.Answered {
		return unknown
	}
	spent := last.Target.CPU - first.Target.CPU
	return driveTime(spent / time.Duration(last.Counts.Answered-first.Counts.Answered))
}
