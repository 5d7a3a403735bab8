package server

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// A Context is what a channel's method acts through. It is valid until the method returns and must not
// leave its goroutine; [Context.Ref] and [Context.Handle] give what may.
//
// A payload argument is a [Payload], or anything that [JSON] takes; nil is the empty object.
type Context struct {
	ch      *channel
	topic   string // while joining, when the subscription does not know it yet
	ref     ref
	asked   bool // there is a message to reply to, if only with a null ref
	joining bool
	mute    bool // the client is gone, or must not hear this channel

	response Payload // of a join
	later    []func(*Context) error
}

// Topic returns the channel's topic.
func (c *Context) Topic() string {
	if c.topic != "" {
		return c.topic
	}
	return c.ch.Topic()
}

// Assigns returns what Connect assigned to the connection. The connection's channels share it.
func (c *Context) Assigns() any {
	if id := c.ch.socket.ident; id != nil {
		return id.assigns
	}
	return nil
}

// RouteAssigns returns the route's Assigns.
func (c *Context) RouteAssigns() any { return c.ch.route().Assigns }

// Server returns the server.
func (c *Context) Server() *Server { return c.ch.socket.server() }

// Transport returns the name of the client's transport: "websocket" or "longpoll".
func (c *Context) Transport() string {
	if c.ch.socket.mount.poll != nil {
		return transportLongPoll
	}
	return transportWebSocket
}

// Push sends an event to the channel's client. Errors are those of the payload, ErrNotJoined, and those
// of the connection, which a channel may ignore: Leave will be called.
func (c *Context) Push(event string, payload any) error {
	switch {
	case c.joining:
		return ErrNotJoined
	case c.mute:
		return poller.ErrClosed
	}
	return c.ch.socket.push(c.ch.joinRef(), c.Topic(), event, toPayload(payload))
}

// Reply answers the message that is being handled with status ok. In Join it sets the payload of the
// reply that follows. Without a payload write Reply(nil).
func (c *Context) Reply(payload any) error { return c.ReplyStatus(statusOK, payload) }

// ReplyError answers with status error.
func (c *Context) ReplyError(payload any) error { return c.ReplyStatus(statusError, payload) }

// ReplyStatus answers with a status of the application's own.
func (c *Context) ReplyStatus(status string, payload any) error {
	p := toPayload(payload)
	switch {
	case c.joining && status != statusOK:
		return errJoinStatus
	case c.joining:
		c.response = p
		return p.Err()
	case !c.asked:
		return ErrNoRef
	}
	return c.ch.socket.reply(c.ch.joinRef(), c.ref, c.Topic(), status, p)
}

// Ref returns a reference to the message that is being handled, to be answered later. A join cannot be:
// what Join returns is its answer.
func (c *Context) Ref() Ref {
	if c.joining {
		return Ref{}
	}
	return Ref{c.ch, c.ref}
}

// A Ref is a message that may be answered later, from any goroutine, any number of times. It outlives
// the call, the channel and the connection; a reply after the connection's end is an error.
type Ref struct {
	ch  *channel
	ref ref
}

// Reply answers with status ok.
func (r Ref) Reply(payload any) error { return r.ReplyStatus(statusOK, payload) }

// ReplyError answers with status error.
func (r Ref) ReplyError(payload any) error { return r.ReplyStatus(statusError, payload) }

// ReplyStatus answers with a status of the application's own. Errors: ErrNoRef when the client expects
// no answer, those of the payload, those of the connection.
func (r Ref) ReplyStatus(status string, payload any) error {
	if r.ch == nil || r.ref.isNull() {
		return ErrNoRef
	}
	return r.ch.socket.reply(r.ch.joinRef(), r.ref, r.ch.Topic(), status, toPayload(payload))
}

// Broadcast sends an event to all channels of the topic, the sender's included.
func (c *Context) Broadcast(event string, payload any) error {
	m, err := c.broadcast(event, payload)
	if err == nil {
		c.Server().hub.Broadcast(m)
	}
	return err
}

// BroadcastFrom sends an event to all channels of the topic but this one.
func (c *Context) BroadcastFrom(event string, payload any) error {
	m, err := c.broadcast(event, payload)
	if err == nil {
		c.Server().hub.BroadcastFrom(c.ch, m)
	}
	return err
}

func (c *Context) broadcast(event string, payload any) (*hub.Message, error) {
	if c.joining {
		return nil, ErrNotJoined
	}
	return newBroadcast(c.Topic(), event, payload)
}

// After runs f as soon as the method has returned and its result was sent: in Join, after the reply and
// the subscription. f's error counts as HandleIn's. When the method ends the channel, f is not run.
func (c *Context) After(f func(*Context) error) { c.later = append(c.later, f) }

// runAfter runs what After was given, and what that gives to After in its turn.
func (c *Context) runAfter() {
	for later := c.later; len(later) > 0; later = later[1:] {
		next := &Context{ch: c.ch}
		if err := next.guard("After", func() error { return later[0](next) }); err != nil {
			c.ch.end(err)
			return
		}
		later = append(later, next.later...)
	}
}

// Handle returns a handle on the channel that may be kept and used from any goroutine.
func (c *Context) Handle() Handle { return Handle{c.ch} }

// A Handle reaches one joined channel from outside its methods.
type Handle struct{ ch *channel }

// Do runs f as one of the channel's methods, after what waits already, or not at all if the channel has
// left by then, or its join was refused. f's error counts as HandleIn's. Errors: those of poller.Conn.Do.
func (h Handle) Do(f func(*Context) error) error {
	_, err := h.ch.socket.conn.Do(&visit{h.ch, f})
	return err
}

// Push sends an event to the channel's client. Before the join is done it is ErrNotJoined, after the
// channel has left poller.ErrClosed.
func (h Handle) Push(event string, payload any) error {
	switch state := h.ch.state.Load(); {
	case state&channelLeft != 0:
		return poller.ErrClosed
	case state&channelJoined == 0:
		return ErrNotJoined
	}
	return h.ch.socket.push(h.ch.joinRef(), h.ch.Topic(), event, toPayload(payload))
}

// A visit is a function on its way to a channel.
type visit struct {
	ch *channel
	f  func(*Context) error
}

func (v *visit) Run(poller.Conn) {
	if v.ch.live() {
		c := &Context{ch: v.ch}
		v.ch.after(c, c.guard("Do", func() error { return v.f(c) }))
	}
}

// CloseSocket closes the client's connection with code 1012, as a drain does (section 7): all its
// channels end with it, and the client comes back.
func (c *Context) CloseSocket() { c.ch.socket.close(codeServiceRestart, "") }

// guard calls f and turns a panic into an error.
func (c *Context) guard(method string, f func() error) (err error) {
	defer c.Server().recovered(method+" of "+c.Topic(), &err)
	return f()
}

// errPanic is the error of a method that panicked.
var errPanic = errors.New("server: panic in application code")

// recovered is deferred around application code.
func (s *Server) recovered(where string, err *error) {
	if p := recover(); p != nil {
		s.counters.panics.Add(1)
		s.cfg.Log.Error("panic in application code", "in", where, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = fmt.Errorf("%w: %v", errPanic, p)
	}
}

// ownPanic is told of a panic that is not of application code: a bug of ours, which ends the connection that met it.
func (s *Server) ownPanic(c poller.Conn, p any) {
	s.counters.panics.Add(1)
	s.cfg.Log.Error("panic in the server's own code; the connection is reset", "peer", c.RemoteAddr(),
		"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}
