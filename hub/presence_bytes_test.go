package hub_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// crowd tracks keys of all kinds, and updates some.
func crowd(s *stage, owner *deaf) (err error) {
	for _, key := range []string{"ann", "", "\"\\\x00\u2028<", "ünï", "__proto__"} {
		_, failed := s.Track("t", key, json.RawMessage(`{ "n": 1 }`), owner)
		err = errors.Join(err, failed)
	}
	_, failed := s.Update("t", "ann", json.RawMessage(`{"n":2}`), owner)
	return errors.Join(err, failed)
}

// TestTopicBytes: the limit is that of the list, to the byte.
func TestTopicBytes(t *testing.T) {
	free := newStage(t, hub.PresenceConfig{})
	if err := crowd(free, &deaf{}); err != nil {
		t.Fatal(err)
	}
	limit := len(free.List("t"))
	if err := crowd(newStage(t, hub.PresenceConfig{TopicBytes: limit}), &deaf{}); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	if err := crowd(newStage(t, hub.PresenceConfig{TopicBytes: limit - 1}), &deaf{}); !errors.Is(err, hub.ErrTopicBytes) {
		t.Errorf("a byte above it: %v", err)
	}
}

// TestTopicBytesAtTheEdge: of a full topic nothing becomes longer, and what may is not refused.
func TestTopicBytesAtTheEdge(t *testing.T) {
	const prev = `,"phx_ref_prev":"01234567890"`
	free, owner, other := newStage(t, hub.PresenceConfig{}), &deaf{}, &deaf{}
	free.track("t", "k", `{"a":"1234567890123456789012345678901234567890"}`, owner)
	s := newStage(t, hub.PresenceConfig{TopicBytes: len(free.List("t"))})
	for _, row := range []struct {
		name string
		do   func() error
		want error
	}{
		{"the first", func() error { return track(s, "t", "k", `{"a":"1234567890123456789012345678901234567890"}`, owner) }, nil},
		{"one more", func() error { return track(s, "t", "l", `{}`, other) }, hub.ErrTopicBytes},
		{"in another topic", func() error { return track(s, "u", "l", `{}`, other) }, nil},
		{"an update, which adds a ref", func() error { return update(s, "k", `{"a":"1234567890123456789012345678901234567890"}`, owner) }, hub.ErrTopicBytes},
		{"by so much less", func() error {
			return update(s, "k", `{"a":"`+"1234567890123456789012345678901234567890"[len(prev):]+`"}`, owner)
		}, nil},
		{"as long as the one before", func() error { return update(s, "k", `{"a":"12345678901"}`, owner) }, nil},
		{"a byte longer", func() error { return update(s, "k", `{"a":"123456789012"}`, owner) }, hub.ErrTopicBytes},
		{"by a function", func() error {
			longer := func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{"a":"123456789012"}`), nil }
			_, err := s.UpdateFunc("t", "k", longer, owner)
			return err
		}, hub.ErrTopicBytes},
		{"shorter", func() error { return update(s, "k", `{}`, owner) }, nil},
		{"longer again", func() error { return update(s, "k", `{"a":"12345678901"}`, owner) }, nil},
		{"one more still", func() error { return track(s, "t", "l", `{}`, other) }, hub.ErrTopicBytes},
		{"when there is room", func() error { s.UntrackAll(owner); return track(s, "t", "l", `{}`, owner) }, nil},
	} {
		before, diffs := string(s.List("t")), len(s.diffs)
		if err := row.do(); err != row.want {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
		if row.want != nil && (string(s.List("t")) != before || len(s.diffs) != diffs) {
			t.Errorf("%s: refused, and something has changed", row.name)
		}
	}
}

func track(s *stage, topic, key, meta string, owner *deaf) error {
	_, err := s.Track(topic, key, json.RawMessage(meta), owner)
	return err
}

func update(s *stage, key, meta string, owner *deaf) error {
	_, err := s.Update("t", key, json.RawMessage(meta), owner)
	return err
}

// TestTopicBytesOfACluster: what others have let in counts, and is taken in whatever the limit; so all come to the
// same, and nothing is let in anywhere until the list is short again.
func TestTopicBytesOfACluster(t *testing.T) {
	names := []string{"a", "b"}
	part, meta := hub.PresencePart("t"), `{"name":"somebody"}`
	const limit = 170 // two entries with that meta, and one without
	var members []*stage
	for _, name := range names {
		members = append(members, newStage(t, hub.PresenceConfig{Replica: hub.Replica{Name: name, Epoch: 1}, TopicBytes: limit}))
	}
	exchange := func() {
		t.Helper()
		for i, m := range members {
			other := members[1-i]
			m.ReplicaUp(hub.Replica{Name: names[1-i], Epoch: 1})
			if err := m.Merge(part, other.Full(part)); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := parseState(members[0].List("t")).text(), parseState(members[1].List("t")).text(); a != b {
			t.Fatalf("they differ:\n%s\n%s", a, b)
		}
	}
	owners := []*deaf{{}, {}}
	for i, m := range members { // before they have heard of each other
		for _, key := range []string{"x", "y"} {
			m.track("t", key+names[i], meta, owners[i])
		}
		if err := track(m, "t", "z", meta, owners[i]); err != hub.ErrTopicBytes {
			t.Errorf("%s: %v", names[i], err)
		}
	}
	exchange()
	for i, m := range members {
		if n, size := m.Count("t"), len(m.List("t")); n != 4 || size <= limit {
			t.Errorf("%s has %d entries in %d bytes", names[i], n, size)
		}
		if err := track(m, "t", "z", `{}`, owners[i]); err != hub.ErrTopicBytes {
			t.Errorf("%s, over the limit: %v", names[i], err)
		}
		if err := update(m, "x"+names[i], meta, owners[i]); err != hub.ErrTopicBytes {
			t.Errorf("%s, an update that adds a ref: %v", names[i], err)
		}
	}
	members[0].UntrackAll(owners[0])
	if err := track(members[0], "t", "z", `{}`, owners[0]); err != nil {
		t.Errorf("below it again: %v", err)
	}
	exchange()
}
