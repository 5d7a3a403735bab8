package bench_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/dormouse-ws/dormouse/bench"
)

// TestLocalAllow refuses a target before anything is dialled.
func TestLocalAllow(t *testing.T) {
	refusal := errors.New("not there")
	asked := 0
	l := bench.Local{Allow: func(host string, a netip.AddrPort) error {
		asked++
		if host != "localhost" || !a.Addr().IsLoopback() || a.Port() != 9 {
			t.Errorf("asked for %s, %s", host, a)
		}
		return refusal
	}}
	cfg, err := bench.Config{Scenario: "connect", URLs: []string{"ws://localhost:9"}, Connections: 1}.Check()
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Generate(context.Background(), cfg, &alone{}, func(bench.Tick) { t.Error("it has begun") })
	if !errors.Is(err, refusal) || o != nil || asked != 1 {
		t.Errorf("%v, %v, asked %d times", o, err, asked)
	}
}
