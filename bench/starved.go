package bench

import (
	"fmt"
	"time"
)

// When a generator was the bottleneck. The rules look at the seconds with traffic, and are wide enough for
// a machine of two processors on which target, generator and other programs compete: there up to 4 % of
// the sends were late and up to 3 % of the time was lost, as measured. With a tenth of a processor, or under
// nice -n 19 beside busy programs, it was 70 % and 7 % at least.
const (
	// starvedLate is the share of late sends from which most of the percentiles are the generator's
	// own. Fewer than starvedLateMin are a hiccup, whatever share they are of a few.
	starvedLate    = 0.05
	starvedLateMin = 10

	// starvedLost is the share of the time that may be lost to stalls beyond LateAfter, for the same
	// reason: what is received in it counts as slow. Of a second only its longest stall is known, so that the
	// true share is larger.
	starvedLost = 0.05

	// starvedBehind is how far behind a generator may be once: further, and the longest times are its
	// own. Other programs hold it up for a tenth of a second at most.
	starvedBehind = 250 * time.Millisecond

	// starvedCPU is the share of its processors from which a generator has no more to give. That is no
	// harm by itself: where it is so for more than starvedSeconds of the time, starvedHint of the shares
	// above is enough.
	starvedCPU        = 0.95
	starvedSeconds    = 0.1
	starvedSecondsMin = 2
	starvedHint       = 0.2

	// starvedWaited is how many threads wait for a processor where other programs have too much of them.
	starvedWaited = 0.5
)

// strain is what the seconds with traffic have in common.
type strain struct {
	seconds   int // with traffic
	due, late int64
	lateMax   time.Duration
	stalled   int           // seconds with a stall of more than LateAfter
	stallMax  time.Duration // the longest
	lost      time.Duration // to stalls, beyond LateAfter each
	worst     Point         // the second in which it was furthest behind
	saturated int           // seconds without a processor to spare
	waited    float64       // on average
	cpuMax    float64
}

// starved returns why a run says more of its generators than of its target, a sentence each; none if it
// does not.
func starved(points []Point) (reasons []string) {
	s := strained(points)
	enough := 1.0
	if s.isSaturated() {
		enough = starvedHint
	}
	if b := s.worst.behind(); b > starvedBehind {
		reasons = append(reasons, fmt.Sprintf("The generator was %s behind in second %d: the longest times are its own.",
			inWords(b), s.worst.Second))
	}
	if s.lateShare() > enough*starvedLate && s.late >= starvedLateMin {
		reasons = append(reasons, fmt.Sprintf("The generator was more than %s late with %s of %s arrivals and sends (%.1f %%), at most %s.",
			inWords(LateAfter), grouped(s.late), grouped(s.due), 100*s.lateShare(), inWords(s.lateMax)))
	}
	if s.lostShare() > enough*starvedLost {
		reasons = append(reasons, fmt.Sprintf("The generator stood still for more than %s in %d of %d seconds, at most %s.",
			inWords(LateAfter), s.stalled, s.seconds, inWords(s.stallMax)))
	}
	if len(reasons) > 0 {
		reasons = append(reasons, s.cause())
	}
	return reasons
}

// hampered says how far to trust the percentiles of a run whose generator was not starved, but held up now
// and then. It is empty if that is not worth a word.
func hampered(points []Point) string {
	s := strained(points)
	part := max(s.lateShare(), s.lostShare())
	if part < 0.01 || s.late < starvedLateMin && s.lostShare() < 0.01 || len(starved(points)) > 0 {
		return ""
	}
	return fmt.Sprintf("The generator was held up for more than %s in %.1f %% of the time or of its sends: "+
		"times beyond the %.0fth percentile may be its own. %s", inWords(LateAfter), 100*part, 100*(1-part), s.cause())
}

// cause says what has held the generator up, and what to do.
func (s *strain) cause() string {
	switch {
	case s.isSaturated():
		return fmt.Sprintf("It used %.0f %% of its processors: give it more, lower the rate, or share the load among --agents.", 100*s.cpuMax)
	case s.waited >= starvedWaited:
		return fmt.Sprintf("Its threads waited for processors (%.1f of them, on average), which other programs had, or a cgroup withheld: "+
			"let the target, or the generator, run on another machine.", s.waited)
	case s.stallMax < s.lateMax/4:
		return "It had processors to spare, but sends from one thread: lower the rate, or share the load among --agents."
	}
	return "It had processors to spare: was it stopped, limited by a cgroup, or its machine suspended?"
}

func (s *strain) lateShare() float64 { return share(s.late, s.due) }

func (s *strain) lostShare() float64 {
	return share(int64(s.lost), int64(s.seconds)*int64(time.Second))
}

func (s *strain) isSaturated() bool {
	return s.saturated >= starvedSecondsMin && float64(s.saturated) > starvedSeconds*float64(s.seconds)
}

func strained(points []Point) strain {
	var s strain
	var before Counts
	for _, p := range points {
		if p.hasTraffic(before) {
			s.add(p)
		}
		before = p.Counts
	}
	if s.seconds > 0 {
		s.waited /= float64(s.seconds)
	}
	return s
}

func (s *strain) add(p Point) {
	h := p.Health
	s.seconds++
	s.due += h.Due
	s.late += h.Late
	s.lateMax = max(s.lateMax, h.LateMax)
	s.waited += h.Waited
	s.cpuMax = max(s.cpuMax, h.CPU)
	if h.CPU >= starvedCPU {
		s.saturated++
	}
	if h.Lag > LateAfter {
		s.stalled++
		s.stallMax = max(s.stallMax, h.Lag)
		s.lost += h.Lag - LateAfter
	}
	if p.behind() > s.worst.behind() {
		s.worst = p
	}
}

// behind is how far a generator was behind in a second, at most.
func (p Point) behind() time.Duration { return max(p.Health.Lag, p.Health.LateMax) }

// hasTraffic reports whether something was timed in a second, by the counts before it.
func (p Point) hasTraffic(before Counts) bool {
	n := p.Counts
	return p.Health.Due > 0 || n.Dials != before.Dials || n.Upgrades != before.Upgrades || n.Joins != before.Joins ||
		n.Heartbeats != before.Heartbeats || n.Answered != before.Answered || n.Delivered != before.Delivered
}
