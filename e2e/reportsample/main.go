// Command reportsample writes pages of runs that never were, for the tests of the page: one of its argument
// valid, invalid, failed, long or compare.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	if len(args) != 1 {
		return errors.New("want one of valid, invalid, failed, long, compare")
	}
	switch args[0] {
	case "valid":
		return report.WriteHTML(w, reporttest.Valid())
	case "invalid":
		return report.WriteHTML(w, reporttest.Invalid())
	case "failed":
		return report.WriteHTML(w, reporttest.Failed())
	case "long":
		return report.WriteHTML(w, reporttest.Long(7200))
	case "compare":
		return report.WriteCompareHTML(w, report.Named{Name: "before.json", Result: reporttest.Valid()},
			report.Named{Name: "after.json", Result: reporttest.Broadcast(5, 0.8)})
	}
	return fmt.Errorf("no sample %q", args[0])
}
