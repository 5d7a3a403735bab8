package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// busyTarget is the share of its host's processors from which a target has no more to give, and
	// busyHost that of both together where the generator is on the same host.
	busyTarget = 0.9
	busyHost   = 0.95

	// oneLow and oneHigh are what a program uses that does its work in one thread and has no more.
	oneLow, oneHigh = 0.97, 1.05
)

func (l *limits) generatorProcessors() string {
	if reasons := starved(l.Points); len(reasons) > 0 {
		return strings.Replace(reasons[0], "The generator ", "The generator, not the target: it ", 1)
	}
	return ""
}

// A use is how many processors were in use in one second.
type use struct{ target, generator float64 }

// uses returns the use of each second with traffic of which it is known.
func (l *limits) uses() (all []use) {
	for i := 1; i < len(l.Points); i++ {
		before, p := l.Points[i-1], l.Points[i]
		if p.Target == nil || before.Target == nil || p.Second <= before.Second || !p.hasTraffic(before.Counts) {
			continue
		}
		elapsed := float64(p.Second-before.Second) * float64(time.Second)
		all = append(all, use{
			target:    float64(p.Target.CPU-before.Target.CPU) / elapsed,
			generator: float64(p.Generator.CPU-before.Generator.CPU) / elapsed,
		})
	}
	return all
}

// targetProcessors looks for seconds, as many as starvedSeconds, in which the target had no processor to
// spare. How many there are is known where it runs on this host.
func (l *limits) targetProcessors() string {
	all := l.uses()
	cpus := float64(l.cpus)
	if l.Target.PID == 0 || len(all) == 0 || cpus == 0 {
		return ""
	}
	_, shared := l.local()
	for _, row := range []struct {
		busy func(use) bool
		what string
	}{
		{func(u use) bool { return u.target >= busyTarget*cpus }, "The target's processors"},
		{func(u use) bool { return shared && u.target+u.generator >= busyHost*cpus },
			"The processors of this host, which the target shares with the generator"},
		{func(u use) bool { return cpus > 1 && u.target >= oneLow && u.target <= oneHigh },
			"The target, which seems to do its work in one thread"},
	} {
		var sum use
		n := 0
		for _, u := range all {
			if row.busy(u) {
				sum.target, sum.generator, n = sum.target+u.target, sum.generator+u.generator, n+1
			}
		}
		if n < starvedSecondsMin || float64(n) <= starvedSeconds*float64(len(all)) {
			continue
		}
		s := fmt.Sprintf("%s: in %d of %d seconds with traffic it used %.1f of %d", row.what, n, len(all), sum.target/float64(n), l.cpus)
		if shared {
			s += fmt.Sprintf(", and the generator %.1f", sum.generator/float64(n))
		}
		return s + "."
	}
	return ""
}

// fewDescriptors is the share of its descriptors that a generator has in use when it is worth saying.
const fewDescriptors = 0.7

// nothing says how far the sides were from their bounds.
func (l *limits) nothing() string {
	s := fmt.Sprintf("Nothing: %s connections were asked for and all were there", grouped(l.asked))
	switch {
	case l.short():
		s = fmt.Sprintf("Nothing that is known, but only %s of the %s connections asked for were there", grouped(l.reached), grouped(l.asked))
	case l.Config.Scenario == "chat":
		s = fmt.Sprintf("Nothing: %s users were asked for and all came", grouped(l.asked))
	}
	most := 0.0
	for _, u := range l.uses() {
		most = max(most, u.target)
	}
	switch {
	case most > 0 && l.Target.PID != 0:
		s += fmt.Sprintf("; the target used at most %.1f of %d processors", most, l.cpus)
	case most > 0:
		s += fmt.Sprintf("; the target used at most %.1f processors", most)
	}
	if g, name := l.fullest(); share(int64(g.Self.FDs), g.descriptors()) >= fewDescriptors {
		s += fmt.Sprintf("; %s had %s of its %s descriptors in use", name, grouped(int64(g.Self.FDs)), grouped(g.descriptors()))
	}
	return s + "."
}

// grouped writes a number with a comma every three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// inWords writes a time for a sentence, with three digits at most, and from a minute on as 2m5s.
func inWords(d time.Duration) string {
	digits := func(v float64) string {
		s := strconv.FormatFloat(v, 'f', max(0, 2-int(math.Log10(max(1, v)))), 64)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	switch {
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + " µs"
	case d < time.Second:
		return digits(float64(d)/1e6) + " ms"
	case d < time.Minute:
		return digits(d.Seconds()) + " s"
	}
	return d.Round(time.Second).String()
}

func megabytes(n int64) string { return grouped(n>>20) + " MiB" }
