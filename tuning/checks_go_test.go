package tuning

import (
	"fmt"
	"strconv"
	"testing"
)

// withLimit is a host of 16 GiB and 8 processors with a limit of a cgroup's memory.
func withLimit(limit string) map[string]string {
	return with(inV2("/a"), map[string]string{
		"proc/meminfo":               "MemTotal: 16777216 kB\nMemAvailable: 16000000 kB\n",
		"proc/self/status":           "Cpus_allowed:\tff\n",
		"sys/fs/cgroup/a/memory.max": limit + "\n",
	})
}

// TestMemoryLimit has a million connections: a process needs 291,214,400 bytes at rest and 556,214,400 at most.
func TestMemoryLimit(t *testing.T) {
	const rest, peak = 25<<20 + 265_000_000, 25<<20 + 530_000_000
	g := goal(t, Goal{Connections: 1e6})
	kernel := newModel(hostOf(t, inV2("/")), g).kernelTotal(1e6)
	limit := func(b int64) string { return strconv.FormatInt(kernel+b, 10) }
	for _, c := range []struct {
		name, limit, env string
		want             Verdict
		needed           string
	}{
		{"no cgroup limits it", "max", "", NotNeeded, ""},
		{"off, and no cgroup limits it", "max", "off", NotNeeded, ""},
		{"room for the peak", limit(peak), "", OK, ""},
		{"a byte less", limit(peak - 1), "", Set, "530MiB"}, // 530.44
		{"off, a byte less", limit(peak - 1), "off", Set, "530MiB"},
		{"room for what lives alone", limit(rest), "", Set, "277MiB"}, // 277.72
		{"not even for that", limit(rest - 1), "", NotNeeded, ""},
		{"set, and not even for that", limit(rest - 1), "1GiB", NotNeeded, ""},
		{"set to the room", limit(400_000_000), "400000000", OK, ""},
		{"set to a byte more", limit(400_000_000), "400000001", Set, "381MiB"},
		{"set to more than the room, and the peak fits", limit(peak), "600000000", OK, ""},
		{"set to more than the cgroup's limit", limit(peak), "15GiB", Set, "530MiB"},
		{"set to what lives", limit(peak), "291214400", OK, ""},
		{"set to a byte less", limit(peak), "291214399", Raise, "530MiB"},
		{"set to less, with room for more", "max", "1MiB", Raise, "555MiB"},
		{"set, without a cgroup's limit", "max", "1GiB", OK, ""},
		{"set to more than there is", "max", "17GiB", Set, ""},
		{"malformed", limit(peak), "1GB", Set, "530MiB"},
		{"malformed, and no cgroup limits it", "max", "1GB", Set, "off"},
		{"the limit cannot be read", "!EACCES", "", Unreadable, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := withLimit(c.limit)
			if c.limit == "!EACCES" {
				files["sys/fs/cgroup/a/memory.max"] = c.limit
			}
			f := examineOne(t, goChecks(), "GOMEMLIMIT", withEnv(hostOf(t, files), "GOMEMLIMIT", c.env), g)
			if f.Verdict != c.want || c.needed != "" && f.Needed != c.needed || f.bad() == (f.Now == "") {
				t.Errorf("got %+v, want %v, %s", f, c.want, c.needed)
			}
		})
	}
}

// TestMemoryLimitAsAdvised takes the advice, after which there is nothing to say.
func TestMemoryLimitAsAdvised(t *testing.T) {
	for _, role := range []Role{Server, LoadGen, Both} {
		g := goal(t, Goal{Connections: 1e6, Role: role})
		m := newModel(hostOf(t, inV2("/")), g)
		room := m.base() + m.atRest()*3/2*1e6
		const others = 10 << 20
		files := withLimit(strconv.FormatInt(m.kernelTotal(1e6)+room+others, 10))
		files["sys/fs/cgroup/a/memory.current"] = strconv.Itoa(others)
		h := hostOf(t, files)
		before := examineOne(t, goChecks(), "GOMEMLIMIT", h, g)
		advised := withEnv(h, "GOMEMLIMIT", before.Needed)
		after := examineOne(t, goChecks(), "GOMEMLIMIT", advised, g)
		if before.Verdict != Set || after.Verdict != OK {
			t.Errorf("%v: got %v, and with %s %v: %s", role, before.Verdict, before.Needed, after.Verdict, after.Because)
		}
		if f := examineOne(t, cgroupChecks(), "memory.max", h, g); f.Verdict != Raise {
			t.Errorf("%v: without it memory.max is %v", role, f.Verdict)
		}
		if f := examineOne(t, cgroupChecks(), "memory.max", advised, g); f.Verdict != OK {
			t.Errorf("%v: with it memory.max is %v: %s of %s", role, f.Verdict, f.Needed, f.Value)
		}
	}
}

func TestMemoryLimitUnknownHost(t *testing.T) {
	f := examineOne(t, goChecks(), "GOMEMLIMIT", hostOf(t, nil), Goal{Connections: 1000})
	if f.Verdict != Unreadable || f.Reason == "" {
		t.Errorf("got %+v", f)
	}
}

func TestParseMemoryLimit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		set  bool
		bad  bool
	}{
		{in: ""}, {in: "off"},
		{in: "0", set: true}, {in: "1000", want: 1000, set: true}, {in: "1000B", want: 1000, set: true},
		{in: "1KiB", want: 1 << 10, set: true}, {in: "2MiB", want: 2 << 20, set: true}, {in: "3GiB", want: 3 << 30, set: true},
		{in: "4TiB", want: 4 << 40, set: true}, {in: "8388607TiB", want: 8388607 << 40, set: true}, {in: "8388608TiB", bad: true},
		{in: "9223372036854775807", want: Unbounded, set: true}, {in: "9223372036854775808", bad: true},
		{in: "1GB", bad: true}, {in: "1G", bad: true}, {in: "1Gi", bad: true}, {in: "1gib", bad: true}, {in: "-1", bad: true},
		{in: "1.5GiB", bad: true}, {in: " 1", bad: true}, {in: "GiB", bad: true}, {in: "B", bad: true}, {in: "1PiB", bad: true},
		{in: "1BB", bad: true}, {in: "OFF", bad: true}, {in: "1iB", bad: true}, {in: "1 GiB", bad: true},
	} {
		got, set, err := parseMemoryLimit(c.in)
		if got != c.want || set != c.set || (err != nil) != c.bad {
			t.Errorf("%q: got %d, %v, %v; want %d, %v", c.in, got, set, err, c.want, c.set)
		}
	}
}

func FuzzParseMemoryLimit(f *testing.F) {
	for _, s := range []string{"", "off", "1000", "1GiB", "8388608TiB", "+5MiB", "1GB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, set, err := parseMemoryLimit(s)
		if n < 0 || !set && n != 0 || set && err != nil {
			t.Fatalf("%q: %d, %v, %v", s, n, set, err)
		}
		if !set {
			return
		}
		if again, ok, err := parseMemoryLimit(fmt.Sprintf("%dB", n)); again != n || !ok || err != nil {
			t.Fatalf("%q is %d, which is %d, %v, %v", s, n, again, ok, err)
		}
	})
}

func TestGOGC(t *testing.T) {
	for _, c := range []struct {
		gogc, limit string
		want        Verdict
	}{
		{"", "", OK}, {"100", "", OK}, {"400", "", OK}, {"25", "", OK}, {"24", "", Raise}, {"0", "", Raise},
		{"off", "", Set}, {"-1", "", Set}, {"off", "1GiB", OK}, {"off", "off", Set}, {"off", "1GB", Set},
		{"lots", "", OK}, // which the runtime takes for 100
	} {
		h := withEnv(withEnv(hostOf(t, nil), "GOGC", c.gogc), "GOMEMLIMIT", c.limit)
		f := examineOne(t, goChecks(), "GOGC", h, Goal{Connections: 1000})
		if f.Verdict != c.want || f.bad() && f.Now == "" {
			t.Errorf("GOGC=%s GOMEMLIMIT=%s: got %+v, want %v", c.gogc, c.limit, f, c.want)
		}
	}
}

func TestGOMAXPROCS(t *testing.T) {
	for _, c := range []struct {
		env, quota string
		want       Verdict
		needed     string
	}{
		{"", "max 100000", OK, ""}, {"8", "max 100000", OK, ""}, {"9", "max 100000", Set, "8"}, {"1", "max 100000", OK, ""},
		{"", "250000 100000", OK, ""}, {"3", "250000 100000", OK, ""}, {"4", "250000 100000", Set, "3"},
		{"2", "50000 100000", OK, ""}, {"3", "50000 100000", Set, "2"},
		{"8", "900000 100000", OK, ""}, {"9", "900000 100000", Set, "8"},
		{"lots", "50000 100000", OK, ""}, {"-1", "50000 100000", OK, ""}, {"0", "50000 100000", OK, ""}, // ignored
	} {
		files := with(withLimit("max"), map[string]string{"sys/fs/cgroup/a/cpu.max": c.quota + "\n"})
		f := examineOne(t, goChecks(), "GOMAXPROCS", withEnv(hostOf(t, files), "GOMAXPROCS", c.env), Goal{Connections: 1000})
		if f.Verdict != c.want || f.Needed != c.needed {
			t.Errorf("GOMAXPROCS=%s with %s: got %+v, want %v, %s", c.env, c.quota, f, c.want, c.needed)
		}
	}
}
