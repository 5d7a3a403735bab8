package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// It looks at judge, of whose reasons few can be had from fake generators.

func TestJudge(t *testing.T) {
	some := Counts{Dials: 10, Upgrades: 10, Joins: 10}
	refused := []ErrorCount{{Kind: "connection refused", Count: 10, Fix: "start the server."}}
	for _, row := range []struct {
		name    string
		result  Result
		account Account
		short   map[string]int64
		verdict Verdict
		reasons []string
	}{
		{"well", Result{Counts: some}, Account{Messages: 1, Expected: 10, Received: 10}, nil, Valid, nil},
		{"no connection", Result{Counts: Counts{Dials: 10}, Errors: refused}, Account{}, nil, Failed,
			[]string{"None of 10 connections was established: connection refused: start the server."}},
		{"no connection, and the generator was late", Result{Counts: Counts{Dials: 10}, Errors: refused, Points: with(healthy(10), 0, 10, late(700, time.Second))},
			Account{}, nil, Failed, []string{"None of 10 connections was established: connection refused: start the server."}},
		{"nothing was tried", Result{}, Account{}, nil, Failed, []string{"None of 0 connections was established."}},
		{"nothing works, and it was stopped", Result{Stopped: true, Counts: Counts{Dials: 10, Errors: 10}, Errors: refused}, Account{}, nil, Failed,
			[]string{"None of 10 connections was established: connection refused: start the server."}},
		{"nothing was tried yet", Result{Stopped: true}, Account{}, nil, Valid, nil},
		{"no join", Result{Counts: Counts{Dials: 10, Upgrades: 10}, Config: Config{Protocol: Phoenix, Topic: "rooms:lobby"},
			Errors: []ErrorCount{{Kind: "join refused"}}}, Account{}, nil, Failed, []string{"Nobody could join rooms:lobby: join refused."}},
		{"no topics", Result{Counts: Counts{Dials: 10, Upgrades: 10}, Config: Config{Protocol: WebSocket}}, Account{}, nil, Valid, nil},
		{"missing", Result{Counts: some}, Account{Expected: 1000, Received: 990, Missing: 10}, map[string]int64{"a": 1, "b": 4, "c": 1, "d": 2, "e": 2}, Failed,
			[]string{"10 of 1,000 deliveries are missing: 4 on b, 2 on d, 2 on e, the rest on 2 more topics."}},
		{"twice", Result{Counts: some}, Account{Extra: 2}, nil, Failed, []string{"2 deliveries came that had come already, or that nobody had sent."}},
		{"unanswered", Result{Counts: some}, Account{Requests: 50, Unanswered: 3}, nil, Failed, []string{"3 of 50 requests were not answered."}},
		{"lost", Result{Counts: some, Generators: []GeneratorResult{{Name: "a:9900", Lost: "it ended."}}}, Account{}, nil, Invalid,
			[]string{"A generator was lost: a:9900: it ended."}},
		{"lost, and named", Result{Counts: some, Generators: []GeneratorResult{{Name: "a:9900", Lost: "agent a:9900: it ended"}}}, Account{}, nil, Invalid,
			[]string{"A generator was lost: agent a:9900: it ended."}},
		{"failed before invalid", Result{Counts: some, Generators: []GeneratorResult{{Name: "a:9900", Lost: "it ended"}}}, Account{Requests: 50, Unanswered: 3}, nil, Failed,
			[]string{"3 of 50 requests were not answered.", "A generator was lost: a:9900: it ended."}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := row.result
			r.judge(&tally{Account: row.account, short: row.short})
			if r.Verdict != row.verdict || !slices.Equal(r.Reasons, row.reasons) {
				t.Errorf("%s:\n%s\nwant %s:\n%s", r.Verdict, strings.Join(r.Reasons, "\n"), row.verdict, strings.Join(row.reasons, "\n"))
			}
		})
	}
}
