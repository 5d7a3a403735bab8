package bench

import (
	"reflect"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// It looks at sums and maxima, which Conduct shows only through generators.

// fill sets every number that v holds to 1.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	}
}

// TestSumsAreComplete holds that no field is forgotten when one is added.
func TestSumsAreComplete(t *testing.T) {
	var c Counts
	fill(reflect.ValueOf(&c).Elem())
	for sum, i := reflect.ValueOf(c.plus(c)), 0; i < sum.NumField(); i++ {
		if sum.Field(i).Int() != 2 {
			t.Errorf("Counts.plus leaves out %s", sum.Type().Field(i).Name)
		}
	}
	var p sample.Process
	fill(reflect.ValueOf(&p).Elem())
	sum := plusProcess(p, p)
	if got, want := *sum.Go, (sample.Go{HeapAlloc: 2, HeapInuse: 2, StackInuse: 2, Sys: 2, Goroutines: 2, GCs: 2, GCPause: 2, GCPauseMax: 1}); got != want {
		t.Errorf("the sum of two runtimes is %+v", got)
	}
	sum.Go = nil
	if want := (sample.Process{RSS: 2, PSS: 2, PeakRSS: 2, CPU: 2, Waited: 2, Threads: 2, FDs: 2, FDLimit: 2}); sum != want {
		t.Errorf("the sum of two processes is %+v", sum)
	}
	if alone := plusProcess(sample.Process{}, p); alone != p {
		t.Errorf("a process and none are %+v", alone)
	}
	var h Health
	fill(reflect.ValueOf(&h).Elem())
	if worse := worseHealth(Health{}, h); worse != h {
		t.Errorf("the worse of none and %+v is %+v", h, worse)
	}
}

func TestWorseHealth(t *testing.T) {
	for _, row := range []struct{ a, b, want Health }{
		{Health{}, Health{}, Health{}},
		{Health{Due: 1000, Late: 10}, Health{Due: 10, Late: 5}, Health{Due: 10, Late: 5}},
		{Health{Due: 10, Late: 5}, Health{Due: 1000, Late: 10}, Health{Due: 10, Late: 5}},
		{Health{Due: 10}, Health{}, Health{Due: 10}},
		{Health{}, Health{Due: 10}, Health{Due: 10}},
		{Health{LateMax: 3, Lag: 1, CPU: 0.5}, Health{LateMax: 2, Lag: 2, CPU: 0.25, Waited: 1}, Health{LateMax: 3, Lag: 2, CPU: 0.5, Waited: 1}},
	} {
		if got := worseHealth(row.a, row.b); got != row.want {
			t.Errorf("the worse of %+v and %+v is %+v", row.a, row.b, got)
		}
	}
}

func TestMergeFigures(t *testing.T) {
	got := mergeFigures(
		[]Figure{{"all joined again after", 2, "s"}, {"deaf", 3, ""}, {"sent", 10, "/s"}},
		[]Figure{{"all joined again after", 1, "s"}, {"deaf", 4, ""}, {"sent", 5, "/s"}, {"half joined again after", 1, "s"}})
	want := []Figure{{"all joined again after", 2, "s"}, {"deaf", 7, ""}, {"sent", 15, "/s"}, {"half joined again after", 1, "s"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("figures are %+v", got)
	}
}

func TestMergeErrors(t *testing.T) {
	got := mergeErrors([]ErrorCount{{"refused", 2, "x", "start it"}}, []ErrorCount{{"timeout", 1, "z", ""}, {"refused", 3, "y", "start it"}})
	want := []ErrorCount{{"refused", 5, "x", "start it"}, {"timeout", 1, "z", ""}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("errors are %+v", got)
	}
}

// TestMergeLatency holds that distributions are merged, and that those who gave them keep theirs.
func TestMergeLatency(t *testing.T) {
	a, b := &Histogram{}, &Histogram{}
	a.Record(time.Millisecond)
	b.Record(time.Second)
	from := map[string]*Histogram{"x": a}
	got := mergeLatency(mergeLatency(nil, from), map[string]*Histogram{"x": b, "y": nil})
	if got["x"].Count() != 2 || got["x"].Min() > 2*time.Millisecond || got["x"].Max() < time.Second || got["y"].Count() != 0 {
		t.Errorf("merged: %+v", got["x"].Summary())
	}
	if from["x"].Count() != 1 {
		t.Error("the merge changed what it was given")
	}
}
