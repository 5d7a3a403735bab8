package drive

import (
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/gobwas/ws"
)

// A Socket is the client's side of a connection: 32 bytes. Its methods may be called from any goroutine,
// but not from an [Observer].
//
// Errors of everything that sends: [poller.ErrClosed] once the connection is gone; [poller.ErrUnread] while
// the server does not read it, because its messages wait to be handled; those of the payload.
type Socket struct {
	link poller.Link
	sink sink // changed while the connection is locked
	refs atomic.Uint32
}

// Receive implements [poller.Peer], for the engine.
func (s *Socket) Receive(p []byte) int {
	s.sink.receive(s, p)
	return len(p)
}

// Closed implements [poller.Peer], for the engine.
func (s *Socket) Closed() { s.sink.closed(s) }

// A Ref is a message's reference. Each socket counts its own from 1; 0 is null.
type Ref uint32

// Join asks to join a topic, with a payload of which [Channel.Push] tells. Whether the application has
// accepted, only an observer hears: a reply to Channel.JoinRef.
func (s *Socket) Join(topic string, payload any) (Channel, error) {
	ch := Channel{s, topic, s.nextRef()}
	return ch, s.send(ch.ref, ch.ref, topic, "phx_join", payload)
}

// Heartbeat sends the heartbeat that phoenix.js sends each 30 seconds.
func (s *Socket) Heartbeat() (Ref, error) {
	ref := s.nextRef()
	return ref, s.send(0, ref, "phoenix", "heartbeat", nil)
}

// Close closes the connection in order, with code 1000, as a page that is left does.
func (s *Socket) Close() error {
	return s.feed(ws.OpClose, func(dst []byte) ([]byte, error) { return append(dst, 1000>>8, 1000&0xff), nil })
}

func (s *Socket) nextRef() Ref { return Ref(s.refs.Add(1)) }

// send sends one message.
func (s *Socket) send(joinRef, ref Ref, topic, event string, payload any) error {
	p := toPayload(payload)
	op := ws.OpText
	if p.IsBinary() {
		op = ws.OpBinary
	}
	return s.feed(op, func(dst []byte) ([]byte, error) { return appendMessage(dst, joinRef, ref, topic, event, p) })
}

// A Channel is a topic that a socket has joined, or asked to. It is a value: nothing is held for it.
type Channel struct {
	socket *Socket
	topic  string
	ref    Ref
}

// Topic returns the channel's topic, Socket its socket.
func (ch Channel) Topic() string   { return ch.topic }
func (ch Channel) Socket() *Socket { return ch.socket }

// JoinRef returns the ref of the join, which the reply to it and all that the channel is sent have.
func (ch Channel) JoinRef() Ref { return ch.ref }

// Push sends an event and returns its ref, which a reply has. payload is a [server.Payload] or what
// [server.JSON] takes; nil is the empty object.
func (ch Channel) Push(event string, payload any) (Ref, error) {
	ref := ch.socket.nextRef()
	return ref, ch.socket.send(ch.ref, ref, ch.topic, event, payload)
}

// Leave leaves the topic. The reply to its ref comes first, then phx_close.
func (ch Channel) Leave() (Ref, error) { return ch.Push("phx_leave", nil) }

func toPayload(v any) server.Payload {
	switch v := v.(type) {
	case nil:
		return server.Payload{}
	case server.Payload:
		return v
	}
	return server.JSON(v)
}
