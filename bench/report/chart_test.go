package report

// In the package: what is drawn cannot be seen from outside but in the JSON of a page.

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/report/reporttest"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

func drawnBy(kind kind, points []bench.Point, of func(*bench.Point) float64) string {
	t := newTimeline(&bench.Result{Points: points})
	b, err := json.Marshal(line{kind: kind, of: of}.read(t.runs[0], t))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func sentAt(second int, n int64) bench.Point {
	return bench.Point{Second: second, Counts: bench.Counts{Sent: n}}
}

func TestLineReadsPoints(t *testing.T) {
	value := func(p *bench.Point) float64 {
		if p.Counts.Sent < 0 {
			return math.NaN() // not known
		}
		return float64(p.Counts.Sent)
	}
	for _, row := range []struct {
		name   string
		kind   kind
		points []bench.Point
		want   string
	}{
		{"no points", level, nil, "[]"},
		{"a level", level, []bench.Point{sentAt(1, 5), sentAt(2, 0)}, "[5,0]"},
		{"a missing second", level, []bench.Point{sentAt(1, 5), sentAt(3, 6)}, "[5,null,6]"},
		{"what is not known", level, []bench.Point{sentAt(1, -1), sentAt(2, 6)}, "[null,6]"},
		{"points out of order", level, []bench.Point{sentAt(2, 6), sentAt(1, 5)}, "[5,6]"},
		{"a second before the first", level, []bench.Point{sentAt(0, 5), sentAt(-7, 5), sentAt(1, 6)}, "[6]"},
		{"the same second twice: the last", level, []bench.Point{sentAt(1, 6), sentAt(1, 5)}, "[5]"},
		{"the same second twice: the highest", peak, []bench.Point{sentAt(1, 6), sentAt(1, 5)}, "[6]"},
		{"a rate counts from the start", rate, []bench.Point{sentAt(1, 5), sentAt(2, 8)}, "[5,3]"},
		{"a rate over a missing second", rate, []bench.Point{sentAt(1, 5), sentAt(3, 11)}, "[5,null,3]"},
		{"a counter that falls: a generator was lost", rate, []bench.Point{sentAt(1, 5), sentAt(2, 3), sentAt(3, 4)}, "[5,0,1]"},
		{"growth needs two points", growth, []bench.Point{sentAt(1, 500), sentAt(2, 503)}, "[null,3]"},
	} {
		if got := drawnBy(row.kind, row.points, value); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// A long run has several seconds in a slot: none of them may be lost from what is drawn.
func TestLongRunIsThinned(t *testing.T) {
	points := make([]bench.Point, 4*maxSlots)
	for i := range points {
		points[i] = sentAt(i+1, int64(10*(i+1)))
	}
	points[5].Health.Lag = time.Second
	tl := newTimeline(&bench.Result{Points: points})
	if tl.Step != 4 || tl.Slots != maxSlots {
		t.Fatalf("%d slots of %d seconds", tl.Slots, tl.Step)
	}
	speed := counted("sent", 0, rate, sent).read(tl.runs[0], tl)
	if slices.ContainsFunc(speed, func(v float64) bool { return v != 10 }) {
		t.Errorf("rates %v: want 10 all along", speed)
	}
	lag := line{kind: peak, of: func(p *bench.Point) float64 { return p.Health.Lag.Seconds() }}.read(tl.runs[0], tl)
	if lag[1] != 1 || lag[0] != 0 {
		t.Errorf("the lag of second 6 is not in slot 1: %v", lag[:3])
	}
}

func TestTwoRunsShareATimeline(t *testing.T) {
	a := &bench.Result{Points: []bench.Point{sentAt(1, 1), sentAt(2, 2), sentAt(3, 3)}}
	b := &bench.Result{Points: []bench.Point{sentAt(1, 4)}}
	tl := newTimeline(a, b)
	var c chart
	c.draw(tl, counted("sent", 0, level, sent), counted("answered", 1, level, answered))
	got, _ := json.Marshal(c.Series)
	want := `[{"name":"sent","colour":0,"run":0,"values":[1,2,3]},{"name":"sent","colour":0,"run":1,"values":[4,null,null]}]`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestMarks(t *testing.T) {
	tl := newTimeline(reporttest.Valid())
	want := []mark{{"plateau", 6, 0}, {"arrived", 24, 0}, {"sent", 111, 0}}
	if got := tl.marks(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What cannot be read is a gap, not a zero.
func TestUnknownIsNoPoint(t *testing.T) {
	points := []bench.Point{
		{Second: 1},
		{Second: 2, Target: &sample.Process{RSS: 5}},
		{Second: 3, Target: &sample.Process{Go: &sample.Go{HeapInuse: 7}}, Kernel: &sample.Kernel{SlabBytes: 9}},
	}
	tl := newTimeline(&bench.Result{Points: points})
	for _, row := range []struct {
		charts []chart
		want   string
	}{
		{memoryCharts(tl), "[resident [NaN 5 NaN] Go heap [NaN NaN 7]]"},
		{kernelCharts(tl), "[all slabs [NaN NaN 9]]"},
	} {
		var got []any
		for _, s := range row.charts[0].Series {
			got = append(got, s.Name, s.Values)
		}
		if len(row.charts) != 1 || fmt.Sprint(got) != row.want {
			t.Errorf("%d charts, the first with %v; want %s", len(row.charts), got, row.want)
		}
	}
}

func TestDistributionEndsAtTheMaximum(t *testing.T) {
	h := &bench.Histogram{}
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	charts := distributionChart(&bench.Result{Latency: map[string]*bench.Histogram{"echo": h}})
	v, tails := charts[0].Series[0].Values, charts[0].Tails
	if last := tails[len(tails)-1]; last < 1000 || last > 1200 {
		t.Errorf("the last tail is 1 in %v of 1,000", last)
	}
	if v.max() != h.Max().Seconds() || v[len(v)-1] != v.max() || math.Abs(v[16]-0.9) > 0.001 {
		t.Errorf("max %v, at 90 %% %v", v.max(), v[16])
	}
}

func TestRates(t *testing.T) {
	for _, row := range []struct {
		name       string
		points     []bench.Point
		mean, peak float64
	}{
		{"nothing", nil, 0, 0},
		{"never", []bench.Point{sentAt(1, 0), sentAt(2, 0)}, 0, 0},
		{"calm before and after does not count", []bench.Point{sentAt(1, 0), sentAt(2, 10), sentAt(3, 40), sentAt(9, 40)}, 20, 30},
		{"calm between does", []bench.Point{sentAt(1, 10), sentAt(2, 10), sentAt(3, 40)}, 40.0 / 3, 30},
		{"a part of the first and of the last second", []bench.Point{sentAt(1, 4), sentAt(2, 14), sentAt(3, 24), sentAt(4, 30)}, 10, 10},
		{"a counter that falls", []bench.Point{sentAt(1, 10), sentAt(2, 5)}, 10, 10},
		{"seconds that are missing", []bench.Point{sentAt(2, 10), sentAt(4, 40)}, 10, 15},
	} {
		if mean, peak := rates(row.points, sent); mean != row.mean || peak != row.peak {
			t.Errorf("%s: mean %v, peak %v; want %v and %v", row.name, mean, peak, row.mean, row.peak)
		}
	}
}
