package limit_test

import (
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/limit"
)

// A model is Connections as maps, without a bound on memory.
type model struct {
	cfg    limit.Config
	open   map[int]int // by address
	opened map[int]*limit.SmallMeter
	joined map[int]*limit.SmallMeter
	all    limit.Meter
}

func newModel(cfg limit.Config) *model {
	return &model{cfg, map[int]int{}, map[int]*limit.SmallMeter{}, map[int]*limit.SmallMeter{}, limit.Meter{}}
}

func (m *model) total() (n int) {
	for _, k := range m.open {
		n += k
	}
	return n
}

func meterOf(of map[int]*limit.SmallMeter, a int) *limit.SmallMeter {
	if of[a] == nil {
		of[a] = new(limit.SmallMeter)
	}
	return of[a]
}

func (m *model) Open(a int, now time.Duration) limit.Refusal {
	meter := meterOf(m.opened, a)
	after := *meter
	wait, ok := after.Allow(&m.cfg.NewPerAddress, now)
	switch {
	case m.open[a] >= m.cfg.MaxPerAddress:
		return limit.Refusal{Name: limit.AddressConnections}
	case !ok:
		return limit.Refusal{Name: limit.AddressConnectionRate, Wait: wait}
	case m.total() >= m.cfg.Max:
		return limit.Refusal{Name: limit.ConnectionCount}
	}
	if wait, ok := m.all.Allow(&m.cfg.New, now); !ok {
		return limit.Refusal{Name: limit.ConnectionRate, Wait: wait}
	}
	*meter = after
	m.open[a]++
	return limit.Refusal{}
}

func (m *model) Close(a int) { m.open[a]-- }

func (m *model) Join(a int, now time.Duration) limit.Refusal {
	if wait, ok := meterOf(m.joined, a).Allow(&m.cfg.JoinsPerAddress, now); !ok {
		return limit.Refusal{Name: limit.AddressJoinRate, Wait: wait}
	}
	return limit.Refusal{}
}

// A run does the same with Connections and with the model.
type run struct {
	t     *testing.T
	c     *limit.Connections
	m     *model
	now   time.Duration
	slots []limit.Slot
	of    []int
	exact bool // c forgets nothing either, so that every answer must be the same; else every count
}

// step does one of four things; pick chooses a connection or an address.
func (r *run) step(what byte, pick int) {
	switch {
	case what%8 == 0:
		r.now += time.Duration(pick) * time.Microsecond
	case what%8 < 5:
		slot, got := r.c.Open(v4(pick), r.now)
		if !r.exact {
			r.keep(pick, slot, got)
			return
		}
		if want := r.m.Open(pick, r.now); got != want {
			r.t.Fatalf("open %d at %v: %v, model %v", pick, r.now, got, want)
		}
		if slot != 0 {
			r.slots, r.of = append(r.slots, slot), append(r.of, pick)
		}
	case len(r.slots) == 0:
	case what%8 == 5:
		i := pick % len(r.slots)
		got := r.c.Join(r.slots[i], r.now)
		if want := r.m.Join(r.of[i], r.now); r.exact && got != want {
			r.t.Fatalf("join of %d at %v: %v, model %v", r.of[i], r.now, got, want)
		}
	default:
		i, last := pick%len(r.slots), len(r.slots)-1
		r.c.Close(&r.slots[i], r.now)
		r.m.Close(r.of[i])
		r.slots[i], r.of[i] = r.slots[last], r.of[last]
		r.slots, r.of = r.slots[:last], r.of[:last]
	}
}

// keep is for a Connections that forgets rates: its counts must be right all the same.
func (r *run) keep(a int, slot limit.Slot, got limit.Refusal) {
	full := r.m.open[a] >= r.m.cfg.MaxPerAddress
	if full != (got.Name == limit.AddressConnections) {
		r.t.Fatalf("open %d with %d open: %v", a, r.m.open[a], got)
	}
	if slot != 0 {
		r.m.open[a]++
		r.slots, r.of = append(r.slots, slot), append(r.of, a)
	}
}

func (r *run) check() {
	r.t.Helper()
	open, err := r.c.Check()
	if err != nil {
		r.t.Fatal(err)
	}
	left := 0
	for a, n := range r.m.open {
		key, _ := limit.KeyOf(0, 0, v4(a))
		if open[key] != n {
			r.t.Fatalf("address %d has %d open, model %d", a, open[key], n)
		}
		if n > 0 {
			left++
		}
	}
	st := r.c.Stats(r.now)
	if len(open) != left || st.Addresses != left || st.Open != r.m.total() {
		r.t.Fatalf("%d addresses, %+v, model %d and %d", len(open), st, left, r.m.total())
	}
}

func (r *run) end() {
	r.check()
	for i := range r.slots {
		r.c.Close(&r.slots[i], r.now)
		r.m.Close(r.of[i])
	}
	r.slots = nil
	r.check()
}

func modelConfig(tb testing.TB, remembered int) limit.Config {
	return limit.Config{
		Max: 100, MaxPerAddress: 4, Remembered: remembered,
		New: rate(tb, 8_000, 50), NewPerAddress: rate(tb, 100, 6), JoinsPerAddress: rate(tb, 50, 5),
	}
}

func newRun(t *testing.T, remembered int) *run {
	cfg := modelConfig(t, remembered)
	if remembered == 1 {
		cfg.Max = 0 // with it, its unused room remembers most
	}
	return &run{t: t, c: connections(t, cfg), m: newModel(cfg), exact: remembered > 2}
}

func TestModel(t *testing.T) {
	var refused limit.Counters
	for seed := range uint64(8) {
		for _, remembered := range []int{100_000, 2, 1} {
			r, random := newRun(t, remembered), rand.New(rand.NewPCG(seed, 0))
			t.Logf("seed %d, %d remembered", seed, remembered)
			for i := range 30_000 {
				what := byte(random.Uint32() % 8)
				if what > 1 && what < 5 && i/3000%2 == 1 {
					what = 7 // it fills, and empties again
				}
				r.step(what, random.IntN(1000)%(20+int(random.Uint32()%2)*980)) // half of them of 20 addresses
				if i%200 == 0 {
					r.check()
				}
			}
			if st := r.c.Stats(r.now); remembered <= 2 && st.Forgotten == 0 {
				t.Errorf("nothing was forgotten, so that was not tested: %+v", st)
			}
			r.end()
			for _, n := range limit.Names() {
				if r.exact && r.c.Counters().Refused(n) > 0 {
					refused.Add(n)
				}
			}
		}
	}
	for _, n := range []limit.Name{
		limit.ConnectionCount, limit.ConnectionRate, limit.AddressConnections, limit.AddressConnectionRate, limit.AddressJoinRate,
	} {
		if refused.Refused(n) == 0 {
			t.Errorf("%v never refused, so that was not compared", n)
		}
	}
}

func FuzzConnections(f *testing.F) {
	f.Add(uint8(0), []byte{1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 6, 0, 0, 1, 0, 1})
	f.Add(uint8(1), []byte("opened, joined, closed, and time goes by"))
	seed := maphash.MakeSeed()
	f.Fuzz(func(t *testing.T, which uint8, steps []byte) {
		r := newRun(t, [...]int{100_000, 2, 1}[which%3])
		r.c.Seed(seed)
		for i := 0; len(steps) >= 3 && i < 2000; i++ {
			r.step(steps[0], (int(steps[1])<<8|int(steps[2]))%1000)
			steps = steps[3:]
		}
		r.end()
	})
}
