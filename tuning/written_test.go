package tuning

import (
	"strings"
	"testing"
)

// after is a report of a host on which fewer Settings are left to be made: the others do not matter any more.
func after(r *Report, gone ...string) *Report {
	less := *r
	less.Findings = nil
	for _, f := range r.Findings {
		if !among(f.Name, gone...) {
			less.Findings = append(less.Findings, f)
		}
	}
	return &less
}

// A second Apply keeps the lines of what the first one has put right, in their places.
func TestPersistKeepsWhatIsRight(t *testing.T) {
	const fin, reuse, cookies = "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_syncookies"
	files := map[string]string{sysctlFile(fin): "120\n", sysctlFile(reuse): "0\n", sysctlFile(cookies): "0\n"}
	r := reportOf(10, raise("fs.nr_open", "2001024"), raise(reuse, "2"), raise("net.core.somaxconn", "65535"), raise(cookies, "1"),
		raise(fin, "130"), Finding{Name: "khugepaged/max_ptes_none", Verdict: Set, Why: "It costs memory.", Settings: []Setting{{Path: thpDefrag, Value: "0"}}})
	for i := range r.Findings {
		r.Findings[i].Why = Checks()[rowOf(r.Findings[i].Settings[0].Path)].Why
	}
	u, _ := persist(t, files, r)
	conf, tmp := textAt(t, u.Root, sysctlConf), textAt(t, u.Root, tmpfilesConf)
	for _, gone := range [][]string{{reuse, "khugepaged/max_ptes_none"}, {fin}, {"fs.nr_open"}, {reuse, cookies, fin, "net.core.somaxconn", "fs.nr_open"}} {
		for what, s := range apply(t, u, after(r, gone...), ApplyOptions{Persist: true}) {
			if s.Outcome != Already && s.Outcome != Left {
				t.Errorf("without %v: %s: %+v", gone, what, s)
			}
		}
		if got := textAt(t, u.Root, sysctlConf); got != conf {
			t.Errorf("without %v:\n%s\nwant\n%s", gone, got, conf)
		}
		if got := textAt(t, u.Root, tmpfilesConf); got != tmp {
			t.Errorf("without %v:\n%s\nwant\n%s", gone, got, tmp)
		}
	}
}

// What stands in a file of ours and in no row of the table is not carried on.
func TestPersistKeepsOnlyItsOwn(t *testing.T) {
	u, _ := persist(t, map[string]string{
		sysctlConf:   "vm.other = 5\nnet.ipv4.tcp_syncookies = x y\nnet.ipv4.tcp_moderate_rcvbuf = 1\n",
		tmpfilesConf: "w /sys/kernel/uevent_helper - - - - /x\nw /sys/class/net/eth0/queues/rx-0/rps_cpus - - - - 3\n",
	}, fullReport())
	conf, tmp := textAt(t, u.Root, sysctlConf), textAt(t, u.Root, tmpfilesConf)
	if strings.Contains(conf, "vm.other") || strings.Contains(conf, "x y") || !strings.HasSuffix(conf, "\nnet.ipv4.tcp_moderate_rcvbuf = 1") {
		t.Error(conf)
	}
	if strings.Contains(tmp, "uevent_helper") || !strings.Contains(tmp, "/queues/rx-0/rps_cpus - - - - 3") {
		t.Error(tmp)
	}
}

// The settings of a module are there at boot only if it is loaded before they are read.
func TestPersistLoadsTheModule(t *testing.T) {
	const initstate = "sys/module/nf_conntrack/initstate"
	count := sysctlFile(conntrackMax)
	for _, row := range []struct {
		name    string
		files   map[string]string
		want    []Finding
		outcome Outcome
		written bool
	}{
		{"a module", map[string]string{initstate: "live\n", count: "100\n"}, []Finding{raise(conntrackMax, "500")}, Done, true},
		{"built in", map[string]string{count: "100\n"}, []Finding{raise(conntrackMax, "500")}, 0, false},
		{"nothing of it", map[string]string{initstate: "live\n", count: "100\n"}, nil, 0, false},
		{"no systemd", map[string]string{initstate: "live\n", count: "100\n", "etc/systemd/system/": "-"}, []Finding{raise(conntrackMax, "500")}, Left, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.files["proc/sys/net/core/netdev_max_backlog"] = "1000\n" // no container
			u, steps := persist(t, row.files, reportOf(10, row.want...))
			s, said := steps[modulesConf]
			if said != (row.written || row.outcome == Left) || said && s.Outcome != row.outcome {
				t.Errorf("%+v", s)
			}
			if u.missing(modulesConf) == row.written {
				t.Errorf("%s", modulesConf)
			}
			if row.written {
				if text := textAt(t, u.Root, modulesConf); !strings.HasSuffix(text, "\nnf_conntrack") {
					t.Errorf("%q", text)
				}
			}
			if revert(t, u); !u.missing(modulesConf) {
				t.Error("it is still there")
			}
		})
	}
}
