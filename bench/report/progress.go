package report

import (
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// A progress guesses how far a run has come from its plan and from who is there.
type progress struct {
	cfg     bench.Config
	share   float64 // of 0 to 1; never goes back
	arrived int     // second in which all had
}

// left returns how long the rest will take if all goes to plan, and sets share.
func (g *progress) left(p bench.Point) time.Duration {
	left := time.Duration(0)
	switch p.Stage {
	case bench.StageSent, bench.StageEnd:
	case bench.StageArrived:
		if g.arrived == 0 {
			g.arrived = p.Second
		}
		left = max(0, g.traffic()-time.Duration(p.Second-g.arrived)*time.Second)
	default:
		left = g.traffic() + max(0, g.arrival(float64(g.cfg.Connections))-g.arrival(float64(p.Counts.Users)))
	}
	gone := time.Duration(p.Second) * time.Second
	if gone > 0 {
		g.share = max(g.share, min(1, float64(gone)/float64(gone+left)))
	}
	return left
}

// traffic is the planned time between the arrival of all and the end.
func (g *progress) traffic() time.Duration {
	if g.cfg.Scenario == "connect" {
		return g.cfg.Hold
	}
	return g.cfg.Duration
}

// arrival is the planned time until so many users are there.
func (g *progress) arrival(users float64) time.Duration {
	if len(g.cfg.Phases) == 0 {
		return inSeconds(users, g.cfg.ArrivalRate)
	}
	var all time.Duration
	for _, p := range g.cfg.Phases {
		took := min(p.Duration, inSeconds(users, p.Rate))
		users -= p.Rate * took.Seconds()
		all += took
	}
	return all
}

func inSeconds(n, rate float64) time.Duration {
	if n <= 0 || rate <= 0 {
		return 0
	}
	return time.Duration(min(n/rate, 1e9) * float64(time.Second))
}
