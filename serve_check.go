package main

import (
	"fmt"
	"log/slog"
	"math"

	"github.com/dormouse-ws/dormouse/tuning"
)

// startChecks logs what will stop the server below limit connections, a line each, with what fixes it.
// Without a limit it says how many the host can hold. It reads some dozens of small files, once.
func startChecks(h *tuning.Host, limit int, log *slog.Logger) {
	// What another server holds is not this one's, though tune check takes it for that.
	goal := tuning.Goal{Connections: int64(max(limit, 1)), HeldBy: []int{}}
	r, err := tuning.Examine(h, goal)
	if err != nil {
		log.Warn("cannot tell how many connections this host can hold", "err", err)
		return
	}
	if limit == 0 {
		if r.Holds != tuning.Unbounded {
			log.Info("room for connections", "at_most", r.Holds, "stopped_by", r.StoppedBy, "more_with", "dormouse tune check")
		}
		return
	}
	for _, f := range r.Findings {
		if f.Blocks && f.Holds < goal.Connections {
			log.Warn(fmt.Sprintf("%s stops connections at %d of the %d of --max-connections", f.Name, f.Holds, limit),
				"is", f.Value, "needed", f.Needed, "fix", f.Now, "all_of_them", tuneCheckLine(limit))
		}
	}
	if p := r.Prediction; p.Largest < goal.Connections {
		log.Warn(fmt.Sprintf("memory stops connections at %d of the %d of --max-connections", p.Largest, limit),
			"available", mebibytes(p.Available), "of", p.AvailableFrom, "needed", mebibytes(p.Total), "how", tuneCheckLine(limit))
	}
}

func tuneCheckLine(connections int) string {
	return fmt.Sprintf("dormouse tune check --connections %d", connections)
}

func mebibytes(n int64) string {
	return fmt.Sprintf("%.0fMiB", math.Ceil(float64(n)/(1<<20)))
}
