package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// healthy is a run of so many seconds with 1,000 things due in each, all in time.
func healthy(seconds int) []Point {
	points := make([]Point, seconds)
	for i := range points {
		points[i] = Point{Second: i + 1, Health: Health{Due: 1000, Lag: time.Millisecond, CPU: 0.3}}
	}
	return points
}

// with changes the health of the seconds from, to before to.
func with(points []Point, from, to int, change func(*Health)) []Point {
	for i := from; i < to; i++ {
		change(&points[i].Health)
	}
	return points
}

func late(n int64, most time.Duration) func(*Health) {
	return func(h *Health) { h.Late, h.LateMax = n, most }
}

func lag(d time.Duration) func(*Health) { return func(h *Health) { h.Lag = d } }

func TestStarved(t *testing.T) {
	const ms = time.Millisecond
	busy := func(h *Health) { h.CPU = 0.99 }
	for _, row := range []struct {
		name   string
		points []Point
		want   []string // parts of the reasons; the last is the cause
	}{
		{"no point", nil, nil},
		{"healthy", healthy(60), nil},
		{"a hiccup while users arrive", with(healthy(60), 3, 4, func(h *Health) { late(5, 15*ms)(h); h.Lag = 15 * ms }), nil},
		{"target and generator share two processors", with(healthy(30), 10, 30, func(h *Health) {
			late(40, 55*ms)(h)
			h.Lag, h.CPU, h.Waited = 40*ms, 0.5, 0.9
		}), nil},
		{"one stall of a tenth of a second on a noisy machine", with(healthy(30), 5, 6, lag(115*ms)), nil},
		{"a few late sends of a few", []Point{{Second: 1, Health: Health{Due: 10, Late: 2, LateMax: 12 * ms}}}, nil},
		{"a stall without traffic", []Point{{Second: 1, Health: Health{Lag: 900 * ms}}}, nil},
		{"all processors busy, and all in time", with(healthy(30), 0, 30, busy), nil},

		{"stopped for 700 ms", with(healthy(30), 12, 13, func(h *Health) { late(700, 700*ms)(h); h.Lag = 698 * ms }),
			[]string{"700 ms behind in second 13", "was it stopped"}},
		{"stopped for 700 ms between sends", with(healthy(30), 12, 13, lag(698*ms)),
			[]string{"698 ms behind in second 13", "was it stopped"}},
		{"one send of a few comes far too late", with(healthy(30), 12, 13, late(1, 300*ms)),
			[]string{"300 ms behind in second 13", "from one thread"}},
		{"a cgroup with a tenth of a processor", with(healthy(5), 0, 5, func(h *Health) {
			late(700, 93*ms)(h)
			h.Lag, h.CPU, h.Waited = 90*ms, 0.99, 2.7
		}), []string{"late with 3,500 of 5,000 arrivals and sends (70.0 %), at most 93 ms", "stood still for more than 10 ms in 5 of 5 seconds, at most 90 ms", "It used 99 % of its processors"}},
		{"nice 19 beside busy programs", with(healthy(10), 0, 10, func(h *Health) {
			late(900, 200*ms)(h)
			h.Lag, h.CPU, h.Waited = 120*ms, 0.02, 2.4
		}), []string{"(90.0 %)", "in 10 of 10 seconds", "waited for processors (2.4 of them"}},
		{"the rate is too much for one thread", with(healthy(10), 0, 10, late(1000, 2*time.Second)),
			[]string{"2 s behind", "(100.0 %)", "from one thread"}},
		{"no processor to spare, and some late", with(with(healthy(30), 0, 10, busy), 0, 10, late(50, 20*ms)),
			[]string{"(1.7 %)", "It used 99 %"}},
		{"no processor to spare in a few seconds, and some late", with(with(healthy(30), 0, 3, busy), 0, 10, late(50, 20*ms)), nil},
		{"no processor to spare, and some stalls", with(with(healthy(30), 0, 10, busy), 0, 10, lag(50*ms)),
			[]string{"in 10 of 30 seconds", "It used 99 %"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := starved(row.points)
			if len(got) != len(row.want) {
				t.Fatalf("got %q, want %q", got, row.want)
			}
			for i, part := range row.want {
				if !strings.Contains(got[i], part) {
					t.Errorf("reason %d is %q, want something with %q", i, got[i], part)
				}
			}
		})
	}
}

func TestHampered(t *testing.T) {
	for _, row := range []struct {
		name   string
		points []Point
		want   string
	}{
		{"healthy", healthy(10), ""},
		{"a hiccup", with(healthy(10), 2, 3, late(15, 20*time.Millisecond)), ""},
		{"two of a few", []Point{{Second: 1, Health: Health{Due: 20, Late: 2}}}, ""},
		{"one of thirty is late", with(healthy(10), 0, 10, late(33, 20*time.Millisecond)), "3.3 % of the time or of its sends: times beyond the 97th percentile"},
		{"short stalls", with(healthy(10), 0, 10, lag(30*time.Millisecond)), "2.0 %"},
		{"starved", with(healthy(10), 0, 10, late(500, 20*time.Millisecond)), ""},
	} {
		if got := hampered(row.points); !strings.Contains(got, row.want) || row.want == "" && got != "" {
			t.Errorf("%s: %q, want something with %q", row.name, got, row.want)
		}
	}
}

// What is timed is traffic, due or not.
func TestHasTraffic(t *testing.T) {
	before := Counts{Open: 5, Users: 5, Dials: 5, Upgrades: 5, Joins: 5, Heartbeats: 5, Answered: 5, Delivered: 5}
	for _, row := range []struct {
		change func(*Point)
		want   bool
	}{
		{func(*Point) {}, false},
		{func(p *Point) { p.Counts.Open, p.Counts.Closed = 0, 5 }, false},
		{func(p *Point) { p.Health.Due = 1 }, true},
		{func(p *Point) { p.Counts.Dials++ }, true},
		{func(p *Point) { p.Counts.Upgrades++ }, true},
		{func(p *Point) { p.Counts.Joins++ }, true},
		{func(p *Point) { p.Counts.Heartbeats++ }, true},
		{func(p *Point) { p.Counts.Answered++ }, true},
		{func(p *Point) { p.Counts.Delivered++ }, true},
	} {
		p := Point{Counts: before}
		row.change(&p)
		if got := p.hasTraffic(before); got != row.want {
			t.Errorf("%+v: %v, want %v", p.Counts, got, row.want)
		}
	}
	if !slices.Equal(starved([]Point{{Counts: before}, {Counts: before, Health: Health{Lag: time.Second}}}), nil) {
		t.Error("a stall while nothing is timed counts")
	}
}
