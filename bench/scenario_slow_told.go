package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Figures of the slow scenario.
const (
	figureDeaf   = "readers that stopped reading"
	figureCut    = "of those, cut off by the target"
	figureLate   = "cut off, seen when they read again"
	figureServed = "served when they read again"
	figureGone   = "ended with the target itself"
	figureSaid   = "cut off: " // and how
)

// endMargin is how long before half of all readers are gone those who had stopped may have gone with them.
const endMargin = int64(time.Second)

func (s *slow) outcome(o *Outcome) {
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	n := map[string]int{}
	cuts := 0 // kinds of them
	seen, got := &Histogram{}, &Histogram{}
	s.each(func(_ *user, r *reader) {
		if r.since == 0 {
			return
		}
		n[figureDeaf]++
		switch {
		case r.cut > 0 && end > 0 && r.cut > end-endMargin:
			n[figureGone]++
			return
		case r.cut == 0 && r.fresh:
			n[figureServed]++
			return
		case r.cut == 0:
			return
		case r.late:
			n[figureLate]++
			got.Record(time.Duration(r.newer - r.since))
		default:
			seen.Record(time.Duration(r.cut - r.since))
		}
		n[figureCut]++
		kind := figureSaid + r.kind
		if n[kind] == 0 {
			if cuts++; cuts > maxCutKinds {
				kind = figureSaid + "in another way"
			}
		}
		n[kind]++
	})
	add := func(name string, always bool) {
		if v, has := n[name]; has || always {
			o.Figures = append(o.Figures, Figure{Name: name, Value: float64(v)})
		}
		delete(n, name)
	}
	add(figureDeaf, true)
	add(figureCut, true)
	add(figureLate, false)
	add(figureServed, s.awake)
	add(figureGone, false)
	for _, name := range slices.Sorted(maps.Keys(n)) {
		add(name, false)
	}
	for name, h := range map[string]*Histogram{LatencyCut: seen, LatencyHeard: got} {
		if h.Count() > 0 {
			o.Latency[name] = h
		}
	}
}

// maxCutKinds bounds what a target can make us say.
const maxCutKinds = 5

// figure is the value of one, and whether it is there.
func (r *Result) figure(name string) (float64, bool) {
	i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Name == name })
	if i < 0 {
		return 0, false
	}
	return r.Figures[i].Value, true
}

// count is a figure that counts something; none is 0.
func (r *Result) count(name string) int64 {
	v, _ := r.figure(name)
	return int64(v)
}

// toldOfSlow says what the target did with the readers that stopped reading, in sentences; none where none did.
func (r *Result) toldOfSlow() (told []string) {
	deaf, cut, gone := r.count(figureDeaf), r.count(figureCut), r.count(figureGone)
	if deaf == 0 {
		return nil
	}
	served, awake := r.figure(figureServed)
	told = append(told, fmt.Sprintf("%s of %s readers stopped reading. %s", grouped(deaf), grouped(r.Counts.Users), r.cutTold(cut, deaf)))
	if !awake {
		return append(told, "The run ended before they read again, when a cut that waits behind unread messages would be seen: "+
			"more of them may have been cut off.")
	}
	if n := int64(served); n > 0 {
		told = append(told, fmt.Sprintf("%s of the readers that had stopped %s served when %s read again: what %s missed was kept for %s, or left out.",
			grouped(n), word(n, "was", "were"), word(n, "it", "they"), word(n, "it", "they"), word(n, "it", "them")))
	}
	if n := deaf - cut - int64(served) - gone; n > 0 {
		told = append(told, fmt.Sprintf("%s of the readers that had stopped %s neither cut off, nor did anything new reach %s within --settle of the end.",
			grouped(n), word(n, "was", "were"), word(n, "it", "them")))
	}
	if gone > 0 {
		told = append(told, fmt.Sprintf("%s of the readers that had stopped ended together with those who read: that was the end of the target, and no limit of it.",
			grouped(gone)))
	} else if cut == 0 {
		told = append(told, "To see the target's limit, send more to those who do not read (--size, --rate, --duration): its kernel takes "+
			"the first megabytes (net.ipv4.tcp_wmem) before its program hears of it.")
	}
	return told
}

// cutTold says how many were cut off, when and how: those who saw it at once apart from those who saw it when they
// read again.
func (r *Result) cutTold(cut, deaf int64) string {
	if cut == 0 {
		return "The target cut off none of them."
	}
	said := []string{fmt.Sprintf("The target cut off %s of them (%.1f %%): its limit for slow readers has answered, which is no error.",
		grouped(cut), 100*share(cut, deaf))}
	if h := r.Latency[LatencyCut]; h.Count() > 0 {
		n := h.Count()
		said = append(said, fmt.Sprintf("%s saw it while %s did not read, %s.", grouped(n), word(n, "it", "they"), afterStop(h)))
	}
	if h := r.Latency[LatencyHeard]; h.Count() > 0 {
		n := h.Count()
		said = append(said, fmt.Sprintf("%s saw it when %s read again: the last message that still reached %s was due %s, and the cut came behind it.",
			grouped(n), word(n, "it", "they"), word(n, "it", "them"), afterStop(h)))
	}
	var kinds []string
	for _, f := range r.Figures {
		if kind, ok := strings.CutPrefix(f.Name, figureSaid); ok {
			kinds = append(kinds, fmt.Sprintf("%s (%s)", kind, grouped(int64(f.Value))))
		}
	}
	return strings.Join(append(said, "What they saw: "+strings.Join(kinds, ", ")+"."), " ")
}

// word is the one for n things.
func word(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// afterStop is the times of h, as: 8.1 s to 9.4 s after they had stopped (half of them within 8.6 s).
func afterStop(h *Histogram) string {
	lowest, highest := inWords(h.Min()), inWords(h.Max())
	after := fmt.Sprintf("after %s had stopped", word(h.Count(), "it", "they"))
	if lowest == highest {
		return highest + " " + after
	}
	return fmt.Sprintf("%s to %s %s (half of them within %s)", lowest, highest, after, inWords(h.Quantile(0.5)))
}
