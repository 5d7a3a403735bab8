package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limitOf says in a sentence what limited a run, and on which side. The first that fits counts, as each
// may be the cause of those behind it:
//
//  1. what the kernel refused to a generator: descriptors, ports, memory. If nobody was ever there, what the
//     network or the target refused comes next: the rest says nothing of why
//  2. the target's descriptors, and its end
//  3. what both may share: the table of tracked connections, the host's memory
//  4. processors: the generator's, then the target's
//  5. what the network or the target refused for reasons of its own
//  6. an interruption
func limitOf(r *Result) string {
	return newLimits(r, processorsOf(r.Target.PID)).sentence()
}

// processorsOf is how many processors this process and the target, if it is of this host, may use together.
func processorsOf(pid int) int {
	var own, its unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return runtime.NumCPU()
	}
	if pid != 0 && unix.SchedGetaffinity(pid, &its) == nil {
		for i := range own {
			own[i] |= its[i]
		}
	}
	return own.Count()
}

// limits is a Result that is asked what limited it.
type limits struct {
	*Result
	cpus           int   // of this host
	asked, reached int64 // users
}

func newLimits(r *Result, cpus int) *limits {
	return &limits{Result: r, cpus: cpus, asked: int64(r.Config.Connections), reached: r.reached()}
}

func (l *limits) sentence() string {
	refused := l.refusals
	if l.reached > 0 {
		refused = func() string { return "" }
	}
	for _, limit := range []func() string{
		l.generatorKernel, refused, l.targetDescriptors, l.targetEnd, l.conntrack, l.memory,
		l.generatorProcessors, l.targetProcessors, l.refusals, l.interruption,
	} {
		if s := limit(); s != "" {
			return s
		}
	}
	return l.nothing()
}

// reached is how many users were there at the same time, at most. In the chat scenario they come and go by
// themselves: there it is how many came.
func (r *Result) reached() int64 {
	if r.Config.Scenario == "chat" {
		return r.Counts.Users
	}
	most := r.Counts.Joined
	for _, p := range r.Points {
		most = max(most, p.Counts.Joined)
	}
	return most
}

func (l *limits) short() bool { return l.reached < l.asked }

// bounded says how far a run came.
func (l *limits) bounded() string {
	return fmt.Sprintf("bounded the connections at %s of the %s asked for", grouped(l.reached), grouped(l.asked))
}

// effect says what an error did.
func (l *limits) effect(e ErrorCount) string {
	if l.short() {
		return l.bounded()
	}
	return fmt.Sprintf("made %s of %s connects fail", grouped(e.Count), grouped(l.Counts.Dials))
}

// explains reports whether an error may be why connections are missing, of which it has to be a tenth, and
// which an interruption explains better; or whether a hundredth of all connects failed so.
func (l *limits) explains(e ErrorCount) bool {
	return l.short() && !l.Stopped && 10*e.Count >= l.asked-l.reached || 100*e.Count >= max(1, l.Counts.Dials)
}

// generatorKernel goes by the kinds of errorKind.
func (l *limits) generatorKernel() string {
	for _, e := range l.Errors {
		what := ""
		switch e.Kind {
		case "too many open files":
			g, name := l.fullest()
			what = fmt.Sprintf("The descriptor limit of %s (%s; ulimit -Hn)", name, grouped(g.descriptors()))
		case "too many open files in the system":
			what = "The descriptors of the generator's host (fs.file-max)"
		case "out of ports":
			what = fmt.Sprintf("The ports of the generator (%s for each of its addresses; --source gives it more)", l.ports())
		case "out of socket memory":
			what = "The socket memory of the generator's host (net.ipv4.tcp_mem)"
		case "out of memory":
			what = "The memory of the generator's host"
		case "too many epoll watches":
			what = "The epoll watches of the generator's user (fs.epoll.max_user_watches)"
		}
		if what != "" && l.explains(e) {
			return what + " " + l.effect(e) + "."
		}
	}
	return ""
}

// fullest is the generator that has the largest share of its descriptors in use, and how it is called.
func (l *limits) fullest() (g GeneratorResult, name string) {
	used := func(g GeneratorResult) float64 { return share(int64(g.Self.FDs), g.descriptors()) }
	for i, o := range l.Generators {
		if i == 0 || used(o) > used(g) {
			g = o
		}
	}
	if len(l.Generators) > 1 {
		return g, "the generator " + g.Name
	}
	return g, "the generator"
}

// descriptors is the limit, also of a generator that was lost before it told of its host.
func (g GeneratorResult) descriptors() int64 { return max(g.Host.Descriptors, g.Self.FDLimit) }

// ports is how many a connection to the same address and port can have.
func (l *limits) ports() string {
	if len(l.Generators) == 0 {
		return "about 28,000"
	}
	first, last, _ := strings.Cut(l.Generators[0].Host.Ports, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	to, bad := strconv.ParseInt(last, 10, 64)
	if err != nil || bad != nil || to < from {
		return "about 28,000" // the kernel's default: 32768 to 60999
	}
	return grouped(to - from + 1)
}

// full is the share of a limit from which it counts as reached: a server that cannot accept keeps a few
// descriptors, or the kernel some entries of a table, in stock.
const full = 0.99

func (l *limits) targetDescriptors() string {
	for _, p := range l.Points {
		t := p.Target
		if l.short() && t != nil && t.FDLimit > 0 && float64(t.FDs) >= full*float64(t.FDLimit) {
			return fmt.Sprintf("The descriptor limit of the target (%s; ulimit -n, or LimitNOFILE= of its systemd unit) %s.",
				grouped(t.FDLimit), l.bounded())
		}
	}
	return ""
}

// targetEnd sees that a process that was sampled is there no more, nor most of its connections. The last
// point alone may lack a sample because the run has ended. Where nobody sees the process, its connections tell.
func (l *limits) targetEnd() string {
	last := -1
	for i, p := range l.Points {
		if p.Target != nil {
			last = i
		}
	}
	if l.reached == 0 || 2*l.Counts.Lost < l.reached {
		return ""
	}
	if l.Target.PID == 0 || last < 0 || last >= len(l.Points)-2 {
		return l.endedByTarget()
	}
	p := l.Points[last]
	return fmt.Sprintf("The target ended after second %d, with %s connections and %s of memory: its log says why, or that of the kernel (dmesg).",
		p.Second, grouped(p.Counts.Connected), megabytes(p.Target.RSS))
}

// endedByTarget names an end of half of the connections that no generator can be the cause of.
func (l *limits) endedByTarget() string {
	for _, e := range l.Errors {
		if (e.Kind == "closed by server" || e.Kind == "reset by peer") && 2*e.Count >= l.reached {
			return fmt.Sprintf("The target, which ended %s of %s connections (%s): %s.",
				grouped(e.Count), grouped(l.reached), e.Kind, strings.TrimSuffix(e.Fix, "."))
		}
	}
	return ""
}

func (l *limits) conntrack() string {
	for _, p := range l.Points {
		k := p.Kernel
		if l.short() && k != nil && k.ConntrackLimit > 0 && float64(k.Conntrack) >= full*float64(k.ConntrackLimit) {
			return fmt.Sprintf("The table of tracked connections of this host (%s; net.netfilter.nf_conntrack_max) %s.",
				grouped(k.ConntrackLimit), l.bounded())
		}
	}
	return ""
}

// lowMemory is the share of a host's memory below which it has none left: the kernel's own reserves
// (vm.min_free_kbytes) are of that size.
const lowMemory = 0.02

func (l *limits) memory() string {
	g, ok := l.local()
	if !ok || g.Host.Memory == 0 {
		return ""
	}
	for _, p := range l.Points {
		if k := p.Kernel; k != nil && k.Available > 0 && float64(k.Available) < lowMemory*float64(g.Host.Memory) {
			return fmt.Sprintf("The memory of this host (%s): in second %d only %s of it was available, at %s connections.",
				megabytes(g.Host.Memory), p.Second, megabytes(k.Available), grouped(p.Counts.Connected))
		}
	}
	return ""
}

// local is the generator of this process, and of this host.
func (l *limits) local() (GeneratorResult, bool) {
	i := slices.IndexFunc(l.Generators, func(g GeneratorResult) bool { return g.Name == "local" })
	if i < 0 {
		return GeneratorResult{}, false
	}
	return l.Generators[i], true
}

// refusals names the most frequent error that explains something.
func (l *limits) refusals() string {
	for _, e := range l.Errors {
		if e.Kind == "interrupted" || !l.explains(e) {
			continue
		}
		side := "The target"
		switch {
		case slices.Contains([]string{"connect timed out", "host unreachable", "network unreachable"}, e.Kind):
			side = "The network"
		case e.Kind == "not permitted" || e.Kind == "source address cannot reach the target":
			side = "The generator's host"
		}
		said := fmt.Sprintf("%s × %s", grouped(e.Count), e.Kind)
		if e.Fix != "" {
			said += " (" + strings.TrimSuffix(e.Fix, ".") + ")"
		}
		if l.short() {
			return fmt.Sprintf("%s %s: %s.", side, l.bounded(), said)
		}
		return fmt.Sprintf("%s: %s.", side, said)
	}
	return ""
}

func (l *limits) interruption() string {
	if !l.Stopped {
		return ""
	}
	return fmt.Sprintf("It was interrupted, with %s of the %s connections asked for.", grouped(l.reached), grouped(l.asked))
}
