package server

import (
	"encoding/json"
	"errors"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// ErrStatePushed is returned by a second PushPresenceState in one join: it could take back what a diff has
// told the client meanwhile (section 4.7).
var ErrStatePushed = errors.New("server: presence_state was pushed in this join already; the client keeps it up to date by the diffs")

// A Presence tracks in one topic in the name of one channel (section 6): an entry is a key with a meta, and
// goes at the latest when the channel ends, for whatever reason. All subscribers of the topic hear of each
// change by a presence_diff, and phoenix.js's class Presence makes a list of them. The methods may be called
// from any goroutine while the channel is joined; a diff of the topic may be broadcast before they return.
//
// A meta is a [Payload], or what [JSON] takes, that comes to a JSON object; nil is the empty one.
//
// Errors: ErrNotJoined in Join, poller.ErrClosed once the channel is at its end, those of the payload,
// hub.ErrPresenceKey and hub.ErrPresenceMeta, and those that a method names.
type Presence struct {
	ch    *channel
	topic string
	own   bool // topic is not set: it is the channel's own
}

// name returns the topic. The channel must be joined: before, its own topic is not to be read here.
func (p Presence) name() string {
	if p.own {
		return p.ch.Topic()
	}
	return p.topic
}

// Track adds an entry and returns its phx_ref. Errors: hub.ErrAlreadyTracked if this channel tracks the key
// in the topic already; hub.ErrTopicEntries, hub.ErrTopicBytes and hub.ErrOwnerEntries at the limits of [PresenceConfig]:
// a channel that returns these ends with phx_error, and its client tries again; one that passes over them is joined, and
// not shown.
func (p Presence) Track(key string, meta any) (ref string, err error) {
	text, err := metaOf(meta)
	if err != nil {
		return "", err
	}
	switch before := p.ch.state.Or(channelTracks); {
	case before&channelLeft != 0:
		return "", poller.ErrClosed
	case before&channelJoined == 0:
		return "", ErrNotJoined
	}
	s := p.ch.socket.server()
	h := s.presences.get(s)
	ref, err = h.Track(p.name(), key, text, p.ch)
	if p.ch.state.Load()&channelLeft != 0 {
		h.UntrackAll(p.ch) // whoever ended the channel may have done so before the entry was there
		return "", poller.ErrClosed
	}
	s.countRefused(err)
	return ref, err
}

// countRefused counts a change that was refused by a limit of many entries, not by one of its own.
func (s *Server) countRefused(err error) {
	if errors.Is(err, hub.ErrTopicEntries) || errors.Is(err, hub.ErrTopicBytes) || errors.Is(err, hub.ErrOwnerEntries) {
		s.counters.presenceRefused.Add(1)
	}
}

// Update replaces the meta of an entry and returns the new phx_ref. Clients hear of the new meta, with the
// old phx_ref as its phx_ref_prev, and of the old one in the same diff. Errors: hub.ErrNotTracked, and hub.ErrTopicBytes
// when the topic's list would get longer than it may: then the entry stays as it is.
func (p Presence) Update(key string, meta any) (ref string, err error) {
	text, err := metaOf(meta)
	if err != nil {
		return "", err
	}
	return p.update(func(h *hub.Presence) (string, error) { return h.Update(p.name(), key, text, p.ch) })
}

// UpdateFunc replaces the meta by what f makes of the old one, which has no phx_ref, and returns the new
// phx_ref. If another goroutine updates the entry meanwhile, f is called again. An error of f's is returned,
// and nothing has changed. Errors: those of Update.
func (p Presence) UpdateFunc(key string, f func(old Payload) (meta any, err error)) (ref string, err error) {
	return p.update(func(h *hub.Presence) (string, error) {
		return h.UpdateFunc(p.name(), key, func(old json.RawMessage) (json.RawMessage, error) {
			meta, err := f(Raw(old))
			if err != nil {
				return nil, err
			}
			return metaOf(meta)
		}, p.ch)
	})
}

func (p Presence) update(change func(*hub.Presence) (string, error)) (ref string, err error) {
	switch state := p.ch.state.Load(); {
	case state&channelLeft != 0:
		return "", poller.ErrClosed
	case state&channelJoined == 0:
		return "", ErrNotJoined
	case state&channelTracks == 0:
		return "", hub.ErrNotTracked
	}
	s := p.ch.socket.server()
	ref, err = change(s.presences.get(s))
	s.countRefused(err)
	return ref, err
}

// Untrack takes an entry of the channel's away and reports whether there was one.
func (p Presence) Untrack(key string) bool {
	const tracks = channelJoined | channelTracks
	h := p.ch.socket.server().presences.made.Load()
	return h != nil && p.ch.state.Load()&tracks == tracks && h.Untrack(p.name(), key, p.ch)
}

// metaOf returns the JSON of a meta. That it is an object, package hub checks.
func metaOf(meta any) (json.RawMessage, error) {
	p := toPayload(meta)
	if p.binary {
		return nil, ErrBinaryPayload
	}
	return p.Bytes(), p.err
}

// untrack takes away all that the channel tracks, in every topic. It is called on a worker when the channel
// is marked as left and unsubscribed, so that the client does not hear of it (section 6.3); but see displace.
func (ch *channel) untrack() {
	if ch.state.Load()&channelTracks != 0 {
		if h := ch.socket.server().presences.made.Load(); h != nil {
			h.UntrackAll(ch)
		}
	}
}

// PresenceIn returns what tracks in any topic in the name of this channel. It may be kept and used from any
// goroutine.
func (h Handle) PresenceIn(topic string) Presence { return Presence{ch: h.ch, topic: topic} }

// Track, Update, UpdateFunc and Untrack are those of [Presence], in the channel's own topic.
func (h Handle) Track(key string, meta any) (ref string, err error) {
	return h.presence().Track(key, meta)
}

// Update is that of [Presence].
func (h Handle) Update(key string, meta any) (ref string, err error) {
	return h.presence().Update(key, meta)
}

// UpdateFunc is that of [Presence].
func (h Handle) UpdateFunc(key string, f func(old Payload) (meta any, err error)) (ref string, err error) {
	return h.presence().UpdateFunc(key, f)
}

// Untrack is that of [Presence].
func (h Handle) Untrack(key string) bool { return h.presence().Untrack(key) }

func (h Handle) presence() Presence { return Presence{ch: h.ch, own: true} }

// PushPresenceState is that of [Context].
func (h Handle) PushPresenceState() error {
	ch := h.ch
	switch state := ch.state.Load(); {
	case state&channelLeft != 0:
		return poller.ErrClosed
	case state&channelJoined == 0:
		return ErrNotJoined
	}
	if ch.state.Or(channelStated)&channelStated != 0 {
		return ErrStatePushed
	}
	return ch.pushState()
}

// PresenceIn is that of [Handle].
func (c *Context) PresenceIn(topic string) Presence { return c.Handle().PresenceIn(topic) }

// Track, Update, UpdateFunc and Untrack are those of [Presence], in the channel's own topic.
func (c *Context) Track(key string, meta any) (ref string, err error) {
	return c.Handle().Track(key, meta)
}

// Update is that of [Presence].
func (c *Context) Update(key string, meta any) (ref string, err error) {
	return c.Handle().Update(key, meta)
}

// UpdateFunc is that of [Presence].
func (c *Context) UpdateFunc(key string, f func(old Payload) (meta any, err error)) (ref string, err error) {
	return c.Handle().UpdateFunc(key, f)
}

// Untrack is that of [Presence].
func (c *Context) Untrack(key string) bool { return c.Handle().Untrack(key) }

// PushPresenceState pushes presence_state, the list from which the client goes on by the diffs. A channel
// whose clients are to see who is there calls it once for each join, in [Context.After]:
//
//	func (room) Join(c *server.Context, p server.Payload) error {
//		c.After(func(c *server.Context) error {
//			if err := c.PushPresenceState(); err != nil {
//				return err
//			}
//			_, err := c.Track(userOf(c), map[string]any{"device": "phone"})
//			return err
//		})
//		return nil
//	}
//
// With [PresenceConfig.Resync] a client that comes back on the same connection is sent the list twice.
//
// What [Server.Presences] returns is not to be pushed as presence_state: it may be ahead of the diffs. Errors:
// ErrNotJoined in Join, ErrStatePushed the second time, and those of the connection.
func (c *Context) PushPresenceState() error { return c.Handle().PushPresenceState() }

// Presences returns who is present in a topic: an object of the keys, each with "metas", a list of theirs, and
// what PresenceConfig.Fetch adds.
//
//	var users map[string]struct{ Metas []struct{ Device string } }
//	err := s.Presences("rooms:lobby").Decode(&users)
func (s *Server) Presences(topic string) Payload {
	if h := s.presences.made.Load(); h != nil {
		return Raw(h.List(topic))
	}
	return Payload{}
}

// PresenceOf returns what Presences says of one key, and whether it is present.
func (s *Server) PresenceOf(topic, key string) (p Payload, present bool) {
	h := s.presences.made.Load()
	if h == nil {
		return Payload{}, false
	}
	text, present := h.Get(topic, key)
	return Raw(text), present
}

// PresenceCount returns how many entries a topic has: a key counts once for each of its metas.
func (s *Server) PresenceCount(topic string) int {
	if h := s.presences.made.Load(); h != nil {
		return h.Count(topic)
	}
	return 0
}
