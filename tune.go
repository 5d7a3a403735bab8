package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/tuning"
)

// statusShort is tune's when the goal is out of reach, or a change could not be made.
const statusShort = 1

func tuneCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tune",
		Short: "Find what stops this host short of so many connections, and change it",
		Long: `Tune looks at what the kernel, the service manager and the container allow, before
the first connection meets it: descriptors, ports, conntrack, memory, queues. It
says how many connections this host can hold as it is and what stops the next
one, and changes what it may. What it changes, revert puts back.`,
		Example: `  dormouse tune check --connections 2m
  sudo dormouse tune apply --connections 2m --persist
  sudo dormouse tune revert`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("tune has no command %q: want check, print, apply, revert or record; try: dormouse tune --help", args[0])
			}
			return cmd.Help()
		},
	}
	cobra.EnableCommandSorting = false // they are in the order in which they are used
	cmd.AddCommand(tuneCheckCommand(), tunePrintCommand(), tuneApplyCommand(), tuneRevertCommand(), tuneRecordCommand())
	return cmd
}

func tuneCheckCommand() *cobra.Command {
	var (
		o    tuneOptions
		json bool
		host string
	)
	cmd := &cobra.Command{
		Use:   "check [flags]",
		Short: "What stops this host, the worst first, and how to fix it",
		Long: `Check compares what is set with what the goal needs and says why each setting
matters, with the arithmetic. It changes nothing. Exit status 0 if the goal can be
reached with the host as it is; 1 if it cannot, or if that cannot be read here.`,
		Example: `  dormouse tune check
  dormouse tune check --connections 2000000 --message-rate 100k --memory 24GiB
  dormouse tune check --role loadgen --sources 8
  dormouse tune check --host db7.txtar          # a recording of another host`,
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := hostOf(host, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return tuneCheck(cmd.OutOrStdout(), h, o.goal(), json)
		},
	}
	g := newFlagGroup("Report")
	g.StringVar(&host, "host", "", "look at this `FILE` that tune record has written, instead of this host; - is standard input")
	g.BoolVar(&json, "json", false, "write the report as JSON")
	useFlags(cmd, []flagGroup{goalFlags(&o), workFlags(&o), g})
	cmd.MarkFlagsMutuallyExclusive("connections", "profile")
	return cmd
}

func tuneCheck(stdout io.Writer, h *tuning.Host, g tuning.Goal, json bool) error {
	r, err := tuning.Examine(h, g)
	if err != nil {
		return err
	}
	if json {
		err = r.WriteJSON(stdout)
	} else {
		err = r.WriteText(stdout, terminalOf(stdout))
	}
	if err == nil && !r.Reachable {
		err = exitStatus(statusShort)
	}
	return err
}

func tunePrintCommand() *cobra.Command {
	var (
		o    tuneOptions
		only string
	)
	cmd := &cobra.Command{
		Use:   "print [flags]",
		Short: "The settings as configuration files: sysctl.d, limits.d, a systemd drop-in",
		Long: `Print writes what the goal needs as text, with the reason beside every line, for
whoever configures hosts by other means. It looks at no host: a file of sysctl.d
sets its values also where higher ones are set, which tune apply never does.`,
		Example: `  dormouse tune print --profile 2m
  dormouse tune print --profile 2m --only sysctl | sudo tee ` + "/etc/sysctl.d/90-dormouse.conf",
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return tunePrint(cmd.OutOrStdout(), o.goal(), only)
		},
	}
	g := newFlagGroup("Output")
	flag(g, "only", "NAME", "", "one of the files: "+strings.Join(fragmentNames(), ", "), parseFragment, assign(&only))
	useFlags(cmd, []flagGroup{goalFlags(&o), g})
	cmd.MarkFlagsMutuallyExclusive("connections", "profile")
	return cmd
}

func tunePrint(stdout io.Writer, g tuning.Goal, only string) error {
	fragments, err := tuning.Fragments(g)
	if err != nil {
		return err
	}
	for i, f := range fragments {
		switch {
		case only == f.Name:
			_, err := io.WriteString(stdout, f.Text)
			return err
		case only != "":
			continue
		case i > 0:
			fmt.Fprintln(stdout)
		}
		if _, err := fmt.Fprintf(stdout, "# ---- %s ----\n%s", f.Path, f.Text); err != nil {
			return err
		}
	}
	return nil
}
