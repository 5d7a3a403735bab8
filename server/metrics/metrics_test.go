package metrics

// The tests are inside the package to give a collector counters that no server has.

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// silent is a channel that lets everybody in.
type silent struct{}

func (silent) Join(*server.Context, server.Payload) error              { return nil }
func (silent) HandleIn(*server.Context, string, server.Payload) error  { return nil }
func (silent) HandleOut(*server.Context, string, server.Payload) error { return nil }
func (silent) Leave(*server.Context, error)                            {}
func newSilent() server.Channel                                        { return silent{} }
func start(t *testing.T) *servertest.Server                            { return servertest.Start(t, config()) }
func config() server.Config {
	return server.Config{
		Sockets: []*server.Socket{{Path: "/socket", Routes: []server.Route{{Topic: "room:*", Channel: newSilent}}}},
		Log:     slog.New(slog.DiscardHandler),
	}
}

// scrape asks the handler as Prometheus does.
func scrape(t *testing.T, s *server.Server) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("the answer is %d: %s", w.Code, w.Body)
	}
	var p expfmt.TextParser
	families, err := p.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func value(f *dto.MetricFamily) float64 {
	if f == nil {
		return -1
	}
	m := f.GetMetric()[0]
	return m.GetGauge().GetValue() + m.GetCounter().GetValue()
}

func TestHandler(t *testing.T) {
	srv := start(t)
	client := srv.Dial("/socket/websocket")
	client.Join("room:1", nil)
	client.Join("room:2", nil)
	families := scrape(t, srv.Server)
	for name, want := range map[string]float64{
		"dormouse_connections_open": 1, "dormouse_connections_accepted_total": 1, "dormouse_connections_closed_total": 0,
		"dormouse_upgrades_total": 1, "dormouse_topics": 2, "dormouse_subscriptions": 2,
		"dormouse_broadcasts_total": 0, "dormouse_deliveries_total": 0,
	} {
		if got := value(families[name]); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_inuse_bytes", "process_resident_memory_bytes", "process_open_fds"} {
		if value(families[name]) <= 0 {
			t.Errorf("%s is missing", name)
		}
	}

	srv.Broadcast("room:1", "hello", nil)
	srv.Broadcast("room:3", "hello", nil)
	servertest.Eventually(t, "one delivery", func() bool {
		f := scrape(t, srv.Server)
		return value(f["dormouse_broadcasts_total"]) == 2 && value(f["dormouse_deliveries_total"]) == 1
	})
}

// Two servers in one process have metrics of their own.
func TestHandlersAreIndependent(t *testing.T) {
	one, other := start(t), start(t)
	one.Dial("/socket/websocket").Join("room:1", nil)
	if got := value(scrape(t, other.Server)["dormouse_connections_open"]); got != 0 {
		t.Errorf("the other server has %v connections", got)
	}
	if got := value(scrape(t, one.Server)["dormouse_connections_open"]); got != 1 {
		t.Errorf("the server has %v connections", got)
	}
}

func TestNames(t *testing.T) {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(func() server.Stats { return server.Stats{} }))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Every counter of a server is shown, once: each has a value of its own here.
func TestMetricsAreComplete(t *testing.T) {
	var st server.Stats
	want := map[float64]string{}
	number(reflect.ValueOf(&st).Elem(), want)
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(func() server.Stats { return st }))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if _, ok := want[v]; !ok {
				t.Errorf("%s %v has the value of another metric, or of no field", f.GetName(), m.GetLabel())
			}
			delete(want, v)
		}
	}
	for _, field := range want {
		t.Errorf("no metric has the value of Stats.%s", field)
	}
}

// number gives every field below v another number, and notes which.
func number(v reflect.Value, numbers map[float64]string) {
	for i := range v.NumField() {
		f := v.Field(i)
		n := int64(len(numbers) + 1)
		switch {
		case f.Kind() == reflect.Struct:
			number(f, numbers)
			continue
		case f.CanInt():
			f.SetInt(n)
		case f.CanUint():
			f.SetUint(uint64(n))
		}
		numbers[float64(n)] = v.Type().Field(i).Name
	}
}

func BenchmarkScrape(b *testing.B) {
	s, err := server.New(config())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Shutdown(b.Context()) }()
	h := Handler(s)
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		_, _ = io.Copy(io.Discard, w.Body)
	}
}
