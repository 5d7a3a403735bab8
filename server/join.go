package server

import "errors"

var (
	payloadTooMany  = Raw([]byte(`{"reason":"too many channels joined"}`))
	payloadNoRoute  = Raw([]byte(payloadUnmatched))
	payloadJoinFail = Raw([]byte(`{"reason":"join crashed"}`))
)

// join is section 3.3. It returns the new channel, or nil.
func (s *socket) join(m *message) {
	route := s.app().route(m.topic)
	switch {
	case route == nil:
		_ = s.reply("", m.ref, m.topic, statusError, payloadNoRoute)
		return
	case int(s.joined) >= s.app().max:
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, payloadTooMany)
		return
	}
	if c := s.enter(route, m); c != nil {
		c.runAfter()
	}
}

// enter runs the application's Join, subscribes the channel and replies. After a refusal it is nil.
func (s *socket) enter(route *Route, m *message) *Context {
	ch := &channel{socket: s, route: route, impl: route.Channel(), joinRef: m.joinRef}
	if m.joinRef.isNull() {
		ch.joinRef = m.ref
		ch.state.Or(channelNullJoin)
	}
	c := &Context{ch: ch, topic: m.topic, ref: m.ref, joining: true, status: statusOK}
	err := c.guard("Join", func() error { return ch.impl.Join(c, m.payload) })
	var refusal *refusal
	switch {
	case errors.As(err, &refusal):
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, refusal.payload)
		return nil
	case err != nil:
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, payloadJoinFail)
		return nil
	}
	c.joining = false
	ch.next, s.first = s.first, ch
	s.joined++
	s.server().hub.Subscribe(m.topic, ch)
	// Subscribed first: whoever sees the reply and then broadcasts is heard here.
	if err := s.reply(m.joinRef, m.ref, m.topic, statusOK, c.response); err != nil && isPayloadError(err) {
		s.drop(ch)
		_ = s.reply(m.joinRef, m.ref, m.topic, statusError, payloadJoinFail)
		return nil
	}
	return c
}

// rejoin is section 3.5: the new join's reply goes out before the old channel's close.
func (s *socket) rejoin(old *channel, m *message) {
	joinRef, topic := old.rawJoinRef(), old.Topic()
	s.drop(old)
	old.terminate(ErrDisplaced)
	route := s.app().route(topic)
	c := s.enter(route, m)
	s.pushClose(joinRef, topic)
	if c != nil {
		c.runAfter()
	}
}

// leave is section 3.4.
func (s *socket) leave(ch *channel, m *message) {
	_ = s.reply(ch.joinRef, m.ref, ch.Topic(), statusOK, Payload{})
	ch.stop(nil)
}
