package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// stage is a Presence whose diffs a test sees, and during which it can do things.
type stage struct {
	*hub.Presence
	t      *testing.T
	diffs  []string
	topics []string
	during []func() // one for each diff, while it is being broadcast
	names  map[string]string
}

func newStage(t *testing.T, cfg hub.PresenceConfig) *stage {
	s := &stage{t: t, names: map[string]string{}}
	cfg.Broadcast = func(m *hub.Message) {
		if m.Event != hub.EventPresenceDiff || m.Binary {
			t.Errorf("broadcast of %s, binary %v", m.Event, m.Binary)
		}
		s.diffs, s.topics = append(s.diffs, s.plain(m.Payload)), append(s.topics, m.Topic)
		if len(s.during) > 0 {
			f := s.during[0]
			s.during = s.during[1:]
			f()
		}
	}
	s.Presence = hub.NewPresence(cfg)
	t.Cleanup(func() {
		if err := hub.CheckPresence(s.Presence, true); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return s
}

var refPattern = regexp.MustCompile(`"phx_ref(_prev)?":"([A-Za-z0-9_-]{11})"`)

// plain returns a payload with its refs named r1, r2 and so on, in the order in which the test meets
// them, and without the quotes and braces that are always there.
func (s *stage) plain(payload []byte) string {
	if !json.Valid(payload) {
		s.t.Errorf("no JSON: %s", payload)
	}
	text := refPattern.ReplaceAllStringFunc(string(payload), func(match string) string {
		ref := match[len(match)-12 : len(match)-1]
		if s.names[ref] == "" {
			s.names[ref] = fmt.Sprintf("r%d", len(s.names)+1)
		}
		if strings.Contains(match, "_prev") {
			return `"prev":` + s.names[ref]
		}
		return `"ref":` + s.names[ref]
	})
	return strings.NewReplacer(`"metas":`, ``, `"`, ``).Replace(text)
}

// want compares the diffs since the last call.
func (s *stage) want(name string, diffs ...string) {
	s.t.Helper()
	if !slices.Equal(s.diffs, diffs) {
		s.t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(s.diffs, "\n"), strings.Join(diffs, "\n"))
	}
	s.diffs = nil
}

func (s *stage) track(topic, key, meta string, owner *deaf) {
	s.t.Helper()
	if _, err := s.Track(topic, key, json.RawMessage(meta), owner); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) update(topic, key, meta string, owner *deaf) {
	s.t.Helper()
	if _, err := s.Update(topic, key, json.RawMessage(meta), owner); err != nil {
		s.t.Error(err)
	}
}

// TestDiffsWhileCalm: section 6.2, one diff for each call.
func TestDiffsWhileCalm(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a, b := &deaf{}, &deaf{}
	s.track("room:1", "ann", `{"name": "A"}`, a)
	s.want("track", `{joins:{ann:{[{name:A,ref:r1}]}},leaves:{}}`)
	s.track("room:1", "ann", ` { } `, b)
	s.want("the same key of another owner", `{joins:{ann:{[{ref:r2}]}},leaves:{}}`)
	s.update("room:1", "ann", `{"name":"B"}`, a)
	s.want("update", `{joins:{ann:{[{name:B,ref:r3,prev:r1}]}},leaves:{ann:{[{name:A,ref:r1}]}}}`)
	s.update("room:1", "ann", `{"name":"C"}`, a)
	s.want("update of an update", `{joins:{ann:{[{name:C,ref:r4,prev:r3}]}},leaves:{ann:{[{name:B,ref:r3,prev:r1}]}}}`)
	if got := s.plain(s.List("room:1")); got != `{ann:{[{name:C,ref:r4,prev:r3},{ref:r2}]}}` {
		t.Errorf("list %s", got)
	}
	if got := s.plain(s.Snapshot("room:1")); got != `{ann:{[{name:C,ref:r4,prev:r3},{ref:r2}]}}` {
		t.Errorf("snapshot %s", got)
	}
	if !s.Untrack("room:1", "ann", a) || s.Untrack("room:1", "ann", a) {
		t.Error("untrack once")
	}
	s.want("untrack", `{joins:{},leaves:{ann:{[{name:C,ref:r4,prev:r3}]}}}`)
	s.track("room:1", "bob", `{}`, b)
	s.track("room:2", "bob", `{}`, b)
	s.diffs = nil
	if n := s.UntrackAll(b); n != 3 {
		t.Errorf("untrack all: %d", n)
	}
	s.want("untrack all", `{joins:{},leaves:{ann:{[{ref:r2}]},bob:{[{ref:r5}]}}}`, `{joins:{},leaves:{bob:{[{ref:r6}]}}}`)
	if got := string(s.List("room:1")); got != `{}` || s.Count("room:1") != 0 || s.UntrackAll(b) != 0 {
		t.Errorf("at the end %s", got)
	}
}

func TestTrackReturnsRef(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	owner := &deaf{}
	first, _ := s.Track("room:1", "k", json.RawMessage(`{"phx_ref":"mine","phx_ref_prev":"mine"}`), owner)
	if metas := parseState(s.List("room:1"))["k"].Metas; metas[0].ref() != first {
		t.Errorf("tracked %s, listed %v", first, metas)
	}
	second, _ := s.Update("room:1", "k", json.RawMessage(`{}`), owner)
	if metas := parseState(s.List("room:1"))["k"].Metas; metas[0].ref() != second || metas[0]["phx_ref_prev"] != first {
		t.Errorf("updated to %s, listed %v", second, metas)
	}
}

func TestTrackErrors(t *testing.T) {
	cfg := hub.PresenceConfig{TopicEntries: 3, OwnerEntries: 2, MetaBytes: 10, KeyBytes: 3}
	long, short := `{ "a":"1234" }`, `{ "a": "12" }` // 12 and 10 bytes without white space
	for _, row := range []struct {
		name, topic, key, meta string
		before                 int // entries of others in the topic
		mine                   []string
		want                   error
	}{
		{"all well", "t", "abc", short, 1, []string{"x"}, nil},
		{"empty key and meta", "t", "", `{}`, 0, nil, nil},
		{"key too long", "t", "abcd", `{}`, 0, nil, hub.ErrPresenceKey},
		{"key no UTF-8", "t", "\xff", `{}`, 0, nil, hub.ErrPresenceKey},
		{"topic no UTF-8", "\xff", "k", `{}`, 0, nil, hub.ErrPresenceKey},
		{"meta too large", "t", "k", long, 0, nil, hub.ErrPresenceMeta},
		{"meta nothing", "t", "k", ``, 0, nil, hub.ErrPresenceMeta},
		{"meta null", "t", "k", `null`, 0, nil, hub.ErrPresenceMeta},
		{"meta a list", "t", "k", `[]`, 0, nil, hub.ErrPresenceMeta},
		{"meta cut short", "t", "k", `{"a":`, 0, nil, hub.ErrPresenceMeta},
		{"meta no UTF-8", "t", "k", "{\"\xff\":1}", 0, nil, hub.ErrPresenceMeta},
		{"tracked already", "t", "x", `{}`, 0, []string{"x"}, hub.ErrAlreadyTracked},
		{"owner full", "t", "k", `{}`, 0, []string{"x", "y"}, hub.ErrOwnerEntries},
		{"tracked already and full", "t", "x", `{}`, 1, []string{"x", "y"}, hub.ErrAlreadyTracked},
		{"topic full", "t", "k", `{}`, 3, nil, hub.ErrTopicEntries},
	} {
		s := newStage(t, cfg)
		owner := &deaf{}
		for range row.before {
			s.track("t", "k", `{}`, &deaf{})
		}
		for _, key := range row.mine {
			s.track("t", key, `{}`, owner)
		}
		diffs, count := len(s.diffs), s.Count("t")
		if _, err := s.Track(row.topic, row.key, json.RawMessage(row.meta), owner); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
		if row.want != nil && (len(s.diffs) != diffs || s.Count("t") != count || s.UntrackAll(owner) != len(row.mine)) {
			t.Errorf("%s: something happened nevertheless", row.name)
		}
	}
}

func TestUpdateErrors(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{MetaBytes: 10})
	owner := &deaf{}
	s.track("t", "k", `{}`, owner)
	for _, row := range []struct {
		topic, key, meta string
		owner            *deaf
		want             error
	}{
		{"t", "k", `{}`, &deaf{}, hub.ErrNotTracked},
		{"t", "l", `{}`, owner, hub.ErrNotTracked},
		{"u", "k", `{}`, owner, hub.ErrNotTracked},
		{"t", "k", `{"a":"long"}`, owner, hub.ErrPresenceMeta},
		{"t", "k", `{}`, owner, nil},
	} {
		if _, err := s.Update(row.topic, row.key, json.RawMessage(row.meta), row.owner); !errors.Is(err, row.want) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

// TestDiffsWhileHot: what changes during a diff comes in the next one, without what has gone again.
func TestDiffsWhileHot(t *testing.T) {
	a, b, c := &deaf{}, &deaf{}, &deaf{}
	for _, row := range []struct {
		name   string
		during func(s *stage)
		want   []string
	}{
		{"two joins", func(s *stage) { s.track("t", "b", `{}`, b); s.track("t", "c", `{}`, c) },
			[]string{`{joins:{b:{[{ref:r2}]},c:{[{ref:r3}]}},leaves:{}}`}},
		{"a join and its leave", func(s *stage) { s.track("t", "b", `{}`, b); s.UntrackAll(b) }, nil},
		{"the leave of what is being told", func(s *stage) { s.UntrackAll(a) },
			[]string{`{joins:{},leaves:{a:{[{ref:r1}]}}}`}},
		{"a leave and a new join of the same key", func(s *stage) { s.UntrackAll(a); s.track("t", "a", `{"n":1}`, a) },
			[]string{`{joins:{a:{[{n:1,ref:r2}]}},leaves:{a:{[{ref:r1}]}}}`}},
		{"two updates", func(s *stage) { s.update("t", "a", `{"n":1}`, a); s.update("t", "a", `{"n":2}`, a) },
			[]string{`{joins:{a:{[{n:2,ref:r2,prev:r3}]}},leaves:{a:{[{ref:r1}]}}}`}},
		{"an update and a leave", func(s *stage) { s.update("t", "a", `{"n":1}`, a); s.UntrackAll(a) },
			[]string{`{joins:{},leaves:{a:{[{ref:r1}]}}}`}},
		{"a join and its update", func(s *stage) { s.track("t", "b", `{}`, b); s.update("t", "b", `{"n":1}`, b) },
			[]string{`{joins:{b:{[{n:1,ref:r2,prev:r3}]}},leaves:{}}`}},
		{"another topic is calm", func(s *stage) { s.track("u", "b", `{}`, b) },
			[]string{`{joins:{b:{[{ref:r2}]}},leaves:{}}`}},
	} {
		s := newStage(t, hub.PresenceConfig{})
		s.during = []func(){func() { row.during(s) }}
		s.track("t", "a", `{}`, a)
		s.want(row.name, append([]string{`{joins:{a:{[{ref:r1}]}},leaves:{}}`}, row.want...)...)
		for _, o := range []*deaf{a, b, c} {
			s.UntrackAll(o)
		}
	}
}

// TestDiffsAreDivided, but never an update: clients are not to see the user gone in between.
func TestDiffsAreDivided(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{DiffBytes: 100}) // two joins of 43 bytes, not three
	a, b, c, d := &deaf{}, &deaf{}, &deaf{}, &deaf{}
	s.track("t", "a", `{}`, a)
	s.diffs = nil
	s.during = []func(){func() {
		s.track("t", "c", `{}`, c)
		s.update("t", "a", `{"n":1}`, a)
		s.track("t", "d", `{}`, d)
	}}
	s.track("t", "b", `{}`, b)
	s.want("divided", `{joins:{b:{[{ref:r2}]}},leaves:{}}`,
		`{joins:{c:{[{ref:r3}]},a:{[{n:1,ref:r4,prev:r1}]}},leaves:{a:{[{ref:r1}]}}}`,
		`{joins:{d:{[{ref:r5}]}},leaves:{}}`)
}

// TestSnapshotWhileHot has what the diffs so far come to, not what is still to be said.
func TestSnapshotWhileHot(t *testing.T) {
	s := newStage(t, hub.PresenceConfig{})
	a, b, c := &deaf{}, &deaf{}, &deaf{}
	s.track("t", "a", `{}`, a)
	s.track("t", "b", `{}`, b)
	s.during = []func(){func() {
		s.update("t", "a", `{"n":1}`, a)
		s.UntrackAll(b)
		s.track("t", "d", `{}`, b)
		if got := s.plain(s.Snapshot("t")); got != `{c:{[{ref:r3}]},a:{[{ref:r1}]},b:{[{ref:r2}]}}` {
			t.Errorf("snapshot %s", got)
		}
		if got := s.plain(s.List("t")); got != `{a:{[{n:1,ref:r4,prev:r1}]},c:{[{ref:r3}]},d:{[{ref:r5}]}}` {
			t.Errorf("list %s", got)
		}
		s.UntrackAll(a)
		s.UntrackAll(b)
		s.UntrackAll(c)
		if got := parseState(s.Snapshot("t")); len(got) != 3 {
			t.Errorf("snapshot of a topic that all have left: %v", got)
		}
	}}
	s.track("t", "c", `{}`, c)
	if got := string(s.Snapshot("t")); got != `{}` {
		t.Errorf("snapshot at rest %s", got)
	}
}

// TestReplicaReturnsWithinADiff: the same refs leave and join, which phoenix.js would not survive.
func TestReplicaReturnsWithinADiff(t *testing.T) {
	there := hub.Replica{Name: "there", Epoch: 1}
	remote := newStage(t, hub.PresenceConfig{Replica: there})
	remote.track("t", "far", `{}`, &deaf{})
	part := hub.PresencePart("t")
	merge := func(s *stage) {
		s.ReplicaUp(there)
		if err := s.Merge(part, remote.Full(part)); err != nil {
			t.Error(err)
		}
	}
	for name, away := range map[string]func(s *stage){
		"gone": func(s *stage) { s.ReplicaGone("there") },
		"down": func(s *stage) { s.ReplicaDown("there") },
	} {
		s := newStage(t, hub.PresenceConfig{Replica: hub.Replica{Name: "here"}})
		merge(s)
		s.during = []func(){func() { away(s); merge(s) }}
		s.diffs = nil
		s.track("t", "near", `{}`, &deaf{})
		s.want(name, `{joins:{near:{[{ref:r2}]}},leaves:{}}`)
		away(s)
		s.want(name+" without return", `{joins:{},leaves:{far:{[{ref:r1}]}}}`)
	}
}

// TestRemoteUpdateIsOneDiff, also when old and new come as a removal and an addition.
func TestRemoteUpdateIsOneDiff(t *testing.T) {
	there := hub.Replica{Name: "there", Epoch: 1}
	remote := newStage(t, hub.PresenceConfig{Replica: there})
	s := newStage(t, hub.PresenceConfig{Replica: hub.Replica{Name: "here"}, DiffBytes: 1})
	s.ReplicaUp(there)
	part, owner := hub.PresencePart("t"), &deaf{}
	for _, step := range []func(){
		func() { remote.track("t", "far", `{}`, owner) },
		func() { remote.update("t", "far", `{"n":1}`, owner) },
	} {
		step()
		if err := s.Merge(part, remote.Delta(part)); err != nil {
			t.Error(err)
		}
	}
	s.want("remote", `{joins:{far:{[{ref:r1}]}},leaves:{}}`,
		`{joins:{far:{[{n:1,ref:r2,prev:r1}]}},leaves:{far:{[{ref:r1}]}}}`)
	if err := s.Merge(part+1, remote.Full(part)); !errors.Is(err, hub.ErrPresenceEncoding) {
		t.Errorf("a topic in another part: %v", err)
	}
	if names := s.Behind(part, remote.Clocks(part)); len(names) != 0 {
		t.Errorf("behind with %v", names)
	}
}
