package sample

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

func TestTarget(t *testing.T) {
	good, bad := serving(t, 200, recordedMetrics(t)), serving(t, 500, "")
	const nobody = 1 << 30 // more than pid_max can be
	for _, row := range []struct {
		name   string
		pid    int
		url    string
		rss    bool // of this process, rather than of the metrics
		goes   bool // its Go runtime is known
		failed bool
	}{
		{"by pid", os.Getpid(), "", true, false, false},
		{"by metrics", 0, good.URL, false, true, false},
		{"by both", os.Getpid(), good.URL, true, true, false},
		{"by both, without an answer", os.Getpid(), bad.URL, true, false, true},
		{"by both, and the process is elsewhere", nobody, good.URL, false, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			target := &Target{PID: row.pid, MetricsURL: row.url}
			defer target.Close()
			p, err := target.Sample(t.Context())
			if (err != nil) != row.failed || p == nil {
				t.Fatalf("got %+v, %v", p, err)
			}
			if (p.PID == os.Getpid()) != row.rss || p.RSS == 0 || (p.Go != nil) != row.goes {
				t.Errorf("got %+v", p)
			}
		})
	}
	if p, err := (&Target{PID: nobody, MetricsURL: bad.URL}).Sample(t.Context()); p != nil || err == nil {
		t.Errorf("of nobody: %+v, %v", p, err)
	}
	if p, err := (&Target{}).Sample(t.Context()); p != nil || !errors.Is(err, ErrUnknown) {
		t.Errorf("of what is unknown: %+v, %v", p, err)
	}
}

// Samples go over one connection: see Target.scrape. Of a process that can be read by its PID, a Glance
// only goes there now and then.
func TestTargetDisturbsLittle(t *testing.T) {
	var opened, asked atomic.Int32
	text := recordedMetrics(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(text))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	look := func(see func(context.Context) (*Process, error), want int32) {
		t.Helper()
		before := asked.Load()
		for range 5 {
			if p, err := see(t.Context()); err != nil || p.Go == nil {
				t.Fatalf("got %+v, %v", p, err)
			}
		}
		if n := asked.Load() - before; n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	remote, local := &Target{MetricsURL: s.URL}, &Target{PID: os.Getpid(), MetricsURL: s.URL}
	defer remote.Close()
	defer local.Close()
	look(remote.Sample, 5)
	look(remote.Glance, 5)
	look(local.Sample, 5)
	look(local.Glance, 0)
	local.scraped = local.scraped.Add(-scrapePeriod)
	look(local.Glance, 1)
	if n := opened.Load(); n != 2 {
		t.Errorf("%d connections were opened", n)
	}
	if p, err := local.Sample(t.Context()); err != nil || p.PSS == 0 {
		t.Errorf("a sample is %+v, %v", p, err)
	}
	if p, err := local.Glance(t.Context()); err != nil || p.PSS != 0 {
		t.Errorf("a glance is %+v, %v", p, err)
	}
}

// What the metrics have told once does not outlive them.
func TestGlanceForgets(t *testing.T) {
	s := serving(t, 200, recordedMetrics(t))
	target := &Target{PID: os.Getpid(), MetricsURL: s.URL}
	defer target.Close()
	if p, err := target.Glance(t.Context()); err != nil || p.Go == nil {
		t.Fatalf("got %+v, %v", p, err)
	}
	s.Close()
	target.scraped = time.Time{}
	if p, err := target.Glance(t.Context()); err == nil || p == nil || p.Go != nil {
		t.Errorf("got %+v, %v", p, err)
	}
}

// A server that does not answer costs a second, or less if the run ends.
func TestTargetDoesNotAnswer(t *testing.T) {
	over := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(over)
	target := &Target{MetricsURL: s.URL}
	defer target.Close()
	if p, err := target.Sample(t.Context()); p != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v", p, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if p, err := target.Sample(ctx); p != nil || err == nil {
		t.Errorf("got %+v, %v", p, err)
	}
}
