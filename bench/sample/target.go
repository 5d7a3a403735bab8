package sample

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// scrapeTimeout bounds a scrape: a sample is taken each second.
const scrapeTimeout = time.Second

// A Target is a process that is looked at again and again. Its fields are set before the first Sample.
type Target struct {
	PID        int    // of this host; 0: none is known
	MetricsURL string // of its Prometheus metrics, as http://10.0.0.2:4000/metrics; "": none is known

	connect sync.Once
	client  http.Client
}

// ErrUnknown says that a [Target] has neither a PID nor a MetricsURL.
var ErrUnknown = errors.New("sample: the target has neither a process of this host nor a URL of its metrics")

// Sample reads the target, in at most a second. With both a PID and a MetricsURL the process comes from
// /proc and only its Go runtime from the metrics. It returns what could be read, nil if nothing could, and
// an error for what could not: both may be non-nil.
func (t *Target) Sample(ctx context.Context) (*Process, error) {
	if t.PID == 0 && t.MetricsURL == "" {
		return nil, ErrUnknown
	}
	var p *Process
	var failed []error
	if t.PID != 0 {
		read, err := ReadProcess(t.PID)
		if err == nil {
			p = &read
		}
		failed = append(failed, err)
	}
	if t.MetricsURL != "" {
		scraped, err := t.scrape(ctx)
		switch {
		case err == nil && p == nil:
			p = &scraped
		case err == nil:
			p.Go = scraped.Go
		}
		failed = append(failed, err)
	}
	return p, errors.Join(failed...)
}

func (t *Target) scrape(ctx context.Context) (Process, error) {
	// The connection is kept: a new one each second would be a connection that comes and goes, which a
	// server that waits for a calm before it collects garbage would see as none.
	t.connect.Do(func() {
		t.client.Transport = &http.Transport{MaxConnsPerHost: 1, IdleConnTimeout: 5 * time.Second}
	})
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	return ScrapeMetrics(ctx, &t.client, t.MetricsURL)
}

// Close gives back the connection to MetricsURL.
func (t *Target) Close() { t.client.CloseIdleConnections() }
