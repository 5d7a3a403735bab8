package tuning

import (
	"fmt"
	"testing"
)

// goal is a Goal with its defaults.
func goal(t testing.TB, g Goal) Goal {
	t.Helper()
	g, err := g.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// partOf returns what a Prediction has for one kind of object, and whether it has that.
func partOf(p Prediction, name string) (Part, bool) {
	for _, part := range p.Kernel {
		if part.Name == name {
			return part, true
		}
	}
	return Part{}, false
}

// TestPredictKernel has the sums of the table in slab.go, by hand.
func TestPredictKernel(t *testing.T) {
	const (
		common = 863 + 196 + 196 + 128 + 64 + 16 + 24 + 32 // inode, dentry, filp, epoll, labels
		table  = 9                                         // 8.27 bytes for each of 2^20 descriptors
	)
	for _, c := range []struct {
		role Role
		want int64
	}{
		{Server, common + 2521 + table},
		{LoadGen, common + 2521 + 128 + 4 + table}, // 28,232 ports of 128 B for a million
		{Both, 2 * (common + 2521 + 64 + 2 + table)},
	} {
		p := predict(hostOf(t, nil), goal(t, Goal{Connections: 1e6, Role: c.role}))
		if p.KernelBytes != c.want {
			t.Errorf("%v: got %d, want %d of %+v", c.role, p.KernelBytes, c.want, p.Kernel)
		}
		var sum int64
		for _, part := range p.Kernel {
			sum += part.Bytes
			if part.From == "slabinfo" {
				t.Errorf("%v: %s is said to be from slabinfo, which is not there", c.role, part.Name)
			}
		}
		if ends := (Goal{Role: c.role}).ends(); sum*ends != p.KernelBytes {
			t.Errorf("%v: the parts are %d x %d ends, not %d", c.role, sum, ends, p.KernelBytes)
		}
	}
}

// TestPredictMeasured holds the model against what was measured on Linux 6.18: 4,055 bytes at either end of a
// million connections on loopback (README.md).
func TestPredictMeasured(t *testing.T) {
	p := predict(hostOf(t, nil), goal(t, Goal{Connections: 1e6, Role: Both}))
	if each := p.KernelBytes / 2; each < 4055*9/10 || each > 4055*11/10 {
		t.Errorf("got %d, want 4,055 within 10 %%", each)
	}
}

func TestPredictFromSlabinfo(t *testing.T) {
	g := goal(t, Goal{Connections: 1e6})
	h := hostOf(t, map[string]string{"proc/slabinfo": slabHead + "TCPv6 1 1 3000 10 8\nfilp 1 1 256 16 1\n"})
	p := predict(h, g)
	for _, want := range []Part{{"TCPv6", 3277, "slabinfo"}, {"filp", 256, "slabinfo"}, {"dentry", 196, "table"}, {"fdtable", 9, "computed"}} {
		if got, _ := partOf(p, want.Name); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if _, ok := partOf(p, "lsm_file_cache"); ok {
		t.Error("labels are counted that this kernel does not have")
	}
	h = hostOf(t, map[string]string{"proc/slabinfo": slabHead + "lsm_file_cache 1 1 64 64 1\nTCP 1 1 3000 10 8\n"})
	if got, _ := partOf(predict(h, g), "lsm_file_cache"); got != (Part{"lsm_file_cache", 64, "slabinfo"}) {
		t.Errorf("got %+v, want labels of 64 bytes", got)
	}
	g.Role = Both
	if got, _ := partOf(predict(h, g), "TCP, TCPv6"); got != (Part{"TCP, TCPv6", (3277 + 2521) / 2, "table"}) {
		t.Errorf("got %+v, want the mean of one from slabinfo and one from the table", got)
	}
}

func TestPredictTracked(t *testing.T) {
	const file = "proc/sys/net/netfilter/nf_conntrack_count"
	for _, c := range []struct {
		content string
		role    Role
		want    int64 // of one end
	}{{"0\n", Server, 0}, {"!EACCES", Server, 0}, {"1\n", Server, 256}, {"1\n", Both, 128}} {
		p := predict(hostOf(t, map[string]string{file: c.content}), goal(t, Goal{Connections: 1000, Role: c.role}))
		if got, _ := partOf(p, "nf_conntrack"); got.Bytes != c.want {
			t.Errorf("%q, %v: got %d bytes, want %d", c.content, c.role, got.Bytes, c.want)
		}
	}
}

func TestPredictPointersToCgroup(t *testing.T) {
	p := predict(hostOf(t, inV2("/")), goal(t, Goal{Connections: 1000, Role: LoadGen}))
	if got, _ := partOf(p, "obj_cgroup"); got.Bytes != 8*cgroupPointerBytes {
		t.Errorf("got %d bytes, want %d", got.Bytes, 8*cgroupPointerBytes)
	}
}

// TestFdtable has sizes of alloc_fdtable: 8 bytes a slot, a bit in each of two bitmaps, a bit in the third for
// each 64 of these, in words.
func TestFdtable(t *testing.T) {
	for _, c := range []struct{ n, want int64 }{
		{1, 0}, {48, 0}, // 64 descriptors lie in files_struct
		{49, 128*8 + 2*16 + 8},
		{112, 128*8 + 2*16 + 8},
		{113, 256*8 + 2*32 + 8},
		{1<<20 - 16, 8<<20 + 2<<17 + 1<<11},
		{1<<20 - 15, 16<<20 + 2<<18 + 1<<12},
	} {
		if got := fdtableBytes(c.n); got != c.want {
			t.Errorf("%d connections: got %d, want %d", c.n, got, c.want)
		}
	}
}

func TestLocalPorts(t *testing.T) {
	for _, c := range []struct {
		content string
		want    int64
	}{
		{"32768\t60999\n", 28232}, {"1024 65535\n", 64512}, {"5 5\n", 1},
		{"2 1\n", 28232}, {"-1 5\n", 28232}, {"1 65536\n", 28232}, {"1\n", 28232}, {"!EACCES", 28232},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/ip_local_port_range": c.content})
		if got := h.localPorts(); got != c.want {
			t.Errorf("%q: got %d, want %d", c.content, got, c.want)
		}
	}
}

func TestPredictProcess(t *testing.T) {
	for _, c := range []struct {
		name       string
		g          Goal
		gogc       string
		limit      string
		rest, peak int64
		base       int64
	}{
		{"server", Goal{}, "", "", 265, 530, 25 << 20},
		{"load generator", Goal{Role: LoadGen}, "", "", 264, 528, 25 << 20},
		{"both", Goal{Role: Both}, "", "", 265 + 264, 2 * (265 + 264), 50 << 20},
		{"TLS", Goal{TLS: true}, "", "", 265 + 7440, 2 * (265 + 7440), 25 << 20},
		{"both with TLS", Goal{Role: Both, TLS: true}, "", "", 265 + 264 + 2*7440, 2 * (265 + 264 + 2*7440), 50 << 20},
		{"GOGC=50", Goal{}, "50", "", 265, 265 + 132, 25 << 20},
		{"GOGC=off is said to be wrong", Goal{}, "off", "", 265, 530, 25 << 20},
		{"a limit above the peak", Goal{}, "", "1GiB", 265, 530, 25 << 20},
		{"a limit in between", Goal{}, "", "426214400", 265, 400, 25 << 20}, // 25 MiB + 400,000,000
		{"a limit below what lives", Goal{}, "", "1MiB", 265, 265, 25 << 20},
		{"a malformed limit", Goal{}, "", "1MB", 265, 530, 25 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.g.Connections = 1e6
			h := withEnv(withEnv(hostOf(t, nil), "GOGC", c.gogc), "GOMEMLIMIT", c.limit)
			p := predict(h, goal(t, c.g))
			if p.ProcessBytes != c.rest || p.ProcessPeak != c.peak || p.Base != c.base {
				t.Errorf("got %d, %d, %d; want %d, %d, %d", p.ProcessBytes, p.ProcessPeak, p.Base, c.rest, c.peak, c.base)
			}
		})
	}
}

func TestPredictBuffers(t *testing.T) {
	for _, c := range []struct {
		g    Goal
		want int64
	}{
		{Goal{}, 0},
		{Goal{MessageRate: 10_000}, 2000 * (1000 + 1152)},
		{Goal{MessageRate: 10_000, Role: Both}, 2 * 2000 * (1000 + 1152)},
		{Goal{MessageRate: 5, MessageBytes: 64 << 10}, 64<<10 + 1152},
		{Goal{MessageRate: 5, MessageBytes: 64<<10 + 1}, 64<<10 + 1 + 2*1152},
		{Goal{MessageRate: 1e12, MessageBytes: 1 << 40}, 1 << 60},
	} {
		c.g.Connections = 1000
		if got := predict(hostOf(t, nil), goal(t, c.g)).Buffers; got != c.want {
			t.Errorf("%+v: got %d, want %d", c.g, got, c.want)
		}
	}
}

func TestMessagePages(t *testing.T) {
	for _, c := range []struct{ bytes, page, want int64 }{
		{1, 4096, 1}, {4096 - 1152, 4096, 1}, {4097 - 1152, 4096, 2}, {1 << 40, 4096, 12}, {1000, 65536, 1},
	} {
		if got := messagePages(Goal{MessageBytes: c.bytes}, c.page); got != c.want {
			t.Errorf("%d bytes, pages of %d: got %d, want %d", c.bytes, c.page, got, c.want)
		}
	}
}

func TestPredictPressure(t *testing.T) {
	for _, c := range []struct {
		content string
		role    Role
		want    int64
	}{
		{"300 401 600\n", Server, 401}, {"300 401 600\n", Both, 200}, {"300 401\n", Server, 0},
		{"300 -401 600\n", Server, 0}, {"!EACCES", Server, 0},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_mem": c.content})
		if got := predict(h, goal(t, Goal{Connections: 10, Role: c.role})).Pressure; got != c.want {
			t.Errorf("%q, %v: got %d, want %d", c.content, c.role, got, c.want)
		}
	}
}

// TestLargest looks at the last connection for which there is memory, and the one after it.
func TestLargest(t *testing.T) {
	for _, g := range []Goal{{}, {Role: LoadGen}, {Role: Both}, {TLS: true}, {MessageRate: 1e5}} {
		for _, n := range []int64{1, 2, 48, 49, 15_000, 1<<20 - 16, 1<<20 - 15, 10_000_000} {
			g.Connections = n
			h, g := hostOf(t, nil), goal(t, g)
			need := predict(h, g).Total
			for _, c := range []struct{ memory, want int64 }{{need, n}, {need - 1, n - 1}} {
				g.Memory = c.memory
				p := predict(h, g)
				if p.Largest != c.want || p.Available != c.memory || p.AvailableFrom != "--memory" {
					t.Errorf("%+v: got %d of %d from %s, want %d", g, p.Largest, p.Available, p.AvailableFrom, c.want)
				}
			}
		}
	}
}

func TestLargestAtTheEnds(t *testing.T) {
	h := hostOf(t, nil)
	g := goal(t, Goal{Connections: 1000})
	if p := predict(h, g); p.Available != Unbounded || p.AvailableFrom != "" || p.Largest != Unbounded {
		t.Errorf("nothing is known: got %d from %q for %d", p.Available, p.AvailableFrom, p.Largest)
	}
	g.Memory = 1 << 60
	if p := predict(h, g); p.Largest != MaxConnections {
		t.Errorf("an exbibyte: got %d, want %d", p.Largest, MaxConnections)
	}
	g.Memory = 1 << 20
	if p := predict(h, g); p.Largest != 0 {
		t.Errorf("less than a process needs: got %d, want 0", p.Largest)
	}
}

// TestTotal adds up what is shown, which is rounded up for each part.
func TestTotal(t *testing.T) {
	for _, role := range []Role{Server, LoadGen, Both} {
		g := goal(t, Goal{Connections: 123_457, Role: role, MessageRate: 777})
		p := predict(hostOf(t, nil), g)
		shown := p.Base + p.Buffers + g.Connections*(p.KernelBytes+p.ProcessPeak)
		rounding := g.Connections * (int64(len(p.Kernel))*g.ends() + 1)
		if p.Total > shown || p.Total < shown-rounding {
			t.Errorf("%v: got %d, want %d less at most %d", role, p.Total, shown, rounding)
		}
	}
}

func FuzzTotalNeverFalls(f *testing.F) {
	f.Add(int64(1<<20-16), uint8(3), true, "100MiB", "50")
	f.Add(int64(28232), uint8(2), false, "", "off")
	f.Fuzz(func(t *testing.T, n int64, role uint8, tls bool, limit, gogc string) {
		n = n & (MaxConnections - 1)
		h := withEnv(withEnv(hostOf(t, nil), "GOMEMLIMIT", limit), "GOGC", gogc)
		m := newModel(h, Goal{Role: Role(role%3 + 1), TLS: tls})
		if here, next := m.total(n), m.total(n+1); here < 0 || next < here {
			t.Fatalf("%d connections need %d bytes, one more %d", n, here, next)
		}
	})
}

func TestAvailable(t *testing.T) {
	meminfo := func(kib int64) map[string]string {
		return map[string]string{"proc/meminfo": fmt.Sprintf("MemTotal: 99999999 kB\nMemAvailable: %d kB\n", kib)}
	}
	group := func(name, limit string) map[string]string {
		return map[string]string{"sys/fs/cgroup/a/" + name: limit, "sys/fs/cgroup/a/memory.current": "1048576\n"}
	}
	one := func(limit string) map[string]string {
		return map[string]string{
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": limit,
			"sys/fs/cgroup/memory/a/memory.usage_in_bytes": "1048576\n",
		}
	}
	for _, c := range []struct {
		name   string
		files  map[string]string
		memory int64
		want   int64
		from   string
	}{
		{"nothing", nil, 0, Unbounded, ""},
		{"a twentieth stays", meminfo(20 << 20), 0, 19 << 30, "MemAvailable"},
		{"64 MiB stay", meminfo(128 << 10), 0, 64 << 20, "MemAvailable"},
		{"no less than nothing", meminfo(1), 0, 0, "MemAvailable"},
		{"--memory", meminfo(20 << 20), 1 << 30, 1 << 30, "--memory"},
		{"no more than there is", meminfo(20 << 20), 1 << 40, 19 << 30, "MemAvailable"},
		{"memory.max", with(meminfo(20<<20), inV2("/a"), group("memory.max", "2097152\n")), 0, 1 << 20, "memory.max of /sys/fs/cgroup/a"},
		{"memory.high", with(inV2("/a"), group("memory.high", "2097152\n")), 0, 1 << 20, "memory.high of /sys/fs/cgroup/a"},
		{"over memory.high", with(inV2("/a"), group("memory.high", "4096\n")), 0, 0, "memory.high of /sys/fs/cgroup/a"},
		{"memory.limit_in_bytes", with(inV1("/a"), one("2097152\n")), 0, 1 << 20, "memory.limit_in_bytes of /sys/fs/cgroup/memory/a"},
		{"no limit in v1", with(meminfo(20<<20), inV1("/a"), one("9223372036854771712\n")), 0, 19 << 30, "MemAvailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, from := hostOf(t, c.files).available(Goal{Memory: c.memory}); got != c.want || from != c.from {
				t.Errorf("got %d from %q, want %d from %q", got, from, c.want, c.from)
			}
		})
	}
}
