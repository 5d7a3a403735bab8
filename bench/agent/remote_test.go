package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

func TestConduct(t *testing.T) {
	a, _ := start(t, Options{Generator: generator(play), Token: "secret"}, nil)
	b, _ := start(t, Options{Generator: generator(play), Token: "secret"}, nil)
	c := bench.Conductor{
		Config: bench.Config{Scenario: "connect", URLs: []string{"ws://127.0.0.1:4000/socket"}, Connections: 100, Plateau: -1},
		Members: []bench.Member{
			{Name: a, Generator: New(a, "secret")}, {Name: b, Generator: New(b, "secret"), Weight: 3},
			{Name: "local", Generator: generator(play)},
		},
	}
	r, err := bench.Conduct(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != bench.Valid || r.Counts.Joins != 100 || r.Generators[1].Counts.Joins != 60 {
		t.Errorf("%s %q: %+v", r.Verdict, r.Reasons, r.Generators)
	}
	if n := r.Latency[bench.LatencyJoin].Count(); n != 15 {
		t.Errorf("%d latencies came, want 15", n)
	}
	for _, g := range r.Generators[:2] {
		if g.ClockError <= 0 || g.ClockOffset.Abs() > g.ClockError+time.Second {
			t.Errorf("the clock of %s is %v ahead within %v", g.Name, g.ClockOffset, g.ClockError)
		}
	}
	if g := r.Generators[2]; g.ClockError != 0 || g.ClockOffset != 0 {
		t.Errorf("the clock of this process is %v ahead within %v", g.ClockOffset, g.ClockError)
	}
}

// TestConfigTravels holds that an agent carries out what it was given, after its own Check.
func TestConfigTravels(t *testing.T) {
	var got bench.Config
	address, _ := start(t, Options{Generator: generator(
		func(_ context.Context, cfg bench.Config, _ bench.Meeting, _ func(bench.Tick)) (*bench.Outcome, error) {
			got = cfg
			return &bench.Outcome{}, nil
		})}, nil)
	want := config(t)
	want.Part, want.Parts, want.Share, want.ClockOffset = 1, 2, 0.25, -time.Millisecond
	want.Seed = 1<<64 - 1
	if _, err := New(address, "").Generate(t.Context(), want, open{}, ignore); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the agent got %+v\nwant %+v", got, want)
	}
}

// TestAgentDies cuts an agent off in a run, which goes on without it.
func TestAgentDies(t *testing.T) {
	reached := make(chan struct{})
	a, _ := start(t, Options{Generator: generator(play)}, nil)
	b, _ := start(t, Options{Generator: until(bench.StageSent, reached)}, nil)
	way := newRelay(t, b)
	go func() {
		<-reached
		way.cut()
	}()
	c := bench.Conductor{
		Config: bench.Config{Scenario: "connect", URLs: []string{"ws://127.0.0.1:4000/socket"}, Connections: 100, Plateau: -1},
		Members: []bench.Member{
			{Name: "a", Generator: New(a, "")}, {Name: "b", Generator: New(way.l.Addr().String(), "")},
		},
	}
	r, err := bench.Conduct(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if g := r.Generators[0]; g.Lost != "" || g.Counts.Joins != 50 {
		t.Errorf("the one that lives: %+v", g)
	}
	if r.Verdict != bench.Invalid || !strings.Contains(r.Generators[1].Lost, "agent "+way.l.Addr().String()) {
		t.Errorf("%s %q", r.Verdict, r.Reasons)
	}
}

// TestStop holds that the end of the context brings the Outcome, not an error.
func TestStop(t *testing.T) {
	reached := make(chan struct{})
	address, _ := start(t, Options{Generator: until(bench.StageSent, reached)}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	o, err := New(address, "").Generate(ctx, config(t), open{}, ignore)
	if err != nil || !o.Stopped || !slices.Equal(o.Notes, []string{errStop.Error()}) {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestAgentStops holds that an agent that is told to end sends what it has.
func TestAgentStops(t *testing.T) {
	reached := make(chan struct{})
	address, stop := start(t, Options{Generator: until(bench.StageSent, reached)}, nil)
	go func() {
		<-reached
		stop()
	}()
	o, err := New(address, "").Generate(t.Context(), config(t), open{}, ignore)
	if err != nil || !o.Stopped {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestStopBounded has an agent whose generator does not end.
func TestStopBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		let := make(chan struct{})
		startOn(t, p, Options{Token: "x", Generator: generator(
			func(_ context.Context, _ bench.Config, meet bench.Meeting, _ func(bench.Tick)) (*bench.Outcome, error) {
				<-let
				return &bench.Outcome{}, nil
			})}, nil)
		defer close(let)
		r := New("agent:9900", "x")
		r.dial = p.dial
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := r.Generate(ctx, config(t), open{}, ignore)
		if !errors.Is(err, errNoEnd) || time.Since(began) != time.Second+endLimit {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// TestAlive holds that a run of some length is not taken for one whose conductor has gone.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		startOn(t, p, Options{Token: "x", Generator: generator(
			func(ctx context.Context, _ bench.Config, _ bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
				for n := range 100 {
					select {
					case <-time.After(time.Second):
						tick(bench.Tick{Second: n + 1})
					case <-ctx.Done():
						return nil, context.Cause(ctx)
					}
				}
				return &bench.Outcome{}, nil
			})}, nil)
		r := New("agent:9900", "x")
		r.dial = p.dial
		ticks := 0
		if _, err := r.Generate(t.Context(), config(t), open{}, func(bench.Tick) { ticks++ }); err != nil || ticks != 100 {
			t.Errorf("after %d ticks: %v", ticks, err)
		}
	})
}

func TestErrors(t *testing.T) {
	failing, _ := start(t, Options{Generator: generator(
		func(context.Context, bench.Config, bench.Meeting, func(bench.Tick)) (*bench.Outcome, error) {
			return nil, errors.New("no such target")
		})}, nil)
	empty, _ := start(t, Options{Generator: generator(
		func(context.Context, bench.Config, bench.Meeting, func(bench.Tick)) (*bench.Outcome, error) {
			return nil, nil
		})}, nil)
	guarded, _ := start(t, Options{Token: "secret", Generator: generator(play)}, nil)
	gone := newRelay(t, failing)
	gone.cut()
	for _, row := range []struct{ name, address, want string }{
		{"the generator fails", failing, "no such target"},
		{"the generator has nothing", empty, "without an outcome"},
		{"nobody there", gone.l.Addr().String(), "is dormouse bench agent running there"},
		{"no token", guarded, "DORMOUSE_AGENT_TOKEN"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := New(row.address, "").Generate(t.Context(), config(t), open{}, ignore)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "agent "+row.address+": ") {
				t.Errorf("the error is %v, want %q", err, row.want)
			}
		})
	}
}

// TestGarbage has servers that are no agents, or broken ones.
func TestGarbage(t *testing.T) {
	const hi = `{"hello":{"protocol":1,"run":"abc"}}` + "\n"
	for _, row := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"a web page", 200, "<html>", "is this the address of a dormouse bench agent?"},
		{"a web page that is not there", 404, "<html>", "is this the address of a dormouse bench agent?"},
		{"another JSON", 200, `{"ok":true}`, "is this the address of a dormouse bench agent?"},
		{"nothing", 200, "", "it broke off"},
		{"a redirect", 302, "", "HTTP 302"},
		{"another version", 200, `{"hello":{"protocol":2,"run":"abc"}}`, "it speaks version 2 of the agents' protocol, and this program version 1"},
		{"a refusal", 403, `{"error":"not allowed"}`, "not allowed"},
		{"an end without an outcome", 200, hi + `{"tick":{"second":1}}` + "\n", "it broke off"},
		{"half a line", 200, hi + `{"tick":`, "is this the address of"},
		{"an empty line", 200, hi + "{}\n", "is this the address of"},
		{"a stage that there is not", 200, hi + `{"stage":"interval"}`, `the stage "interval"`},
		{"a stage twice", 200, hi + `{"stage":"start"}` + "\n" + `{"stage":"start"}`, `the stage "start"`},
		{"a histogram that is none", 200, hi + `{"tick":{"latency":{"join":"AAAA"}}}`, "is this the address of"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/runs" {
					return
				}
				if row.status == 302 {
					w.Header().Set("Location", "/elsewhere")
				}
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer s.Close()
			address := s.Listener.Addr().String()
			_, err := New(address, "").Generate(t.Context(), config(t), open{}, ignore)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "agent "+address) {
				t.Errorf("the error is %v, want %q", err, row.want)
			}
		})
	}
}

// FuzzLines holds that nothing that an agent says is worse than an error.
func FuzzLines(f *testing.F) {
	f.Add(`{"hello":{"protocol":1,"run":"abc"}}`)
	f.Add(`{"stage":"start"}`)
	f.Add(`{"tick":{"second":1,"latency":{"join":"HISTFAAAAB542pNpmSzMwMDAxAABzFCaEUoz2X+AMIQEAI2pAdk="},"self":{"go":{"gcs":1}}}}`)
	f.Add(`{"outcome":{"rooms":[{"topic":"t","members":1,"messages":[{"seq":1,"spread":[1,2,300,4]}]}],"errors":[{"kind":"x"}]}}`)
	f.Add(`{"error":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := newLines(io.NopCloser(strings.NewReader(text)))
		for {
			l, err := s.next()
			if err != nil {
				return
			}
			if l.Tick != nil {
				for _, h := range l.Tick.Latency {
					h.Summary()
				}
			}
		}
	})
}
