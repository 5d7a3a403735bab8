package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

func TestGet(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a, b := &deaf{}, &deaf{}
	odd := "\"\\\n:{}"
	s.track("t", "ann", `{"n":1}`, a)
	s.track("t", "bob", `{}`, a)
	s.track("t", "ann", `{"n":2}`, b)
	s.track("t", odd, `{"n":3}`, b)
	for _, row := range []struct{ topic, key, want string }{
		{"t", "ann", `{[{n:1,ref:r1},{n:2,ref:r3}]}`},
		{"t", odd, `{[{n:3,ref:r4}]}`},
		{"t", "an", ""}, {"t", "", ""}, {"u", "ann", ""},
	} {
		got, ok := s.Get(row.topic, row.key)
		if ok != (row.want != "") || ok && s.plain(got) != row.want {
			t.Errorf("%q in %s: %v %s, want %s", row.key, row.topic, ok, got, row.want)
		}
	}
}

func TestUpdateFunc(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{MetaBytes: 10})
	owner, own := &deaf{}, errors.New("an error of f's")
	s.track("t", "k", `{"n":1}`, owner)
	s.diffs = nil
	for _, row := range []struct {
		name, key, meta string
		err, want       error
	}{
		{"not tracked", "l", `{}`, nil, hub.ErrNotTracked},
		{"f fails", "k", `{}`, own, own},
		{"meta too large", "k", `{"a":"long"}`, nil, hub.ErrPresenceMeta},
		{"meta no object", "k", `1`, nil, hub.ErrPresenceMeta},
	} {
		_, err := s.UpdateFunc("t", row.key, func(json.RawMessage) (json.RawMessage, error) {
			return json.RawMessage(row.meta), row.err
		}, owner)
		if !errors.Is(err, row.want) || len(s.diffs) != 0 {
			t.Errorf("%s: %v, diffs %q", row.name, err, s.diffs)
		}
	}

	var seen []string
	if _, err := s.UpdateFunc("t", "k", func(old json.RawMessage) (json.RawMessage, error) {
		if seen = append(seen, string(old)); len(seen) == 1 {
			s.update("t", "k", `{"n":7}`, owner)
			s.diffs = nil
		}
		return json.RawMessage(`{"n":8}`), nil
	}, owner); err != nil || !slices.Equal(seen, []string{`{"n":1}`, `{"n":7}`}) {
		t.Errorf("updated meanwhile: %v, f was given %q", err, seen)
	}
	s.want("updated meanwhile", `{joins:{k:{[{n:8,ref:r3,prev:r2}]}},leaves:{k:{[{n:7,ref:r2,prev:r1}]}}}`)
	if _, err := s.UpdateFunc("t", "k", func(json.RawMessage) (json.RawMessage, error) {
		s.Untrack("t", "k", owner)
		return json.RawMessage(`{}`), nil
	}, owner); !errors.Is(err, hub.ErrNotTracked) {
		t.Errorf("untracked meanwhile: %v", err)
	}
}

// TestUpdateFuncLosesNothing: counters in a meta, counted up by several goroutines.
func TestUpdateFuncLosesNothing(t *testing.T) {
	const goroutines, rounds = 4, 200
	p := hub.NewPresence(hub.PresenceConfig{Broadcast: func(*hub.Message) {}})
	owner := &deaf{}
	if _, err := p.Track("t", "k", json.RawMessage(`{"n":0}`), owner); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				_, err := p.UpdateFunc("t", "k", func(old json.RawMessage) (json.RawMessage, error) {
					var m struct{ N int }
					err := json.Unmarshal(old, &m)
					return json.RawMessage(fmt.Sprintf(`{"n":%d}`, m.N+1)), err
				}, owner)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, _ := p.Get("t", "k"); !strings.Contains(string(got), fmt.Sprintf(`"n":%d,`, goroutines*rounds)) {
		t.Errorf("counted to %s, want %d", got, goroutines*rounds)
	}
}

// TestFetch is section 6.2: fields beside the metas, in lists and in both halves of diffs.
func TestFetch(t *testing.T) {
	var asked []string
	s := newStage(t, hub.PresenceConfig{Fetch: func(topic string, keys []string) map[string]json.RawMessage {
		slices.Sort(keys)
		asked = append(asked, topic+" "+strings.Join(keys, ","))
		return map[string]json.RawMessage{
			"ann": json.RawMessage(` { "name" : "Ann", "metas": [] } `), "empty": json.RawMessage(`{}`), "list": json.RawMessage(`[1]`),
			"bad": json.RawMessage(`{"a`), "nil": nil, "coded": json.RawMessage("{\"\xff\":1}"), "nobody": json.RawMessage(`{"a":1}`),
		}
	}})
	a, b := &deaf{}, &deaf{}
	s.track("t", "ann", `{}`, a)
	s.update("t", "ann", `{"n":1}`, a)
	s.want("joins and leaves", `{joins:{ann:{name:Ann,[],[{ref:r1}]}},leaves:{}}`,
		`{joins:{ann:{name:Ann,[],[{n:1,ref:r2,prev:r1}]}},leaves:{ann:{name:Ann,[],[{ref:r1}]}}}`)
	for _, key := range []string{"empty", "list", "bad", "nil", "coded", "none"} {
		s.track("t", key, `{}`, b)
	}
	s.want("nothing to add", `{joins:{empty:{[{ref:r3}]}},leaves:{}}`, `{joins:{list:{[{ref:r4}]}},leaves:{}}`,
		`{joins:{bad:{[{ref:r5}]}},leaves:{}}`, `{joins:{nil:{[{ref:r6}]}},leaves:{}}`,
		`{joins:{coded:{[{ref:r7}]}},leaves:{}}`, `{joins:{none:{[{ref:r8}]}},leaves:{}}`)
	s.UntrackAll(b)
	s.track("t", "ann", `{}`, b)
	s.diffs, asked = nil, nil

	want := `{ann:{name:Ann,[],[{n:1,ref:r2,prev:r1},{ref:r9}]}}`
	if got := s.plain(s.Snapshot("t")); got != want {
		t.Errorf("snapshot %s", got)
	}
	if got := s.plain(s.List("t")); got != want {
		t.Errorf("list %s", got)
	}
	if got, _ := s.Get("t", "ann"); s.plain(got) != `{name:Ann,[],[{n:1,ref:r2,prev:r1},{ref:r9}]}` {
		t.Errorf("get %s", got)
	}
	if got := string(s.List("u")) + string(s.Snapshot("u")); got != "{}{}" {
		t.Errorf("of a topic without entries %s", got)
	}
	if want := []string{"t ann", "t ann", "t ann"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	var m struct{ Metas []phxMeta }
	got, _ := s.Get("t", "ann")
	if err := json.Unmarshal(got, &m); err != nil || len(m.Metas) != 2 {
		t.Errorf("metas that were fetched count: %s, %v", got, err)
	}
}
