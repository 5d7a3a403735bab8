package tuning

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func findProcessor(t testing.TB, name string, content map[string]string, n int64, r Role) Finding {
	t.Helper()
	return examineOne(t, processorChecks(), name, hostOf(t, content), Goal{Connections: n, Role: r})
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		current, available string
		want               Verdict
		value              string // of the Setting
	}{
		{"tsc\n", "tsc hpet acpi_pm \n", OK, ""},
		{"kvm-clock\n", "kvm-clock tsc \n", OK, ""},
		{"hyperv_clocksource_tsc_page\n", "!EACCES", OK, ""},
		{"arch_sys_counter\n", "arch_sys_counter\n", OK, ""},
		{"hpet\n", "hpet acpi_pm tsc \n", Set, "tsc"},
		{"acpi_pm\n", "kvm-clock acpi_pm \n", Set, "kvm-clock"},
		{"jiffies\n", "arch_sys_counter jiffies\n", Set, "arch_sys_counter"},
		{"hpet\n", "hpet acpi_pm \n", NotNeeded, ""},
		{"hyperv_clocksource_msr\n", "hyperv_clocksource_msr \n", NotNeeded, ""},
		{"xen\n", "xen tsc \n", NotNeeded, ""},
		{"hpet\n", "!EACCES", Unreadable, ""},
		{"!EACCES", "tsc\n", Unreadable, ""},
		{"\n", "tsc\n", Unreadable, ""},
		{"two words\n", "tsc\n", Unreadable, ""},
	} {
		f := findProcessor(t, "current_clocksource", map[string]string{
			clockName: c.current, clockDir + "available_clocksource": c.available,
		}, 1000, Server)
		if f.Verdict != c.want || (len(f.Settings) > 0) != (c.value != "") || f.Holds != Unbounded {
			t.Errorf("%q of %q: %+v", c.current, c.available, f)
		}
		if c.value != "" && (f.Settings[0] != Setting{Path: "/" + clockName, Value: c.value} || f.Now != "echo "+c.value+" > /"+clockName) {
			t.Errorf("%q of %q: %+v, now %q", c.current, c.available, f.Settings, f.Now)
		}
	}
}

// oneQueue is a machine with one interface of one queue.
func oneQueue(change map[string]string) map[string]string {
	content := map[string]string{
		onlineCPUs:                                   "0-7\n",
		"sys/class/net/eth0/operstate":               "up\n",
		"sys/class/net/eth0/device/vendor":           "0x1af4\n",
		"sys/class/net/eth0/queues/rx-0/rps_cpus":    "00\n",
		"sys/class/net/eth0/queues/tx-0/xps_cpus":    "00\n",
		"sys/class/net/lo/queues/rx-0/rps_cpus":      "00\n",
		"sys/class/net/docker0/queues/rx-0/rps_cpus": "00\n",
	}
	maps.Copy(content, change)
	for name, text := range change {
		if text == "" {
			delete(content, name)
		}
	}
	return content
}

func TestSteering(t *testing.T) {
	const rx = "sys/class/net/eth0/queues/rx-0/rps_cpus"
	for _, c := range []struct {
		name   string
		change map[string]string
		n      int64
		role   Role
		want   Verdict
		reason string
	}{
		{"one queue", nil, 100_000, Server, Set, ""},
		{"one queue of a load generator", nil, 1_000_000, LoadGen, Set, ""},
		{"few connections", nil, 99_999, Server, NotNeeded, "fewer than 100,000"},
		{"loopback", nil, 1_000_000, Both, NotNeeded, "loopback"},
		{"one processor", map[string]string{onlineCPUs: "0\n"}, 1_000_000, Server, NotNeeded, "one processor"},
		{"RPS", map[string]string{rx: "f0\n"}, 1_000_000, Server, OK, ""},
		{"two queues", map[string]string{"sys/class/net/eth0/queues/rx-1/rps_cpus": "00\n"}, 1_000_000, Server, OK, ""},
		{"no device", map[string]string{"sys/class/net/eth0/device/vendor": ""}, 1_000_000, Server, NotNeeded, "no network interface"},
		{"down", map[string]string{"sys/class/net/eth0/operstate": "down\n"}, 1_000_000, Server, NotNeeded, "no network interface"},
		{"unreadable", map[string]string{rx: "!EACCES"}, 1_000_000, Server, Unreadable, "permission"},
		{"garbage", map[string]string{rx: "xyz\n"}, 1_000_000, Server, Unreadable, "cannot be understood"},
		{"a mask too narrow", map[string]string{rx: "0\n"}, 1_000_000, Server, Unreadable, "cannot be understood"},
		{"no processors", map[string]string{onlineCPUs: ""}, 1_000_000, Server, Unreadable, ""},
		{"garbage of processors", map[string]string{onlineCPUs: "7-0\n"}, 1_000_000, Server, Unreadable, "cannot be understood"},
	} {
		f := findProcessor(t, "rps_cpus", oneQueue(c.change), c.n, c.role)
		if f.Verdict != c.want || !strings.Contains(f.Reason, c.reason) {
			t.Errorf("%s: %v, %q", c.name, f.Verdict, f.Reason)
		}
		if want := (Setting{Path: "/" + rx, Value: "ff"}); c.want == Set && (len(f.Settings) != 1 || f.Settings[0] != want || f.Now != "echo ff > /"+rx) {
			t.Errorf("%s: %+v, now %q", c.name, f.Settings, f.Now)
		}
	}
	f := findProcessor(t, "rps_cpus", oneQueue(map[string]string{
		"sys/class/net/eth1/device/vendor": "1\n", "sys/class/net/eth1/queues/rx-0/rps_cpus": "00\n",
	}), 1_000_000, Server)
	if len(f.Settings) != 2 || !strings.HasSuffix(f.Now, "and so on for each") {
		t.Errorf("two interfaces: %+v, now %q", f.Settings, f.Now)
	}
}

func TestParseCPUs(t *testing.T) {
	for s, want := range map[string]string{
		"0": "[0]", "0-3": "[0 1 2 3]", "0-1,3": "[0 1 3]", "1,3-4,8191": "[1 3 4 8191]",
		"": "", "-": "", "3-0": "", "0,0": "", "1,0": "", "0-": "", "8192": "", "0-8192": "", "99999999": "", "a": "", "0,": "", "+1": "",
	} {
		cpus, ok := parseCPUs(s)
		if ok != (want != "") || ok && fmt.Sprint(cpus) != want {
			t.Errorf("%q: %v, %v, want %s", s, cpus, ok, want)
		}
	}
}

func TestMaskLike(t *testing.T) {
	for _, c := range []struct{ mask, cpus, want string }{
		{"0", "0-3", "f"}, {"3", "0-1", "3"}, {"00", "0-7", "ff"}, {"000", "0-9", "3ff"}, {"0", "0-4", ""},
		{"00000000", "0-31", "ffffffff"}, {"0,00000000", "0-35", "f,ffffffff"}, {"00000000,00000000", "0,32", "00000001,00000001"},
		{"", "0", ""}, {"x", "0", ""}, {",", "0", ""},
	} {
		cpus, ok := parseCPUs(c.cpus)
		if !ok {
			t.Fatal(c.cpus)
		}
		if got, ok := maskLike(c.mask, cpus); got != c.want || ok != (c.want != "") {
			t.Errorf("%s as %q: %q, %v, want %q", c.cpus, c.mask, got, ok, c.want)
		}
	}
}

// FuzzMask: what is written holds the processors, and is as wide as what was read.
func FuzzMask(f *testing.F) {
	f.Add("00000000,00000000", "0-3,32")
	f.Add("f", "0")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, mask, list string) {
		cpus, ok := parseCPUs(list)
		if !ok {
			return
		}
		if len(cpus) == 0 || !slices.IsSorted(cpus) || cpus[len(cpus)-1] >= maxCPUs {
			t.Fatalf("of %q: %v", list, cpus)
		}
		got, ok := maskLike(mask, cpus)
		if !ok {
			return
		}
		digits := strings.ReplaceAll(got, ",", "")
		if len(digits) != len(strings.ReplaceAll(mask, ",", "")) {
			t.Fatalf("%q is not as wide as %q", got, mask)
		}
		bits := 0
		for i := range digits {
			var d int
			if _, err := fmt.Sscanf(digits[i:i+1], "%x", &d); err != nil {
				t.Fatal(err)
			}
			for bit := range 4 {
				if d>>bit&1 == 1 {
					bits++
					if cpu := (len(digits)-1-i)*4 + bit; !slices.Contains(cpus, cpu) {
						t.Fatalf("%q has processor %d, and %q has not", got, cpu, list)
					}
				}
			}
		}
		if bits != len(cpus) {
			t.Fatalf("%q has %d processors, want %d", got, bits, len(cpus))
		}
	})
}

func TestFlows(t *testing.T) {
	const name, count = "proc/sys/net/core/rps_sock_flow_entries", "sys/class/net/eth0/queues/rx-0/rps_flow_cnt"
	for _, c := range []struct {
		entries, flows string
		want           Verdict
	}{
		{"0\n", "0\n", NotNeeded}, {"32768\n", "0\n", NotNeeded}, {"32768\n", "", NotNeeded}, {"32768\n", "2048\n", OK},
		{"!EACCES", "0\n", Unreadable}, {"x\n", "0\n", Unreadable}, {"", "0\n", NotNeeded},
	} {
		f := findProcessor(t, flowEntries, oneQueue(map[string]string{name: c.entries, count: c.flows}), 1_000_000, Server)
		if f.Verdict != c.want || f.bad() || (f.Verdict == NotNeeded) != (f.Reason != "" && c.want == NotNeeded) {
			t.Errorf("%q and %q: %+v", c.entries, c.flows, f)
		}
	}
}

// TestKernelChecksAreComplete: each row says why, where that is written, and whom it concerns.
func TestKernelChecksAreComplete(t *testing.T) {
	for _, c := range slices.Concat(conntrackChecks(), memoryChecks(), processorChecks()) {
		if !strings.HasSuffix(c.Why, ".") || strings.Contains(c.Why, ". ") {
			t.Errorf("%s: want one sentence: %q", c.Name, c.Why)
		}
		if c.Source == "" || c.Role == 0 || c.examine == nil {
			t.Errorf("%s has no source, no role or nothing to look at", c.Name)
		}
	}
}
