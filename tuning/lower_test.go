package tuning

import (
	"math"
	"strings"
	"testing"
)

// What is higher already is not lowered, but for switches, of which no value is more than another.
func TestNothingIsLowered(t *testing.T) {
	switches := []string{
		"net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_moderate_rcvbuf", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_abort_on_overflow",
	}
	for _, host := range []string{"stock-debian", "loadgen", "advice"} {
		h := recordedHost(t, host)
		for _, g := range someGoals() {
			g, err := g.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range Checks() {
				file := sysctlFile(c.Name)
				now, err := h.numbers(file)
				if c.Role&g.Role == 0 || err != nil || among(c.Name, switches...) {
					continue
				}
				high := make([]int64, len(now))
				for i := range high {
					high[i] = 1 << 40
				}
				if c.setting != nil && c.setting.order == widest {
					high = []int64{1, math.MaxUint16}
				}
				files := changed{files: h.files, name: file, content: row(high) + "\n"}
				f := c.examine(&c, &Host{files: files, env: h.env, page: h.page}, g)
				for _, s := range f.Settings {
					if s.Value != row(high) {
						t.Errorf("%s, %s for %d: %s is %s, and would be set to %s", host, g.Role, g.Connections, s.Key, row(high), s.Value)
					}
				}
			}
		}
	}
}

// A count below 0 is none, also the least number that there is.
func TestNegativeHoldsNothing(t *testing.T) {
	h := recordedHost(t, "advice")
	for _, role := range []Role{Server, LoadGen, Both} {
		g, err := Goal{Connections: 1_000_000, Role: role}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range Checks() {
			if c.setting == nil || c.setting.holds == nil || c.Role&g.Role == 0 {
				continue
			}
			now, err := h.numbers(sysctlFile(c.Name))
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []string{"-9223372036854775808", "-9223372036854775807", "-1"} {
				content := strings.TrimSpace(strings.Repeat(v+" ", len(now)))
				files := changed{files: h.files, name: sysctlFile(c.Name), content: content}
				f := c.examine(&c, &Host{files: files, env: h.env, page: h.page}, g)
				if f.Verdict == NotNeeded {
					continue
				}
				if f.Holds > 1 || !f.bad() { // of a range of ports 0 to 0 is one
					t.Errorf("%s, %s of %s: %s, holds %d", role, c.Name, v, f.Verdict, f.Holds)
				}
			}
		}
	}
}
