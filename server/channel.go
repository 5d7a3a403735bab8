package server

import (
	"errors"
	"sync/atomic"
	"unique"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// A Channel is the application's side of one joined topic of one client. Its methods run on the shared
// workers, one at a time for a connection; they may block, which delays that connection and nobody
// else.
type Channel interface {
	// Join decides about a join: nil accepts it, an error made by [Refuse] refuses it with a payload,
	// any other error tells the client that the join crashed. [Context.Reply] gives the accepting
	// reply a payload. What needs the join to be done, as a push or a broadcast, belongs in
	// [Context.After].
	Join(c *Context, payload Payload) error

	// HandleIn is given each event that the client pushes. nil goes on; [ErrStop] ends the channel with
	// phx_close; any other error, and a panic, ends it with phx_error, whereupon the client rejoins.
	HandleIn(c *Context, event string, payload Payload) error

	// Leave is called once, after a Join that accepted. reason is nil when the client left or the
	// channel stopped, ErrDisconnected, ErrDisplaced, or the error that ended it. What it gives to
	// Context.After is not run.
	Leave(c *Context, reason error)
}

// An Interceptor is a Channel that rewrites or withholds broadcasts, see [Route.Intercept].
type Interceptor interface {
	Channel

	// HandleOut is given a broadcast instead of the client; what it pushes reaches the client.
	// Errors are as those of HandleIn.
	HandleOut(c *Context, event string, payload Payload) error
}

var (
	// ErrStop, returned by HandleIn or HandleOut, ends the channel in good order.
	ErrStop = errors.New("server: stop the channel")

	// ErrDisconnected is the reason of Leave when the connection ended.
	ErrDisconnected = errors.New("server: the connection ended")

	// ErrDisplaced is the reason of Leave when the client joined the topic again on the same
	// connection. The client does not hear what such a Leave pushes.
	ErrDisplaced = errors.New("server: displaced by a new join of the topic")

	// ErrNotJoined is returned by a push or broadcast in Join; see Context.After.
	ErrNotJoined = errors.New("server: the join is not done yet: push and broadcast in Context.After")

	// errJoinStatus is returned by a reply in Join with a status other than ok.
	errJoinStatus = errors.New("server: a join is refused by what Join returns, see Refuse")

	// ErrNoRef is returned by a reply to something that expects none.
	ErrNoRef = errors.New("server: there is no message to reply to, or it has no ref")
)

// A refusal is the error of a join that was refused.
type refusal struct{ payload Payload }

func (*refusal) Error() string { return "server: the join was refused" }

// Refuse returns an error for Join: the client's join fails with payload, a [Payload] or what [JSON]
// takes.
func Refuse(payload any) error { return &refusal{toPayload(payload)} }

// A channel is the server's side of one joined topic of one client: 64 bytes, and 16 in the topic.
type channel struct {
	hub.Subscription // holds the topic's name
	socket           *socket
	impl             Channel
	joined           unique.Handle[ref] // see joinRef; clients count, so most share theirs with others
	next             *channel
	state            atomic.Uint32
	routeIndex       uint16
}

const (
	channelJoined     uint32 = 1 << iota // it has its topic, and may be used by any goroutine
	channelLeft                          // nothing is delivered any more
	channelNullJoin                      // the join had no join_ref: joinRef is its ref
	channelIntercepts                    // its route names events to intercept
	channelTracks                        // it may have presences
	channelStated                        // its client was pushed presence_state
	channelReturned                      // its client may have missed diffs of its topic: see returns
	channelDisplaced                     // it delivers presence_diffs for a join that is under way: see displace
)

// joinRef is the join's join_ref, or its ref if that was null (section 3.3).
func (ch *channel) joinRef() ref { return ch.joined.Value() }

// live reports whether the client is joined.
func (ch *channel) live() bool { return ch.state.Load()&(channelJoined|channelLeft) == channelJoined }

func (ch *channel) route() *Route { return &ch.socket.app().cfg.Routes[ch.routeIndex] }

// rawJoinRef is the join_ref as the transport knows it, for comparisons, phx_close and phx_error.
func (ch *channel) rawJoinRef() ref {
	if ch.state.Load()&channelNullJoin != 0 {
		return ""
	}
	return ch.joinRef()
}

// Deliver implements hub.Subscriber. It runs on the goroutine that broadcasts.
func (ch *channel) Deliver(m *hub.Message) {
	state := ch.state.Load()
	if state&channelLeft != 0 && (state&channelDisplaced == 0 || m.Event != hub.EventPresenceDiff) {
		return
	}
	s := ch.socket
	if state&channelIntercepts != 0 && ch.route().intercepts(m.Event) {
		if _, err := s.conn.Do(&outbound{ch, m}); errors.Is(err, poller.ErrMailboxFull) {
			s.missed(m)
		}
		return
	}
	format := s.format()
	frame, err := m.Encoded(format, encoders[format])
	if err != nil {
		if err != errNotForChannels {
			s.server().counters.unencodable.Add(1)
		}
		return
	}
	if s.conn.Send(frame) == poller.ErrOutboxFull {
		s.missed(m)
	}
}

// An outbound is an intercepted broadcast on its way to the channel.
type outbound struct {
	ch *channel
	m  *hub.Message
}

func (o *outbound) Run(poller.Conn) {
	if !o.ch.live() {
		return
	}
	c := &Context{ch: o.ch}
	p := payloadOf(o.m)
	o.ch.after(c, c.guard("HandleOut", func() error {
		return o.ch.impl.(Interceptor).HandleOut(c, o.m.Event, p)
	}))
}

func (ch *channel) handleIn(m *message) {
	c := &Context{ch: ch, ref: m.ref, asked: true}
	ch.after(c, c.guard("HandleIn", func() error { return ch.impl.HandleIn(c, m.event, m.payload) }))
}

// after does what the result of a handler asks for (section 3.6).
func (ch *channel) after(c *Context, err error) {
	if err != nil {
		ch.end(err)
		return
	}
	c.runAfter()
}

// end ends the channel because one of its methods returned err.
func (ch *channel) end(err error) {
	if errors.Is(err, ErrStop) {
		ch.stop(nil)
		return
	}
	ch.fail(err)
}

// stop ends the channel in good order: what Leave pushes comes after phx_close (section 3.4).
func (ch *channel) stop(reason error) {
	ch.socket.part(ch)
	ch.parted(reason)
}

// parted is what is left to do then when the channel is off the socket.
func (ch *channel) parted(reason error) {
	ch.socket.pushClose(ch.rawJoinRef(), ch.Topic())
	ch.terminate(reason)
}

// fail ends it after an error: what Leave pushes comes before phx_error (section 3.6).
func (ch *channel) fail(reason error) {
	s := ch.socket
	s.part(ch)
	ch.terminate(reason)
	s.pushError(ch.rawJoinRef(), ch.Topic())
}

func (ch *channel) terminate(reason error) {
	defer ch.untrack() // also when Leave ends its goroutine
	c := &Context{ch: ch, mute: reason == ErrDisplaced || reason == ErrDisconnected}
	_ = c.guard("Leave", func() error { ch.impl.Leave(c, reason); return nil })
}
