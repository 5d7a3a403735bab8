// Package metrics shows a server's counters, its Go runtime and its process to Prometheus.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dormouse-ws/dormouse/server"
)

// maxScrapes bounds the scrapes that are answered at the same time; more are answered with 503.
const maxScrapes = 4

// Handler answers with the metrics of s in the Prometheus text format. They are read when they are asked
// for: between two scrapes they cost nothing, and nothing for each connection ever.
func Handler(s *server.Server) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(s.Stats),
		collectors.NewGoCollector(),
		collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	// A compressor is a megabyte of heap, for a few kilobytes each 15 seconds.
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, DisableCompression: true})
}
