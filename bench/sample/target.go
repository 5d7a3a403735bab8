package sample

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// scrapeTimeout bounds a scrape: a sample is taken each second.
	scrapeTimeout = time.Second

	// scrapePeriod is how often [Target.Glance] scrapes a process that can be read by its PID. An answer is
	// a tenth of a megabyte of garbage for the target, which each second is more than its connections
	// make while they idle, and would be measured as theirs.
	scrapePeriod = 10 * time.Second
)

// A Target is a process that is looked at again and again, from any goroutine. Its fields are set before
// that.
type Target struct {
	PID        int    // of this host; 0: none is known
	MetricsURL string // of its Prometheus metrics, as http://10.0.0.2:4000/metrics; "": none is known

	// Ask, if set, reads the process and the kernel of another host, from there.
	Ask func(context.Context) (Process, Kernel, error)

	renew   atomic.Bool
	connect sync.Once
	client  http.Client

	mu      sync.Mutex // protects the following
	scraped time.Time  // when the last scrape began
	last    *Go        // what it has told; nil: it has failed
	kernel  *Kernel    // of the other host, when it was last asked; nil: it was not
}

// ErrUnknown says that a [Target] has neither a PID nor a MetricsURL.
var ErrUnknown = errors.New("sample: the target has neither a process of this host nor a URL of its metrics")

// Sample reads all that the target tells, in about a second at most: with a PID the process from /proc, its
// PSS included, and its Go runtime from MetricsURL; without one all from there. It is for moments at
// rest. It returns what could be read, nil if nothing could, and an error for what could not: both may be
// non-nil.
func (t *Target) Sample(ctx context.Context) (*Process, error) {
	p, err := t.sample(ctx, 0)
	if p != nil && t.PID != 0 {
		p.PSS, _ = ReadPSS(t.PID) // of another user's process it is not to be had
	}
	return p, err
}

// Glance is a Sample that disturbs the target as little as it can, for each second of a run: without PSS, and
// with a PID the Go runtime is as it was up to ten seconds ago.
func (t *Target) Glance(ctx context.Context) (*Process, error) {
	if t.PID == 0 && t.Ask == nil {
		return t.sample(ctx, 0)
	}
	return t.sample(ctx, scrapePeriod)
}

// Renew has the next Glance ask for the Go runtime, for what has just changed.
func (t *Target) Renew() { t.renew.Store(true) }

// sample scrapes if the last time is at least so long ago.
func (t *Target) sample(ctx context.Context, period time.Duration) (*Process, error) {
	if t.PID == 0 && t.MetricsURL == "" && t.Ask == nil {
		return nil, ErrUnknown
	}
	var unanswered error
	p, failed := t.read(ctx)
	if t.MetricsURL == "" {
		return p, failed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if renew := t.renew.Swap(false); p == nil || renew || time.Since(t.scraped) >= period {
		t.scraped, t.last = time.Now(), nil
		told, err := t.scrape(ctx)
		if unanswered = err; err == nil {
			t.last = told.Go
			if p == nil {
				p = &told
			}
		}
	}
	if p != nil {
		p.Go = t.last
	}
	return p, errors.Join(failed, unanswered)
}

// read reads the process itself; nil without an error: there is no way to.
func (t *Target) read(ctx context.Context) (*Process, error) {
	var p Process
	var err error
	switch {
	case t.Ask != nil:
		ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
		defer cancel()
		var k Kernel
		if p, k, err = t.Ask(ctx); err == nil {
			t.mu.Lock()
			t.kernel = &k
			t.mu.Unlock()
		}
	case t.PID != 0:
		p, err = ReadProcess(t.PID)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// Kernel is what the kernel of the target's host holds, as far as it can be known: what was read there with
// the last sample, else this host's.
func (t *Target) Kernel() Kernel {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kernel != nil {
		return *t.kernel
	}
	return ReadKernel()
}

func (t *Target) scrape(ctx context.Context) (Process, error) {
	// The connection is kept for the next second: if each had a new one, a server that waits until no
	// connection comes or goes before it collects garbage would wait for ever.
	t.connect.Do(func() {
		t.client.Transport = &http.Transport{MaxConnsPerHost: 1, IdleConnTimeout: 5 * scrapeTimeout}
	})
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	return ScrapeMetrics(ctx, &t.client, t.MetricsURL)
}

// Close gives back the connection to MetricsURL.
func (t *Target) Close() { t.client.CloseIdleConnections() }
