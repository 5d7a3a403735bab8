package tuning

import (
	"os"
	"strings"
	"testing"
)

func TestApplyLimit(t *testing.T) {
	const weakStatus = "CapEff:\t00000000a80425fb\n" // of a container by docker
	for _, row := range []struct {
		name    string
		files   map[string]string
		found   rlimit
		weak    bool
		needed  int64
		outcome Outcome
		after   rlimit
		says    string
	}{
		{"raised", nil, rlimit{1024, 20000}, false, 50000, Done, rlimit{50000, 50000}, ""},
		{"soft alone", nil, rlimit{1024, 60000}, true, 50000, Done, rlimit{50000, 60000}, ""},
		{"one less", nil, rlimit{49999, 50000}, true, 50000, Done, rlimit{50000, 50000}, ""},
		{"the same", nil, rlimit{50000, 50000}, true, 50000, Already, rlimit{50000, 50000}, ""},
		{"higher", nil, rlimit{50001, 1 << 20}, false, 50000, Already, rlimit{50001, 1 << 20}, ""},
		{"no CAP_SYS_RESOURCE", map[string]string{"proc/self/status": weakStatus}, rlimit{1024, 20000}, true, 50000, Failed,
			rlimit{20000, 20000}, "no CAP_SYS_RESOURCE, so the hard limit of 20000 cannot be raised; the soft limit was raised"},
		{"no CAP_SYS_RESOURCE, and soft is hard", map[string]string{"proc/self/status": weakStatus}, rlimit{20000, 20000}, true, 50000,
			Failed, rlimit{20000, 20000}, "no CAP_SYS_RESOURCE, so the hard limit of 20000 cannot be raised"},
		{"of a user namespace", nil, rlimit{1024, 20000}, true, 50000, Failed, rlimit{20000, 20000}, "CAP_SYS_RESOURCE of a user namespace is not enough"},
		{"above fs.nr_open", nil, rlimit{1024, 20000}, false, 2_000_000, Failed, rlimit{20000, 20000}, "above fs.nr_open, which is 1048576"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, f := tunerOf(rootOf(t, row.files))
			f.limits[shellPID], f.weak = row.found, row.weak
			s := apply(t, u, reportOf(row.needed-spareDescriptors), ApplyOptions{})[limitName]
			if s.Outcome != row.outcome || !strings.Contains(s.Why, row.says) || s.To != row.after.String() {
				t.Errorf("%+v", s)
			}
			if s.Outcome == Failed && s.Fix == "" {
				t.Error("it does not say what to do")
			}
			if f.limits[shellPID] != row.after {
				t.Errorf("it is %s, not %s", f.limits[shellPID], row.after)
			}
			if _, err := u.Revert(false); (err != nil) != (row.after == row.found) || f.limits[shellPID] != row.found {
				t.Errorf("after Revert it is %s: %v", f.limits[shellPID], err)
			}
		})
	}
}

// The limit is raised of the one who asked, not of what stands in between.
func TestLimitOfWhom(t *testing.T) {
	for _, row := range []struct {
		name    string
		files   map[string]string
		pid     int
		what    string
		outcome Outcome
		says    string
	}{
		{"named", nil, 412, limitName, Done, ""},
		{"named, and init", map[string]string{"proc/1/stat": statOf(1, "systemd", 0, 0)}, 1, "RLIMIT_NOFILE of systemd (1)", Done, ""},
		{"named, and not there", nil, 77, "RLIMIT_NOFILE of process 77", Failed, "there is no such process"},
		{"run0", map[string]string{"proc/999/stat": statOf(999, "run0", 1, 5), "proc/1/stat": statOf(1, "systemd", 0, 0)}, 0,
			"RLIMIT_NOFILE of systemd (1)", Left, "it starts services"},
		{"a shell as the first process", map[string]string{"proc/self/stat": statOf(9, "dormouse", 1, 9), "proc/1/stat": statOf(1, "sh", 0, 0)}, 0,
			"RLIMIT_NOFILE of sh (1)", Done, ""},
		{"from outside of the container", map[string]string{"proc/self/stat": statOf(9, "dormouse", 0, 9)}, 0,
			"RLIMIT_NOFILE of the caller", Failed, "outside of this container"},
		{"a circle", map[string]string{"proc/998/stat": statOf(998, "su", 999, 1)}, 0, "RLIMIT_NOFILE of the caller", Failed, "no end"},
		{"garbage", map[string]string{"proc/998/stat": "998 (su"}, 0, "RLIMIT_NOFILE of the caller", Failed, "cannot be understood"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, _ := tunerOf(rootOf(t, row.files))
			steps := apply(t, u, reportOf(50000), ApplyOptions{PID: row.pid})
			if s := steps[row.what]; s.Outcome != row.outcome || !strings.Contains(s.Why, row.says) {
				t.Errorf("%+v", steps)
			}
		})
	}
}

// Revert touches the process that it was, if its limit is what was set.
func TestRevertOfALimit(t *testing.T) {
	ours := rlimit{51024, 51024}
	for _, row := range []struct {
		name    string
		stat    string
		now     rlimit
		outcome Outcome
		after   rlimit
		says    string
	}{
		{"as it was set", statOf(412, "bash", 1, 500), ours, Done, rlimit{1024, 20000}, ""},
		{"under another name since", statOf(412, "zsh", 1, 500), ours, Done, rlimit{1024, 20000}, ""},
		{"back already", statOf(412, "bash", 1, 500), rlimit{1024, 20000}, Already, rlimit{1024, 20000}, ""},
		{"changed since", statOf(412, "bash", 1, 500), rlimit{4096, 51024}, Left, rlimit{4096, 51024}, "by somebody else since, to 4096:51024"},
		{"another process of that number", statOf(412, "bash", 1, 501), ours, Already, ours, "it has ended"},
		{"ended", "-", ours, Already, ours, "it has ended"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, f := tunerOf(rootOf(t, nil))
			apply(t, u, reportOf(50000), ApplyOptions{})
			if f.limits[shellPID] != ours {
				t.Fatal(f.limits)
			}
			f.limits[shellPID] = row.now
			if row.stat == "-" {
				remove(t, u.Root, "proc/412/stat")
			} else {
				put(t, u.Root, "proc/412/stat", row.stat)
			}
			if s := revert(t, u)[limitName]; s.Outcome != row.outcome || !strings.Contains(s.Why, row.says) {
				t.Errorf("%+v", s)
			}
			if f.limits[shellPID] != row.after {
				t.Errorf("it is %s, not %s", f.limits[shellPID], row.after)
			}
		})
	}
}

// After a boot the same number and the same start time can be another process's.
func TestRevertOfALimitAfterABoot(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	apply(t, u, reportOf(50000, raise("net.core.somaxconn", "65535")), ApplyOptions{})
	put(t, u.Root, "proc/sys/kernel/random/boot_id", "8f0f1c6e-0000-4000-8000-000000000002\n")
	was := f.limits[shellPID]
	steps := revert(t, u)
	if f.limits[shellPID] != was || len(steps) != 1 {
		t.Errorf("%v, %+v", f.limits, steps)
	}
}

// In another boot what was set before it is what is found: a limit that a login has by now.
func TestApplyLimitAfterABoot(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	apply(t, u, reportOf(50000), ApplyOptions{})
	put(t, u.Root, "proc/sys/kernel/random/boot_id", "8f0f1c6e-0000-4000-8000-000000000002\n")
	login := f.limits[shellPID]
	apply(t, u, reportOf(60000), ApplyOptions{})
	revert(t, u)
	if f.limits[shellPID] != login {
		t.Errorf("it is %s, and was %s in this boot", f.limits[shellPID], login)
	}
}

func TestParseStat(t *testing.T) {
	for _, row := range []struct {
		text string
		want task
		ok   bool
	}{
		{statOf(7, "bash", 3, 99), task{7, 3, 99, "bash"}, true},
		{statOf(7, "a) S 1 (b c", 3, 99), task{7, 3, 99, "a) S 1 (b c"}, true},
		{statOf(7, "", 3, 1<<63), task{7, 3, 1 << 63, ""}, true},
		{statOf(0, "bash", 3, 99), task{}, false},
		{statOf(7, "bash", -3, 99), task{}, false},
		{strings.TrimSuffix(statOf(7, "bash", 3, 99), " 99 1 1 1\n"), task{}, false},
		{"7 (bash S 3", task{}, false}, {"x (bash) S", task{}, false}, {"", task{}, false},
	} {
		if got, err := parseStat(row.text); got != row.want || (err == nil) != row.ok {
			t.Errorf("%q: %+v, %v", row.text, got, err)
		}
	}
}

// The caller of this process, whoever it is.
func TestTaskOfThisProcess(t *testing.T) {
	p, err := Tuner{}.task(0)
	if err != nil || p.pid != os.Getpid() || p.parent != os.Getppid() || p.start == 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(statOf(7, "a) b", 3, 99))
	f.Add("1 (")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseStat(text)
		if err == nil && (p.pid < 1 || p.parent < 0 || !strings.Contains(text, ")")) {
			t.Errorf("%q: %+v", text, p)
		}
	})
}

// The real call, on this process, to what is there already.
func TestKernelPrlimit(t *testing.T) {
	was, err := kernel{}.prlimit(os.Getpid(), nil)
	if err != nil || was.Soft > was.Hard || was.Hard == 0 {
		t.Fatal(was, err)
	}
	if again, err := (kernel{}).prlimit(os.Getpid(), &was); err != nil || again != was {
		t.Errorf("%s, then %s, %v", was, again, err)
	}
	if _, err := (kernel{}).prlimit(1<<30, nil); limitUnknown(err) != "there is no such process" {
		t.Errorf("a process that cannot be: %v", err)
	}
}
