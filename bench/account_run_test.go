// In-package: the server reads the marks of messages, and crowds are looked at after their runs.
package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The accounts of whole runs against a server that loses, forges and doubles messages, each of which once
// was a false alarm, or hid a loss. Times that a run may take bound a failing test only.

// lossy is a run of 50 users for a second.
func lossy(h *hostile, scenario string) Config {
	return Config{
		Scenario: scenario, URLs: []string{h.url()}, Connections: 50, ArrivalRate: 1000, Rate: 100,
		Duration: time.Second, Plateau: -1, Timeout: time.Minute, Settle: 20 * time.Second,
	}
}

// accountOf runs cfg in this process, on its own.
func accountOf(t *testing.T, cfg Config) (Account, *Outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, o := generateCrowd(t, ctx, cfg)
	disperse(t, c)
	if o.Stopped {
		t.Fatal("the run did not end")
	}
	return reconcile(&c.cfg, []*Outcome{o}, false).Account, o
}

// TestAccountLeavers has users leave, and go away, while more messages are on their way to them than a user
// keeps track of: nobody loses anything.
func TestAccountLeavers(t *testing.T) {
	t.Parallel()
	h := startHostile(t, &hostile{delay: 500 * time.Millisecond})
	cfg := lossy(h, "chat")
	cfg.Connections, cfg.Rooms, cfg.Rate = 20, 2, 600
	a, o := accountOf(t, cfg)
	if a.Missing != 0 || a.Extra != 0 || a.Messages != o.Counts.Sent {
		t.Errorf("%d sent: %+v", o.Counts.Sent, a)
	}
	if o.Counts.Leaves == 0 || o.Counts.Closed == 0 {
		t.Errorf("nobody left: %+v", o.Counts)
	}
}

// TestAccountLoss withholds deliveries here and there. Where nobody leaves, who would be forgiven, each is
// missing.
func TestAccountLoss(t *testing.T) {
	t.Parallel()
	together(t, map[string]func(*testing.T){
		"broadcast": func(t *testing.T) { lose(t, "broadcast", 0, true) },
		"rooms":     func(t *testing.T) { lose(t, "rooms", 5, true) },
		"chat":      func(t *testing.T) { lose(t, "chat", 5, false) },
	})
}

func lose(t *testing.T, scenario string, rooms int, exact bool) {
	var lost atomic.Int64
	h := startHostile(t, &hostile{drop: func(seq int, s *session) bool {
		if (seq*7+s.number*13)%29 != 0 {
			return false
		}
		lost.Add(1)
		return true
	}})
	cfg := lossy(h, scenario)
	cfg.Rooms = rooms
	cfg.Settle = 2 * time.Second // which it takes, as something is missing to the end
	a, _ := accountOf(t, cfg)
	if n := lost.Load(); a.Missing == 0 || a.Missing > n || exact && a.Missing != n || a.Extra != 0 {
		t.Errorf("%d are lost: %+v", n, a)
	}
}

// TestAccountForged has the server send messages of its own invention beside each real one, of numbers
// that are still to come and of such that no room can hold.
func TestAccountForged(t *testing.T) {
	t.Parallel()
	const ahead, beyond = 20, 5
	h := &hostile{}
	h.push = func(s *session, m *message) bool {
		for i := range ahead + beyond {
			step := 1000 + i
			if i >= ahead {
				step = maxMessages
			}
			h.cast(m.topic, m.event, renumbered(m.payload, step))
		}
		return false
	}
	startHostile(t, h)
	cfg := lossy(h, "rooms")
	cfg.Rooms, cfg.Rate = 10, 50
	a, o := accountOf(t, cfg)
	if o.Counts.Sent != 50 || a.Messages != 50 || a.Unsent != 0 || a.Missing != 0 {
		t.Errorf("%d sent: %+v", o.Counts.Sent, a)
	}
	if want := int64(50 * ahead * 50 / 10); a.Extra != want {
		t.Errorf("%d are extra, want %d", a.Extra, want)
	}
}

// renumbered is payload with another message's number.
func renumbered(payload []byte, step int) []byte {
	m, _ := findMark(payload)
	was := string(appendMark(nil, m, 0))
	m.seq += uint32(step)
	return []byte(strings.Replace(string(payload), was, string(appendMark(nil, m, 0)), 1))
}

// TestAccountOldDuplicate withholds a message from ten users and brings it to ten others twice, the second
// time after more messages than a user keeps track of.
func TestAccountOldDuplicate(t *testing.T) {
	t.Parallel()
	const behind = maxUnseen + 20
	h := &hostile{}
	var first []byte
	var again atomic.Bool
	pushed := 0
	h.drop = func(seq int, s *session) bool {
		if again.Load() {
			return s.number <= 10 || s.number > 20
		}
		return seq == 0 && s.number <= 10
	}
	h.push = func(s *session, m *message) bool {
		switch pushed++; pushed {
		case 1:
			first = slices.Clone(m.payload)
		case behind:
			again.Store(true)
			h.cast(m.topic, m.event, first)
			again.Store(false)
		}
		return false
	}
	startHostile(t, h)
	cfg := lossy(h, "broadcast")
	cfg.Settle = 2 * time.Second
	if a, _ := accountOf(t, cfg); a.Missing != 10 || a.Extra != 10 {
		t.Errorf("%+v; want 10 missing, 10 extra", a)
	}
}

// A tagged is a Local whose connections say which one it is.
type tagged int

func (g tagged) Generate(ctx context.Context, cfg Config, meet Meeting, tick func(Tick)) (*Outcome, error) {
	cfg.URLs = []string{fmt.Sprintf("%s?part=%d", cfg.URLs[0], g)}
	return Local{}.Generate(ctx, cfg, meet, tick)
}

// TestAccountUnheard withholds a message from all users of a generator, which thus cannot know of it.
func TestAccountUnheard(t *testing.T) {
	t.Parallel()
	h := startHostile(t, &hostile{drop: func(seq int, s *session) bool {
		return seq == 3 && strings.Contains(s.query, "part=1")
	}})
	cfg := lossy(h, "broadcast")
	cfg.Rate = 10
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := Conduct(ctx, Conductor{Config: cfg, Members: []Member{{Name: "a", Generator: tagged(0)}, {Name: "b", Generator: tagged(1)}}})
	if err != nil {
		t.Fatal(err)
	}
	want := Shortfall{Topic: "rooms:lobby", Seq: 3, Expected: 50, Received: 25}
	if r.Verdict != Failed || !slices.Contains(r.Account.Worst, want) {
		t.Errorf("%s, %v, %+v; want %+v", r.Verdict, r.Reasons, r.Account, want)
	}
}

// TestAccountStopped stops a run in which two users get nothing at all. What was sent long enough before
// the end is missing, not on its way.
func TestAccountStopped(t *testing.T) {
	t.Parallel()
	h := startHostile(t, &hostile{drop: func(_ int, s *session) bool { return s.number == 7 || s.number == 8 }})
	cfg := lossy(h, "broadcast")
	cfg.Duration = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var slowest, sending time.Duration
	r, err := Conduct(ctx, Conductor{Config: cfg, Members: []Member{{Name: "a", Generator: Local{}}}, Progress: func(p Point) {
		slowest = max(slowest, p.Latency[LatencyDeliver].Max)
		if p.Counts.Sent > 0 {
			sending += time.Second
		}
		if sending > 2*slowest+time.Second {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Account; !r.Stopped || r.Verdict != Failed || a.Missing == 0 || a.Missing < 2*a.Messages || a.Expected != 50*a.Messages {
		t.Errorf("stopped: %v, %s, %v, %+v", r.Stopped, r.Verdict, r.Reasons, a)
	}
}
