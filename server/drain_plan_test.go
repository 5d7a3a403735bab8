// In-package: the plan of a drain is nothing that the API shows.
package server

import (
	"testing"
	"time"
)

func TestDrainPlan(t *testing.T) {
	const second = time.Second
	phoenix := Drain{}
	if err := phoenix.setDefaults(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name          string
		drain         Drain
		total         int
		left          time.Duration
		batch, rounds int
	}{
		{"7: no sockets, no rounds", phoenix, 0, 30 * second, 10_000, 0},
		{"7: less than a batch", phoenix, 9_999, 30 * second, 10_000, 1},
		{"7: a batch exactly, and no pause behind it", phoenix, 10_000, 30 * second, 10_000, 1},
		{"7: one more", phoenix, 10_001, 30 * second, 10_000, 2},
		{"7: as many as fit into the limit", phoenix, 150_000, 30 * second, 10_000, 15},
		{"a deadline that has begun to run", phoenix, 150_000, 30*second - 1, 10_000, 15},
		{"one more than fits: larger batches", phoenix, 150_001, 30 * second, 10_001, 15},
		{"two million", phoenix, 2_000_000, 30 * second, 133_334, 15},
		{"no time for a pause", phoenix, 2_000_000, second, 2_000_000, 1},
		{"no time at all", phoenix, 2_000_000, -second, 2_000_000, 1},
		{"no pauses", Drain{BatchSize: 10, Interval: -1}, 1000, 30 * second, 1000, 1},
	} {
		batch, rounds := row.drain.plan(row.total, row.left)
		if batch != row.batch || rounds != row.rounds {
			t.Errorf("%s: %d rounds of %d, want %d of %d", row.name, rounds, batch, row.rounds, row.batch)
		}
	}
}

func TestDrainOptions(t *testing.T) {
	for _, d := range []Drain{{BatchSize: -1}, {Timeout: -1}, {Delay: -1}} {
		if err := d.setDefaults(); err == nil {
			t.Errorf("%+v: no error", d)
		}
	}
	d := Drain{Interval: -1}
	if err := d.setDefaults(); err != nil || d != (Drain{10_000, -1, 30 * time.Second, 0}) {
		t.Errorf("%+v, %v", d, err) // section 0.2
	}
}
