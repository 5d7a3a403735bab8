package bench

import (
	"testing"
	"time"
)

func TestSchedules(t *testing.T) {
	phases := phased{{10 * time.Second, 100}, {time.Second, 1000}}
	for _, row := range []struct {
		name string
		s    schedule
		i    int
		want time.Duration
		ok   bool
	}{
		{"steady: the first at once", steady{3, 2}, 0, 0, true},
		{"steady: evenly", steady{3, 2}, 1, 500 * time.Millisecond, true},
		{"steady: the end", steady{3, 2}, 3, 1500 * time.Millisecond, false},
		{"phases: in the first", phases, 500, 5 * time.Second, true},
		{"phases: the second begins", phases, 1000, 10 * time.Second, true},
		{"phases: in the second", phases, 1500, 10500 * time.Millisecond, true},
		{"phases: the end", phases, 2000, 0, false},
	} {
		if got, ok := row.s.due(row.i); got != row.want || ok != row.ok {
			t.Errorf("%s: event %d is due at %v, %v; want %v, %v", row.name, row.i, got, ok, row.want, row.ok)
		}
	}
}

func TestReconnectAfter(t *testing.T) {
	for tries, want := range map[uint16]time.Duration{
		0: 10 * time.Millisecond, 1: 50 * time.Millisecond, 8: 2 * time.Second, 9: 5 * time.Second, 1000: 5 * time.Second,
	} {
		if got := reconnectAfter(tries); got != want {
			t.Errorf("after %d tries: %v, want %v", tries, got, want)
		}
	}
	for tries, want := range map[uint16]time.Duration{0: time.Second, 2: 5 * time.Second, 3: 10 * time.Second} {
		if got := rejoinAfter(tries); got != want {
			t.Errorf("rejoin after %d tries: %v, want %v", tries, got, want)
		}
	}
}

func TestAgendaOrder(t *testing.T) {
	c := &crowd{began: time.Now(), users: make([]user, 3)}
	a := newAgenda()
	for i, after := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
		c.users[i].crowd, c.users[i].index = c, uint32(i)
		a.add(&c.users[i], after)
	}
	if u, left := a.next(c.now()); u != nil || left <= 0 || left > time.Second {
		t.Errorf("at once: user %v, %v left", u, left)
	}
	later := c.now() + int64(time.Minute)
	for _, want := range []uint32{1, 2, 0} {
		if u, _ := a.next(later); u == nil || u.index != want {
			t.Errorf("next is %v, want user %d", u, want)
		}
	}
}
