package main

// In the package: the table is the program's own.

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// engineResult is a run of 4 s with 1,000 requests and 20 us of the target's CPU for each.
func engineResult(engine string) *bench.Result {
	r := &bench.Result{
		Format:  bench.ResultFormat,
		Config:  bench.Config{Connections: 15_000, Active: 100, Rate: 500, Duration: 2 * time.Second},
		Verdict: bench.Valid,
		Target:  bench.Target{Engine: engine},
		Latency: map[string]*bench.Histogram{bench.LatencyEcho: {}, bench.LatencyConnect: {}},
		Ledger: &bench.Ledger{Parts: []bench.Part{
			{Where: "generator", Total: true, Bytes: 1}, {Where: "target", Bytes: 2}, {Where: "target", Total: true, Bytes: 305.4},
		}},
	}
	r.Latency[bench.LatencyEcho].RecordN(250*time.Microsecond, 1000)
	r.Latency[bench.LatencyConnect].Record(3 * time.Millisecond)
	for i, p := range []struct {
		stage    bench.Stage
		answered int64
	}{{bench.StagePlateau, 0}, {bench.StageArrived, 0}, {bench.StageArrived, 500}, {bench.StageArrived, 1000}, {bench.StageSent, 1000}} {
		r.Points = append(r.Points, bench.Point{
			Second: i + 1, Stage: p.stage, Counts: bench.Counts{Answered: p.answered},
			Target: &sample.Process{CPU: time.Second + time.Duration(p.answered)*20*time.Microsecond, Go: &sample.Go{Goroutines: 10 + i}},
		})
	}
	return r
}

func TestWriteEngines(t *testing.T) {
	lacking := &bench.Result{Verdict: bench.Invalid, Reasons: []string{"The generator had no CPU."}, Target: bench.Target{Engine: "netpoll"}}
	var out bytes.Buffer
	if err := writeEngines(&out, []*bench.Result{engineResult("epoll"), lacking}); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"engine B/connection goroutines CPU/request echo p50 p99 p99.9 connect p99",
		"epoll 305 13 20.0 µs 250 µs 250 µs 250 µs 3.00 ms",
		"netpoll - - - - - - -",
		"",
		"15000 connections, 100 of them with 500 requests/s for 2s.",
		"netpoll is INVALID:",
		"- The generator had no CPU.",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("%q\nwant\n%q", rows, want)
	}
}

func TestWorst(t *testing.T) {
	for _, row := range []struct {
		verdicts string
		want     error
	}{
		{"valid valid", nil}, {"valid INVALID", exitStatus(3)}, {"FAILED INVALID", exitStatus(1)}, {"INVALID FAILED valid", exitStatus(1)},
	} {
		var results []*bench.Result
		for v := range strings.FieldsSeq(row.verdicts) {
			results = append(results, &bench.Result{Verdict: bench.Verdict(v)})
		}
		if got := worst(results); got != row.want {
			t.Errorf("%s: %v, want %v", row.verdicts, got, row.want)
		}
	}
}
