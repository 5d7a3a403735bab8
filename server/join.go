package server

import (
	"errors"
	"unique"

	"github.com/dormouse-ws/dormouse/hub"
)

var (
	payloadTooMany  = Raw([]byte(`{"reason":"too many channels joined"}`))
	payloadNoRoute  = Raw([]byte(payloadUnmatched))
	payloadTooLong  = Raw([]byte(`{"reason":"topic too long"}`))
	payloadJoinFail = Raw([]byte(`{"reason":"join crashed"}`))
)

// maxTopicBytes bounds the name of a topic that can be joined, since the hub keeps it for as long as
// somebody is on it. A binary frame has room for 255.
const maxTopicBytes = 1024

// join is section 3.3.
func (s *socket) join(m *message) {
	route, found := s.app().route(m.topic)
	switch {
	case !found:
		_ = s.reply("", m.ref, m.topic, statusError, payloadNoRoute)
		return
	case len(m.topic) > maxTopicBytes:
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, payloadTooLong)
		return
	case int(s.joined) >= s.app().max:
		s.server().bounds.topics.Add(1)
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, payloadTooMany)
		return
	}
	if c := s.enter(route, m, nil); c != nil {
		c.runAfter()
	}
}

// enter runs the application's Join, subscribes the channel, in the place of the displaced one if there is one, and
// replies. After a refusal it is nil.
func (s *socket) enter(route int, m *message, displaced *channel) *Context {
	ch := s.newChannel(route, m)
	c := &Context{ch: ch, topic: m.topic, ref: m.ref, joining: true}
	err := c.guard("Join", func() error {
		ch.impl = ch.route().Channel()
		return ch.impl.Join(c, m.payload)
	})
	if err != nil {
		s.refuseJoin(m, err)
		return nil
	}
	c.joining = false
	ch.next, s.first = s.first, ch
	s.joined++
	if h := s.server().hub; displaced == nil || !h.Replace(displaced, ch) {
		h.Subscribe(m.topic, ch)
	}
	ch.state.Or(channelJoined)
	// Subscribed first: whoever sees the reply and then broadcasts is heard here.
	if err := s.reply(m.joinRef, m.ref, m.topic, statusOK, c.response); isPayloadError(err) {
		s.part(ch)
		s.refuseJoin(m, err)
		ch.terminate(err)
		return nil
	}
	return c
}

// refuseJoin answers a join that failed with err.
func (s *socket) refuseJoin(m *message, err error) {
	payload := payloadJoinFail
	if r := (*refusal)(nil); errors.As(err, &r) {
		payload = r.payload
	}
	if err := s.reply(m.joinRef, m.ref, m.topic, statusError, payload); isPayloadError(err) {
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, payloadJoinFail)
	}
}

// newChannel makes the channel of a join that has not been decided.
func (s *socket) newChannel(index int, m *message) *channel {
	route := &s.app().cfg.Routes[index]
	ch := &channel{socket: s, routeIndex: uint16(index)}
	joinRef := m.joinRef
	if joinRef.isNull() {
		joinRef = m.ref
		ch.state.Or(channelNullJoin)
	}
	ch.joined = unique.Make(joinRef)
	if len(route.Intercept) > 0 {
		ch.state.Or(channelIntercepts)
	}
	if s.returns(m.topic) {
		ch.state.Or(channelReturned)
	}
	return ch
}

// rejoin is section 3.5: the new join's reply goes out before the old channel's close.
func (s *socket) rejoin(old *channel, m *message) {
	joinRef, topic := old.rawJoinRef(), old.Topic()
	s.displace(old)
	defer s.replaced(old) // also when Leave or Join ends the goroutine
	old.terminate(ErrDisplaced)
	route, _ := s.app().route(topic) // the old channel's
	c := s.enter(route, m, old)
	s.pushClose(joinRef, topic)
	if c != nil {
		c.runAfter()
	}
}

// displace takes a channel off the socket, as drop does, but leaves it in the hub, for presence_diffs alone, until
// the new join has its place. The client keeps the diffs that come after it has asked for the join, and applies them
// to the presence_state of that (section 4.7): without this it would keep the coming of an entry, miss the going
// while nobody is subscribed, and show the entry for ever. For its own entries that is so with every rejoin.
func (s *socket) displace(ch *channel) {
	ch.state.Or(channelLeft | channelDisplaced)
	s.unlink(ch)
	if ch.state.Load()&channelIntercepts != 0 && ch.route().intercepts(hub.EventPresenceDiff) {
		s.remember(ch.Topic()) // those that wait for HandleOut are lost
	}
}

// leave is section 3.4. Who has seen the reply and then broadcasts is not heard here any more.
func (s *socket) leave(ch *channel, m *message) {
	s.part(ch)
	_ = s.reply(ch.joinRef(), m.ref, ch.Topic(), statusOK, Payload{})
	ch.parted(nil)
}
