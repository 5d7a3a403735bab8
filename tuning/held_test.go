package tuning

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// serving is a host of 8 GiB on which dormouse serve holds connections in a cgroup of its own, or, with 0, does not
// run. What it has is what the prediction says.
func serving(t *testing.T, connections int64, more map[string]string) *Host {
	t.Helper()
	const available = 7_000_000 << 10
	content := map[string]string{
		"proc/meminfo":                   fmt.Sprintf("MemTotal: 8000000 kB\nMemAvailable: %d kB\nCommitLimit: 4000000 kB\nCommitted_AS: 900000 kB\n", available>>10),
		"proc/sys/fs/file-max":           "700000\n",
		"proc/sys/fs/file-nr":            "2000\t0\t700000\n",
		"proc/sys/vm/overcommit_memory":  "2\n",
		"proc/self/cgroup":               "0::/web\n",
		"proc/self/mountinfo":            "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 none rw\n",
		"sys/fs/cgroup/web/memory.max":   "4294967296\n",
		"sys/fs/cgroup/web/pids.max":     "100\n",
		"sys/fs/cgroup/web/pids.current": "9\n",
		"proc/7/cmdline":                 "nginx: master process\x00",
		"proc/8/cmdline":                 "/usr/bin/dormouse\x00tune\x00check\x00",
	}
	const others = 100 << 20 // in use of the cgroup
	content["sys/fs/cgroup/web/memory.current"] = fmt.Sprintln(others)
	if connections > 0 {
		const private, threads = 600 << 20, 12
		var kernel, reclaimable int64
		for _, o := range kernelObjects(hostOf(t, content), Goal{Connections: connections, Role: Server}) {
			kernel += o.total(connections)
			if among(o.name, "sock_inode_cache", "dentry") {
				reclaimable += o.total(connections)
			}
		}
		maps.Copy(content, map[string]string{
			"proc/4711/cmdline":                "/usr/bin/dormouse\x00serve\x00--addr\x00:4000\x00",
			"proc/4711/status":                 fmt.Sprintf("Threads:\t%d\nRssAnon:\t  %d kB\n", threads, private>>10),
			"proc/4711/fd":                     fmt.Sprintln(connections),
			"proc/4711/cgroup":                 "0::/web/dormouse.service\n",
			"proc/sys/fs/file-nr":              fmt.Sprintf("%d\t0\t700000\n", 2000+connections),
			"sys/fs/cgroup/web/pids.current":   fmt.Sprintln(9 + threads),
			"sys/fs/cgroup/web/memory.current": fmt.Sprintln(others + private + kernel),
			"proc/meminfo": fmt.Sprintf("MemTotal: 8000000 kB\nMemAvailable: %d kB\nCommitLimit: 4000000 kB\nCommitted_AS: %d kB\n",
				(available-private-kernel+reclaimable)>>10, 900000+(private+mappedBytes)>>10),
		})
	}
	maps.Copy(content, more)
	return hostOf(t, content)
}

func examined(t *testing.T, h *Host, g Goal) *Report {
	t.Helper()
	r, err := Examine(h, g)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A host is judged while the server runs as it is without it.
func TestHeldIsPartOfTheGoal(t *testing.T) {
	goal := Goal{Connections: 600_000}
	quiet := examined(t, serving(t, 0, nil), goal)
	busy := examined(t, serving(t, 500_000, nil), goal)
	nobody := goal
	nobody.HeldBy = []int{}
	twice := examined(t, serving(t, 500_000, nil), nobody)
	near := func(what string, got, want, counted int64) {
		t.Helper()
		if diff := got - want; diff < -2000 || diff > 2000 { // kB are rounded: some hundred connections
			t.Errorf("%s: %d beside the server, %d without it", what, got, want)
		}
		if diff := counted - want; diff > -2000 {
			t.Errorf("%s: %d with the server's taken for another's, and %d without it", what, counted, want)
		}
	}
	near("memory", busy.Prediction.Largest, quiet.Prediction.Largest, twice.Prediction.Largest)
	for _, name := range []string{"fs.file-max", "memory.max", "vm.overcommit_memory", "pids.max"} {
		of := func(r *Report) Finding {
			return r.Findings[slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Name == name })]
		}
		if name == "pids.max" {
			if got, want := of(busy).Needed, of(quiet).Needed; got != want || of(twice).Needed == want {
				t.Errorf("%s: %s threads beside the server, %s without it", name, got, want)
			}
			continue
		}
		near(name, of(busy).Holds, of(quiet).Holds, of(twice).Holds)
	}
	said := func(r *Report) string { return strings.Join(strings.Fields(text(t, r, false)), " ") }
	if got := said(busy); !strings.Contains(got, "What dormouse serve (4711) has already is counted as part of the goal: 500,000 descriptors and 2.50 GiB.") ||
		!strings.Contains(got, " held already 2.50 GiB dormouse serve (4711), 500,000 descriptors") {
		t.Errorf("it is not said:\n%.1000s", got)
	}
	if got := said(quiet) + said(twice); strings.Contains(got, "dormouse serve (") {
		t.Errorf("nobody holds anything:\n%.1000s", got)
	}
}

// Of MemAvailable the server takes what it has to itself and the kernel's part, but for what the kernel calls
// reclaimable, and so much is given back.
func TestHeldOfMemAvailable(t *testing.T) {
	goal, unlimited := Goal{Connections: 600_000}, map[string]string{"sys/fs/cgroup/web/memory.max": "max\n"}
	quiet := examined(t, serving(t, 0, unlimited), goal).Prediction
	busy := examined(t, serving(t, 500_000, unlimited), goal).Prediction
	if quiet.AvailableFrom != "MemAvailable" || busy.AvailableFrom != "MemAvailable" {
		t.Fatalf("it is from %s and %s", quiet.AvailableFrom, busy.AvailableFrom)
	}
	if diff := busy.Available - quiet.Available; diff < -2048 || diff > 2048 { // kB are rounded
		t.Errorf("%d available beside the server, %d without it", busy.Available, quiet.Available)
	}
}

// What is in a cgroup of its own is not what another one is charged for.
func TestHeldElsewhere(t *testing.T) {
	h := serving(t, 100_000, map[string]string{"proc/4711/cgroup": "0::/other\n", "sys/fs/cgroup/web/memory.current": "104857600\n"})
	want := examined(t, serving(t, 0, nil), Goal{Connections: 1})
	got := examined(t, h, Goal{Connections: 1})
	of := func(r *Report) int64 {
		return r.Findings[slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Name == "memory.max" })].Holds
	}
	if of(got) != of(want) {
		t.Errorf("memory.max holds %d, want %d", of(got), of(want))
	}
}

func TestHolders(t *testing.T) {
	bench := map[string]string{
		"proc/4712/cmdline": "dormouse\x00bench\x00connect\x00", "proc/4712/status": "RssAnon:\t 1 kB\n", "proc/4712/fd": "77\n",
		"proc/4713/cmdline": "chat\x00serve\x00", "proc/4713/status": "RssAnon:\t 2 kB\n", "proc/4713/fd": "88\n",
		"proc/4714/cmdline": "dormouse\x00serve\x00", // has ended
	}
	for _, row := range []struct {
		name string
		goal Goal
		want string // PID:descriptors
	}{
		{"a server's", Goal{Role: Server}, "4711:1000"},
		{"a load generator's", Goal{Role: LoadGen}, "4712:77"},
		{"both", Goal{Role: Both}, "4711:1000 4712:77"},
		{"those that are named", Goal{Role: Server, HeldBy: []int{4713}}, "4713:88"},
		{"nobody", Goal{Role: Both, HeldBy: []int{}}, ""},
	} {
		row.goal.Connections = 1
		var got []string
		for _, p := range examined(t, serving(t, 1000, bench), row.goal).Held {
			got = append(got, fmt.Sprintf("%d:%d", p.PID, p.Descriptors))
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: %v, want %s", row.name, got, row.want)
		}
	}
	if _, err := Examine(serving(t, 1000, bench), Goal{Connections: 1, HeldBy: []int{4711, 99}}); err == nil || !strings.Contains(err.Error(), "process 99,") {
		t.Errorf("a process that is not there: %v", err)
	}
}

// What cannot be read is said, and is not given back.
func TestHeldUnread(t *testing.T) {
	goal := Goal{Connections: 600_000}
	none := goal
	none.HeldBy = []int{}
	for name, hidden := range map[string]string{"proc/4711/fd": "!EACCES", "proc/4711/status": "Threads:\t5\n"} {
		h := serving(t, 500_000, map[string]string{name: hidden})
		got, want := examined(t, h, goal), examined(t, h, none)
		if got.Prediction.Largest != want.Prediction.Largest {
			t.Errorf("%s: room for %d, want %d", name, got.Prediction.Largest, want.Prediction.Largest)
		}
		if s := text(t, got, false); !strings.Contains(s, "How much of the goal dormouse serve (4711) holds already is not known") {
			t.Errorf("%s: it is not said:\n%.1000s", name, s)
		}
	}
}

// The recording is of a machine that held 10,000 connections; without them it had room for 107,222. Each of them was
// counted twice.
func TestHeldRecorded(t *testing.T) {
	const quiet = 107_222
	h, g := recordedHost(t, "beside"), Goal{Connections: 100_000, Role: Both}
	if n := examined(t, h, g).Prediction.Largest; n < quiet*98/100 || n > quiet*102/100 {
		t.Errorf("room for %d, want %d within 2 %%", n, quiet)
	}
	g.HeldBy = []int{}
	if n := examined(t, h, g).Prediction.Largest; n > quiet*95/100 {
		t.Errorf("room for %d with nothing given back, which is no fewer", n)
	}
}

// Of other processes a recording has nothing, and of a server's command line two words.
func TestRecordHolders(t *testing.T) {
	more := map[string]string{"proc/9/cmdline": "!EACCES", "proc/4711/cmdline": "/home/ann/dormouse\x00--\x00", "proc/4712/cmdline": "/home/ann/dormouse\x00serve\x00--addr\x00s3cr3t\x00",
		"proc/4712/status": "Name:\tdormouse\nRssAnon:\t 1 kB\n", "proc/4712/fd": "5000\n"}
	h, g := serving(t, 1000, more), Goal{Connections: 600_000}
	data, err := Record(h, g)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cr3t", "ann", "nginx", "proc/7", "proc/8", "proc/9", "4711"} {
		if strings.Contains(string(data), secret) {
			t.Errorf("it has %q:\n%s", secret, data)
		}
	}
	again, err := ParseRecording(data)
	if err != nil {
		t.Fatal(err)
	}
	compareReports(t, examined(t, again, g), examined(t, h, g))
}

func TestCommandOf(t *testing.T) {
	for line, want := range map[string]string{
		"dormouse\x00serve\x00": "serve", "/opt/x/dormouse\x00bench\x00agent\x00": "bench", "dormouse\x00--x\x00serve\x00": "serve",
		"dormouse\x00tune\x00serve\x00": "", "dormouse\x00": "", "dormouse": "", "": "", "dormouse-2\x00serve\x00": "", "sudo\x00dormouse\x00serve\x00": "",
	} {
		h := hostOf(t, map[string]string{"proc/5/cmdline": line})
		if got := h.command(5); got != want {
			t.Errorf("%q is the command %q, want %q", line, got, want)
		}
	}
}

// The kernel's count of this process's descriptors, by the size of the directory and by reading it.
func TestCountDescriptors(t *testing.T) {
	h, file := ThisHost(), fmt.Sprintf("proc/%d/fd", os.Getpid())
	before, err := h.number(file)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		fd, err := unix.Dup(0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	if after, err := h.number(file); err != nil || after < before+100 || after > before+110 {
		t.Errorf("%d descriptors after 100 more than %d, %v", after, before, err)
	}
	dir := t.TempDir() // of no procfs, as before Linux 6.2 none has a size
	for i := range 5000 {
		if err := os.WriteFile(fmt.Sprintf("%s/%d", dir, i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := countDescriptors(dir); err != nil || strings.TrimSpace(string(n)) != "5000" {
		t.Errorf("%s of 5000, %v", n, err)
	}
}
