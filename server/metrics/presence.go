package metrics

import "github.com/dormouse-ws/dormouse/server"

// presenceMetrics are those of who is there.
func presenceMetrics() []metric {
	type stats = server.Stats
	return []metric{
		gauge("presence_entries", "Entries that channels track.",
			func(s stats) int { return s.Presence.Entries }),
		gauge("presence_topics", "Topics with at least one entry.",
			func(s stats) int { return s.Presence.Topics }),
		gauge("presence_waiting", "Changes of entries that no diff has told yet.",
			func(s stats) int { return s.Presence.Waiting }),
		counter("presence_changes_total", "Entries that came or left, as diffs have told; an update is two.",
			func(s stats) uint64 { return s.Presence.Changes }),
		counter("presence_diffs_total", "Diffs broadcast.",
			func(s stats) uint64 { return s.Presence.Diffs }),
		counter("presence_diff_bytes_total", "Bytes of the diffs, each counted once.",
			func(s stats) uint64 { return s.Presence.DiffBytes }),
		counter("presence_refused_total", "Entries and updates refused at the limits of a topic or channel.",
			func(s stats) int64 { return s.PresenceRefused }),
	}
}
