package tuning

import (
	"fmt"
	"strings"
	"testing"
)

func findMemory(t testing.TB, name string, h *Host, n int64) Finding {
	t.Helper()
	return examineOne(t, memoryChecks(), name, h, Goal{Connections: n, Role: Server})
}

// TestOvercommit: with 2, what is left of CommitLimit decides, to the kB.
func TestOvercommit(t *testing.T) {
	const n = 100_000
	g := Goal{Connections: n, Role: Server}
	need := newModel(hostOf(t, nil), g).user(n) + mappedBytes
	kb := (need + overcommitReserve + 1023) >> 10
	for _, c := range []struct {
		mode, limit string
		want        Verdict
	}{
		{"0", "", OK},
		{"1", "", OK},
		{"2", fmt.Sprintf("CommitLimit: %d kB\nCommitted_AS: 1000 kB\n", kb+1000), OK},
		{"2", fmt.Sprintf("CommitLimit: %d kB\nCommitted_AS: 1000 kB\n", kb+999), Set},
		{"2", "CommitLimit: 1000 kB\nCommitted_AS: 5000 kB\n", Set},
		{"2", "", Unreadable},
		{"3", "", Unreadable},
		{"-1", "", Unreadable},
		{"x", "", Unreadable},
	} {
		h := hostOf(t, map[string]string{"proc/sys/vm/overcommit_memory": c.mode + "\n", "proc/meminfo": c.limit})
		f := findMemory(t, "vm.overcommit_memory", h, n)
		if f.Verdict != c.want || (f.Holds < n) != (c.want == Set) || (f.Now != "") != (c.want == Set) {
			t.Errorf("%s with %q: %+v", c.mode, c.limit, f)
		}
		if f.Settings != nil {
			t.Error("Apply would change what somebody chose for the whole host")
		}
	}
	if f := findMemory(t, "vm.overcommit_memory", hostOf(t, nil), n); f.Verdict != Unreadable {
		t.Errorf("missing: %v", f.Verdict)
	}
}

func TestMostConnections(t *testing.T) {
	for _, most := range []int64{0, 1, 2, 3, 1000, MaxConnections - 1, MaxConnections} {
		if got := mostConnections(func(n int64) bool { return n <= most }); got != most {
			t.Errorf("%d connections fit, and it finds %d", most, got)
		}
	}
	if got := mostConnections(func(int64) bool { return false }); got != 0 {
		t.Errorf("none fit, and it finds %d", got)
	}
}

func TestMapCount(t *testing.T) {
	for _, c := range []struct {
		have    string
		n       int64
		verdict Verdict
		holds   bool
	}{
		{"65530", 1_000_000, OK, true},
		{"65530", 10_000_000, OK, true},
		{"259", 4095, OK, true}, // 256 and 3 for one arena of 4,096 connections
		{"258", 4095, Raise, false},
		{"259", 4096, Raise, false},
		{"262", 4096, OK, true},
		{"0", 1, Raise, false},
		{"9223372036854775807", MaxConnections, OK, true},
	} {
		h := hostOf(t, map[string]string{"proc/sys/vm/max_map_count": c.have + "\n"})
		f := findMemory(t, "vm.max_map_count", h, c.n)
		if f.Verdict != c.verdict || (f.Holds >= c.n) != c.holds {
			t.Errorf("%s for %d: %v, needed %s, holds %d", c.have, c.n, f.Verdict, f.Needed, f.Holds)
		}
	}
}

func TestHugePages(t *testing.T) {
	const always = "[always] madvise never\n"
	for _, c := range []struct {
		enabled, none, defrag string
		want, wantDefrag      Verdict
	}{
		{always, "511\n", "always defer defer+madvise [madvise] never\n", Set, OK},
		{always, "1\n", "[always] defer defer+madvise madvise never\n", Set, Set},
		{always, "0\n", "always [defer] defer+madvise madvise never\n", OK, OK},
		{always, "0\n", "always defer [defer+madvise] madvise never\n", OK, OK},
		{always, "0\n", "always defer defer+madvise madvise [never]\n", OK, OK},
		{always, "!EACCES", "!EACCES", Unreadable, Unreadable},
		{always, "x\n", "always\n", Unreadable, Unreadable},
		{"always [madvise] never\n", "511\n", "[always] defer\n", NotNeeded, NotNeeded},
		{"always madvise [never]\n", "511\n", "[always] defer\n", NotNeeded, NotNeeded},
		{"always madvise\n", "511\n", "[always] defer\n", Unreadable, Unreadable},
		{"!EACCES", "511\n", "[always] defer\n", Unreadable, Unreadable},
	} {
		h := hostOf(t, map[string]string{hugePages + "enabled": c.enabled, hugePages + "khugepaged/max_ptes_none": c.none, hugePages + "defrag": c.defrag})
		f := findMemory(t, "khugepaged/max_ptes_none", h, 1000)
		if f.Verdict != c.want || f.Verdict == Set && (f.Settings[0].Value != "0" || f.Now != "echo 0 > "+f.Settings[0].Path) {
			t.Errorf("%+v: %+v", c, f)
		}
		f = findMemory(t, "transparent_hugepage/defrag", h, 1000)
		if f.Verdict != c.wantDefrag || f.Verdict == Set && f.Settings[0].Value != "defer+madvise" {
			t.Errorf("%+v: %+v", c, f)
		}
	}
	if f := findMemory(t, "khugepaged/max_ptes_none", hostOf(t, nil), 1000); f.Verdict != NotNeeded {
		t.Errorf("a kernel without huge pages: %v", f.Verdict)
	}
}

func FuzzChosen(f *testing.F) {
	f.Add("always [madvise] never")
	f.Add("[]")
	f.Add("a]b[c")
	f.Fuzz(func(t *testing.T, s string) {
		if got := chosen(s); got != "" && !strings.Contains(s, "["+got+"]") {
			t.Errorf("of %q it takes %q", s, got)
		}
	})
}

func TestMinFree(t *testing.T) {
	const gib = 1 << 20 // kB
	for _, c := range []struct {
		have, memory, n int64
		want            Verdict
		needed          string
	}{
		{39999, 16 * gib, 100_000, Raise, "40000"},
		{40000, 16 * gib, 100_000, OK, "40000"},
		{40001, 16 * gib, 100_000, OK, "40000"},
		{839, 16 * gib, 99_999, NotNeeded, ""},
		{10484, gib, 100_000, Raise, "10485"},
		{10485, gib, 100_000, OK, "10485"},
		{52428, gib, 100_000, OK, "10485"},
		{52429, gib, 100_000, Set, "10485 to 52428"},
		{4 * gib, 16 * gib, 1_000_000, Set, "40000 to 838860"},
	} {
		h := hostOf(t, map[string]string{
			"proc/sys/vm/min_free_kbytes": fmt.Sprintln(c.have), "proc/meminfo": fmt.Sprintf("MemTotal: %d kB\n", c.memory),
		})
		f := findMemory(t, "vm.min_free_kbytes", h, c.n)
		if f.Verdict != c.want || f.Needed != c.needed {
			t.Errorf("%d kB of %d: %v, needed %s", c.have, c.memory, f.Verdict, f.Needed)
		}
		if c.want == Set && f.Settings != nil {
			t.Error("Apply, which lowers nothing, would be told to")
		}
	}
	for _, content := range []map[string]string{
		{}, {"proc/sys/vm/min_free_kbytes": "!EACCES"}, {"proc/sys/vm/min_free_kbytes": "67584\n"},
	} {
		if f := findMemory(t, "vm.min_free_kbytes", hostOf(t, content), 1_000_000); f.Verdict != Unreadable || f.Reason == "" {
			t.Errorf("of %v: %v, %q", content, f.Verdict, f.Reason)
		}
	}
}
