package tuning

import (
	"encoding/json"
	"strings"
	"testing"
)

func sampleSteps() []Step {
	return []Step{
		{What: "fs.nr_open", From: "1048576", To: "2001024", Outcome: Done},
		{What: "fs.file-max", From: "9223372036854775807", Outcome: Already},
		{What: "net.core.somaxconn", From: "128", To: "4096", Outcome: Failed, Why: "/proc/sys is read-only", Fix: "set it on the container's host"},
		{What: "/etc/systemd/system/dormouse.service.d/90-limits.conf", Outcome: Left, Why: "there is no systemd"},
		{What: "RLIMIT_NOFILE of bash (412)", From: "1024:20000", To: "20000:20000", Outcome: Done},
		{What: "net.ipv4.ip_local_port_range", From: "32768 60999", To: "1024 65535", Outcome: Done},
		{What: "net.ipv4.tcp_mem", From: "1 2 3", To: "94101 125468 188202", Outcome: Would},
	}
}

func TestWriteSteps(t *testing.T) {
	const want = `done     fs.nr_open: 1,048,576 to 2,001,024
already  fs.file-max: no limit
FAILED   net.core.somaxconn: 128 to 4,096
           /proc/sys is read-only.
           Fix: set it on the container's host
left     /etc/systemd/system/dormouse.service.d/90-limits.conf
           There is no systemd.
done     RLIMIT_NOFILE of bash (412): 1,024:20,000 to 20,000:20,000
done     net.ipv4.ip_local_port_range: 32768 60999 to 1024 65535
would    net.ipv4.tcp_mem: 1 2 3 to 94,101 125,468 188,202
3 done, 1 already so, 1 would be done, 1 left as it is, 1 FAILED.
`
	var plain, coloured strings.Builder
	if err := WriteSteps(&plain, sampleSteps(), Terminal{}); err != nil {
		t.Fatal(err)
	}
	if plain.String() != want {
		t.Errorf("got\n%s\nwant\n%s", plain.String(), want)
	}
	if err := WriteSteps(&coloured, sampleSteps(), Terminal{Colour: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(coloured.String(), "\x1b[1;31mFAILED\x1b[0m   net.core.somaxconn") {
		t.Errorf("what failed is not red: %q", coloured.String())
	}
}

func TestWriteNoSteps(t *testing.T) {
	var b strings.Builder
	if err := WriteSteps(&b, nil, Terminal{Colour: true}); err != nil || b.String() != "Nothing to do.\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestWriteStepsJSON(t *testing.T) {
	for _, steps := range [][]Step{sampleSteps(), nil} {
		var b strings.Builder
		if err := WriteStepsJSON(&b, steps); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Steps *[]struct{ What, From, To, Outcome, Why, Fix string }
		}
		if err := json.Unmarshal([]byte(b.String()), &got); err != nil || got.Steps == nil || len(*got.Steps) != len(steps) {
			t.Fatalf("%v: %s", err, b.String())
		}
		for i, s := range steps {
			if g := (*got.Steps)[i]; g.What != s.What || g.From != s.From || g.To != s.To || g.Outcome != s.Outcome.String() || g.Why != s.Why || g.Fix != s.Fix {
				t.Errorf("%+v became %+v", s, g)
			}
		}
	}
}
