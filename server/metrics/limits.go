package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dormouse-ws/dormouse/server"
)

// limitMetrics are what limits count. What they have refused is one metric, with the limit as its label.
func limitMetrics() []metric {
	type stats = server.Stats
	list := []metric{
		gauge("limit_counted_connections", "Connections, and long-poll sessions, that the limits count.",
			func(s stats) int64 { return s.Limits.Counted }),
		gauge("limit_handshakes", "Connections that await their first answer, where limits are set.",
			func(s stats) int64 { return s.Limits.Handshaking }),
		gauge("limit_addresses", "Addresses with a connection, where limits by address are set.",
			func(s stats) int64 { return s.Limits.Addresses }),
		gauge("limit_remembered_addresses", "Addresses without a connection of which a rate is kept.",
			func(s stats) int64 { return s.Limits.Remembered }),
		counter("limit_forgotten_addresses_total", "Addresses of which a rate was forgotten early, for want of room.",
			func(s stats) int64 { return s.Limits.Forgotten }),
		counter("proxy_faults_total", "Connections closed because of a PROXY protocol header, or for want of one or of a listed proxy.",
			func(s stats) int64 { return s.Limits.ProxyFaults }),
		gauge("limit_unfinished_message_bytes", "What messages hold of which the end has not come, over 8 KiB each.",
			func(s stats) int64 { return s.Unfinished }),
		gauge("limit_waiting_message_bytes", "Messages that wait for a worker, from 1 KiB each.",
			func(s stats) int64 { return s.Waiting }),
	}
	for _, l := range []struct {
		name string
		of   func(*server.Refusals) int64
	}{
		{"connections", func(r *server.Refusals) int64 { return r.Connections }},
		{"connection_rate", func(r *server.Refusals) int64 { return r.ConnectionRate }},
		{"address_connections", func(r *server.Refusals) int64 { return r.AddressConnections }},
		{"address_connection_rate", func(r *server.Refusals) int64 { return r.AddressConnectionRate }},
		{"network_connection_rate", func(r *server.Refusals) int64 { return r.NetworkConnectionRate }},
		{"handshakes", func(r *server.Refusals) int64 { return r.Handshakes }},
		{"join_rate", func(r *server.Refusals) int64 { return r.JoinRate }},
		{"address_join_rate", func(r *server.Refusals) int64 { return r.AddressJoinRate }},
		{"message_rate", func(r *server.Refusals) int64 { return r.MessageRate }},
		{"topics", func(r *server.Refusals) int64 { return r.Topics }},
		{"message_size", func(r *server.Refusals) int64 { return r.MessageSize }},
		{"handshake_time", func(r *server.Refusals) int64 { return r.HandshakeTime }},
		{"idle_time", func(r *server.Refusals) int64 { return r.IdleTime }},
		{"http_connections", func(r *server.Refusals) int64 { return r.HTTPConnections }},
		{"unfinished_messages", func(r *server.Refusals) int64 { return r.Unfinished }},
		{"waiting_messages", func(r *server.Refusals) int64 { return r.Waiting }},
	} {
		m := counter("limit_refusals_total", "Connections, joins and messages refused, by the limit that did.",
			func(s stats) int64 { return l.of(&s.Limits.Refused) })
		m.label = prometheus.Labels{"limit": l.name}
		list = append(list, m)
	}
	return list
}
