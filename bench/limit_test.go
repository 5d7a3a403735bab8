package bench

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

const testCPUs = 2

// whole is a run in which everything went well: 15,000 connections to a process of this host, in 20 seconds.
func whole() *Result {
	counts := Counts{Open: 15_000, Connected: 15_000, Joined: 15_000, Users: 15_000, Dials: 15_000, Upgrades: 15_000, Joins: 15_000}
	r := &Result{
		Config: Config{Scenario: "broadcast", Connections: 15_000, Protocol: Phoenix},
		Counts: counts, Target: Target{PID: 4242},
		Generators: []GeneratorResult{{
			Name: "local", Counts: counts, Self: sample.Process{FDs: 15_040, FDLimit: 100_000},
			Host: Host{CPUs: 2, Memory: 8 << 30, Descriptors: 100_000, Ports: "32768-60999"},
		}},
	}
	for s := range 20 {
		p := Point{
			Second: s + 1, Counts: counts, Health: Health{Due: 1000},
			Target:    &sample.Process{CPU: time.Duration(s) * 600 * time.Millisecond, FDs: 15_020, FDLimit: 100_000, RSS: 64 << 20},
			Generator: sample.Process{CPU: time.Duration(s) * 500 * time.Millisecond},
			Kernel:    &sample.Kernel{Available: 4 << 30, Conntrack: 15_000, ConntrackLimit: 262_144},
		}
		r.Points = append(r.Points, p)
	}
	return r
}

// short makes 2,600 connections miss, with these errors, the most frequent first.
func short(r *Result, errors ...ErrorCount) {
	r.Counts.Joined, r.Counts.Connected = 12_400, 12_400
	for i := range r.Points {
		r.Points[i].Counts.Joined, r.Points[i].Counts.Connected = 12_400, 12_400
	}
	r.Errors = errors
}

// uses sets how many processors target and generator use in the seconds from, to before to.
func uses(r *Result, from, to int, target, generator time.Duration) {
	for i := range r.Points {
		if i == 0 {
			continue
		}
		p, before := &r.Points[i], r.Points[i-1]
		p.Target.CPU, p.Generator.CPU = before.Target.CPU+100*time.Millisecond, before.Generator.CPU+100*time.Millisecond
		if i >= from && i < to {
			p.Target.CPU, p.Generator.CPU = before.Target.CPU+target, before.Generator.CPU+generator
		}
	}
}

func TestLimit(t *testing.T) {
	refused := ErrorCount{Kind: "connection refused", Count: 2600, Fix: "is a server listening there?"}
	for _, row := range []struct {
		name   string
		change func(r *Result)
		want   string
	}{
		{"nothing", func(*Result) {},
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 of 2 processors."},
		{"nothing, and the target is elsewhere", func(r *Result) { r.Target.PID = 0 },
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 processors."},
		{"nothing, and the target is not sampled", func(r *Result) {
			r.Target.PID = 0
			for i := range r.Points {
				r.Points[i].Target = nil
			}
		}, "Nothing: 15,000 connections were asked for and all were there."},
		{"nothing, but descriptors are few", func(r *Result) { r.Generators[0].Host.Descriptors, r.Generators[0].Self.FDLimit = 20_000, 20_000 },
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 of 2 processors; " +
				"the generator had 15,040 of its 20,000 descriptors in use."},
		{"users that come and go", func(r *Result) { r.Config.Scenario = "chat"; short(r) },
			"Nothing: 15,000 users were asked for and all came; the target used at most 0.6 of 2 processors."},
		{"all were there once", func(r *Result) { r.Counts.Joined = 3 },
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 of 2 processors."},
		{"some are missing without an error", func(r *Result) { short(r) },
			"Nothing that is known, but only 12,400 of the 15,000 connections asked for were there; the target used at most 0.6 of 2 processors."},
		{"few errors, and all were there", func(r *Result) { r.Errors = []ErrorCount{{Kind: "out of ports", Count: 3}} },
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 of 2 processors."},

		{"descriptors of the generator", func(r *Result) {
			short(r, refused, ErrorCount{Kind: "too many open files", Count: 2600})
			r.Generators[0].Host.Descriptors, r.Generators[0].Self.FDLimit = 12_450, 12_450
		}, "The descriptor limit of the generator (12,450; ulimit -Hn) bounded the connections at 12,400 of the 15,000 asked for."},
		{"descriptors of one generator", func(r *Result) {
			short(r, ErrorCount{Kind: "too many open files", Count: 2600})
			r.Generators = []GeneratorResult{{Name: "a:9900", Self: sample.Process{FDs: 10, FDLimit: 100}}, {Name: "b:9900", Self: sample.Process{FDs: 1000, FDLimit: 1000}}}
		}, "The descriptor limit of the generator b:9900 (1,000; ulimit -Hn) bounded the connections at 12,400 of the 15,000 asked for."},
		{"descriptors of the system", func(r *Result) { short(r, ErrorCount{Kind: "too many open files in the system", Count: 2600}) },
			"The descriptors of the generator's host (fs.file-max) bounded the connections at 12,400 of the 15,000 asked for."},
		{"ports", func(r *Result) { short(r, ErrorCount{Kind: "out of ports", Count: 2600}) },
			"The ports of the generator (28,232 for each of its addresses; --source gives it more) bounded the connections at 12,400 of the 15,000 asked for."},
		{"ports, in a storm that all came back from", func(r *Result) { r.Errors = []ErrorCount{{Kind: "out of ports", Count: 600}} },
			"The ports of the generator (28,232 for each of its addresses; --source gives it more) made 600 of 15,000 connects fail."},
		{"a port that was taken once, and a target that refuses", func(r *Result) { short(r, refused, ErrorCount{Kind: "out of ports", Count: 2}) },
			"The target bounded the connections at 12,400 of the 15,000 asked for: 2,600 × connection refused (is a server listening there?)."},
		{"socket memory", func(r *Result) { short(r, ErrorCount{Kind: "out of socket memory", Count: 2600}) },
			"The socket memory of the generator's host (net.ipv4.tcp_mem) bounded the connections at 12,400 of the 15,000 asked for."},
		{"memory for sockets", func(r *Result) { short(r, ErrorCount{Kind: "out of memory", Count: 2600}) },
			"The memory of the generator's host bounded the connections at 12,400 of the 15,000 asked for."},
		{"epoll watches", func(r *Result) { short(r, ErrorCount{Kind: "too many epoll watches", Count: 2600}) },
			"The epoll watches of the generator's user (fs.epoll.max_user_watches) bounded the connections at 12,400 of the 15,000 asked for."},

		{"descriptors of the target", func(r *Result) {
			short(r, ErrorCount{Kind: "timeout: connect", Count: 2600})
			r.Points[15].Target.FDs, r.Points[15].Target.FDLimit = 12_490, 12_500
		}, "The descriptor limit of the target (12,500; ulimit -n, or LimitNOFILE= of its systemd unit) bounded the connections at 12,400 of the 15,000 asked for."},
		{"the target's end", func(r *Result) {
			short(r, refused)
			r.Counts.Lost = 12_400
			for i := range r.Points[16:] {
				r.Points[16+i].Target = nil
			}
		}, "The target ended after second 16, with 12,400 connections and 64 MiB of memory: its log says why, or that of the kernel (dmesg)."},
		{"the target ended at last, and so did the run", func(r *Result) {
			r.Counts.Lost, r.Counts.Joined = 15_000, 0
			r.Errors = []ErrorCount{{Kind: "reset by peer", Count: 14_000, Fix: "its log may say why"}, {Kind: "closed by server", Count: 1000}}
			with(r.Points, 0, 20, late(700, 90*time.Millisecond))
		}, "The target, which ended 14,000 of 15,000 connections (reset by peer): its log may say why."},
		{"nobody was there, of a late generator", func(r *Result) {
			r.Counts = Counts{Users: 15_000, Dials: 15_000, Lost: 15_000}
			r.Errors = []ErrorCount{{Kind: "upgrade: refused with 401", Count: 15_000, Fix: "send a token"}}
			for i := range r.Points {
				r.Points[i].Counts = Counts{}
			}
			with(r.Points, 0, 20, late(700, 90*time.Millisecond))
		}, "The target bounded the connections at 0 of the 15,000 asked for: 15,000 × upgrade: refused with 401 (send a token)."},
		{"the target was not sampled at last", func(r *Result) { r.Points[19].Target = nil },
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 0.6 of 2 processors."},
		{"conntrack", func(r *Result) {
			short(r, ErrorCount{Kind: "connect timed out", Count: 2600})
			r.Points[9].Kernel.Conntrack = 262_144
		}, "The table of tracked connections of this host (262,144; net.netfilter.nf_conntrack_max) bounded the connections at 12,400 of the 15,000 asked for."},
		{"memory of the host", func(r *Result) { short(r, refused); r.Points[9].Kernel.Available = 100 << 20 },
			"The memory of this host (8,192 MiB): in second 10 only 100 MiB of it was available, at 12,400 connections."},

		{"the generator's processors", func(r *Result) {
			short(r, ErrorCount{Kind: "timeout: connect", Count: 2600})
			uses(r, 0, 20, 1900*time.Millisecond, 0)
			with(r.Points, 0, 20, late(700, 90*time.Millisecond))
		}, "The generator, not the target: it was more than 10 ms late with 14,000 of 20,000 arrivals and sends (70.0 %), at most 90 ms."},
		{"the target's processors", func(r *Result) {
			short(r, ErrorCount{Kind: "timeout: join", Count: 2600})
			uses(r, 5, 13, 1900*time.Millisecond, 100*time.Millisecond)
		}, "The target's processors: in 8 of 19 seconds with traffic it used 1.9 of 2, and the generator 0.1."},
		{"the processors of the host", func(r *Result) { uses(r, 5, 13, 1300*time.Millisecond, 650*time.Millisecond) },
			"The processors of this host, which the target shares with the generator: in 8 of 19 seconds with traffic it used 1.3 of 2, and the generator 0.7."},
		{"a target of one thread", func(r *Result) { uses(r, 5, 13, 1000*time.Millisecond, 500*time.Millisecond) },
			"The target, which seems to do its work in one thread: in 8 of 19 seconds with traffic it used 1.0 of 2, and the generator 0.5."},
		{"the target's processors, for a moment", func(r *Result) { uses(r, 5, 6, 2*time.Second, 0) },
			"Nothing: 15,000 connections were asked for and all were there; the target used at most 2.0 of 2 processors."},
		{"the target's processors, and the generator is elsewhere", func(r *Result) {
			r.Generators[0].Name = "a:9900"
			uses(r, 5, 13, 1900*time.Millisecond, 1900*time.Millisecond)
		}, "The target's processors: in 8 of 19 seconds with traffic it used 1.9 of 2."},

		{"the target refuses", func(r *Result) { short(r, refused) },
			"The target bounded the connections at 12,400 of the 15,000 asked for: 2,600 × connection refused (is a server listening there?)."},
		{"the network", func(r *Result) { short(r, ErrorCount{Kind: "host unreachable", Count: 2600}) },
			"The network bounded the connections at 12,400 of the 15,000 asked for: 2,600 × host unreachable."},
		{"a firewall", func(r *Result) { short(r, ErrorCount{Kind: "not permitted", Count: 2600}) },
			"The generator's host bounded the connections at 12,400 of the 15,000 asked for: 2,600 × not permitted."},
		{"the target ends connections, and they come back", func(r *Result) { r.Errors = []ErrorCount{{Kind: "closed by server", Count: 4000}} },
			"The target: 4,000 × closed by server."},
		{"an interruption", func(r *Result) { short(r, ErrorCount{Kind: "interrupted", Count: 400}); r.Stopped = true },
			"It was interrupted, with 12,400 of the 15,000 connections asked for."},
		{"an interruption after few errors", func(r *Result) { short(r, ErrorCount{Kind: "reset by peer", Count: 4}); r.Stopped = true },
			"It was interrupted, with 12,400 of the 15,000 connections asked for."},
		{"an interruption of what did not work", func(r *Result) { short(r, refused); r.Stopped = true },
			"The target bounded the connections at 12,400 of the 15,000 asked for: 2,600 × connection refused (is a server listening there?)."},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := whole()
			row.change(r)
			if got := newLimits(r, testCPUs).sentence(); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// A result of nothing at all has a sentence too.
func TestLimitOfNothing(t *testing.T) {
	for _, r := range []*Result{{}, {Stopped: true}, {Generators: []GeneratorResult{{}}, Points: []Point{{}}, Errors: []ErrorCount{{Kind: "too many open files"}}}} {
		if s := limitOf(r); !strings.HasSuffix(s, ".") {
			t.Errorf("%+v: %q", r, s)
		}
	}
}

// The kinds that limitOf knows are those that errorKind gives.
func TestLimitKnowsTheKinds(t *testing.T) {
	for _, kind := range []string{
		"too many open files", "too many open files in the system", "out of ports", "out of socket memory", "out of memory",
		"too many epoll watches", "connect timed out", "host unreachable", "network unreachable", "not permitted",
		"source address cannot reach the target", "interrupted",
	} {
		known := false
		for _, e := range namedErrors {
			known = known || e.kind == kind
		}
		if !known {
			t.Errorf("errorKind has no kind %q", kind)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 12_345: "12,345", 123_456: "123,456", 1_234_567: "1,234,567", -1000: "-1,000", -100: "-100",
	} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s", n, got)
		}
	}
}

func TestPorts(t *testing.T) {
	var got []string
	for _, ports := range []string{"1024-65535", "", "x-y", "9-1"} {
		l := limits{Result: &Result{Generators: []GeneratorResult{{Host: Host{Ports: ports}}}}}
		got = append(got, l.ports())
	}
	if want := []string{"64,512", "about 28,000", "about 28,000", "about 28,000"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
