package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dormouse-ws/dormouse/server"
)

// A metric is one counter or gauge of [server.Stats].
type metric struct {
	name  string
	help  string
	kind  prometheus.ValueType
	value func(server.Stats) float64
	label prometheus.Labels // constant; nil: none
}

// A collector reads the counters of the server once for each scrape, one after the other while it goes on.
type collector struct {
	stats   func() server.Stats
	metrics []metric
	descs   []*prometheus.Desc
}

func newCollector(stats func() server.Stats) *collector {
	c := &collector{stats: stats, metrics: slices.Concat(metrics(), limitMetrics(), presenceMetrics())}
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc("dormouse_"+m.name, m.help, nil, m.label))
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.stats()
	for i, m := range c.metrics {
		out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.value(st))
	}
}

func counter[N int64 | uint64](name, help string, of func(server.Stats) N) metric {
	return metric{name, help, prometheus.CounterValue, func(s server.Stats) float64 { return float64(of(s)) }, nil}
}

func gauge[N int64 | int](name, help string, of func(server.Stats) N) metric {
	return metric{name, help, prometheus.GaugeValue, func(s server.Stats) float64 { return float64(of(s)) }, nil}
}

// metrics are all that a server counts: of the engine, of the hub, and its own.
func metrics() []metric {
	type stats = server.Stats
	return []metric{
		gauge("connections_open", "Connections whose descriptor is open.",
			func(s stats) int64 { return s.Engine.Open }),
		counter("connections_accepted_total", "Connections accepted.",
			func(s stats) int64 { return s.Engine.Accepted }),
		counter("connections_closed_total", "Connections ended, by whoever.",
			func(s stats) int64 { return s.Engine.Closed }),
		counter("connections_closed_by_peer_total", "Connections that the client has closed.",
			func(s stats) int64 { return s.Engine.ClosedByPeer }),
		counter("connections_failed_total", "Connections that the client has reset, or that ended with another error of the kernel.",
			func(s stats) int64 { return s.Engine.ClosedByFailure }),
		counter("connections_write_timed_out_total", "Connections ended because the client read nothing for too long.",
			func(s stats) int64 { return s.Engine.WriteTimeouts }),
		counter("connections_truncated_total", "Connections ended because more waited for the client than it may have.",
			func(s stats) int64 { return s.Engine.SlowConsumers }),
		counter("connections_detached_total", "Connections handed to net/http.",
			func(s stats) int64 { return s.Engine.Detached }),
		counter("connections_over_limit_total", "Connections closed at once because there are as many as may be.",
			func(s stats) int64 { return s.Engine.OverLimit }),
		counter("accept_errors_total", "Failures to accept a connection, for want of descriptors or memory.",
			func(s stats) int64 { return s.Engine.AcceptErrors }),
		counter("outbox_full_total", "Sends refused because too much waits for the client already.",
			func(s stats) int64 { return s.Engine.OutboxFull }),
		counter("mailbox_full_total", "Messages refused because too many of the same client wait for a worker already.",
			func(s stats) int64 { return s.Engine.MailboxFull }),
		counter("stale_events_total", "Events of the kernel for a connection that had ended.",
			func(s stats) int64 { return s.Engine.StaleEvents }),
		gauge("workers_busy", "Workers that run the application's code.",
			func(s stats) int { return s.Engine.Active }),
		gauge("workers_awaited", "Connections whose messages wait for a worker.",
			func(s stats) int { return s.Engine.Backlog }),
		gauge("topics", "Topics with at least one subscriber.",
			func(s stats) int { return s.Hub.Topics }),
		gauge("subscriptions", "Subscribers of all topics.",
			func(s stats) int { return s.Hub.Subscriptions }),
		counter("broadcasts_total", "Broadcasts, to whomever.",
			func(s stats) uint64 { return s.Hub.Broadcasts }),
		counter("deliveries_total", "Broadcasts handed to a subscriber, each to each.",
			func(s stats) uint64 { return s.Hub.Deliveries }),

		counter("upgrades_total", "WebSocket handshakes completed.",
			func(s stats) int64 { return s.Upgraded }),
		counter("upgrades_refused_total", "Handshakes refused, and those of long-polling.",
			func(s stats) int64 { return s.Refused }),
		gauge("http_connections_open", "Connections that net/http serves.",
			func(s stats) int64 { return s.HTTPConns }),
		counter("longpoll_opened_total", "Sessions of the long-poll transport since the start.",
			func(s stats) int64 { return s.Polled }),
		gauge("longpoll_sessions", "Sessions of the long-poll transport.",
			func(s stats) int64 { return s.PollSessions }),
		gauge("longpoll_waiting", "Polls that wait for a message.",
			func(s stats) int64 { return s.PollsWaiting }),
		gauge("sockets_draining", "Sockets that the shutdown has yet to tell to go.",
			func(s stats) int64 { return s.Draining }),
		counter("sockets_drained_total", "Sockets that the shutdown has told to go.",
			func(s stats) int64 { return s.Drained }),
		counter("slow_closed_total", "Connections closed because their client did not read.",
			func(s stats) int64 { return s.SlowClosed }),
		counter("slow_dropped_messages_total", "Messages dropped because their client did not read.",
			func(s stats) int64 { return s.SlowDropped }),
		counter("panics_total", "Panics of the application's code, and of the server's own.",
			func(s stats) int64 { return s.Panics }),
		counter("unencodable_messages_total", "Broadcasts for which a subscriber's version of the protocol has no form.",
			func(s stats) int64 { return s.Unencodable }),
		counter("decode_errors_total", "Connections closed because a message could not be decoded.",
			func(s stats) int64 { return s.DecodeErrors }),
	}
}
