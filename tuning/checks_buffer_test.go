package tuning

import (
	"strings"
	"testing"
)

func TestTCPMem(t *testing.T) {
	const file = "proc/sys/net/ipv4/tcp_mem"
	for _, c := range []struct {
		name, have   string
		g            Goal
		verdict      Verdict
		needed, sets string
	}{
		{"as wanted", "750000 1000000 1500000", Goal{}, OK, "750000 1000000 1500000", "750000 1000000 1500000"},
		{"one page less", "750000 999999 1500000", Goal{}, Raise, "750000 1000000 1500000", "750000 1000000 1500000"},
		{"more is left", "750001 1000001 1499999", Goal{}, Raise, "750000 1000000 1500000", "750001 1000001 1500000"},
		{"both ends", "750000 1000000 1500000", Goal{Role: Both}, Raise, "1500000 2000000 3000000", "1500000 2000000 3000000"},
		{"two pages each", "1 2 3", Goal{MessageBytes: 4000}, Raise, "1500000 2000000 3000000", "1500000 2000000 3000000"},
		{"rounded up", "1 2 3", Goal{Connections: 1}, OK, "1 1 2", "1 2 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.g.Connections == 0 {
				c.g.Connections = 1e6
			}
			f := examineOne(t, bufferChecks(), "net.ipv4.tcp_mem", hostOf(t, map[string]string{file: c.have + "\n"}), c.g)
			if f.Verdict != c.verdict || f.Needed != c.needed || f.Settings[0].Value != c.sets {
				t.Errorf("got %v, %s, %+v; want %v, %s, %s", f.Verdict, f.Needed, f.Settings, c.verdict, c.needed, c.sets)
			}
			if f.Blocks || f.Holds != Unbounded {
				t.Error("it is said to stop connections, of which idle ones hold no page")
			}
		})
	}
}

func TestTCPMemOfTheLargestGoal(t *testing.T) {
	g := Goal{Connections: MaxConnections, Role: Both, MessageBytes: 1 << 40}
	h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_mem": "1 2 3\n"})
	if f := examineOne(t, bufferChecks(), "net.ipv4.tcp_mem", h, g); f.Needed != "19327352832 25769803776 38654705664" {
		t.Errorf("got %s, want 2^31 times 12 pages, and 3/4 and 3/2 of that", f.Needed)
	}
}

func TestTCPMemNotShownInContainer(t *testing.T) {
	h := hostOf(t, map[string]string{"proc/sys/net/ipv4/ip_local_port_range": "32768 60999\n"})
	f := examineOne(t, bufferChecks(), "net.ipv4.tcp_mem", h, Goal{Connections: 1000})
	if f.Verdict != Unreadable || !strings.Contains(f.Reason, "container") {
		t.Errorf("got %v: %s", f.Verdict, f.Reason)
	}
}

func TestWindows(t *testing.T) {
	const recv, send = "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"
	for _, c := range []struct {
		name, key, have string
		message         int64
		verdict         Verdict
		needed          string
	}{
		{"the kernel's own", recv, "4096 131072 6291456", 0, OK, "4096 87380 500000"},
		{"the kernel's own on 16 MiB", recv, "4096 131072 131072", 0, Raise, "4096 87380 500000"},
		{"a low second number", recv, "4096 4096 16777216", 0, Raise, "4096 87380 500000"},
		{"low numbers", recv, "1024 4096 16384", 0, Raise, "4096 87380 500000"},
		{"as wanted", recv, "4096 87380 500000", 0, OK, "4096 87380 500000"},
		{"a byte less", recv, "4096 87380 499999", 0, Raise, "4096 87380 500000"},
		{"half of the least", recv, "4096 131072 500000", 250_000, OK, "4096 87380 500000"},
		{"a large message", recv, "4096 131072 500000", 250_001, Raise, "4096 87380 500002"},
		{"a huge message", recv, "4096 131072 6291456", 1 << 40, OK, "4096 87380 6291456"},
		{"the kernel's own", send, "4096 16384 4194304", 0, OK, "4096 16384 500000"},
		{"a huge message", send, "4096 16384 4194304", 1 << 40, OK, "4096 16384 4194304"},
		{"low numbers", send, "1024 4096 16384", 0, Raise, "4096 16384 500000"},
		{"a byte less", send, "4096 16384 499999", 0, Raise, "4096 16384 500000"},
	} {
		t.Run(c.key+", "+c.name, func(t *testing.T) {
			h := hostOf(t, map[string]string{sysctlFile(c.key): c.have + "\n"})
			f := examineOne(t, bufferChecks(), c.key, h, Goal{Connections: 1000, MessageBytes: c.message})
			if f.Verdict != c.verdict || f.Needed != c.needed || f.Blocks {
				t.Errorf("got %v, %s, blocks %v; want %v, %s", f.Verdict, f.Needed, f.Blocks, c.verdict, c.needed)
			}
		})
	}
}

func TestCeilingsAreNotNeeded(t *testing.T) {
	for _, key := range []string{"net.core.rmem_max", "net.core.wmem_max"} {
		for content, value := range map[string]string{"212992\n": "212992", "!EACCES": ""} {
			h := hostOf(t, map[string]string{sysctlFile(key): content})
			f := examineOne(t, bufferChecks(), key, h, Goal{Connections: 1e6})
			if f.Verdict != NotNeeded || f.Value != value || f.Reason == "" || f.Settings != nil {
				t.Errorf("%s of %q: got %+v", key, content, f)
			}
		}
	}
}

func TestModerateReceiveBuffer(t *testing.T) {
	const key = "net.ipv4.tcp_moderate_rcvbuf"
	for content, want := range map[string]Verdict{"0\n": Set, "1\n": OK, "2\n": Set, "!EACCES": Unreadable} {
		h := hostOf(t, map[string]string{sysctlFile(key): content})
		if f := examineOne(t, bufferChecks(), key, h, Goal{Connections: 1000}); f.Verdict != want {
			t.Errorf("%q: got %v, want %v", content, f.Verdict, want)
		}
	}
}

// What TCP may have is not more than there is: it would be no bound then.
func TestTCPMemOfASmallHost(t *testing.T) {
	for _, c := range []struct {
		name, memory, have string
		verdict            Verdict
		needed             string
	}{
		{"room for all", "67108864 kB", "1 2 3", Raise, "1500000 2000000 3000000"},
		{"unknown", "x", "1 2 3", Raise, "1500000 2000000 3000000"},
		{"no room beside the connections", "8388608 kB", "94101 125468 188202", OK, "94101 125468 188202"},
		{"no room, and more than there is", "8388608 kB", "9000000 9000000 9000000", OK, "1500000 2000000 3000000"},
	} {
		h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_mem": c.have, "proc/meminfo": "MemTotal: " + c.memory + "\n"})
		f := examineOne(t, bufferChecks(), "net.ipv4.tcp_mem", h, Goal{Connections: 2_000_000})
		if f.Verdict != c.verdict || f.Needed != c.needed {
			t.Errorf("%s: %s, %s", c.name, f.Verdict, f.Needed)
		}
	}
	// 16 GiB: something is left, and that and no more is wanted.
	h := hostOf(t, map[string]string{"proc/sys/net/ipv4/tcp_mem": "190000 250000 380000", "proc/meminfo": "MemTotal: 16777216 kB\n"})
	g := Goal{Connections: 2_000_000, Role: Server, MessageBytes: defaultMessageBytes}
	f := examineOne(t, bufferChecks(), "net.ipv4.tcp_mem", h, g)
	v := numbersOf(t, f.Needed)
	left := 16<<30 - newModel(h, g).total(g.Connections)
	if f.Verdict != Raise || v[2]*4096 > left || (v[2]+1)*4096 <= left || v[0] >= v[1] || v[1] >= v[2] || f.Settings[0].Value != f.Needed {
		t.Errorf("%s %s, %d bytes are left", f.Verdict, f.Needed, left)
	}
	if !strings.Contains(f.Because, "16.0 GiB") {
		t.Errorf("it does not say why: %s", f.Because)
	}
}
