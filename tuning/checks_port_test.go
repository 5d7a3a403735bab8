package tuning

import (
	"strings"
	"testing"
)

// portHost is a host with these ports. What is "" is not there.
func portHost(t *testing.T, local, reserved, unprivileged string) *Host {
	files := map[string]string{}
	for name, content := range map[string]string{
		"ip_local_port_range": local, "ip_local_reserved_ports": reserved, "ip_unprivileged_port_start": unprivileged,
	} {
		if content != "" {
			files["proc/sys/net/ipv4/"+name] = content
		}
	}
	return hostOf(t, files)
}

func TestPortRange(t *testing.T) {
	const usual, wide = "32768\t60999\n", "1024\t65535\n"
	for _, c := range []struct {
		name             string
		local, reserved  string
		goal             int64
		sources, targets int
		verdict          Verdict
		needed           string
		holds            int64
	}{
		{"the default is enough", usual, "\n", 28_232, 1, 1, OK, "32768 60999", 28_232},
		{"and is not", usual, "\n", 28_233, 1, 1, Raise, "1024 65535", 28_232},
		{"the widest is enough", wide, "\n", 64_512, 1, 1, OK, "1024 65535", 64_512},
		{"and is not", wide, "\n", 64_513, 1, 1, Raise, "1024 65535", 64_512},
		{"two addresses", wide, "\n", 129_024, 2, 1, OK, "1024 65535", 129_024},
		{"two addresses, one more", wide, "\n", 129_025, 2, 1, Raise, "1024 65535", 129_024},
		{"addresses and targets multiply", usual, "\n", 169_392, 2, 3, OK, "32768 60999", 169_392},
		{"an odd range has one fewer", "1025\t65535\n", "\n", 28_000, 1, 1, OK, "32768 60999", 64_510},
		{"wider than asked for", wide, "\n", 10, 1, 1, OK, "32768 60999", 64_512},
		{"reserved ports are not there", usual, "40000-40099\n", 28_132, 1, 1, OK, "32768 60999", 28_132},
		{"and then it has to be wider", usual, "40000-40099\n", 28_133, 1, 1, Raise, "1024 65535", 28_132},
		{"reserved elsewhere", usual, "4000,8080\n", 28_232, 1, 1, OK, "32768 60999", 28_232},
		{"no list", usual, "", 28_232, 1, 1, OK, "32768 60999", 28_232},
		{"backwards", "60999\t32768\n", "\n", 1, 1, 1, Raise, "32768 60999", 0},
	} {
		g := Goal{Connections: c.goal, Role: LoadGen, Sources: c.sources, Targets: c.targets}
		f := examineOne(t, portChecks(), rangeKey, portHost(t, c.local, c.reserved, "1024\n"), g)
		if f.Verdict != c.verdict || f.Needed != c.needed || f.Holds != c.holds {
			t.Errorf("%s: %s, needed %s, holds %d; want %s, %s, %d", c.name, f.Verdict, f.Needed, f.Holds, c.verdict, c.needed, c.holds)
		}
		if f.bad() && f.Now == "" {
			t.Errorf("%s: nothing says what to do", c.name)
		}
	}
}

// No range is enough for a million connections from one address to one target.
func TestPortsThatCannotBeEnough(t *testing.T) {
	g := Goal{Connections: 1_000_000, Role: LoadGen}
	f := examineOne(t, portChecks(), rangeKey, portHost(t, "32768 60999", "\n", "1024"), g)
	if !strings.Contains(f.Now, "sysctl -w "+rangeKey+"='1024 65535'") || !strings.Contains(f.Now, "16 pairs") {
		t.Errorf("now: %q", f.Now)
	}
	f = examineOne(t, portChecks(), rangeKey, portHost(t, "1024 65535", "\n", "1024"), g)
	if f.Verdict != Raise || strings.Contains(f.Now, "sysctl") || !strings.Contains(f.Now, "16 pairs") {
		t.Errorf("%s, now: %q", f.Verdict, f.Now)
	}
	g.Connections = 64_512 // for which the widest range is enough
	if f = examineOne(t, portChecks(), rangeKey, portHost(t, "32768 60999", "\n", "1024"), g); strings.Contains(f.Now, "pairs") {
		t.Errorf("now: %q", f.Now)
	}
	g.Sources, g.Targets = 1<<40, 1<<40
	if f = examineOne(t, portChecks(), rangeKey, portHost(t, "1024 65535", "\n", "1024"), g); f.Holds != Unbounded {
		t.Errorf("%d connections from and to any number of addresses", f.Holds)
	}
}

// The kernel refuses a range that begins among the privileged ports.
func TestPortRangeAndPrivileges(t *testing.T) {
	g := Goal{Connections: 50_000, Role: LoadGen}
	for _, c := range []struct{ start, needed string }{
		{"0", "1024 65535"}, {"1024", "1024 65535"}, {"1025", "1025 65535"}, {"2000", "2000 65535"}, {"65536", "1024 65535"}, {"", "1024 65535"},
	} {
		f := examineOne(t, portChecks(), rangeKey, portHost(t, "32768 60999", "\n", c.start), g)
		if f.Needed != c.needed || f.Settings[0].Value != c.needed {
			t.Errorf("ip_unprivileged_port_start %q: needed %s, set %s", c.start, f.Needed, f.Settings[0].Value)
		}
	}
}

func TestPortsOfOtherRoles(t *testing.T) {
	h := portHost(t, "32768 60999", "\n", "1024")
	if f := examineOne(t, portChecks(), rangeKey, h, Goal{Connections: 1 << 30, Role: Both}); f.Verdict != NotNeeded || f.Holds != Unbounded || f.Value != "32768 60999" {
		t.Errorf("on loopback: %s, holds %d, %s", f.Verdict, f.Holds, f.Value)
	}
	f := examineOne(t, portChecks(), "ports of a server", h, Goal{Connections: 1 << 30})
	if f.Verdict != NotNeeded || !strings.Contains(f.Myth, "65,535") {
		t.Errorf("a server: %s, %q", f.Verdict, f.Myth)
	}
	r, err := Examine(h, Goal{Connections: 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Name == rangeKey {
			t.Error("the port range is looked at for a server")
		}
	}
}

func TestReservedPorts(t *testing.T) {
	for _, c := range []struct {
		name, local, reserved string
		verdict               Verdict
		value, set            string
	}{
		{"the default", "32768 60999", "\n", NotNeeded, "none", ""},
		{"one above the port", "4001 60999", "8080\n", NotNeeded, "8080", ""},
		{"from the port on", "4000 60999", "\n", Set, "none", "4000"},
		{"up to the port", "1024 4000", "\n", Set, "none", "4000"},
		{"up to the one before", "1024 3999", "\n", NotNeeded, "none", ""},
		{"with others", "1024 65535", "8080,3990-3999\n", Set, "3990-3999,8080", "3990-4000,8080"},
		{"reserved", "1024 65535", "4000\n", OK, "4000", "4000"},
		{"among others", "1024 65535", "3000-5000\n", OK, "3000-5000", "3000-5000"},
		{"garbage", "1024 65535", "x\n", Unreadable, "", ""},
		{"no list", "1024 65535", "", Unreadable, "", ""},
		{"no range", "", "\n", Unreadable, "", ""},
		{"half a range", "1024", "\n", Unreadable, "", ""},
	} {
		f := examineOne(t, portChecks(), reservedKey, portHost(t, c.local, c.reserved, ""), Goal{Connections: 5})
		set := ""
		if len(f.Settings) > 0 {
			set = f.Settings[0].Value
		}
		if f.Verdict != c.verdict || f.Value != c.value || set != c.set {
			t.Errorf("%s: %s, %q, set %q", c.name, f.Verdict, f.Value, set)
		}
	}
}

func TestParsePorts(t *testing.T) {
	for _, c := range []struct {
		in, out string
		ok      bool
	}{
		{"", "", true},
		{"8080", "8080", true},
		{"1,2-4,10-10", "1-4,10", true}, // the example of ip-sysctl.rst, as the kernel gives it back
		{"9,1", "1,9", true},
		{"0-65535", "0-65535", true},
		{"65536", "", false},
		{"2-1", "", false},
		{"-1", "", false},
		{"1-", "", false},
		{"a", "", false},
		{"1 2", "", false},
	} {
		p, ok := parsePorts(c.in)
		if ok != c.ok || p.String() != c.out {
			t.Errorf("%q: %q, %v; want %q, %v", c.in, p, ok, c.out, c.ok)
		}
	}
}

func FuzzParsePorts(f *testing.F) {
	f.Add("1,2-4,10-10")
	f.Add("8080,9000-9010\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := parsePorts(s)
		if !ok {
			return
		}
		again, ok := parsePorts(p.String())
		if !ok || again.String() != p.String() {
			t.Errorf("%q is %q, and that is %q", s, p, again)
		}
		if n := p.within(0, 65535); n < int64(len(p)) || n > 65536 {
			t.Errorf("%q has %d ports", s, n)
		}
		if with := p.with(servePort); with.within(servePort, servePort) != 1 || with.within(0, 65535) < p.within(0, 65535) {
			t.Errorf("%q with %d is %q", s, servePort, with)
		}
	})
}

func TestTimeWaitReuse(t *testing.T) {
	for _, c := range []struct {
		role    Role
		have    string
		verdict Verdict
	}{
		{LoadGen, "0", Set}, {LoadGen, "1", OK}, {LoadGen, "2", Set},
		{Both, "0", Set}, {Both, "1", NotNeeded}, {Both, "2", NotNeeded},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_tw_reuse": c.have})
		f := examineOne(t, portChecks(), "net.ipv4.tcp_tw_reuse", h, Goal{Connections: 5, Role: c.role})
		if f.Verdict != c.verdict || f.Blocks || f.Holds != Unbounded {
			t.Errorf("%s with %s: %s", c.role, c.have, f.Verdict)
		}
	}
}
