// In-package: the negotiation is nothing that the API shows.
package server

import "testing"

func TestNegotiateVersion(t *testing.T) {
	for query, want := range map[string]int{ // 0: refused
		// The table of section 1.3.
		"": 1, "vsn=2.0.0": 2, "vsn=2.0.9": 2, "vsn=2.0.0%2Bbuild": 2, "vsn=1.0.0": 1, "vsn=1.0.7": 1,
		"vsn=2.1.0": 0, "vsn=1.1.0": 0, "vsn=3.0.0": 0, "vsn=2.0.0-rc.1": 0,
		"vsn=2": 0, "vsn=2.0": 0, "vsn=abc": 0, "vsn=": 0, "vsn": 0, "vsn[]=2.0.0": 0, "vsn[a]=2.0.0": 0,
		// A plus that is not escaped is a space.
		"vsn=2.0.0+build": 0,
		// "~> 2.0.0" is at least 2.0.0 and below 2.1.0-0.
		"vsn=2.0.1-rc.1": 2, "vsn=2.1.0-0": 0, "vsn=2.0.00": 0, "vsn=02.0.0": 0, "vsn=2.0.18446744073709551616": 2,
		"vsn=2.0.0.0": 0, "vsn=2.0.0-": 0, "vsn=2.0.0%2B": 0, "vsn=2.0.1-01": 0, "vsn=2.0.1-0a": 2,
		"vsn=2.0.0%2B01.a-b": 2, "vsn=2.0.0%2Ba..b": 0, "vsn=2.0.0%2Ba%2Bb": 0, "vsn=2.0.1-rc_1": 0,
		"vsn=-2.0.0": 0, "vsn=%202.0.0": 0, "vsn=2.0.x": 0, "vsn=2..0": 0, "vsn=1.0.0-rc%2Bb": 0, "vsn=1.0.1-rc%2Bb": 1,
	} {
		p, err := parseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		if s, ok := negotiateVersion(p); ok {
			got = s.version()
		}
		if got != want {
			t.Errorf("%q: version %d, want %d", query, got, want)
		}
	}
}
