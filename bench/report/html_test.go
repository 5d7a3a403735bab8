package report_test

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
)

func pageOf(t *testing.T, r *bench.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// chartsOf returns the ids of the charts whose data a page holds, and how many points each line has.
func chartsOf(t *testing.T, page string) (ids []string, slots int) {
	t.Helper()
	m := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	var data struct {
		Slots  int
		Charts []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(m[1]), &data); err != nil {
		t.Fatal(err)
	}
	for _, c := range data.Charts {
		ids = append(ids, c.ID)
	}
	return ids, data.Slots
}

func TestPageHasEverything(t *testing.T) {
	page := pageOf(t, reporttest.Valid())
	ids, slots := chartsOf(t, page)
	want := []string{
		"users", "arrivals", "sent", "delivered", "traffic", "errors",
		"distribution", "latency-connect", "latency-join", "latency-heartbeat", "latency-deliver", "latency-first", "latency-median", "latency-last",
		"target-memory", "generator-memory", "cpu", "generator-cpu", "lag", "gc", "goroutines", "descriptors", "sockets", "slabs",
	}
	if !slices.Equal(ids, want) || slots != 120 {
		t.Errorf("charts %v with %d points", ids, slots)
	}
	for _, id := range want {
		if !strings.Contains(page, `id="chart-`+id+`"`) {
			t.Errorf("there is no place for the chart %s", id)
		}
	}
	for _, text := range []string{
		"broadcast: 15,000 connections", ">Valid<", "asked for and all were there", "268 B", "13,049,130", "nf_conntrack is not loaded",
		"somaxconn", "AMD EPYC 9354", "20260001", "--connections 15000", "&#34;arrival_rate&#34;: 1000", "Permission is hereby granted",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("%q is not in the page", text)
		}
	}
}

func TestPageLoadsNothing(t *testing.T) {
	page := pageOf(t, reporttest.Valid())
	if m := regexp.MustCompile(`(?i)(src|srcset|action)\s*=\s*"|href="[^#d]|@import|url\(`).FindString(page); m != "" {
		t.Errorf("the page refers to something: %q", m)
	}
	if !strings.Contains(page, `content="default-src &#39;none&#39;`) && !strings.Contains(page, `content="default-src 'none'`) {
		t.Error("the page may load what it likes")
	}
}

// What a target says, in any field, is text.
func TestPageObeysNobody(t *testing.T) {
	evil := reporttest.HostileTopic
	r := reporttest.Failed()
	r.Limit, r.Version, r.Config.Scenario, r.Config.Topic, r.Verdict = evil, evil, evil, evil, bench.Verdict(evil)
	r.Command, r.Notes, r.Reasons = []string{evil}, []string{evil}, []string{evil}
	r.Target.Server, r.Target.URLs, r.Generators[0].Name = evil, []string{evil}, evil
	r.Errors = []bench.ErrorCount{{Kind: evil, Count: 1, Example: evil, Fix: evil}}
	r.Latency[evil] = r.Latency["join"]
	r.Points[3].Latency[evil] = bench.Quantiles{Count: 1, P50: 1, P90: 1, P99: 1, Max: 1}
	r.Points[3].Stage = bench.Stage(evil)
	r.Points[3].Kernel.Slabs[evil] = r.Points[3].Kernel.Slabs["TCP"]

	pages := []string{pageOf(t, r)}
	var b bytes.Buffer
	if err := report.WriteCompareHTML(&b, report.Named{Name: evil, Result: r}, report.Named{Name: evil, Result: reporttest.Valid()}); err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, b.String()) {
		if n := strings.Count(page, "<script"); n != 3 {
			t.Errorf("%d scripts, want the data, the library and our own", n)
		}
		if strings.Contains(page, "<script>alert") || strings.Contains(page, "<b>room") {
			t.Error("markup came through")
		}
		chartsOf(t, page)
	}
}

func TestPageOfALongRunStaysSmall(t *testing.T) {
	page := pageOf(t, reporttest.Long(7200))
	if len(page) > 4<<20 {
		t.Errorf("%d bytes", len(page))
	}
	if _, slots := chartsOf(t, page); slots != 1800 {
		t.Errorf("%d points in each line", slots)
	}
	if !strings.Contains(page, "Each point stands for 4 seconds") {
		t.Error("it does not say that it left points out")
	}
}

// A run that came to nothing has a page too.
func TestPageOfNothing(t *testing.T) {
	page := pageOf(t, &bench.Result{})
	if ids, _ := chartsOf(t, page); len(ids) != 0 {
		t.Errorf("charts of nothing: %v", ids)
	}
	for _, absent := range []string{`id="load"`, `id="memory"`, `id="account"`, `id="errors"`, `id="notes"`} {
		if strings.Contains(page, absent) {
			t.Errorf("there is an empty section %s", absent)
		}
	}
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return report.WriteText(w, &bench.Result{}, report.Screen{Colour: true}) },
		func(w io.Writer) error {
			return report.WriteCompareHTML(w, report.Named{Result: &bench.Result{}}, report.Named{Result: reporttest.Valid()})
		},
	} {
		if err := write(io.Discard); err != nil {
			t.Error(err)
		}
	}
}
