package sample

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func recordedMetrics(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// serving answers every request with a status and a text.
func serving(t testing.TB, status int, text string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestScrapeMetrics(t *testing.T) {
	s := serving(t, 200, recordedMetrics(t))
	got, err := ScrapeMetrics(t.Context(), s.Client(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := got.Go
	got.Go = nil
	want := Process{RSS: 13266944, CPU: 120 * time.Millisecond, FDs: 16, FDLimit: 20000, Threads: 8}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	wantGo := Go{
		HeapAlloc: 1034896, HeapInuse: 3047424, StackInuse: 524288, Sys: 7821576, Goroutines: 20,
		GCs: 2, GCPause: 310 * time.Microsecond, GCPauseMax: 200 * time.Microsecond,
	}
	if g == nil || *g != wantGo {
		t.Errorf("got  %+v\nwant %+v", g, wantGo)
	}
}

func TestScrapeOthers(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		text   string
		want   string // what the error says; "" for none
	}{
		{"a program in another language", 200, "process_resident_memory_bytes 5e6\nprocess_max_fds 1.8446744073709552e+19\n", ""},
		{"values that no process has", 200, "process_resident_memory_bytes NaN\nprocess_cpu_seconds_total -1\ngo_goroutines +Inf\n", ""},
		{"types that they should not have", 200, "# TYPE process_resident_memory_bytes histogram\nprocess_resident_memory_bytes_count 1\n", ""},
		{"metrics of something else", 200, "node_load1 0.5\n", "no metric of the process"},
		{"an empty page", 200, "", "no metric of the process"},
		{"a page", 200, "<!doctype html>\n<p>Hello", "does not answer with Prometheus metrics"},
		{"no page", 404, "not found", "404 Not Found"},
		{"more than fits", 200, "a 1\n" + strings.Repeat("# a\n", maxMetrics/4), "more than"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serving(t, row.status, row.text)
			p, err := ScrapeMetrics(t.Context(), s.Client(), s.URL)
			switch {
			case row.want == "" && err != nil:
				t.Error(err)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("got %+v, %v; want an error with %q", p, err, row.want)
			case p.RSS < 0 || p.CPU < 0 || p.FDLimit < 0:
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestScrapeNobody(t *testing.T) {
	s := serving(t, 200, "")
	s.Close()
	if _, err := ScrapeMetrics(t.Context(), s.Client(), s.URL); err == nil {
		t.Error("no error")
	}
	if _, err := ScrapeMetrics(t.Context(), http.DefaultClient, "http://a b"); err == nil {
		t.Error("no error of a URL that is none")
	}
}

func FuzzScraped(f *testing.F) {
	f.Add(recordedMetrics(f))
	f.Add("{}")
	f.Add("# TYPE go_gc_duration_seconds gauge\ngo_gc_duration_seconds NaN\ngo_goroutines 1e300\n")
	f.Fuzz(func(t *testing.T, text string) {
		families, err := parseMetrics([]byte(text))
		if err != nil {
			return
		}
		if got := scraped(families).process(); got.RSS < 0 || got.CPU < 0 || got.FDs < 0 {
			t.Errorf("got %+v", got)
		}
	})
}
