package report_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
)

const again = "\r\x1b[K" // what a Live writes before each line on a terminal

func TestLiveOnATerminal(t *testing.T) {
	r := reporttest.Valid()
	for _, row := range []struct {
		width int
		at    int
		want  string
	}{
		{100, 11, "[=---------]  10 %  arriving  5,998/15,000  +1,000/s  join p99 1.40 ms  ETA 1m 36s"},
		{120, 60, "[=====-----]  53 %  sending  15,000/15,000  sent 10/s  delivered 150k/s  last p99 23.1 ms  14 errors  ETA 52s"},
		{100, 60, " 53 %  sending  15,000/15,000  sent 10/s  delivered 150k/s  last p99 23.1 ms  14 errors  ETA 52s"},
		{80, 60, " 53 %  sending  15,000/15,000  sent 10/s  delivered 150k/s  14 errors  ETA 52s"},
		{60, 60, " 53 %  sending  15,000/15,000  14 errors  ETA 52s"},
		{40, 60, " 53 %  15,000/15,000  14 errors"},
		{30, 60, "15,000/15,000  14 errors"},
		{0, 60, "15,000/15,000"},
		{100, 116, "[==========] 100 %  finishing  15,000/15,000  heartbeat p99 567 µs  14 errors"},
	} {
		var b bytes.Buffer
		l := report.NewLive(&b, columns(row.width), r.Config)
		for i := range row.at {
			b.Reset()
			l.Point(r.Points[i])
		}
		if got := b.String(); got != again+row.want {
			t.Errorf("%d columns, second %d:\ngot  %q\nwant %q", row.width, row.at, got, again+row.want)
		}
	}
}

func TestLiveIsNeverWiderThanTheTerminal(t *testing.T) {
	r := reporttest.Invalid()
	for width := 20; width < 160; width++ {
		var b bytes.Buffer
		l := report.NewLive(&b, columns(width), r.Config)
		for _, p := range r.Points {
			l.Point(p)
		}
		for line := range strings.SplitSeq(b.String(), again) {
			if n := utf8.RuneCountInString(line); n >= width {
				t.Fatalf("%d columns, and %d characters: %q", width, n, line)
			}
		}
	}
}

// TestLiveInAWindowThatShrinks holds that the width is that of the moment.
func TestLiveInAWindowThatShrinks(t *testing.T) {
	r := reporttest.Valid()
	var b bytes.Buffer
	width := 120
	l := report.NewLive(&b, func() int { return width }, r.Config)
	for i, p := range r.Points {
		b.Reset()
		width = max(120-5*i, 20)
		l.Point(p)
		if n := utf8.RuneCountInString(strings.TrimPrefix(b.String(), again)); n >= width {
			t.Fatalf("%d columns, and %d characters: %q", width, n, b.String())
		}
	}
}

// TestLiveReadsMemory has nobody arrive because memory is read.
func TestLiveReadsMemory(t *testing.T) {
	cfg := bench.Config{Scenario: "broadcast", Connections: 100, Plateau: 10, ArrivalRate: 10, Duration: 1e9}
	for _, row := range []struct {
		before, now int64
		want        string
	}{{0, 10, "arriving"}, {10, 10, "reading memory"}, {10, 20, "arriving"}, {20, 20, "arriving"}, {100, 100, "reading memory"}} {
		var b bytes.Buffer
		l := report.NewLive(&b, columns(100), cfg)
		l.Point(bench.Point{Second: 1, Stage: bench.StageStart, Counts: bench.Counts{Users: row.before}})
		b.Reset()
		l.Point(bench.Point{Second: 2, Stage: bench.StageStart, Counts: bench.Counts{Users: row.now}})
		if !strings.Contains(b.String(), row.want) {
			t.Errorf("%d users and then %d: %q, want %s", row.before, row.now, b.String(), row.want)
		}
	}
}

func TestLiveNotesStay(t *testing.T) {
	r := reporttest.Valid()
	var b bytes.Buffer
	l := report.NewLive(&b, columns(60), r.Config)
	l.Note("first")
	l.Point(r.Points[0])
	l.Note("agent \x1b[2Jlost\nit")
	l.Point(r.Points[1])
	l.Close()
	l.Close()
	l.Point(r.Points[2])
	l.Note("after")
	want := again + "first\n" +
		again + "  0 %  arriving  997/15,000  +1,000/s  ETA 1m 41s" +
		again + "agent \uFFFD[2Jlost it\n" + "  0 %  arriving  997/15,000  +1,000/s  ETA 1m 41s" +
		again + "  1 %  reading memory  1,000/15,000  ETA 1m 41s" +
		again + "after\n"
	if got := b.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Where there is no terminal a line comes every ten seconds, also when seconds are missing.
func TestLivePlain(t *testing.T) {
	r := reporttest.Valid()
	var b bytes.Buffer
	l := report.NewLive(&b, nil, r.Config)
	for i, p := range r.Points {
		if i < 40 || i > 50 {
			l.Point(p)
		}
	}
	l.Note("that was it")
	l.Close()
	golden(t, "live.txt", b.Bytes())
}

func TestLiveProgress(t *testing.T) {
	second := time.Second
	for _, row := range []struct {
		name  string
		cfg   bench.Config
		point bench.Point
		want  string
	}{
		{"connect holds", bench.Config{Scenario: "connect", Connections: 100, ArrivalRate: 10, Hold: 5 * second, Duration: 99 * second},
			bench.Point{Second: 5, Counts: bench.Counts{Users: 50, Connected: 50}}, "[===-------]  33 %  arriving  50/100  +10/s  ETA 10s"},
		{"phases", bench.Config{Scenario: "connect", Connections: 110, Phases: []bench.Phase{{Duration: 10 * second, Rate: 1}, {Duration: 10 * second, Rate: 10}}},
			bench.Point{Second: 5, Counts: bench.Counts{Users: 5}}, "[==--------]  25 %  arriving  0/110  +1/s  ETA 15s"},
		{"more users than were planned", bench.Config{Scenario: "chat", Connections: 10, ArrivalRate: 10, Duration: 5 * second},
			bench.Point{Second: 5, Counts: bench.Counts{Users: 5000}}, "[=====-----]  50 %  arriving  0/10  +1,000/s  ETA 5s"},
		{"a storm", bench.Config{Scenario: "storm", Connections: 10, ArrivalRate: 10, Duration: 5 * second},
			bench.Point{Second: 5, Stage: bench.StageArrived, Latency: map[string]bench.Quantiles{"rejoin": {Count: 1, P99: second}}}, "[=====-----]  50 %  storm  0/10  rejoin p99 1.00 s  ETA 5s"},
		{"longer than planned", bench.Config{Scenario: "echo", Connections: 10, ArrivalRate: 10},
			bench.Point{Second: 500, Stage: bench.StageArrived}, "[==========] 100 %  sending  0/10"},
		{"a config of nothing", bench.Config{}, bench.Point{}, "[----------]   0 %  arriving  0/0"},
	} {
		var b bytes.Buffer
		report.NewLive(&b, columns(100), row.cfg).Point(row.point)
		if got := b.String(); got != again+row.want {
			t.Errorf("%s:\ngot  %q\nwant %q", row.name, got, again+row.want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Points, notes and the end come from several goroutines, and a terminal may go away.
func TestLiveFromManyGoroutines(t *testing.T) {
	r := reporttest.Valid()
	l := report.NewLive(broken{}, columns(80), r.Config)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			l.Point(r.Points[i])
			l.Note("note")
			l.Close()
		})
	}
	all.Wait()
}

// columns is a terminal that keeps its width.
func columns(n int) func() int { return func() int { return n } }
