package limit_test

import (
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

func TestNames(t *testing.T) {
	want := map[limit.Name]struct {
		name   string
		status int
	}{
		limit.ConnectionCount:       {"connections", 503},
		limit.ConnectionRate:        {"connection_rate", 503},
		limit.AddressConnections:    {"address_connections", 429},
		limit.AddressConnectionRate: {"address_connection_rate", 429},
		limit.NetworkConnectionRate: {"network_connection_rate", 429},
		limit.JoinRate:              {"join_rate", 429},
		limit.AddressJoinRate:       {"address_join_rate", 429},
		limit.MessageRate:           {"message_rate", 429},
		limit.HandshakeCount:        {"handshakes", 503},
	}
	all := limit.Names()
	if len(all) != len(want) {
		t.Errorf("%d names, want %d", len(all), len(want))
	}
	for _, n := range all {
		r := limit.Refusal{Name: n}
		if n.String() != want[n].name || r.Status() != want[n].status || n.Reason() == "" {
			t.Errorf("%d: %v, %d, %q", n, n, r.Status(), n.Reason())
		}
	}
	if n := limit.None; n.String() != "none" || n.Reason() != "" || (limit.Refusal{}).Status() != 200 {
		t.Errorf("None: %v, %q", n, n.Reason())
	}
}

func TestRetryAfter(t *testing.T) {
	for _, row := range []struct {
		name limit.Name
		wait time.Duration
		draw uint32
		want int
	}{
		{limit.AddressConnectionRate, 0, 0, 1},
		{limit.AddressConnectionRate, 1, 0, 1},
		{limit.AddressConnectionRate, time.Second, 9, 1},
		{limit.AddressConnectionRate, time.Second + 10*time.Millisecond - 1, 0, 1},
		{limit.AddressConnectionRate, time.Second + 10*time.Millisecond, 0, 2},
		{limit.AddressConnectionRate, 24 * time.Hour, 0, 86400},
		{limit.AddressConnections, 0, 9, 1},
		{limit.ConnectionRate, 3 * time.Second, 0, 3},
		{limit.ConnectionRate, 3 * time.Second, 9, 12},
		{limit.ConnectionCount, 0, 10, 1},
		{limit.ConnectionCount, 0, 1<<32 - 1, 6},
	} {
		if got := (limit.Refusal{Name: row.name, Wait: row.wait}).RetryAfter(row.draw); got != row.want {
			t.Errorf("%v after %v, draw %d: %d, want %d", row.name, row.wait, row.draw, got, row.want)
		}
	}
}

func TestCounters(t *testing.T) {
	var c limit.Counters
	for i, n := range limit.Names() {
		for range i + 1 {
			c.Add(n)
		}
	}
	c.Add(limit.None)
	c.Add(200)
	c.Waive(limit.None)
	c.Waive(200)
	c.Add(limit.JoinRate)
	c.Waive(limit.JoinRate)
	for i, n := range limit.Names() {
		if got := c.Refused(n); got != uint64(i+1) {
			t.Errorf("%v: %d, want %d", n, got, i+1)
		}
	}
	if c.Refused(limit.None) != 0 || c.Refused(200) != 0 {
		t.Error("what is no limit was counted")
	}
}
