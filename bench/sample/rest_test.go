package sample

import (
	"context"
	"errors"
	"testing"
	"time"
)

// readings returns a read that gives the values in turn, and the last one again and again; and how often
// it was called.
func readings(values ...int64) (read func() (int64, error), calls *int) {
	calls = new(int)
	return func() (int64, error) {
		v := values[min(*calls, len(values)-1)]
		*calls++
		return v, nil
	}, calls
}

// looks never make rest wait.
func looks() <-chan time.Time {
	c := make(chan time.Time, restLooks)
	for range restLooks {
		c <- time.Time{}
	}
	return c
}

func TestRest(t *testing.T) {
	falling := make([]int64, 2*restLooks)
	for i := range falling {
		falling[i] = int64(1e9 - i*1e7)
	}
	for _, row := range []struct {
		name   string
		values []int64
		want   int64
		calls  int
	}{
		{"at rest", []int64{1e6}, 1e6, 1 + restCalm},
		{"at rest within a thousandth", []int64{1e9, 1e9 + 1e6, 1e9 - 1e6, 1e9}, 1e9, 1 + restCalm},
		{"at rest within some pages", []int64{1e6, 1e6 + restBytes, 1e6 - restBytes, 1e6}, 1e6, 1 + restCalm},
		{"nothing", []int64{0}, 0, 1 + restCalm},
		{"it moves once", []int64{1e6, 1e6 + restBytes + 1}, 1e6 + restBytes + 1, 2 + restCalm},
		{"garbage is collected when it is almost at rest",
			[]int64{9e6, 9e6, 9e6, 9e6, 9e6, 9e6, 9e6, 9e6, 9e6, 9e6, 5e6}, 5e6, 11 + restCalm},
		{"it drifts by little each time, and by much in all",
			[]int64{1e9, 1e9 + 8e5, 1e9 + 16e5, 1e9 + 24e5}, 1e9 + 24e5, 3 + restCalm},
		{"it never rests", falling, falling[restLooks], 1 + restLooks},
	} {
		t.Run(row.name, func(t *testing.T) {
			read, calls := readings(row.values...)
			got, err := rest(t.Context(), read, looks())
			if err != nil || got != row.want || *calls != row.calls {
				t.Errorf("got %d after %d readings (%v), want %d after %d", got, *calls, err, row.want, row.calls)
			}
		})
	}
}

func TestRestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	read, _ := readings(7)
	if got, err := rest(ctx, read, nil); got != 7 || !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %d, %v", got, err)
	}
	if got, err := Rest(ctx, read); got != 7 || !errors.Is(err, context.Canceled) {
		t.Errorf("Rest with a context that has ended: %d, %v", got, err)
	}
	broken := errors.New("broken")
	for n := range 2 {
		calls := 0
		_, err := rest(t.Context(), func() (int64, error) {
			if calls++; calls > n {
				return 0, broken
			}
			return 7, nil
		}, looks())
		if !errors.Is(err, broken) {
			t.Errorf("reading %d fails: %v", n, err)
		}
	}
}
