package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/dormouse-ws/dormouse/bench"
)

// maxSlots bounds the points of a line: a run that is longer in seconds has several in each slot.
const maxSlots = 1800

// A chart is what report.js draws.
type chart struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Note   string   `json:"-"`
	Unit   string   `json:"unit"`
	Log    bool     `json:"log,omitempty"`   // y scale
	Tails  values   `json:"tails,omitempty"` // x is 1/(1-share) and not time
	Series []series `json:"series"`
}

// A series is a line of a chart. Run is 0, or 1 for the second of two runs. NaN is no point.
type series struct {
	Name   string `json:"name"`
	Colour int    `json:"colour"`
	Run    int    `json:"run"`
	Values values `json:"values"`
}

// Label describes a chart to those who do not see it.
func (c chart) Label() string {
	s := "Line chart: " + c.Title + "."
	for i, line := range c.Series {
		if i == 0 {
			s += " Highest: "
		} else {
			s += ", "
		}
		s += line.Name + " " + inUnit(line.Values.max(), c.Unit)
	}
	return s + "."
}

// A series has something to show if it is not 0 all along.
func (s series) empty() bool {
	return !slices.ContainsFunc(s.Values, func(v float64) bool { return v != 0 && !math.IsNaN(v) })
}

// values are written with six digits: enough for the eye, and a page of a long run stays small.
type values []float64

func (v values) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, x, 'g', 6, 64)
		}
	}
	return append(b, ']'), nil
}

func (v values) max() float64 {
	highest := math.NaN()
	for _, x := range v {
		if !(x <= highest) && !math.IsNaN(x) {
			highest = x
		}
	}
	return highest
}

// unknowns returns n values of which none is known.
func unknowns(n int) values {
	return slices.Repeat(values{math.NaN()}, n)
}

// A timeline is the seconds of one or two runs, side by side: slot i stands for the seconds after i*Step up
// to (i+1)*Step.
type timeline struct {
	Step  int `json:"step"`
	Slots int `json:"slots"`
	runs  [][]bench.Point
}

func newTimeline(runs ...*bench.Result) timeline {
	t := timeline{Step: 1}
	last := 0
	for _, r := range runs {
		points := slices.Clone(r.Points)
		points = slices.DeleteFunc(points, func(p bench.Point) bool { return p.Second < 1 })
		slices.SortStableFunc(points, func(a, b bench.Point) int { return cmp.Compare(a.Second, b.Second) })
		if n := len(points); n > 0 {
			last = max(last, points[n-1].Second)
		}
		t.runs = append(t.runs, points)
	}
	if last > 0 {
		t.Step = (last-1)/maxSlots + 1
		t.Slots = (last-1)/t.Step + 1
	}
	return t
}

// A kind says how the points of a slot become one.
type kind int

const (
	level  kind = iota // the last
	peak               // the highest
	rate               // a counter since the start of the run: its growth each second
	growth             // a counter of something older, of which only differences count
)

// A line is how a series is read from points. of returns NaN for what it does not know.
type line struct {
	name   string
	colour int
	kind   kind
	of     func(p *bench.Point) float64
}

func (l line) read(points []bench.Point, t timeline) values {
	v := unknowns(t.Slots)
	var before float64
	beforeAt, known := 0, l.kind == rate
	for i := 0; i < len(points); {
		slot := (points[i].Second - 1) / t.Step
		x, at := math.NaN(), 0
		for ; i < len(points) && (points[i].Second-1)/t.Step == slot; i++ {
			y := l.of(&points[i])
			if math.IsNaN(y) || l.kind == peak && y < x {
				continue
			}
			x, at = y, points[i].Second
		}
		switch {
		case math.IsNaN(x):
		case l.kind == level || l.kind == peak:
			v[slot] = x
		default:
			if known && at > beforeAt {
				v[slot] = max(0, x-before) / float64(at-beforeAt)
			}
			before, beforeAt, known = x, at, true
		}
	}
	return v
}

// draw adds to c the lines that have something to show in any run, for every run.
func (c *chart) draw(t timeline, lines ...line) {
	for _, l := range lines {
		var drawn []series
		some := false
		for i, points := range t.runs {
			s := series{Name: l.name, Colour: l.colour, Run: i, Values: l.read(points, t)}
			some = some || !s.empty()
			drawn = append(drawn, s)
		}
		if some {
			c.Series = append(c.Series, drawn...)
		}
	}
}

// A mark is a moment on the time charts.
type mark struct {
	Name   string `json:"name"`
	Second int    `json:"second"`
	Run    int    `json:"run"`
}

// marks are when the stages between start and end were passed. A point's stage was passed in its second.
func (t timeline) marks() []mark {
	marks := []mark{}
	for run, points := range t.runs {
		last := bench.StageStart
		for _, p := range points {
			if p.Stage != last && p.Stage != bench.StageEnd && p.Stage != "" {
				marks = append(marks, mark{string(p.Stage), max(p.Second-1, 0), run})
			}
			last = p.Stage
		}
	}
	return marks
}
