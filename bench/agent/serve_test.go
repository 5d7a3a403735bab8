package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

func TestListenNeedsToken(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	err = Serve(t.Context(), l, Options{Generator: generator(play)})
	if err == nil || !strings.Contains(err.Error(), "--token-file") {
		t.Errorf("an agent for everybody, without a token: %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is open")
	}
}

// post sends a request as a client does that is not ours, and returns the status and what was said.
func post(t *testing.T, r *http.Request) (status int, said string) {
	t.Helper()
	return postBy(t, (&net.Dialer{}).DialContext, r)
}

func postBy(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), r *http.Request) (status int, said string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func request(t *testing.T, address string, body any) *http.Request {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/runs", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		startOn(t, p, Options{Generator: generator(play), Token: "secret"}, nil)
		for _, row := range []struct {
			header string
			status int
		}{
			{"", 401}, {"Bearer", 401}, {"Bearer ", 401}, {"Bearer secret1", 401}, {"Bearer secre", 401}, {"Basic secret", 401},
			{"secret", 401}, {"Bearer secret", 400}, // the rest of the request is not right
		} {
			r := request(t, "agent:9900", hello{})
			r.Header.Set("Authorization", row.header)
			if status, said := postBy(t, p.dial, r); status != row.status {
				t.Errorf("%q: %d %s", row.header, status, said)
			}
		}
	})
}

// TestGuesses holds that guessing a token is slow, and that many at once do not make it faster.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		startOn(t, p, Options{Generator: generator(play), Token: "secret"}, nil)
		r := New("agent:9900", "wrong")
		r.dial = p.dial
		began := time.Now()
		results := make(chan string, 3*maxGuesses)
		for range cap(results) {
			go func() {
				_, _, err := r.Clock(t.Context())
				results <- fmt.Sprintf("%v: %v", time.Since(began), err)
			}()
		}
		slow := 0
		for range cap(results) {
			if strings.HasPrefix(<-results, "500ms: ") {
				slow++
			}
		}
		if slow != maxGuesses {
			t.Errorf("%d of %d were answered after half a second, want %d", slow, cap(results), maxGuesses)
		}
	})
}

// TestPages holds that a web page that a browser shows on the agent's machine cannot use an agent without token.
func TestPages(t *testing.T) {
	address, _ := start(t, Options{Generator: generator(play)}, nil)
	cfg := config(t)
	r := request(t, address, hello{Protocol: protocol, Config: &cfg})
	r.Header.Set("Content-Type", "text/plain")
	if status, said := post(t, r); status != http.StatusUnsupportedMediaType {
		t.Errorf("a simple request: %d %s", status, said)
	}
	r = request(t, address, hello{Protocol: protocol, Config: &cfg})
	r.Host = "evil.example:9900"
	if status, said := post(t, r); status != http.StatusForbidden {
		t.Errorf("a name that was bound to this host: %d %s", status, said)
	}
}

func TestRefusals(t *testing.T) {
	names := func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "rebound.example":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.1.2.3")}, nil
		case "local.example":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		case "nowhere.example":
			return nil, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host}
	}
	address, _ := start(t, Options{Generator: generator(
		func(context.Context, bench.Config, bench.Meeting, func(bench.Tick)) (*bench.Outcome, error) {
			return &bench.Outcome{}, nil
		})}, names)
	good := config(t)
	with := func(change func(*bench.Config)) hello {
		cfg := good
		change(&cfg)
		return hello{Protocol: protocol, Config: &cfg}
	}
	to := func(urls ...string) hello { return with(func(c *bench.Config) { c.URLs = urls }) }
	for _, row := range []struct {
		name   string
		body   any
		status int
		said   string
	}{
		{"no JSON object", "x", 400, "the request cannot be read"},
		{"too long", strings.Repeat("x", maxRequest), 400, "too large"},
		{"another version", hello{Protocol: 7, Config: &good}, 400, "version 7 of the agents' protocol"},
		{"no configuration", hello{Protocol: protocol}, 400, "no configuration"},
		{"a scenario that there is not", with(func(c *bench.Config) { c.Scenario = "attack" }), 400, `no scenario \"attack\"`},
		{"too many connections", with(func(c *bench.Config) { c.Connections = 1 << 40 }), 400, "raise them there"},
		{"a target elsewhere", to("ws://10.1.2.3:4000/socket"), 403, "start the agent with --allow 10.1.2.3:4000"},
		{"one of two targets elsewhere", to("ws://127.0.0.1:4000/", "wss://10.1.2.3/"), 403, "--allow 10.1.2.3:443"},
		{"a name that stands for two", to("ws://rebound.example/"), 403, "rebound.example (10.1.2.3)"},
		{"a name that there is not", to("ws://unknown.example/"), 400, "no such host"},
		{"a name without an address", to("ws://nowhere.example/"), 400, "no address"},
		{"a name of loopback", to("ws://local.example/"), 200, "outcome"},
	} {
		t.Run(row.name, func(t *testing.T) {
			status, said := post(t, request(t, address, row.body))
			if status != row.status || !strings.Contains(said, row.said) {
				t.Errorf("%d %s, want %d %s", status, said, row.status, row.said)
			}
		})
	}
}

func TestOneRun(t *testing.T) {
	reached := make(chan struct{})
	address, _ := start(t, Options{Generator: until(bench.StageStart, reached)}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := New(address, "").Generate(ctx, config(t), open{}, ignore)
		ended <- err
	}()
	<-reached
	cfg := config(t)
	if status, said := post(t, request(t, address, hello{Protocol: protocol, Config: &cfg})); status != http.StatusConflict {
		t.Errorf("a second run: %d %s", status, said)
	}
	order := request(t, address, order{Stop: true})
	order.URL.Path = "/runs/guess"
	if status, said := post(t, order); status != http.StatusNotFound {
		t.Errorf("an order by who does not know the run: %d %s", status, said)
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) { // the latter if the agent has not answered yet
		t.Error(err)
	}
}

// An eager is a conductor that has seen each line as soon as it was written.
type eager struct {
	*httptest.ResponseRecorder
	sees func(line string)
}

func (e eager) Write(b []byte) (int, error) {
	e.sees(string(b))
	return e.ResponseRecorder.Write(b)
}

// TestNextRun holds that an agent is free for the next run once it has said what came of the last, or why it failed.
func TestNextRun(t *testing.T) {
	var fails error
	allow, err := parseAllow(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{allow: allow, resolve: lookup, Options: Options{MaxRun: defaultMaxRun, Log: slog.New(slog.DiscardHandler), Generator: generator(
		func(context.Context, bench.Config, bench.Meeting, func(bench.Tick)) (*bench.Outcome, error) {
			return &bench.Outcome{}, fails
		})}}
	cfg := config(t)
	begin := func(sees func(string)) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.begin(eager{w, sees}, request(t, "agent:9900", hello{Protocol: protocol, Config: &cfg}))
		return w
	}
	for _, fails = range []error{nil, errors.New("no such target")} {
		runs := 0
		begin(func(line string) {
			if !strings.Contains(line, `"hello":{`) && runs == 0 {
				runs++
				if w := begin(func(string) {}); w.Code != http.StatusOK {
					t.Errorf("the next run behind %s: %d %s", line, w.Code, w.Body)
				}
			}
		})
		if runs != 1 || a.run != nil {
			t.Errorf("%d runs behind the first; is one under way: %t", runs, a.run != nil)
		}
	}
}

// TestConductorDies holds that there is no load without its conductor.
func TestConductorDies(t *testing.T) {
	reached, ended := make(chan struct{}), make(chan struct{})
	g := until(bench.StageStart, reached)
	address, _ := start(t, Options{Generator: generator(
		func(ctx context.Context, cfg bench.Config, meet bench.Meeting, tick func(bench.Tick)) (*bench.Outcome, error) {
			defer close(ended)
			return g(ctx, cfg, meet, tick)
		})}, nil)
	way := newRelay(t, address)
	go func() {
		<-reached
		way.cut()
	}()
	if _, err := New(way.l.Addr().String(), "").Generate(t.Context(), config(t), open{}, ignore); err == nil {
		t.Error("a run whose connection was cut has no error")
	}
	<-ended
}

// TestLimits holds that a run ends whose conductor says nothing, though its connection is there, and one that
// takes too long.
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		name   string
		maxRun time.Duration
		after  time.Duration
		why    string
	}{
		{"silence", 0, aliveLimit, errSilent.Error()},
		{"too long", 7 * time.Second, 7 * time.Second, "the run took longer than the agent's --max-run, 7s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				startOn(t, p, Options{Token: "x", MaxRun: row.maxRun, Generator: until(bench.StageStart, make(chan struct{}))}, nil)
				cfg := config(t)
				r := request(t, "agent:9900", hello{Protocol: protocol, Config: &cfg})
				r.Header.Set("Authorization", "Bearer x")
				began := time.Now()
				resp, err := (&http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				s := newLines(resp.Body)
				var last line
				for {
					l, err := s.next()
					if err != nil {
						break
					}
					last = l
				}
				if last.Outcome == nil || !strings.Contains(strings.Join(last.Outcome.Notes, " "), row.why) || time.Since(began) != row.after {
					t.Errorf("after %v: %+v", time.Since(began), last.Outcome)
				}
			})
		})
	}
}
