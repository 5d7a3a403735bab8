package bench

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// It looks at divide and split, which Conduct shows only in part.

func TestSplit(t *testing.T) {
	for _, row := range []struct {
		total   int
		weights []int
		want    []int
	}{
		{10, []int{1}, []int{10}},
		{10, []int{1, 1}, []int{5, 5}},
		{10, []int{1, 1, 1}, []int{4, 3, 3}},
		{10, []int{1, 2, 3}, []int{2, 3, 5}},
		{7, []int{3, 1}, []int{5, 2}},
		{100, []int{1, 999}, []int{1, 99}},
		{3, []int{1, 1, 1_000_000}, []int{1, 1, 1}},
		{2, []int{1, 1, 1}, []int{1, 1, 0}},
	} {
		if got := split(row.total, row.weights); !slices.Equal(got, row.want) {
			t.Errorf("split(%d, %v) = %v, want %v", row.total, row.weights, got, row.want)
		}
	}
}

// TestSplitSums holds that nothing is lost and nobody gets nothing, whatever the weights.
func TestSplitSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		weights := make([]int, 1+r.IntN(20))
		for i := range weights {
			weights[i] = 1 + r.IntN(MaxWeight)
		}
		total := len(weights) + r.IntN(math.MaxInt32)
		sum := 0
		for i, n := range split(total, weights) {
			if n < 1 {
				t.Fatalf("split(%d, %v): %d has %d", total, weights, i, n)
			}
			sum += n
		}
		if sum != total {
			t.Fatalf("split(%d, %v) has the sum %d", total, weights, sum)
		}
	}
}

func checked(t *testing.T, c Config) Config {
	t.Helper()
	c.URLs = []string{"ws://127.0.0.1:1"}
	c, err := c.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDivide(t *testing.T) {
	cfg := checked(t, Config{Scenario: "rooms", Connections: 1000, Rooms: 10, Plateau: 100, Active: 1, Rate: 50})
	parts, err := divide(&cfg, []Member{{}, {Weight: 3}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Config{{Connections: 250, Rooms: 3, Plateau: 25, Active: 1, Share: 0.25}, {Connections: 750, Rooms: 7, Plateau: 75, Active: 1, Share: 0.75}} {
		p := parts[i]
		got := Config{Connections: p.Connections, Rooms: p.Rooms, Plateau: p.Plateau, Active: p.Active, Share: p.Share}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("part %d is %+v, want %+v", i, got, want)
		}
		if p.Part != i || p.Parts != 2 || p.Rate != 50 || p.ArrivalRate != cfg.ArrivalRate || p.Seed != cfg.Seed {
			t.Errorf("part %d is %+v", i, p)
		}
	}
	if cfg.Active != 2 {
		t.Errorf("%d active users of two generators, want one each", cfg.Active)
	}
}

// TestDivideCheck holds that a generator elsewhere, which checks its part again, carries out the same.
func TestDivideCheck(t *testing.T) {
	members := []Member{{}, {Weight: 2}, {Weight: 7}}
	for _, scenario := range Scenarios() {
		for _, cfg := range []Config{
			{Scenario: scenario, Connections: 5},
			{Scenario: scenario, Connections: 12_345},
			{Scenario: scenario, Connections: 12_345, Plateau: -1},
			{Scenario: scenario, Phases: []Phase{{3 * time.Second, 3.3}, {time.Second, 7.77}}},
			{Scenario: scenario, Phases: []Phase{{time.Minute, 1001.3}}},
		} {
			cfg := checked(t, cfg)
			parts, err := divide(&cfg, members)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parts {
				if again := checked(t, p); !reflect.DeepEqual(again, p) {
					t.Errorf("%s with %d connections: part %d\nis           %+v\nafter Check: %+v", scenario, cfg.Connections, p.Part, p, again)
				}
			}
		}
	}
}

func TestDivideRefuses(t *testing.T) {
	for _, row := range []struct {
		connections int
		members     []Member
		want        string
	}{
		{10, nil, "no generator"},
		{2, make([]Member, 3), "2 connections cannot be divided among 3 generators"},
		{1 << 31, make([]Member, 1), "fewer than 2^31"},
		{10, []Member{{Name: "a", Weight: -1}}, "a has the weight -1"},
		{10, []Member{{Name: "a", Weight: MaxWeight + 1}}, "want 1 to 1000000"},
	} {
		cfg := checked(t, Config{Scenario: "connect", Connections: row.connections})
		if _, err := divide(&cfg, row.members); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%d connections, %v: %v, want %q", row.connections, row.members, err, row.want)
		}
	}
}
