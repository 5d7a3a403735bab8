package bench

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// judge sets the verdict with its reasons. A run that has failed is said to have, also when the generator
// was the bottleneck; then the reasons of both are given.
func (r *Result) judge(t *tally) {
	failed := append(r.nothingWorked(), t.unbalanced()...)
	invalid := slices.Concat(r.lostGenerators(), r.unsureClocks())
	if r.Counts.Upgrades > 0 { // else there is no time that could be the generator's own
		invalid = slices.Concat(r.lostGenerators(), starved(r.Points), r.unsureClocks())
	}
	switch {
	case len(failed) > 0:
		r.Verdict = Failed
	case len(invalid) > 0:
		r.Verdict = Invalid
	default:
		r.Verdict = Valid
	}
	r.Reasons = slices.Concat(failed, invalid)
}

// nothingWorked says that no connection, or no join, has succeeded at all.
func (r *Result) nothingWorked() []string {
	n := r.Counts
	switch {
	case r.Stopped && n.Errors == 0:
		return nil // it was stopped before anything could work
	case n.Upgrades == 0:
		return []string{fmt.Sprintf("None of %s connections was established%s.", grouped(n.Dials), r.worstError())}
	case n.Joins == 0 && r.Config.Protocol == Phoenix:
		return []string{fmt.Sprintf("Nobody could join %s%s.", r.Config.Topic, r.worstError())}
	}
	return r.manyMissing()
}

// missingShare of the users may be lost, by a timeout or a port that was taken, without the run being worth
// nothing.
const missingShare = 0.01

// manyMissing says that users are not there at the end who should be. In a chat some are away, and those
// who stopped reading may have been cut off.
func (r *Result) manyMissing() []string {
	if r.Config.Scenario == "chat" || len(r.lostGenerators()) > 0 {
		return nil
	}
	n := r.Counts
	missing := n.Users - n.Joined - r.count(figureDeaf)
	if r.Stopped { // who has not come by then is not missing, who was cut off is
		missing = min(missing, n.Lost)
	}
	if float64(missing) > missingShare*float64(n.Users) {
		return []string{fmt.Sprintf("%s of %s users were not there at the end%s.", grouped(missing), grouped(n.Users), r.worstError())}
	}
	return nil
}

// worstError names the error that occurred most, as the end of a sentence.
func (r *Result) worstError() string {
	if len(r.Errors) == 0 {
		return ""
	}
	e := r.Errors[0]
	if e.Fix == "" {
		return ": " + e.Kind
	}
	return ": " + e.Kind + ": " + strings.TrimSuffix(e.Fix, ".")
}

// unbalanced says what was sent and did not come, or came and was not expected.
func (t *tally) unbalanced() (reasons []string) {
	if t.Missing > 0 {
		reasons = append(reasons, fmt.Sprintf("%s of %s deliveries are missing: %s.", grouped(t.Missing), grouped(t.Expected), t.shortTopics()))
	}
	if t.Extra > 0 {
		reasons = append(reasons, fmt.Sprintf("%s deliveries came that had come already, or that nobody had sent.", grouped(t.Extra)))
	}
	if t.Unanswered > 0 {
		reasons = append(reasons, fmt.Sprintf("%s of %s requests were not answered.", grouped(t.Unanswered), grouped(t.Requests)))
	}
	if t.Unsent > 0 {
		reasons = append(reasons, fmt.Sprintf("%s messages or requests were due and not sent: those who should have were gone, "+
			"or waited for an answer until --timeout after the last was due.", grouped(t.Unsent)))
	}
	return reasons
}

// maxTopics is how many topics a sentence names.
const maxTopics = 3

func (t *tally) shortTopics() string {
	topics := slices.SortedFunc(maps.Keys(t.short), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.short[b], t.short[a]), cmp.Compare(a, b))
	})
	var named []string
	for _, topic := range topics[:min(len(topics), maxTopics)] {
		named = append(named, fmt.Sprintf("%s on %s", grouped(t.short[topic]), topic))
	}
	if more := len(topics) - maxTopics; more > 0 {
		named = append(named, fmt.Sprintf("the rest on %d more topics", more))
	}
	return strings.Join(named, ", ")
}

func (r *Result) lostGenerators() (reasons []string) {
	for _, g := range r.Generators {
		if g.Lost != "" {
			reasons = append(reasons, fmt.Sprintf("A generator was lost: %s.", strings.TrimSuffix(named(g.Name, g.Lost), ".")))
		}
	}
	return reasons
}

// named puts the name of a generator before why it was lost, unless it is in there.
func named(name, why string) string {
	if strings.Contains(why, name) {
		return why
	}
	return name + ": " + why
}

// unsureClocks says that messages between generators, of which the first one sends, may have taken less
// time than the difference of their clocks is known to.
func (r *Result) unsureClocks() []string {
	if r.Config.Scenario != "broadcast" && r.Config.Scenario != "slow" {
		return nil
	}
	half := r.Latency[LatencyDeliver].Quantile(0.5)
	for _, g := range r.Generators[1:] {
		unsure := g.ClockError + r.Generators[0].ClockError
		if half > 0 && unsure > half {
			return []string{fmt.Sprintf("The clock of %s is known to within %s only, and half of the deliveries took less than %s: "+
				"keep the machines' clocks in step (chrony, or PTP), or put the generators nearer to each other.", g.Name, inWords(unsure), inWords(half))}
		}
	}
	return nil
}
