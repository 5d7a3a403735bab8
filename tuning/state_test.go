package tuning

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const goodState = `{"version":1,"bootID":"x","time":"2026-01-02T03:04:05Z",
"values":[{"path":"/proc/sys/net/core/somaxconn","found":"4096","ours":["65535"],"pending":true}],
"limits":[{"pid":412,"start":500,"command":"bash","found":{"soft":1024,"hard":20000},"ours":[{"soft":5,"hard":5}]}],
"dirs":["/etc/tmpfiles.d"],
"files":[{"path":"/etc/sysctl.d/90-dormouse.conf","existed":true,"mode":420,"found":"eA==","ours":["ab"]}]}`

func TestParseState(t *testing.T) {
	s, err := parseState([]byte(goodState))
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := parseState(data); err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("%+v\n%+v\n%v", s, again, err)
	}
}

// TestParseStateRefuses changes one thing of a good state at a time.
func TestParseStateRefuses(t *testing.T) {
	many := `"ours":["1"` + strings.Repeat(`,"1"`, mostOurs) + `]`
	for _, row := range []struct{ old, new, says string }{
		{`"version":1`, `"version":2`, "version 2, and this program knows version 1"},
		{`"version":1`, `"version":1,"more":1`, "unknown field"},
		{`"version":1,`, ``, "version 0"},
		{goodState, "", "EOF"},
		{goodState, "null", "version 0"},
		{goodState, goodState + "{}", "after its end"},
		{"/proc/sys/net/core/somaxconn", "/etc/passwd", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/proc/sys/net/../../../etc/passwd", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/proc/sys/net/core/../core/somaxconn", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/proc/sys/kernel/core_pattern", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/proc/sys/fs/binfmt_misc/register", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "proc/sys/net/core/somaxconn", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/proc/sys/net/", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/sys/class/net/eth0/address", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/sys/class/net/../queues/rx-0/rps_cpus", "no file that tune apply writes"},
		{"/proc/sys/net/core/somaxconn", "/sys/power/state", "no file that tune apply writes"},
		{`"4096"`, `"|/bin/sh"`, "no value of"}, {`"4096"`, `"word"`, "no value of"}, {`"65535"`, `"1\n2"`, "no value of"},
		{`"65535"`, `"1  2"`, "no value of"}, {`["65535"]`, `[]`, "0 values of ours"}, {`"ours":["65535"]`, many, "33 values of ours"},
		{`"limits"`, `"values":[{"path":"/proc/sys/vm/a","found":"1","ours":["1"]},{"path":"/proc/sys/vm/a","found":"1","ours":["1"]}],"limits"`, "twice"},
		{`"pid":412`, `"pid":0`, "process 0"}, {`"pid":412`, `"pid":-1`, "process -1"}, {`"soft":5`, `"soft":6`, "6:5"},
		{`"soft":5`, `"soft":-5`, "cannot unmarshal"}, {`[{"soft":5,"hard":5}]`, `[]`, "0 limits of ours"},
		{"/etc/tmpfiles.d", "/etc", "no directory"}, {"/etc/tmpfiles.d", "/etc/tmpfiles.d/", "no directory"},
		{"/etc/sysctl.d/90-dormouse.conf", "/etc/sysctl.d/99-other.conf", "no file"},
		{"/etc/sysctl.d/90-dormouse.conf", "/etc/shadow", "no file"},
		{`"mode":420`, `"mode":2541`, "cannot have been"}, {`"existed":true`, `"existed":false`, "cannot have been"},
		{`["ab"]`, `[]`, "0 contents of ours"}, {`"eA=="`, `"e"`, "base64"},
	} {
		if !strings.Contains(goodState, row.old) {
			t.Fatalf("no %s in the good one", row.old)
		}
		text := strings.Replace(goodState, row.old, row.new, 1)
		if _, err := parseState([]byte(text)); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s for %s: %v, and it does not say %q", row.new, row.old, err, row.says)
		}
	}
	if _, err := parseState(make([]byte, stateBytes+1)); err == nil {
		t.Error("a state of any size")
	}
}

func TestSettable(t *testing.T) {
	for name, want := range map[string]bool{
		"/proc/sys/net/ipv4/tcp_mem": true, "/proc/sys/fs/nr_open": true, "/proc/sys/fs/epoll/max_user_watches": true,
		"/proc/sys/vm/overcommit_memory": true, "/proc/sys/kernel/pid_max": true, "/sys/class/net/eth0.5/queues/rx-0/rps_cpus": true,
		"/proc/sys/net/ipv4/conf/eth0.5/forwarding": true, thpFile: true, thpDefrag: true,
		"/sys/devices/system/clocksource/clocksource0/current_clocksource": true,
		"/proc/sys/net": false, "/proc/sys/net/ipv4/": false, "/proc/sys/kernel/modprobe": false, "/proc/sysrq-trigger": false,
		"/proc/sys/fs/binfmt_misc/status": false, "/proc/sys/net/a b": false, "/proc/sys/net/a\x00": false, "": false,
		"/proc/sys/net/./a": false, "/proc/sys/net//a": false, "/x/proc/sys/net/a": false, "/sys/kernel/mm/transparent_hugepage/../../x": false,
	} {
		if settable(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestContent(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"/proc/sys/net/ipv4/tcp_mem", "1\t2\t3\n", "1 2 3"}, {"/proc/sys/net/x", "\n", ""},
		{thpFile, "[always] madvise never\n", "always"}, {thpFile, "always madvise [never]\n", "never"}, {thpDefrag, "511\n", "511"},
		{"/proc/sys/net/x", "a [b] c\n", "a [b] c"},
	} {
		if got := content(row.name, row.text); got != row.want {
			t.Errorf("%q: %q", row.text, got)
		}
	}
}

func TestSame(t *testing.T) {
	const cpus, number = "/sys/class/net/e/queues/rx-0/rps_cpus", "/proc/sys/net/core/somaxconn"
	for _, row := range []struct {
		name, a, b string
		want       bool
	}{
		{cpus, "f", "0000000f", true}, {cpus, "00000001,ffffffff", "1,FFFFFFFF", true}, {cpus, "0", "00000000", true},
		{cpus, "f", "ff", false}, {cpus, "1,00000000", "1", false}, {number, "10", "010", false}, {number, "10", "10", true},
	} {
		if same(row.name, row.a, row.b) != row.want {
			t.Errorf("%+v", row)
		}
	}
}

// A state that was made by hand writes nothing outside of what a Setting may name, wherever its links lead.
func TestRevertOfAForgery(t *testing.T) {
	root := rootOf(t, map[string]string{"etc/passwd": "root\n", "etc/elsewhere/": ""})
	link(t, "../../../etc/passwd", filepath.Join(root, "proc/sys/net/alias"))
	link(t, "elsewhere", filepath.Join(root, "etc/tmpfiles.d"))
	put(t, root, "etc/elsewhere/90-dormouse.conf", "mine\n")
	before := snapshot(t, root)
	u, _ := tunerOf(root)
	put(t, root, stateFile, fmt.Sprintf(`{"version":1,"bootID":"","time":"2026-01-02T03:04:05Z",
"values":[{"path":"/proc/sys/net/alias","found":"1","ours":["2"]}],
"files":[{"path":"/etc/tmpfiles.d/90-dormouse.conf","ours":[%q]}]}`, digest([]byte("mine\n"))))
	for what, s := range revert(t, u) {
		if s.Outcome != Failed {
			t.Errorf("%s: %+v", what, s)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, stateDir)); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, root); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// FuzzParseState: what is accepted names nothing but what may be named, by rules written anew here, and is
// read again as it was written.
func FuzzParseState(f *testing.F) {
	f.Add([]byte(goodState))
	f.Add([]byte(`{"version":1,"values":[{"path":"/sys/class/net/../queues/a/b","found":"","ours":[""]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data)
		if err != nil {
			return
		}
		for _, v := range s.Values {
			kernels := strings.HasPrefix(v.Path, "/proc/sys/") || strings.HasPrefix(v.Path, "/sys/")
			if !kernels || strings.Contains(v.Path, "..") && filepath.Clean(v.Path) != v.Path || strings.Contains(v.Path, "/../") ||
				strings.ContainsAny(v.Found+strings.Join(v.Ours, ""), "|/\n\x00") {
				t.Errorf("%+v", v)
			}
		}
		for _, file := range s.Files {
			if !strings.HasPrefix(file.Path, "/etc/") || !strings.HasSuffix(file.Path, ".conf") || file.Mode > 0o777 {
				t.Errorf("%+v", file)
			}
		}
		again, err := s.encode()
		if err != nil {
			t.Fatalf("accepted, and refused when written: %v", err)
		}
		if third, err := parseState(again); err != nil {
			t.Errorf("%s: %+v, %v", again, third, err)
		}
	})
}
