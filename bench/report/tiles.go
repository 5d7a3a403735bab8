package report

import (
	"fmt"
	"strings"

	"github.com/dormouse-ws/dormouse/bench"
)

// A tile is a key figure of the page.
type tile struct {
	Name, Value, Note string
	Bad               bool
}

// tiles are the figures that one asks for first.
func tiles(r *bench.Result) []tile {
	list := []tile{connectionTile(r)}
	if a := r.Account; a.Missing > 0 || a.Unanswered > 0 {
		list = append(list, tile{"Missing", count(a.Missing + a.Unanswered), "of " + count(a.Expected+a.Requests) + " deliveries and replies", true})
	}
	if mean, _ := rates(r.Points, delivered); mean > 0 {
		list = append(list, tile{"Deliveries", inUnit(mean, unitRate), fmt.Sprintf("%s of %s", deliveries(r.Counts.Delivered), plural(r.Counts.Sent, "message")), false})
	}
	if mean, _ := rates(r.Points, answered); mean > 0 {
		list = append(list, tile{"Replies", inUnit(mean, unitRate), count(r.Counts.Answered) + " in all", false})
	}
	for _, of := range []struct{ latency, name string }{
		{bench.LatencyRejoin, "Joined again"},
		{bench.LatencyLast, "Last subscriber"},
		{bench.LatencyEcho, "Round trip"},
		{bench.LatencyConnect, "Connect"},
	} {
		if h := r.Latency[of.latency]; h.Count() > 0 {
			list = append(list, tile{of.name + ", p99", duration(h.Quantile(0.99)), "half of them within " + duration(h.Quantile(0.5)), false})
		}
	}
	for _, of := range []struct{ where, name, note string }{
		{"target", "Target memory", "for each connection"},
		{"kernel", "Kernel memory", "for each connection"},
		{"generator", "Generator memory", "for each user"},
	} {
		if bytes, ok := cost(r.Ledger, of.where); ok {
			list = append(list, tile{of.name, inUnit(bytes, unitBytes), of.note, false})
		}
	}
	for _, f := range r.Figures {
		if strings.HasPrefix(f.Name, "cut off") {
			continue // how and when, of which the notes speak
		}
		list = append(list, tile{capital(f.Name), inUnit(f.Value, f.Unit), "", false})
	}
	return append(list, errorTile(r))
}

func connectionTile(r *bench.Result) tile {
	return tile{"Connections", count(most(r, connected)), "of " + count(int64(r.Config.Connections)) + " asked for", false}
}

func errorTile(r *bench.Result) tile {
	t := tile{Name: "Errors", Value: count(r.Counts.Errors)}
	if len(r.Errors) > 0 {
		t.Note = r.Errors[0].Kind
		if n := len(r.Errors) - 1; n > 0 {
			t.Note += fmt.Sprintf(" and %s more", plural(int64(n), "kind"))
		}
	}
	return t
}
