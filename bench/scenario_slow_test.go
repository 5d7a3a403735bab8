package bench

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// runSlow is a run of ten users, of whom the last three, in the sessions 8 to 10, do not read messages 20 to 59 of 80.
// act is called with the sessions by their numbers when number 30 has come to the server.
func runSlow(t *testing.T, ctx context.Context, act func(map[int]*session)) (*hostile, *Outcome) {
	t.Helper()
	came := 0
	h := &hostile{seed: 1}
	h.push = func(*session, *message) bool {
		if came++; came == 30 {
			act(h.numbered())
		}
		return false
	}
	startHostile(t, h)
	c, o := generateCrowd(t, ctx, Config{
		Scenario: "slow", Seed: h.seed, URLs: []string{h.url()}, Connections: 10, Slow: 0.3, Plateau: -1,
		Rate: 40, Duration: 2 * time.Second, Settle: 2 * time.Second, Size: 100,
	})
	disperse(t, c)
	return h, o
}

// numbered are the sessions by their numbers.
func (h *hostile) numbered() map[int]*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := map[int]*session{}
	for s := range h.sessions {
		m[s.number] = s
	}
	return m
}

// closeSlow does as a server whose limit is reached.
func (s *session) closeSlow() {
	s.hostile.mu.Lock()
	for _, members := range s.hostile.topics {
		delete(members, s)
	}
	s.hostile.mu.Unlock()
	s.send(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "slow consumer")))
}

// TestSlowCutOff has one reader cut off behind what it has not read, one at once, and one served.
func TestSlowCutOff(t *testing.T) {
	_, o := runSlow(t, t.Context(), func(s map[int]*session) {
		s[8].closeSlow()
		s[9].reset()
	})
	want := []Figure{
		{Name: "readers that stopped reading", Value: 3},
		{Name: "of those, cut off by the target", Value: 2},
		{Name: "cut off, seen when they read again", Value: 1},
		{Name: "served when they read again", Value: 1},
		{Name: "cut off: closed with 1013 try again later: slow consumer", Value: 1},
		{Name: "cut off: reset by peer", Value: 1},
	}
	if !slices.Equal(o.Figures, want) {
		t.Errorf("figures %v, want %v", o.Figures, want)
	}
	if o.Counts.Errors != 0 || o.Counts.Lost != 0 || len(o.Errors) != 0 {
		t.Errorf("%d errors and %d lost: a cut-off is none: %v", o.Counts.Errors, o.Counts.Lost, o.Errors)
	}
	for name, n := range map[string]int64{
		LatencyCut: 1, LatencyHeard: 1,
		LatencyBaseline: 20 * 10, LatencyDeliver: 40 * 7, LatencyAfter: 20 * 7,
	} {
		if got := o.Latency[name].Count(); got != n {
			t.Errorf("%s has %d times, want %d", name, got, n)
		}
	}
	if seen, got := o.Latency[LatencyCut].Max(), o.Latency[LatencyHeard].Max(); seen > time.Minute || got > time.Minute {
		t.Errorf("the cut was seen after %v, and the last message came after %v", seen, got)
	}
	if tally := reconcile(&Config{Scenario: "slow"}, []*Outcome{o}, false); tally.Missing != 0 || tally.Extra != 0 {
		t.Errorf("%+v", tally.Account)
	}
}

// TestSlowHeartbeat has readers who do not read go on with their heartbeats: they are not to be ended for silence.
func TestSlowHeartbeat(t *testing.T) {
	var stopped atomic.Bool
	var beats [11]atomic.Int64 // by session, of those who have stopped reading
	enough := make(chan struct{}, 1)
	h := &hostile{seed: 1, beat: func(s *session) {
		const most = 3 // before, up to two may have been on their way
		if !stopped.Load() || s.number < 8 || beats[s.number].Add(1) < most {
			return
		}
		if beats[8].Load() >= most && beats[9].Load() >= most && beats[10].Load() >= most {
			select {
			case enough <- struct{}{}:
			default:
			}
		}
	}}
	came := 0
	h.push = func(*session, *message) bool {
		if came++; came == 21 { // the first that they do not read
			stopped.Store(true)
			select {
			case <-enough:
			case <-time.After(20 * time.Second):
				t.Errorf("heartbeats of those who do not read, by session: %d %d %d", beats[8].Load(), beats[9].Load(), beats[10].Load())
			}
		}
		return false
	}
	startHostile(t, h)
	c, _ := generateCrowd(t, t.Context(), Config{
		Scenario: "slow", Seed: h.seed, URLs: []string{h.url()}, Connections: 10, Slow: 0.3, Plateau: -1,
		Rate: 40, Duration: 2 * time.Second, Settle: 2 * time.Second,
		Heartbeat: time.Second, // the second, which ends who has no answer to the first, is of when they have stopped
	})
	disperse(t, c)
}

// TestSlowTargetEnds tells the end of the target from its limit.
func TestSlowTargetEnds(t *testing.T) {
	_, o := runSlow(t, t.Context(), func(s map[int]*session) {
		for _, x := range s {
			x.reset()
		}
	})
	want := []Figure{
		{Name: "readers that stopped reading", Value: 3},
		{Name: "of those, cut off by the target", Value: 0},
		{Name: "served when they read again", Value: 0},
		{Name: "ended with the target itself", Value: 3},
	}
	if !slices.Equal(o.Figures, want) {
		t.Errorf("figures %v, want %v", o.Figures, want)
	}
}

// TestSlowLost has readers lost while all read, one of them at the moment when others stop: that is counted as it is in
// any run. Under the race detector it also sees that the end of a connection and the stop do not meet unguarded.
func TestSlowLost(t *testing.T) {
	came := 0
	h := &hostile{}
	h.push = func(*session, *message) bool {
		if came++; came == 17 || came == 20 {
			h.numbered()[came/10+1].reset() // sessions 2 and 3
		}
		return false
	}
	startHostile(t, h)
	c, o := generateCrowd(t, t.Context(), Config{
		Scenario: "slow", URLs: []string{h.url()}, Connections: 10, Slow: 0.3, Plateau: -1,
		Rate: 40, Duration: 2 * time.Second, Settle: 2 * time.Second, Size: 100,
	})
	disperse(t, c)
	// The target accepts users in any order, so these may be among those who stop.
	cut := o.Figures[slices.IndexFunc(o.Figures, func(f Figure) bool { return f.Name == figureCut })]
	if o.Counts.Lost+int64(cut.Value) != 2 {
		t.Errorf("figures %v, %d lost, want 2 ends in all", o.Figures, o.Counts.Lost)
	}
}

// TestSlowStopped has a run that ends while they do not read say that it does not know.
func TestSlowStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, o := runSlow(t, ctx, func(s map[int]*session) {
		s[8].closeSlow()
		cancel()
	})
	r := &Result{Figures: o.Figures, Latency: o.Latency, Counts: o.Counts}
	if told := strings.Join(r.toldOfSlow(), " "); !strings.Contains(told, "cut off none of them") || !strings.Contains(told, "ended before they read again") {
		t.Errorf("figures %v: %s", o.Figures, told)
	}
}

// TestToldOfSlow reads what is said.
func TestToldOfSlow(t *testing.T) {
	times := func(list ...time.Duration) *Histogram {
		h := &Histogram{}
		for _, d := range list {
			h.Record(d)
		}
		return h
	}
	figures := func(values ...any) (list []Figure) {
		for i := 0; i < len(values); i += 2 {
			list = append(list, Figure{Name: values[i].(string), Value: float64(values[i+1].(int))})
		}
		return list
	}
	const s = time.Second
	for _, c := range []struct {
		name string
		r    Result
		want string
	}{
		{"another scenario", Result{}, ""},
		{"all cut off", Result{
			Counts: Counts{Users: 1500}, Figures: figures(figureDeaf, 150, figureCut, 3, figureLate, 2, figureServed, 147,
				figureSaid+"closed with 1013", 2, figureSaid+"reset by peer", 1),
			Latency: map[string]*Histogram{LatencyCut: times(8 * s), LatencyHeard: times(5*s, 6*s)},
		}, "150 of 1,500 readers stopped reading. The target cut off 3 of them (2.0 %): its limit for slow readers has answered, which is no error. " +
			"1 saw it while it did not read, 8 s after it had stopped. " +
			"2 saw it when they read again: the last message that still reached them was due 5 s to 6 s after they had stopped (half of them within 5 s), and the cut came behind it. " +
			"What they saw: closed with 1013 (2), reset by peer (1). " +
			"147 of the readers that had stopped were served when they read again: what they missed was kept for them, or left out."},
		{"none", Result{Counts: Counts{Users: 10}, Figures: figures(figureDeaf, 1, figureCut, 0, figureServed, 0)},
			"1 of 10 readers stopped reading. The target cut off none of them. " +
				"1 of the readers that had stopped was neither cut off, nor did anything new reach it within --settle of the end. " +
				"To see the target's limit, send more to those who do not read (--size, --rate, --duration): its kernel takes " +
				"the first megabytes (net.ipv4.tcp_wmem) before its program hears of it."},
		{"the target's end", Result{Counts: Counts{Users: 10}, Figures: figures(figureDeaf, 2, figureCut, 0, figureServed, 0, figureGone, 2)},
			"2 of 10 readers stopped reading. The target cut off none of them. " +
				"2 of the readers that had stopped ended together with those who read: that was the end of the target, and no limit of it."},
	} {
		if got := strings.Join(c.r.toldOfSlow(), " "); got != c.want {
			t.Errorf("%s: said\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestPushRefused has a channel refuse what is to be broadcast: that is why it is missing.
func TestPushRefused(t *testing.T) {
	h := &hostile{}
	h.push = func(s *session, m *message) bool {
		s.reply(m, "error", `{"reason":"too long"}`)
		return true
	}
	startHostile(t, h)
	c, o := generateCrowd(t, t.Context(), Config{
		Scenario: "broadcast", URLs: []string{h.url()}, Connections: 5, Plateau: -1, Rate: 50, Duration: 100 * time.Millisecond,
		Settle: time.Second,
	})
	disperse(t, c)
	// The last may be answered when the run is over.
	if len(o.Errors) != 1 || o.Errors[0].Kind != "push refused: too long" || o.Errors[0].Count < 4 || !strings.Contains(o.Errors[0].Fix, "--size") {
		t.Errorf("errors %+v, want 4 × push refused: too long", o.Errors)
	}
}
