package server

import (
	"encoding/binary"
	"errors"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// BroadcastFrom is [Server.Broadcast] to all channels of a topic but from, which need not be on it. The
// zero Handle is nobody.
func (s *Server) BroadcastFrom(from Handle, topic, event string, payload any) error {
	m, err := newBroadcast(topic, event, payload)
	if err != nil {
		return err
	}
	if from.ch == nil {
		s.hub.Broadcast(m)
		return nil
	}
	s.hub.BroadcastFrom(from.ch, m) // its join may be under way
	return nil
}

// PushTo sends an event to the channels of every connection whose [Connect.ID] is id, from anywhere in the
// program: to the one that has joined topic, or, if topic is "", to each that it has. The client sees an
// ordinary push (section 3.6). A connection that is not joined, and an id that nobody has, are no errors.
//
// The payload is a [Payload] or what [JSON] takes; errors are those of the payload, which is checked as that
// of a broadcast is. The pushes of one goroutine arrive in the order of the calls. Each waits its turn behind
// the messages of its connection, so a broadcast that is made afterwards may arrive before it. A connection
// whose mailbox is full is treated as a [SlowConsumer].
func (s *Server) PushTo(id, topic, event string, payload any) error {
	m, err := newBroadcast(topic, event, payload)
	if err != nil {
		return err
	}
	s.hub.Broadcast(&hub.Message{Topic: id, Event: eventPushTo, Payload: appendEnvelope(nil, m), Binary: true})
	return nil
}

// eventPushTo on the topic of a socket id is a push to its channels; nothing else can make it, see
// newBroadcast.
const eventPushTo = "dormouse:push_to"

var (
	// ErrReservedEvent is returned for a broadcast of the one event that is the server's own.
	ErrReservedEvent = errors.New("server: the event " + eventPushTo + " is reserved for Server.PushTo")

	// errNotForChannels keeps a message to the sockets of an id from a channel whose topic has its name.
	errNotForChannels = errors.New("server: for the sockets of an id")
)

// The kinds of payload in an envelope.
const (
	envelopeJSON byte = iota
	envelopeBinary
	envelopePacked
)

// An envelope is a message in the payload of another, so that it can go wherever a broadcast can: the kind of
// its payload, the lengths of topic and event, topic, event, payload.
func appendEnvelope(dst []byte, m *hub.Message) []byte {
	kind := envelopeJSON
	switch {
	case m.Binary:
		kind = envelopeBinary
	case m.Packed:
		kind = envelopePacked
	}
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(len(m.Topic)))
	dst = binary.AppendUvarint(dst, uint64(len(m.Event)))
	return append(append(append(dst, m.Topic...), m.Event...), m.Payload...)
}

// openEnvelope returns what is in an envelope. The payload is part of it.
func openEnvelope(b []byte) (topic, event string, p Payload, ok bool) {
	if len(b) == 0 || b[0] > envelopePacked {
		return "", "", p, false
	}
	kind, b := b[0], b[1:]
	var sizes [2]int
	for i := range sizes {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)) {
			return "", "", p, false
		}
		sizes[i], b = int(size), b[n:]
	}
	if sizes[0]+sizes[1] > len(b) {
		return "", "", p, false
	}
	topic, b = string(b[:sizes[0]]), b[sizes[0]:]
	event, b = string(b[:sizes[1]]), b[sizes[1]:]
	return topic, event, Payload{data: b, binary: kind == envelopeBinary, packed: kind == envelopePacked}, true
}

// deliverPush has an envelope opened by a task of the connection: only those look at its channels.
func (i *identity) deliverPush(m *hub.Message) {
	s := i.opened()
	topic, event, p, ok := openEnvelope(m.Payload)
	if !ok || s == nil { // a connection that is not open has no channels
		return
	}
	if _, err := s.conn.Do(&pushTo{s, topic, event, p}); errors.Is(err, poller.ErrMailboxFull) {
		_ = s.sent(poller.ErrOutboxFull)
	}
}

// A pushTo is a push on its way to the channels of a connection.
type pushTo struct {
	socket       *socket
	topic, event string
	payload      Payload
}

// Run implements poller.Task.
func (p *pushTo) Run(poller.Conn) {
	s := p.socket
	for ch := s.first; ch != nil; ch = ch.next {
		if p.topic != "" && p.topic != ch.Topic() {
			continue
		}
		if err := s.push(ch.joinRef(), ch.Topic(), p.event, p.payload); isPayloadError(err) {
			s.server().counters.unencodable.Add(1)
		}
	}
}

// Topic returns the topic of the channel, or "" before its join is done.
func (h Handle) Topic() string {
	if h.ch.state.Load()&channelJoined == 0 {
		return ""
	}
	return h.ch.Topic()
}

// Joined reports whether the client is joined: pushes may still reach it.
func (h Handle) Joined() bool { return h.ch.live() }
