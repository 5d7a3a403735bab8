package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/bench/report"
)

func compareCommand() *cobra.Command {
	var html string
	cmd := &cobra.Command{
		Use:   "compare A.json B.json [flags]",
		Short: "Two runs side by side",
		Long: `Compare reads what --json of two runs has written and sets their figures side by
side, and with --html their charts over each other. It says what the runs do not
have in common, as their machine, so that a difference is not put down to the
wrong thing.`,
		Example: `  dormouse bench echo --engine goroutine --json a.json
  dormouse bench echo --engine epoll --json b.json
  dormouse bench compare a.json b.json --html compare.html`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("compare takes two files that --json has written, not %d; try: %s --help", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return compare(cmd.OutOrStdout(), args[0], args[1], html)
		},
	}
	cmd.Flags().StringVar(&html, "html", "", "write a page with the charts of both to this `FILE`")
	return cmd
}

func compare(stdout io.Writer, first, second, html string) error {
	var runs [2]report.Named
	for i, path := range []string{first, second} {
		r, err := report.Load(path)
		if err != nil {
			return err
		}
		runs[i] = report.Named{Name: path, Result: r}
	}
	err := report.WriteCompareText(stdout, runs[0], runs[1], coloured(stdout))
	if err != nil || html == "" {
		return err
	}
	return report.WriteFile(html, func(w io.Writer) error { return report.WriteCompareHTML(w, runs[0], runs[1]) })
}
