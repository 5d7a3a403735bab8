package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/tuning"
)

func tuneApplyCommand() *cobra.Command {
	var (
		o     tuneOptions
		apply tuning.ApplyOptions
		json  bool
	)
	cmd := &cobra.Command{
		Use:   "apply [flags]",
		Short: "Set what may be set, and save what was there",
		Long: `Apply raises what check finds too low, and says line by line what it did and what
it could not, and why. It lowers no value that is higher already; a switch it sets.
Doing it twice is doing it once. Before the first change it saves what it found, so
that tune revert undoes all of it, also after a failure half way. It also raises the
descriptor limit of the shell that it is called from, for what is started there.

Exit status 1 if something could not be set; the rest is set.`,
		Example: `  sudo dormouse tune apply --connections 2m --dry-run
  sudo dormouse tune apply --connections 2m
  sudo dormouse tune apply --connections 2m --persist   # also for the next boot`,
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := tuning.Examine(tuning.ThisHost(), o.goal())
			if err != nil {
				return err
			}
			steps, err := tuning.Tuner{}.Apply(r, apply)
			return told(cmd.OutOrStdout(), steps, json, err)
		},
	}
	g := newFlagGroup("Change")
	g.BoolVar(&apply.Persist, "persist", false, "also write files below /etc, so that it lasts over a boot")
	g.BoolVar(&apply.DryRun, "dry-run", false, "say what would be done, and do nothing")
	flag(g, "pid", "PID", "", "raise the descriptor limit of this process (default: the shell that this is called from)", parseSome, assign(&apply.PID))
	g.BoolVar(&json, "json", false, "write what became of each step as JSON")
	useFlags(cmd, []flagGroup{goalFlags(&o), workFlags(&o), g})
	cmd.MarkFlagsMutuallyExclusive("connections", "profile")
	return cmd
}

func tuneRevertCommand() *cobra.Command {
	var dry, json bool
	cmd := &cobra.Command{
		Use:   "revert [flags]",
		Short: "Put back what apply has changed",
		Long: `Revert puts back the values that apply found, and removes the files that it has
written. What somebody else has changed since, it leaves as it is, and says so.`,
		Example: "  sudo dormouse tune revert",
		Args:    flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			steps, err := tuning.Tuner{}.Revert(dry)
			return told(cmd.OutOrStdout(), steps, json, err)
		},
	}
	cmd.Flags().BoolVar(&json, "json", false, "write what became of each step as JSON")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

// told writes the steps. An error is the caller's; a step that failed is an exit status, for the step itself
// says why.
func told(stdout io.Writer, steps []tuning.Step, json bool, err error) error {
	switch {
	case err != nil && len(steps) == 0:
	case json:
		err = cmp.Or(err, tuning.WriteStepsJSON(stdout, steps))
	default:
		err = cmp.Or(err, tuning.WriteSteps(stdout, steps, terminalOf(stdout)))
	}
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.Outcome == tuning.Failed {
			return exitStatus(statusShort)
		}
	}
	return nil
}

func tuneRecordCommand() *cobra.Command {
	var o tuneOptions
	cmd := &cobra.Command{
		Use:   "record [flags]",
		Short: "Write what check reads of this host, to look at it elsewhere",
		Long: `Record writes every file that check reads to standard output, as one text in the
txtar format. tune check --host reads it on another machine; it also belongs to a
report of a problem. It holds no environment but GOMEMLIMIT, GOMAXPROCS and GOGC.`,
		Example: "  sudo dormouse tune record > db7.txtar",
		Args:    flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := tuning.Record(tuning.ThisHost(), o.goal())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	useFlags(cmd, []flagGroup{goalFlags(&o)})
	cmd.MarkFlagsMutuallyExclusive("connections", "profile")
	return cmd
}

// maxRecording bounds what is read of a recording: one of this kind has about 100 kB.
const maxRecording = 16 << 20

// hostOf is this host, or the one that a file has recorded; "-" is stdin.
func hostOf(file string, stdin io.Reader) (*tuning.Host, error) {
	if file == "" {
		return tuning.ThisHost(), nil
	}
	b, err := readAtMost(file, stdin, maxRecording)
	if err != nil {
		return nil, err
	}
	h, err := tuning.ParseRecording(b)
	if err != nil {
		if file == "-" {
			file = "standard input"
		}
		return nil, fmt.Errorf("%s is no recording of tune record: %s", file, strings.TrimPrefix(err.Error(), "tuning: no recording: "))
	}
	return h, nil
}
