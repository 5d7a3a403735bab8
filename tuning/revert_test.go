package tuning

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRevertOfAValue(t *testing.T) {
	const file = "proc/sys/net/core/somaxconn"
	for _, row := range []struct {
		name, now string // "-": the file is gone
		outcome   Outcome
		after     string
		says      string
	}{
		{"as it was set", "65535", Done, "4096", ""},
		{"as it was found", "4096", Already, "4096", ""},
		{"one more", "65536", Left, "65536", "changed by somebody else since, to 65536; tune apply found 4096"},
		{"one less", "65534", Left, "65534", "changed by somebody else since, to 65534"},
		{"garbage", "x", Failed, "x", "cannot be understood"},
		{"gone", "-", Already, "-", "it is gone"},
	} {
		for _, boot := range []string{"the same boot", "another boot"} {
			t.Run(row.name+", "+boot, func(t *testing.T) {
				u, _ := tunerOf(rootOf(t, nil))
				apply(t, u, reportOf(10, raise("net.core.somaxconn", "65535")), ApplyOptions{})
				if row.now == "-" {
					remove(t, u.Root, file)
				} else {
					put(t, u.Root, file, row.now+"\n")
				}
				if boot != "the same boot" {
					put(t, u.Root, "proc/sys/kernel/random/boot_id", "another\n")
				}
				s := revert(t, u)["net.core.somaxconn"]
				if s.Outcome != row.outcome || !strings.Contains(s.Why, row.says) {
					t.Errorf("%+v", s)
				}
				if row.now != "-" && textAt(t, u.Root, file) != row.after {
					t.Errorf("it is %s, not %s", textAt(t, u.Root, file), row.after)
				}
				if kept := !u.missing(stateFile); kept != (row.outcome >= Left) {
					t.Errorf("the state is kept: %v", kept)
				}
			})
		}
	}
}

// What somebody else has set since is found, when Apply is asked again.
func TestApplyAfterSomebodyElse(t *testing.T) {
	u, _ := tunerOf(rootOf(t, nil))
	const file = "proc/sys/net/core/somaxconn"
	r := reportOf(10, raise("net.core.somaxconn", "65535"))
	apply(t, u, r, ApplyOptions{})
	put(t, u.Root, file, "8192\n")
	apply(t, u, r, ApplyOptions{})
	if got := textAt(t, u.Root, file); got != "65535" {
		t.Fatal(got)
	}
	revert(t, u)
	if got := textAt(t, u.Root, file); got != "8192" {
		t.Errorf("it is %s, and was 8192 before the last Apply", got)
	}
}

func TestRevertOfAFile(t *testing.T) {
	for _, row := range []struct {
		name    string
		spoil   func(t *testing.T, root string)
		outcome Outcome
		says    string
	}{
		{"as it was written", func(*testing.T, string) {}, Done, ""},
		{"changed", func(t *testing.T, root string) { put(t, root, sysctlConf, "x = 1\n") }, Left, "changed by somebody else"},
		{"removed", func(t *testing.T, root string) { remove(t, root, sysctlConf) }, Left, "removed by somebody else"},
		{"put back", func(t *testing.T, root string) { put(t, root, sysctlConf, foundFile) }, Already, ""},
		{"a link", func(t *testing.T, root string) {
			remove(t, root, sysctlConf)
			put(t, root, "etc/passwd", "root\n")
			link(t, filepath.Join(root, "etc/passwd"), filepath.Join(root, sysctlConf))
		}, Left, "replaced by a symbolic link"},
		{"the directory is a link", func(t *testing.T, root string) {
			dir := filepath.Join(root, "etc/sysctl.d")
			if err := os.Rename(dir, dir+".elsewhere"); err != nil {
				t.Fatal(err)
			}
			link(t, dir+".elsewhere", dir)
		}, Failed, "is a symbolic link, and is not followed"},
		{"a directory", func(t *testing.T, root string) {
			remove(t, root, sysctlConf)
			put(t, root, sysctlConf+"/", "")
		}, Failed, "is a directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			u, _ := tunerOf(rootOf(t, map[string]string{sysctlConf: foundFile}))
			mode(t, u.Root, sysctlConf, 0o640)
			apply(t, u, fullReport(), ApplyOptions{Persist: true})
			row.spoil(t, u.Root)
			before := snapshot(t, filepath.Join(u.Root, "etc/sysctl.d"))
			s := revert(t, u)[sysctlConf]
			if s.Outcome != row.outcome || !strings.Contains(s.Why, row.says) {
				t.Errorf("%+v", s)
			}
			if after := snapshot(t, filepath.Join(u.Root, "etc/sysctl.d")); after != before && s.Outcome != Done {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			if s.Outcome == Done {
				info, err := os.Stat(filepath.Join(u.Root, sysctlConf))
				if err != nil || info.Mode() != 0o640 || textAt(t, u.Root, sysctlConf) != strings.TrimSpace(foundFile) {
					t.Errorf("%v, %v", info.Mode(), err)
				}
			}
			if kept := !u.missing(stateFile); kept != (row.outcome >= Left) {
				t.Errorf("the state is kept: %v", kept)
			}
		})
	}
}

// A directory that was made goes, unless somebody else has put something in it.
func TestRevertOfADirectory(t *testing.T) {
	u, _ := tunerOf(rootOf(t, nil))
	apply(t, u, fullReport(), ApplyOptions{Persist: true})
	other := filepath.Dir(dropIn) + "/50-other.conf"
	put(t, u.Root, other, "[Service]\n")
	revert(t, u)
	if u.missing(other) || !u.missing(dropIn) || !u.missing(stateFile) || !u.missing(filepath.Dir(tmpfilesConf)) {
		t.Error(snapshot(t, u.Root))
	}
}

// While our file of limits.d(5) lies there, fs.nr_open is not lowered below its nofile: users could not log in.
func TestRevertLetsPeopleLogIn(t *testing.T) {
	for _, row := range []struct {
		edited  string
		outcome Outcome
	}{
		{"* hard nofile 1048577\n", Left}, {"* hard nofile 1048576\n", Done}, {"# nothing\n", Done}, {"* - nofile unlimited\n", Left},
	} {
		u, _ := tunerOf(rootOf(t, nil))
		apply(t, u, fullReport(), ApplyOptions{Persist: true})
		put(t, u.Root, limitsConf, row.edited)
		steps := revert(t, u)
		if s := steps["fs.nr_open"]; s.Outcome != row.outcome || steps[limitsConf].Outcome != Left {
			t.Errorf("%q: %+v", row.edited, steps)
		}
		remove(t, u.Root, limitsConf)
		revert(t, u)
		if got := textAt(t, u.Root, "proc/sys/fs/nr_open"); got != "1048576" || !u.missing(stateDir) {
			t.Errorf("%q: the second Revert leaves %s", row.edited, got)
		}
	}
}

// An entry that fails stays for the next Revert, and does not stop the others.
func TestRevertOfWhatFails(t *testing.T) {
	u, f := tunerOf(rootOf(t, nil))
	before := snapshot(t, u.Root)
	apply(t, u, fullReport(), ApplyOptions{Persist: true})
	f.made = map[string]string{"fs/nr_open": "2001024"} // it cannot be lowered
	steps := revert(t, u)
	for what, s := range steps {
		if want := map[bool]Outcome{true: Failed, false: Done}[what == "fs.nr_open"]; s.Outcome != want {
			t.Errorf("%s: %+v", what, s)
		}
	}
	f.made = nil
	if steps = revert(t, u); len(steps) != 1 || steps["fs.nr_open"].Outcome != Done {
		t.Errorf("%+v", steps)
	}
	if after := snapshot(t, u.Root); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
