package bench_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A phxRoom is the channel that mix phx.gen.channel makes.
type phxRoom struct{}

func (phxRoom) Join(*server.Context, server.Payload) error { return nil }

func (phxRoom) HandleIn(c *server.Context, event string, p server.Payload) error {
	if event == "ping" {
		return c.Reply(p)
	}
	return c.Broadcast(event, p)
}

func (phxRoom) Leave(*server.Context, error) {}

// alone lets a generator pass every stage at once.
type alone struct {
	mu     sync.Mutex
	stages []bench.Stage
}

func (a *alone) Wait(ctx context.Context, s bench.Stage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stages = append(a.stages, s)
	return ctx.Err()
}

func target(t *testing.T) string {
	s := servertest.Start(t, server.Config{Sockets: []*server.Socket{{
		Path:   "/socket",
		Routes: []server.Route{{Topic: "rooms:*", Channel: func() server.Channel { return phxRoom{} }}},
	}}})
	return "ws://" + s.Addr() + "/socket"
}

// generate runs cfg against a server of ours and returns its outcome.
func generate(t *testing.T, cfg bench.Config) *bench.Outcome {
	t.Helper()
	cfg.URLs = []string{target(t)}
	cfg.ArrivalRate, cfg.Duration, cfg.Hold = 2000, time.Second, 500*time.Millisecond
	cfg, err := cfg.Check()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d", cfg.Seed)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o, err := bench.Local{}.Generate(ctx, cfg, &alone{}, func(bench.Tick) {})
	if err != nil {
		t.Fatal(err)
	}
	if n := o.Counts; n.Users != int64(cfg.Connections) || n.Upgrades < n.Users || n.Joins < n.Users || n.Errors != 0 {
		t.Errorf("%d users: %+v, errors %v", cfg.Connections, n, o.Errors)
	}
	return o
}

// balanced checks that everybody has got everything once, and returns the deliveries.
func balanced(t *testing.T, o *bench.Outcome) (received int64) {
	t.Helper()
	for _, r := range o.Rooms {
		for _, m := range r.Messages {
			if m.Received != m.Expected || m.Extra != 0 {
				t.Errorf("%s message %d: %d of %d, %d extra", r.Topic, m.Seq, m.Received, m.Expected, m.Extra)
			}
			received += m.Received
		}
	}
	return received
}

// The first heartbeats come in a run of half a second, and the second of nobody, which would say that a first one
// took too long.
func TestLocalConnect(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "connect", Connections: 200, Heartbeat: 5 * time.Second})
	if o.Counts.Heartbeats == 0 || o.Latency[bench.LatencyJoin].Count() != 200 || o.Latency[bench.LatencyConnect].Count() != 200 {
		t.Errorf("%+v, %v", o.Counts, o.Latency)
	}
}

func TestLocalBroadcast(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "broadcast", Connections: 100, Rate: 20})
	if got := balanced(t, o); got != 20*100 || o.Counts.Sent != 20 {
		t.Errorf("%d deliveries of %d messages, want 2000 of 20", got, o.Counts.Sent)
	}
	if n := o.Latency[bench.LatencyDeliver].Count(); n != 2000 {
		t.Errorf("%d latencies", n)
	}
}

func TestLocalRooms(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "rooms", Connections: 100, Rooms: 10, Rate: 50})
	if got := balanced(t, o); got != 50*10 {
		t.Errorf("%d deliveries, want 500", got)
	}
}

func TestLocalChat(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "chat", Connections: 100, Rooms: 5, Rate: 400})
	if got := balanced(t, o); got == 0 || o.Counts.Leaves == 0 || o.Counts.Upgrades == o.Counts.Users && o.Counts.Closed == 0 {
		t.Errorf("%d deliveries, %+v", got, o.Counts)
	}
}

func TestLocalEcho(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "echo", Connections: 100, Active: 10, Rate: 500})
	if n := o.Counts; n.Sent != 500 || n.Answered != 500 || o.Latency[bench.LatencyEcho].Count() != 500 {
		t.Errorf("%+v", n)
	}
}

func TestLocalStorm(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "storm", Connections: 100})
	if n := o.Counts; n.Upgrades != 200 || n.Joins != 200 || o.Latency[bench.LatencyRejoin].Count() != 100 {
		t.Errorf("%+v, %v", n, o.Figures)
	}
	if len(o.Figures) != 3 {
		t.Errorf("figures %v", o.Figures)
	}
}

func TestLocalSlow(t *testing.T) {
	o := generate(t, bench.Config{Scenario: "slow", Connections: 50, Slow: 0.2, Rate: 40})
	balanced(t, o)
	for name, want := range map[string]int64{bench.LatencyBaseline: 10 * 50, bench.LatencyDeliver: 20 * 40, bench.LatencyAfter: 10 * 40} {
		if n := o.Latency[name].Count(); n != want {
			t.Errorf("%s has %d deliveries, want %d", name, n, want)
		}
	}
	want := []bench.Figure{
		{Name: "readers that stopped reading", Value: 10},
		{Name: "of those, cut off by the target", Value: 0},
		{Name: "served when they read again", Value: 10},
	}
	if !slices.Equal(o.Figures, want) {
		t.Errorf("figures %v, want %v", o.Figures, want)
	}
}

// TestLocalStop ends a run in the middle of its traffic.
func TestLocalStop(t *testing.T) {
	cfg, err := bench.Config{Scenario: "broadcast", URLs: []string{target(t)}, Connections: 20, Rate: 100, Duration: time.Hour, Plateau: -1}.Check()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o, err := bench.Local{}.Generate(ctx, cfg, &alone{}, func(k bench.Tick) {
		if k.Counts.Sent > 0 {
			cancel()
		}
	})
	if err != nil || !o.Stopped || o.Counts.Sent == 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	balanced(t, o)
}
