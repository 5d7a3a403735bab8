package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/bench"
)

// Exit statuses of bench, besides 0.
const (
	statusFailed  = 1 // an error, or a run that failed
	statusInvalid = 3 // a run that says nothing of its target. 2 is what many programs mean by bad usage
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a server of Phoenix Channels, or of WebSocket echo, and say what a connection costs",
		Long: `Bench opens as many WebSocket connections as the kernel gives, at a few hundred
bytes each, to any server that speaks Phoenix Channels or echoes WebSocket
messages. It says what a connection costs, by part, and how long each thing took.
Without --url it starts a server of its own, as a process of its own.

It counts every delivery, watches whether it keeps up itself, and says so:
exit status 0 for a valid run, 1 for an error or a run that FAILED (something is
missing), 3 for an INVALID one (the bench was the bottleneck, not the target).
Ctrl-C ends a run early with the report of what was done so far.`,
		Example: `  dormouse bench connect                               # a server of its own
  dormouse bench broadcast --html report.html          # the same, with charts
  dormouse bench connect --url ws://localhost:4000     # a server of yours`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no scenario %q: want one of %s; try: dormouse bench --help",
					args[0], strings.Join(bench.Scenarios(), ", "))
			}
			return cmd.Help()
		},
	}
	const scenarios, others = "scenarios", "others"
	cmd.AddGroup(&cobra.Group{ID: scenarios, Title: "Scenarios:"}, &cobra.Group{ID: others, Title: "Beside them:"})
	cobra.EnableCommandSorting = false // scenarios are in the order in which to read of them
	for _, s := range benchScenarios() {
		c := scenarioCommand(s)
		c.GroupID = scenarios
		cmd.AddCommand(c)
	}
	for _, c := range []*cobra.Command{enginesCommand(), driveCommand(), agentCommand(), compareCommand()} {
		c.GroupID = others
		cmd.AddCommand(c)
	}
	return cmd
}

func scenarioCommand(s benchScenario) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:     s.name + " [flags]",
		Short:   s.short,
		Long:    s.long,
		Example: s.example,
		Args:    flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	useFlags(cmd, scenarioFlags(s, &o))
	return cmd
}

// flagsOnly refuses arguments, and says how they were meant.
func flagsOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if strings.Contains(args[0], "://") {
		hint = " as --url " + args[0]
	}
	return fmt.Errorf("%s takes flags only, not %q%s; try: %s --help", cmd.Name(), args[0], hint, cmd.CommandPath())
}
