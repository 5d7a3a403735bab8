package bench_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A generator is a function that is one.
type generator func(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error)

func (g generator) Generate(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
	return g(ctx, cfg, meet, tick)
}

// A player plays a generator that keeps to the contract. It stays in each stage for a second.
type player struct {
	stages []bench.Stage                                  // nil: all
	stay   map[bench.Stage]time.Duration                  // before it reaches a stage, instead of a second
	change func(t *bench.Tick) bool                       // each tick; false: it is not sent
	passed func(s bench.Stage, after time.Duration)       // told when a stage was passed
	begin  func(cfg bench.Config)                         // told what to do
	end    func(o *bench.Outcome) (*bench.Outcome, error) // what to return
}

func (p player) Generate(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
	began := time.Now()
	if p.begin != nil {
		p.begin(cfg)
	}
	o := &bench.Outcome{Latency: map[string]*bench.Histogram{}}
	var ticks sync.WaitGroup
	over := make(chan struct{})
	defer func() {
		close(over)
		ticks.Wait()
	}()
	stages := p.stages
	if stages == nil {
		stages = bench.Stages()
	}
	for _, s := range stages {
		stay, own := p.stay[s]
		if !own {
			stay = time.Second
		}
		select {
		case <-time.After(stay):
		case <-ctx.Done():
		}
		if err := meet.Wait(ctx, s); err != nil {
			o.Stopped = true
			break
		}
		if p.passed != nil {
			p.passed(s, time.Since(began))
		}
		if s == bench.StageStart {
			ticks.Go(func() { p.ticks(cfg, tick, over) })
		}
	}
	o.Counts = counts(cfg)
	if p.end != nil {
		return p.end(o)
	}
	return o, nil
}

func (p player) ticks(cfg bench.Config, tick func(bench.Tick), over chan struct{}) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for n := 1; ; n++ {
		select {
		case <-over:
			return
		case <-every.C:
		}
		h := &bench.Histogram{}
		h.Record(time.Duration(n) * time.Millisecond)
		t := bench.Tick{
			Second: n, Counts: counts(cfg), Latency: map[string]*bench.Histogram{bench.LatencyConnect: h},
			Self: sample.Process{RSS: 1000},
		}
		if p.change == nil || p.change(&t) {
			tick(t)
		}
	}
}

func counts(cfg bench.Config) bench.Counts {
	n := int64(cfg.Connections)
	return bench.Counts{Open: n, Connected: n, Joined: n, Users: n, Dials: n, Upgrades: n, Joins: n}
}

func conductor(generators ...bench.Generator) bench.Conductor {
	c := bench.Conductor{Config: bench.Config{
		Scenario: "connect", URLs: []string{"ws://127.0.0.1:1/socket"}, Connections: 100, Plateau: -1,
	}}
	names := []string{"alpha", "beta"}
	for i, g := range generators {
		c.Members = append(c.Members, bench.Member{Name: names[i], Generator: g})
	}
	return c
}

func conduct(t *testing.T, c bench.Conductor) *bench.Result {
	t.Helper()
	r, err := bench.Conduct(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := conductor(player{}, player{})
		c.Members[1].Weight = 3
		var seen []int
		c.Progress = func(p bench.Point) { seen = append(seen, p.Second) }
		r := conduct(t, c)
		if r.Verdict != bench.Valid || len(r.Reasons) > 0 || r.Stopped {
			t.Errorf("the verdict is %s, because %q", r.Verdict, r.Reasons)
		}
		if r.Counts.Joins != 100 || r.Generators[0].Counts.Joins != 25 || r.Generators[1].Counts.Joins != 75 {
			t.Errorf("joins are %d, of %+v", r.Counts.Joins, r.Generators)
		}
		if want := []int{1, 2, 3, 4}; !slices.Equal(seen, want) || len(r.Points) != len(want) {
			t.Fatalf("progress for the seconds %v, %d points; want %v", seen, len(r.Points), want)
		}
		p := r.Points[1]
		if p.Counts.Joined != 100 || p.Generator.RSS != 2000 || p.Kernel == nil || p.Latency[bench.LatencyConnect].Count != 2 {
			t.Errorf("second 2 is %+v", p)
		}
		if r.Elapsed != 4*time.Second {
			t.Errorf("it took %v after the start", r.Elapsed)
		}
	})
}

// TestMeeting holds that a stage opens when every member is at it or past it.
func TestMeeting(t *testing.T) {
	for _, row := range []struct {
		name string
		a, b player
		want string // what a passed, when
	}{
		{"all stages", player{}, player{}, "start 1s, plateau 2s, arrived 3s, sent 4s, end 5s"},
		{"the other is slow", player{}, player{stay: map[bench.Stage]time.Duration{bench.StageArrived: 5 * time.Second}},
			"start 1s, plateau 2s, arrived 7s, sent 8s, end 9s"},
		{"the other skips two", player{}, player{stages: []bench.Stage{bench.StageStart, bench.StageSent, bench.StageEnd}},
			"start 1s, plateau 2s, arrived 3s, sent 4s, end 5s"},
		{"the other skips two and is slow", player{}, player{
			stages: []bench.Stage{bench.StageStart, bench.StageSent, bench.StageEnd},
			stay:   map[bench.Stage]time.Duration{bench.StageSent: 8 * time.Second}},
			"start 1s, plateau 9s, arrived 10s, sent 11s, end 12s"},
		{"it skips two", player{stages: []bench.Stage{bench.StageStart, bench.StageSent, bench.StageEnd}}, player{},
			"start 1s, sent 4s, end 5s"},
		{"the other ends", player{}, player{stages: []bench.Stage{bench.StageStart}}, "start 1s, plateau 2s, arrived 3s, sent 4s, end 5s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var passed []string
				row.a.passed = func(s bench.Stage, after time.Duration) { passed = append(passed, fmt.Sprintf("%s %v", s, after)) }
				conduct(t, conductor(row.a, row.b))
				if got := strings.Join(passed, ", "); got != row.want {
					t.Errorf("passed %s\n   want %s", got, row.want)
				}
			})
		})
	}
}

func TestMeetingStrangeStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := bench.Conduct(t.Context(), conductor(generator(
			func(ctx context.Context, _ bench.Config, meet bench.Meeting, _ func(bench.Tick)) (*bench.Outcome, error) {
				return nil, meet.Wait(ctx, "interval")
			})))
		if err == nil || !strings.Contains(err.Error(), `"interval"`) {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestLost has a member that is lost in one way or another, beside one that is well.
func TestLost(t *testing.T) {
	long := map[bench.Stage]time.Duration{bench.StageEnd: 14 * time.Second}
	silent := func(from int) func(*bench.Tick) bool { return func(t *bench.Tick) bool { return t.Second < from } }
	for _, row := range []struct {
		name string
		b    bench.Generator
		why  string // "": it is not lost
	}{
		{"late, not lost", player{stay: long, change: func(t *bench.Tick) bool { return t.Second < 2 || t.Second > 12 }}, ""},
		{"silent", player{stay: long, change: silent(2)}, "nothing came from it for 16s"},
		{"in the future", player{change: func(t *bench.Tick) bool { t.Second += 1e9; return true }}, "it counts second 1000000001 when it is 2"},
		{"an error at the end", player{end: func(*bench.Outcome) (*bench.Outcome, error) { return nil, errors.New("cut off") }}, "cut off"},
		{"no outcome", player{end: func(*bench.Outcome) (*bench.Outcome, error) { return nil, nil }}, "it ended without an outcome"},
		{"stopped on its side", player{end: func(o *bench.Outcome) (*bench.Outcome, error) { o.Stopped = true; return o, nil }},
			"it was stopped on its side"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := conduct(t, conductor(player{}, row.b))
				if got := r.Generators[1].Lost; got != row.why {
					t.Errorf("lost because %q, want %q", got, row.why)
				}
				if row.why == "" {
					return
				}
				if r.Verdict != bench.Invalid || len(r.Reasons) != 1 || r.Reasons[0] != "A generator was lost: beta: "+row.why+"." {
					t.Errorf("the verdict is %s, because %q", r.Verdict, r.Reasons)
				}
				if r.Generators[0].Counts.Joins != 50 || r.Generators[0].Lost != "" {
					t.Errorf("the other: %+v", r.Generators[0])
				}
				for i, p := range r.Points {
					if p.Second != i+1 {
						t.Fatalf("point %d is of second %d", i, p.Second)
					}
				}
			})
		})
	}
}

// TestLostTells holds that what a lost member had told counts, but for what it held.
func TestLostTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := conduct(t, conductor(player{}, player{
			stay: map[bench.Stage]time.Duration{bench.StagePlateau: 10 * time.Second},
			end:  func(*bench.Outcome) (*bench.Outcome, error) { return nil, errors.New("killed") },
		}))
		if r.Counts.Joins != 100 || r.Counts.Open != 50 {
			t.Errorf("counts are %+v", r.Counts)
		}
		if n := r.Latency[bench.LatencyConnect].Count(); n < 10 {
			t.Errorf("%d latencies of the lost one are known", n)
		}
	})
}

// TestTicksBeforeStart holds that a generator that does not keep to the contract does no harm.
func TestTicksBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := conduct(t, conductor(generator(
			func(_ context.Context, _ bench.Config, _ bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
				tick(bench.Tick{Second: -1})
				tick(bench.Tick{Second: 1})
				return &bench.Outcome{}, nil
			})))
		if len(r.Points) != 0 || r.Verdict != bench.Failed {
			t.Errorf("%s, %+v", r.Verdict, r.Points)
		}
	})
}

// TestNoStart has a member that is lost before the run has begun, beside one that is well: nothing is begun.
func TestNoStart(t *testing.T) {
	for _, row := range []struct {
		name string
		b    bench.Generator
		why  string
	}{
		{"never ready", player{stay: map[bench.Stage]time.Duration{bench.StageStart: time.Hour}}, "beta: it was not ready after 30s"},
		{"an error at once", generator(func(context.Context, bench.Config, bench.Meeting, func(bench.Tick)) (*bench.Outcome, error) {
			return nil, errors.New("no such host")
		}), "beta: no such host"},
		{"no clock", clocked{err: errors.New("no clock"), asked: new(int)}, "beta: no clock"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := bench.Conduct(t.Context(), conductor(player{}, row.b))
				if r != nil || err == nil || !strings.Contains(err.Error(), row.why) {
					t.Errorf("%v, %v; want no result and an error with %q", r, err, row.why)
				}
			})
		})
	}
}

// TestLateTick holds that a second waits three for who is late, and that the next ones catch up.
func TestLateTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := conductor(player{}, player{
			stay:   map[bench.Stage]time.Duration{bench.StageEnd: 10 * time.Second},
			change: func(t *bench.Tick) bool { return t.Second < 2 || t.Second > 6 },
		})
		began := time.Now()
		var closed []string
		c.Progress = func(p bench.Point) {
			closed = append(closed, fmt.Sprintf("%d at %v", p.Second, time.Since(began)-time.Second))
		}
		conduct(t, c)
		got, want := strings.Join(closed[:10], ", "), "1 at 1s, 2 at 5s, 3 at 6s, 4 at 7s, 5 at 8s, 6 at 9s, 7 at 9s, 8 at 9s, 9 at 9s, 10 at 10s"
		if got != want {
			t.Errorf("seconds closed: %s\n          want: %s", got, want)
		}
	})
}

// TestConductStall holds that a conductor that stood still does not take the others for silent.
func TestConductStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := conductor(player{stay: map[bench.Stage]time.Duration{bench.StageEnd: 40 * time.Second}}, player{})
		c.Progress = func(p bench.Point) {
			if p.Second == 2 {
				<-time.After(30 * time.Second)
			}
		}
		r := conduct(t, c)
		if r.Verdict != bench.Valid || len(r.Points) < 30 {
			t.Errorf("%s %q, %d points", r.Verdict, r.Reasons, len(r.Points))
		}
	})
}

func TestConductStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		stay := player{stay: map[bench.Stage]time.Duration{bench.StageSent: time.Hour}}
		r, err := bench.Conduct(ctx, conductor(stay, stay))
		if err != nil {
			t.Fatal(err)
		}
		if !r.Stopped || r.Verdict != bench.Valid || r.Counts.Joins != 100 {
			t.Errorf("stopped %v, %s %q, %+v", r.Stopped, r.Verdict, r.Reasons, r.Counts)
		}
	})
}

func TestConductStopBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := bench.Conduct(ctx, conductor(generator(
			func(ctx context.Context, _ bench.Config, _ bench.Meeting, _ func(bench.Tick)) (*bench.Outcome, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})))
		if err != nil || !r.Stopped || r.Verdict != bench.Valid {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestStopBounded has a generator that does not end.
func TestConductStopBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		let := make(chan struct{})
		defer close(let)
		began := time.Now()
		r, err := bench.Conduct(ctx, conductor(player{}, player{end: func(*bench.Outcome) (*bench.Outcome, error) {
			<-let
			return nil, nil
		}}))
		if err != nil {
			t.Fatal(err)
		}
		if after := time.Since(began).Truncate(time.Second); after != 22*time.Second {
			t.Errorf("it ended after %v", after)
		}
		if r.Verdict != bench.Invalid || r.Generators[1].Lost != "it did not end within 12s" {
			t.Errorf("%s %q, lost: %q", r.Verdict, r.Reasons, r.Generators[1].Lost)
		}
	})
}
