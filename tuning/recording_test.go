package tuning

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const recordingStart = "recording 1\npage 4096\n"

func TestParseRecordingByHand(t *testing.T) {
	h, err := ParseRecording([]byte(`# a host
recording 1

page 65536
env GOMEMLIMIT "1GiB"
unreadable proc/slabinfo
directory sys/class/net
directory etc/sysctl.d
entry sys/class/net/lo
entry sys/class/net/eth0
quoted proc/uptime
-- proc/sys/fs/nr_open --
1048576
-- proc/uptime --
"1 2"
-- sys/class/net/eth0/queues/rx-0/rps_cpus --
0
`))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := h.number("proc/sys/fs/nr_open"); v != 1048576 || err != nil {
		t.Errorf("fs.nr_open is %d, %v", v, err)
	}
	if s, err := h.files.ReadFile("proc/uptime"); string(s) != "1 2" || err != nil {
		t.Errorf("/proc/uptime is %q, %v", s, err)
	}
	if h.page != 65536 || h.env("GOMEMLIMIT") != "1GiB" || h.env("GOGC") != "" {
		t.Errorf("page %d, GOMEMLIMIT %q, GOGC %q", h.page, h.env("GOMEMLIMIT"), h.env("GOGC"))
	}
	for dir, want := range map[string]string{
		"sys/class/net": "[eth0 lo]", "etc/sysctl.d": "[]", "sys/class/net/eth0/queues": "[rx-0]", "sys/class": "[net]", "nowhere": "[]",
	} {
		if got := fmt.Sprint(h.dir(dir)); got != want {
			t.Errorf("%s has %s, want %s", dir, got, want)
		}
	}
	if !h.exists("proc/slabinfo") || !h.exists("sys/class/net/eth0") || !h.exists("etc/sysctl.d") || h.exists("proc/vmstat") {
		t.Error("what is there is not, or the other way round")
	}
}

func TestParseRecordingRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "line 1: want a line \"recording 1\""},
		{"another file", "hello\n", `line 1: "hello": want "recording 1" first`},
		{"a later version", "# x\nrecording 2\n", "line 2: "},
		{"no page", "recording 1\n", "line 1: want a line \"page 4096\""},
		{"a page of 4095", "recording 1\npage 4095\n", "line 2: "},
		{"a page of 2 KiB", "recording 1\npage 2048\n", "line 2: "},
		{"a page of 2 MiB", "recording 1\npage 2097152\n", "line 2: "},
		{"two pages", recordingStart + "page 4096\n", "line 3: "},
		{"an unknown word", recordingStart + "forbidden proc/stat\n", "line 3: forbidden proc/stat: no such word"},
		{"a secret variable", recordingStart + "env PATH \"/bin\"\n", "line 3: "},
		{"a variable twice", recordingStart + "env GOGC \"1\"\nenv GOGC \"1\"\n", "line 4: "},
		{"a variable without quotes", recordingStart + "env GOGC 1\n", "line 3: "},
		{"a variable without a value", recordingStart + "env GOGC\n", "line 3: "},
		{"a path upwards", recordingStart + "-- proc/../etc/passwd --\nx\n", "line 3: "},
		{"an absolute path", recordingStart + "-- /proc/stat --\nx\n", "line 3: "},
		{"a path elsewhere", recordingStart + "-- home/x --\nx\n", "line 3: "},
		{"a path elsewhere below usr", recordingStart + "-- usr/lib/x --\nx\n", "line 3: "},
		{"a root alone", recordingStart + "-- proc --\nx\n", "line 3: "},
		{"a long path", recordingStart + "-- proc/" + strings.Repeat("a", maxRecordedName) + " --\nx\n", "line 3: "},
		{"a deep path", recordingStart + "-- proc/" + strings.Repeat("a/", maxRecordedDepth) + "b --\nx\n", "line 3: "},
		{"a space in a path", recordingStart + "-- proc/a b --\nx\n", "line 3: "},
		{"a file twice", recordingStart + "-- proc/stat --\nx\n-- proc/uptime --\n-- proc/stat --\nx\n", "line 6: proc/stat is there twice"},
		{"a file that is unreadable", recordingStart + "unreadable proc/stat\n-- proc/stat --\nx\n", "line 4: "},
		{"unreadable twice", recordingStart + "unreadable proc/stat\nunreadable proc/stat\n", "line 4: "},
		{"failed without a text", recordingStart + "failed proc/stat\n", "line 3: "},
		{"failed without quotes", recordingStart + "failed proc/stat no\n", "line 3: "},
		{"more than a name", recordingStart + "unreadable proc/stat proc/uptime\n", "line 3: "},
		{"a directory twice", recordingStart + "directory sys/a\ndirectory sys/a\n", "line 4: "},
		{"an entry without its directory", recordingStart + "entry sys/a/b\n", "line 3: "},
		{"an entry twice", recordingStart + "directory sys/a\nentry sys/a/b\nentry sys/a/b\n", "line 5: "},
		{"a quoted file that is missing", recordingStart + "quoted proc/stat\n", "line 3: there is no file proc/stat"},
		{"quoted twice", recordingStart + "quoted proc/stat\nquoted proc/stat\n", "line 4: "},
		{"a quoted file without quotes", recordingStart + "quoted proc/stat\n-- proc/stat --\nx\n", "line 4: "},
		{"a quoted rune", recordingStart + "quoted proc/stat\n-- proc/stat --\n'x'\n", "line 4: "},
		{"a quoted file that is empty", recordingStart + "quoted proc/stat\n-- proc/stat --\n", "line 4: "},
		{"a file in a file", recordingStart + "-- proc/a --\n-- proc/a/b --\n", "proc/a is a file, and a directory"},
		{"a file that is a directory", recordingStart + "directory proc/a\n-- proc/a --\n", "proc/a is a file, and a directory"},
		{"the end is missing", recordingStart + "-- proc/stat --\ncpu 1", "line 4: it has no end"},
		{"a carriage return", recordingStart + "-- proc/stat --\r\n", "line 3: it ends with a carriage return"},
		{"a control character", recordingStart + "-- proc/stat --\n\x00\n", "line 4: it has a control character"},
		{"no UTF-8", recordingStart + "-- proc/stat --\n\xff\n", "line 4: it is not UTF-8"},
		{"half a marker", recordingStart + "-- proc/stat\nx\n", "line 3: it begins as a file's marker does"},
		{"a marker without a name", recordingStart + "--  --\nx\n", "line 3: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseRecording([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: want %q", err, c.want)
			}
		})
	}
}

func TestParseRecordingIsBounded(t *testing.T) {
	if _, err := ParseRecording(bytes.Repeat([]byte("#\n"), maxRecording/2)); err == nil || !strings.Contains(err.Error(), "line") {
		t.Errorf("a recording without a word, of the largest size: %v", err)
	}
	if _, err := ParseRecording(bytes.Repeat([]byte("#\n"), maxRecording/2+1)); err == nil || strings.Contains(err.Error(), "line") {
		t.Errorf("a recording over the largest size: %v", err)
	}
	for _, over := range []int{0, 1} {
		text := []byte(recordingStart)
		for i := range maxRecordedNames + over {
			text = fmt.Appendf(text, "unreadable proc/%d\n", i)
		}
		if _, err := ParseRecording(text); (err != nil) != (over > 0) {
			t.Errorf("%d names: %v", maxRecordedNames+over, err)
		}
	}
}

// FuzzParseRecording: what is taken can be written, and read back as the same.
func FuzzParseRecording(f *testing.F) {
	f.Add([]byte(recordingStart + "env GOGC \"1\"\nunreadable proc/slabinfo\nfailed sys/a \"read: no\"\n" +
		"directory sys/class/net\nentry sys/class/net/lo\nquoted proc/stat\n-- proc/stat --\n\"a\"\n-- proc/uptime --\n1\n"))
	f.Add([]byte("recording 1\npage 65536\n-- proc/a --\n-- proc/b --\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseRecording(data)
		if err != nil {
			return
		}
		written, err := h.files.(*recording).format(h.env, h.page)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRecording(written)
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		if !reflect.DeepEqual(again.files, h.files) || again.page != h.page || again.env("GOGC") != h.env("GOGC") {
			t.Errorf("became\n%s\n%+v\nwant\n%+v", written, again.files, h.files)
		}
	})
}
