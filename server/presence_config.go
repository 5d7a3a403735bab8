package server

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// PresenceConfig bounds what channels track, and adds to what is shown of it. Its zero value is usable. A
// server in which nobody tracks takes no memory for presence.
//
// The presence_state of a topic is one message; with Resync it may be two. With the default of TopicBytes both wait
// in an outbox with its default, and the longest diff with them: with larger ones, choose a larger
// Poller.OutboxLimit, or a client on a slow line is closed as one that does not read.
type PresenceConfig struct {
	// Fetch adds to what lists and diffs say of a key, beside its metas, as a name or picture from a
	// database does for the key of a user (section 6.2). It is given the keys of a diff or of a list and
	// returns, by key, what comes to a JSON object with the fields to add; other values are logged and left
	// out. It runs without locks, on several goroutines at once, and holds up the diffs of its topic, and
	// the joins that want the list, until it returns. It must not push or list presences itself.
	Fetch func(topic string, keys []string) map[string]any

	// TopicEntries bounds the entries of a topic, ChannelEntries those of one channel. At the limit Track
	// is an error, which is counted. Defaults 10,000 and 100.
	TopicEntries, ChannelEntries int

	// TopicBytes bounds the list of a topic, as presence_state and Presences have it, without what Fetch adds: at
	// the limit Track is an error, which is counted, and so is an Update that makes it longer. Default 448 KiB,
	// some 4,500 entries with metas of 50 bytes: see hub.PresenceConfig.
	TopicBytes int

	// MetaBytes and KeyBytes bound a meta and a key. Defaults 4096 and 255.
	MetaBytes, KeyBytes int

	// DiffBytes bounds a diff: what comes to more while another is on its way goes in several. Default 64 KiB.
	DiffBytes int

	// Resync pushes presence_state twice to a client that has left the topic and joins it again on the same
	// connection: phoenix.js applies the diffs that it has kept from before to the first, and takes the second as it
	// is. With one, which is what Phoenix pushes, it may show for ever who came in those diffs and went in between,
	// also itself.
	Resync bool
}

func (c *PresenceConfig) validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"TopicEntries", c.TopicEntries}, {"ChannelEntries", c.ChannelEntries}, {"TopicBytes", c.TopicBytes},
		{"MetaBytes", c.MetaBytes}, {"KeyBytes", c.KeyBytes}, {"DiffBytes", c.DiffBytes},
	} {
		if f.value < 0 {
			return fmt.Errorf("server: PresenceConfig.%s is %d; 0 is the default", f.name, f.value)
		}
	}
	return nil
}

// presences is a server's presence, which is made when somebody tracks for the first time.
type presences struct {
	made atomic.Pointer[hub.Presence]

	mu     sync.Mutex // protects the making, and the following
	diffs  int        // tasks under way
	closed bool       // no more tasks
	tasks  sync.WaitGroup
}

// maxDiffTasks bounds the goroutines that broadcast diffs of topics which change faster than that takes.
// Beyond it, whoever has made a change broadcasts what came meanwhile.
const maxDiffTasks = 64

func (ps *presences) get(s *Server) *hub.Presence {
	if h := ps.made.Load(); h != nil {
		return h
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	h := ps.made.Load()
	if h == nil {
		h = hub.NewPresence(s.presenceConfig())
		ps.made.Store(h)
	}
	return h
}

func (s *Server) presenceConfig() hub.PresenceConfig {
	c := &s.cfg.Presence
	pc := hub.PresenceConfig{
		Broadcast:    func(m *hub.Message) { s.hub.Broadcast(m) },
		Spawn:        s.presences.spawn,
		TopicEntries: c.TopicEntries, TopicBytes: c.TopicBytes, OwnerEntries: c.ChannelEntries,
		MetaBytes: c.MetaBytes, KeyBytes: c.KeyBytes, DiffBytes: c.DiffBytes,
	}
	if c.Fetch != nil {
		pc.Fetch = s.fetchPresences
	}
	return pc
}

// snapshot returns the payload of a presence_state. If there is no hub.Presence yet, no diff has been
// broadcast: all will reach whoever is subscribed now.
func (ps *presences) snapshot(topic string) json.RawMessage {
	if h := ps.made.Load(); h != nil {
		return h.Snapshot(topic)
	}
	return nil
}

// spawn runs a task on a goroutine of its own, unless there are too many or the server is shutting down.
func (ps *presences) spawn(task func()) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed || ps.diffs >= maxDiffTasks {
		return false
	}
	ps.diffs++
	ps.tasks.Go(func() {
		defer func() {
			ps.mu.Lock()
			ps.diffs--
			ps.mu.Unlock()
		}()
		task()
	})
	return true
}

// close waits for the tasks.
func (ps *presences) close(ctx context.Context) error {
	ps.mu.Lock()
	ps.closed = true
	idle := ps.diffs == 0
	ps.mu.Unlock()
	if idle {
		return nil
	}
	return waitFor(ctx, &ps.tasks)
}

func (ps *presences) stats() (st hub.PresenceStats) {
	if h := ps.made.Load(); h != nil {
		st = h.Stats()
	}
	return st
}

// fetchPresences calls the application's Fetch.
func (s *Server) fetchPresences(topic string, keys []string) map[string]json.RawMessage {
	var fetched map[string]any
	var err error
	func() {
		defer s.recovered("PresenceConfig.Fetch for "+topic, &err)
		fetched = s.cfg.Presence.Fetch(topic, keys)
	}()
	objects := make(map[string]json.RawMessage, len(fetched))
	for key, v := range fetched {
		text, err := s.fetchedObject(topic, v)
		if err != nil {
			s.cfg.Log.Error("PresenceConfig.Fetch returned what is no object", "topic", topic, "key", key, "error", err)
			continue
		}
		objects[key] = text
	}
	return objects
}

// fetchedObject encodes what Fetch has returned for a key, which may call the application's MarshalJSON: also on a
// goroutine of spawn, where a panic would end the program.
func (s *Server) fetchedObject(topic string, v any) (text json.RawMessage, err error) {
	defer s.recovered("PresenceConfig.Fetch for "+topic, &err)
	if text, err = metaOf(v); err == nil && !Raw(text).isObject() {
		err = ErrPayloadNotObject
	}
	return text, err
}

// isPresence reports whether a client must not miss the event, whatever the policy: without a presence_state its
// list stands still, and without a diff, also one that a channel has intercepted and passes on, it is wrong.
func isPresence(event string) bool {
	return event == hub.EventPresenceState || event == hub.EventPresenceDiff
}

// missed applies the policy to a broadcast that a slow client has not got.
func (s *socket) missed(m *hub.Message) {
	if isPresence(m.Event) {
		s.tooSlow()
		return
	}
	_ = s.sent(poller.ErrOutboxFull)
}
