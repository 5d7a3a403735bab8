// Density prints what an idle connection costs a dormouse server in resident memory: the slope between
// two numbers of real loopback connections, for each engine, upgraded only and joined to one topic, as
// the process idles and after a forced collection. Run it with `make density`.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/dormouse-ws/dormouse/poller"
)

// The sizes between which the slope is taken: the base of the process does not count, and the pools
// that a server fills once are full at the first.
const (
	defaultFrom = 1_000
	defaultTo   = 15_000
)

// A row is one measurement, in bytes for each connection.
type row struct {
	engine         string
	joined         bool
	idles, settled float64
}

// budgets of the epoll engine, by joined.
var budgets = map[bool]struct{ idles, settled float64 }{
	false: {250, 200},
	true:  {400, 320},
}

func main() {
	binary := flag.String("binary", "bin/dormouse", "the `program` to measure")
	engines := flag.String("engines", strings.Join(poller.Names(), ","), "which `engines`, separated by commas")
	from := flag.Int("from", defaultFrom, "the smaller `number` of connections")
	to := flag.Int("to", defaultTo, "the larger `number` of connections")
	check := flag.Bool("check", false, "fail if the epoll engine is over its budget")
	flag.Parse()
	if err := run(*binary, strings.Split(*engines, ","), *from, *to, *check); err != nil {
		log.Fatal("density: ", err)
	}
}

func run(binary string, engines []string, from, to int, check bool) error {
	limit, err := poller.RaiseDescriptorLimit()
	if err != nil {
		return err
	}
	if uint64(to)+100 > limit {
		return fmt.Errorf("%d connections need %d descriptors, and the hard limit of this process is %d: lower -to, or raise it (ulimit -Hn, LimitNOFILE)",
			to, to+100, limit)
	}
	if from < 1 || to <= from {
		return fmt.Errorf("-from %d and -to %d: want 0 < from < to", from, to)
	}
	var rows []row
	for _, engine := range engines {
		for _, joined := range []bool{false, true} {
			r := row{engine: engine, joined: joined}
			if r.idles, err = slope(binary, engine, joined, from, to, false); err != nil {
				return err
			}
			if r.settled, err = slope(binary, engine, joined, from, to, true); err != nil {
				return err
			}
			rows = append(rows, r)
			fmt.Fprintf(os.Stderr, "%s, joined %v: %.0f B as it idles, %.0f B after a forced collection\n",
				r.engine, r.joined, r.idles, r.settled)
		}
	}
	print(rows, from, to)
	if check {
		return checkBudgets(rows)
	}
	return nil
}

func print(rows []row, from, to int) {
	fmt.Printf("Resident memory of the server process for each connection, slope between %d and %d:\n\n", from, to)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "engine\tconnection\tas it idles\tafter a forced collection\t")
	for _, r := range rows {
		what := "upgraded"
		if r.joined {
			what = "joined to one topic"
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f B\t%.0f B\t\n", r.engine, what, r.idles, r.settled)
	}
	w.Flush()
}

func checkBudgets(rows []row) error {
	for _, r := range rows {
		b := budgets[r.joined]
		if r.engine == "epoll" && (r.idles > b.idles || r.settled > b.settled) {
			return fmt.Errorf("epoll, joined %v: %.0f and %.0f B, over the budget of %.0f and %.0f B",
				r.joined, r.idles, r.settled, b.idles, b.settled)
		}
	}
	return nil
}
