package main

// In the package: how a target is found is the program's own.

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestMetricsURL(t *testing.T) {
	for target, want := range map[string]string{
		"ws://localhost:4000/socket?a=b": "http://localhost:4000/metrics",
		"wss://[::1]":                    "https://[::1]/metrics",
	} {
		if got := metricsURL(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// A target on this machine is found by who listens, and by its metrics if it has some.
func TestFindTarget(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# TYPE go_goroutines gauge\ngo_goroutines 12\n")
	})
	with, without := httptest.NewServer(mux), httptest.NewServer(http.NotFoundHandler())
	defer with.Close()
	defer without.Close()
	for _, row := range []struct {
		name, page, metrics string
		scraped             bool
	}{
		{"metrics", with.URL, metricsAuto, true},
		{"no metrics", without.URL, metricsAuto, false},
		{"metrics elsewhere", without.URL, with.URL + "/metrics", true},
		{"metrics that are not wanted", with.URL, metricsNone, false},
	} {
		var o benchOptions
		o.cfg.URLs, o.metrics = []string{"ws" + strings.TrimPrefix(row.page, "http")}, row.metrics
		found, err := o.findTarget(context.Background())
		if err != nil || found.sample == nil {
			t.Errorf("%s: %+v, %v", row.name, found, err)
			continue
		}
		if found.info.PID != os.Getpid() || !found.sameHost || (found.sample.MetricsURL != "") != row.scraped {
			t.Errorf("%s: %+v of %+v", row.name, found.sample, found.info)
		}
	}
}

// What cannot be looked into is not.
func TestFindTargetNowhere(t *testing.T) {
	o := benchOptions{metrics: metricsAuto}
	o.cfg.URLs = []string{"ws://127.0.0.1:1"} // tcpmux, which nobody runs
	found, err := o.findTarget(context.Background())
	if err != nil || found.sample != nil || !found.sameHost || found.info.PID != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	o.pid = os.Getpid()
	found, err = o.findTarget(context.Background())
	if err != nil || found.sample == nil || found.info.PID != o.pid || found.info.Name == "" {
		t.Errorf("by its pid: %+v, %v", found, err)
	}
}
