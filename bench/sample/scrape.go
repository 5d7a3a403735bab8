package sample

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// maxMetrics bounds what a scrape reads; that of dormouse serve is 12 kB.
const maxMetrics = 4 << 20

// ScrapeMetrics reads metrics in the Prometheus text format, by the names of client_golang's process and Go
// collectors, which other languages' libraries share for the process. What is not there is 0, and Go nil.
// It asks the process to answer: see [ReadProcess] for one of this host.
func ScrapeMetrics(ctx context.Context, client *http.Client, url string) (Process, error) {
	body, err := get(ctx, client, url)
	if err != nil {
		return Process{}, fmt.Errorf("sample: %w", err)
	}
	families, err := parseMetrics(body)
	if err != nil {
		return Process{}, fmt.Errorf("sample: %s does not answer with Prometheus metrics: %w", url, err)
	}
	m := scraped(families)
	if !m.has("process_resident_memory_bytes") && !m.has("process_cpu_seconds_total") && !m.has("go_goroutines") {
		return Process{}, fmt.Errorf("sample: %s has no metric of the process or of the Go runtime", url)
	}
	return m.process(), nil
}

// parseMetrics reads the text format. The parser panics on some texts that are none, as {} (prometheus/common
// v0.62).
func parseMetrics(text []byte) (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("they cannot be read: %v", r)
		}
	}()
	var parser expfmt.TextParser
	return parser.TextToMetricFamilies(bytes.NewReader(text))
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s; want a URL of Prometheus metrics, as http://host:4000/metrics", url, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetrics+1))
	if err == nil && len(body) > maxMetrics {
		err = fmt.Errorf("%s answers with more than %d bytes", url, maxMetrics)
	}
	return body, err
}

// scraped are metrics by name.
type scraped map[string]*dto.MetricFamily

func (m scraped) has(name string) bool { return len(m[name].GetMetric()) > 0 }

// value is that of a gauge or a counter without labels, or with any.
func (m scraped) value(name string) float64 {
	if !m.has(name) {
		return 0
	}
	v := m[name].GetMetric()[0]
	switch m[name].GetType() {
	case dto.MetricType_COUNTER:
		return v.GetCounter().GetValue()
	case dto.MetricType_UNTYPED:
		return v.GetUntyped().GetValue()
	}
	return v.GetGauge().GetValue()
}

// integer is value as a number of something, and seconds as a time; 0 for one that a counter cannot have,
// as NaN, and at most the largest.
func (m scraped) integer(name string) int64 { return integer(m.value(name)) }

func integer(v float64) int64 {
	switch {
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v > 0:
		return int64(v)
	}
	return 0
}

func seconds(s float64) time.Duration { return time.Duration(integer(s * float64(time.Second))) }

func (m scraped) process() Process {
	p := Process{
		RSS: m.integer("process_resident_memory_bytes"),
		CPU: seconds(m.value("process_cpu_seconds_total")),
		FDs: int(m.integer("process_open_fds")), FDLimit: m.integer("process_max_fds"),
		Threads: int(m.integer("go_threads")),
	}
	if !m.has("go_goroutines") {
		return p
	}
	p.Go = &Go{
		HeapAlloc: m.integer("go_memstats_heap_alloc_bytes"), HeapInuse: m.integer("go_memstats_heap_inuse_bytes"),
		StackInuse: m.integer("go_memstats_stack_inuse_bytes"), Sys: m.integer("go_memstats_sys_bytes"),
		Goroutines: int(m.integer("go_goroutines")),
	}
	if pauses := m["go_gc_duration_seconds"].GetMetric(); len(pauses) > 0 {
		s := pauses[0].GetSummary()
		p.Go.GCs, p.Go.GCPause = int64(s.GetSampleCount()), seconds(s.GetSampleSum())
		for _, q := range s.GetQuantile() {
			if q.GetQuantile() == 1 {
				p.Go.GCPauseMax = seconds(q.GetValue())
			}
		}
	}
	return p
}
