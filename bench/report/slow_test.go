package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// slow is a run of the slow scenario: 3 seconds before, while and after some do not read.
func slow() *bench.Result {
	r := reporttest.Valid()
	r.Config.Scenario, r.Points = "slow", nil
	for i, name := range []string{bench.LatencyBaseline, bench.LatencyDeliver, bench.LatencyAfter} {
		h := &bench.Histogram{}
		h.RecordN(time.Duration(i+1)*time.Millisecond, 100)
		r.Latency[name] = h
		for second := range 3 {
			r.Points = append(r.Points, bench.Point{
				Second: 3*i + second + 1, Latency: map[string]bench.Quantiles{name: h.Summary()},
				Target: &sample.Process{RSS: int64(i+1) * 100 << 20},
			})
		}
	}
	r.Figures = []bench.Figure{
		{Name: "of those, cut off by the target", Value: 10}, {Name: "cut off, seen when they read again", Value: 10},
		{Name: "cut off: closed with 1013 try again later: slow consumer", Value: 10},
	}
	return r
}

// TestSlowTable has what the others saw before, while and after below each other, with the target's memory.
func TestSlowTable(t *testing.T) {
	var b bytes.Buffer
	if err := report.WriteText(&b, slow(), report.Screen{}); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(b.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	text := strings.Join(rows, "\n")
	for _, want := range []string{
		"before 100 1.00 ms 1.00 ms 1.00 ms 1.00 ms 1.00 ms 100 MiB\n" +
			"while some do not read 100 2.00 ms 2.00 ms 2.00 ms 2.00 ms 2.00 ms 200 MiB\n" +
			"after, all read again 100 3.00 ms 3.00 ms 3.00 ms 3.00 ms 3.00 ms 300 MiB\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks\n%s", text, want)
		}
	}
	if strings.Contains(text, "\nbaseline") || strings.Contains(text, "\ndeliver 100") {
		t.Errorf("the parts are in the table of latencies as well:\n%s", text)
	}
}

// TestTextFits holds that all but tables is no wider than the terminal, or 100 columns.
func TestTextFits(t *testing.T) {
	for _, columns := range []int{0, 40, 60, 80, 200} {
		r := slow()
		r.Points, r.Latency, r.Ledger, r.Account.Worst = nil, nil, nil, nil
		if columns > 0 && columns < 80 { // a pair is not wrapped
			r.Figures = []bench.Figure{{Name: "cut off by the target", Value: 10}, {Name: "served again", Value: 10}, {Name: "all", Value: 20}}
		}
		var b bytes.Buffer
		if err := report.WriteText(&b, r, report.Screen{Colour: columns == 60, Columns: columns}); err != nil {
			t.Fatal(err)
		}
		most := 100
		if columns > 0 && columns < most {
			most = columns - 1
		}
		text := strings.NewReplacer("\x1b[1;32m", "", "\x1b[0m", "").Replace(b.String())
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > most {
				t.Errorf("%d columns, and %d characters: %q", columns, n, line)
			}
		}
	}
}
