package server

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// A socket is a connection that speaks Phoenix Channels: 64 bytes, and a channel for each topic that it
// has joined. Its channels are touched by tasks of the connection only, which run one at a time.
type socket struct {
	wsConn
	v2     bool
	packed bool // it speaks version 2 in MessagePack: v2 is set too
	broken bool // a message could not be decoded: the connection is at its end
	joined int32
	first  *channel  // the last one joined; the others follow by next
	ident  *identity // nil when Connect gave it nothing, and it has left nothing
}

// An identity is what Connect said of a connection, with its subscription to its id, and what the connection has left.
type identity struct {
	hub.Subscription
	socket  atomic.Pointer[socket] // nil until the response has been sent
	assigns any
	missed  uint64 // topics, by their topicBit: see remember
}

// eventDisconnect on the topic of a socket id closes the socket (section 3.9).
const eventDisconnect = "disconnect"

// identify gives the socket what Connect said of it. It is subscribed to its id before the response is sent, so
// that a Disconnect of somebody who has seen the response reaches it. There is an id only after Connect, which
// runs in a task; so OnClose, which unsubscribes, comes behind this.
func (s *socket) identify(k *Connect) {
	if k == nil || k.Assigns == nil && k.ID == "" {
		return
	}
	s.ident = &identity{assigns: k.Assigns}
	if k.ID != "" {
		s.server().hub.Subscribe(k.ID, s.ident)
	}
}

// disconnectedEarly is the socket of an identity that a Disconnect has reached before the response was sent: a
// Close frame must not come before it.
var disconnectedEarly socket

// opened implements upgradedHandler.
func (s *socket) opened() {
	if s.ident != nil && !s.ident.socket.CompareAndSwap(nil, s) {
		s.close(codeGoingAway, "")
	}
}

// Deliver implements hub.Subscriber.
func (i *identity) Deliver(m *hub.Message) {
	switch m.Event {
	case eventDisconnect:
		if i.socket.CompareAndSwap(nil, &disconnectedEarly) {
			return
		}
		if s := i.opened(); s != nil {
			s.close(codeGoingAway, "")
		}
	case eventPushTo:
		i.deliverPush(m)
	}
}

// opened returns the socket, or nil while the response has not been sent.
func (i *identity) opened() *socket {
	s := i.socket.Load()
	if s == &disconnectedEarly {
		return nil
	}
	return s
}

func (s *socket) app() *socketApp { return s.mount.app.(*socketApp) }
func (s *socket) server() *Server { return s.mount.srv }

func (s *socket) serializer() serializer {
	switch {
	case s.packed:
		return serializerPacked{}
	case s.v2:
		return serializerV2{}
	}
	return serializerV1{}
}

// OnData implements poller.Handler.
func (s *socket) OnData(_ poller.Conn, data []byte) int { return s.onData(data, s) }

// OnClose implements poller.Handler: the channels end with their transport (section 3.10).
func (s *socket) OnClose(_ poller.Conn, _ error) {
	if s.ident != nil {
		s.server().hub.Unsubscribe(s.ident)
	}
	s.unseat()
	s.dropMessage()
	s.endChannels()
}

func (s *socket) endChannels() {
	defer func() {
		if s.first != nil {
			s.endChannels() // a Leave has ended its goroutine
		}
	}()
	for s.first != nil {
		ch := s.first
		s.drop(ch)
		ch.terminate(ErrDisconnected)
	}
}

// oddHeartbeat bounds a heartbeat that is not written as phoenix.js writes it: it has spaces, or its keys
// are in another order. It need not be as cheap as the others, but must not wait behind the
// application's code either.
const oddHeartbeat = 256

// message implements receiver. The heartbeat is answered here, on the loop; everything else is a task.
func (s *socket) message(cu *cut) (full bool) {
	payload, binary := cu.msg.Payload(), isBinary(cu)
	ser := s.serializer()
	if r, ok := ser.heartbeat(payload, binary); ok {
		start := len(cu.out)
		cu.out = ser.appendHeartbeatReply(append(cu.out, make([]byte, headRoom)...), r)
		cu.out = cu.out[:start+copy(cu.out[start:], sealFrame(cu.out[start:], s.packed))]
		s.answered(cu)
		return false
	}
	s.flush(cu)
	if len(payload) <= oddHeartbeat && bytes.Contains(payload, []byte(eventHeartbeat)) {
		if m, err := ser.decode(payload, binary); err == nil && m.isHeartbeat() {
			s.answerHeartbeat(&m)
			return false
		}
	}
	in := inbounds.Get().(*inbound)
	in.socket, in.binary, in.deferred = s, binary, cu.msg.Deferred()
	in.data = append([]byte(nil), payload...) // the application may keep it
	full, err := s.queue(in, len(payload))
	if errors.Is(err, poller.ErrMailboxFull) {
		s.close(codeTryAgainLater, "mailbox full") // of tasks that did not come from this client
	}
	return full
}

// An inbound is a message of a client on its way to a worker.
type inbound struct {
	socket   *socket
	data     []byte
	binary   bool
	deferred bool // data is compressed
}

var inbounds = sync.Pool{New: func() any { return new(inbound) }}

func (in *inbound) Run(poller.Conn) {
	s, data, binary, deferred := in.socket, in.data, in.binary, in.deferred
	*in = inbound{}
	inbounds.Put(in)
	s.took(len(data))
	if s.broken {
		return
	}
	if deferred {
		b, err := s.inflate(binary, data)
		if err != nil {
			s.broken = true
			return
		}
		data = b.B // the application may keep it, so it is not freed
	}
	m, err := s.serializer().decode(data, binary)
	if err != nil {
		s.broken = true
		s.server().counters.decodeErrors.Add(1)
		s.close(codeInternalError, "")
		return
	}
	s.dispatch(&m)
}

func (m *message) isHeartbeat() bool { return m.topic == topicPhoenix && m.event == eventHeartbeat }

func (s *socket) answerHeartbeat(m *message) {
	_ = s.reply("", m.ref, m.topic, statusOK, Payload{})
}

// dispatch is section 3.2.
func (s *socket) dispatch(m *message) {
	if m.isHeartbeat() {
		s.answerHeartbeat(m)
		return
	}
	if m.event == eventJoin && s.refusesJoin(m) {
		return
	}
	var ch *channel
	if m.rawTopic == "" {
		ch = s.find(m.topic)
	}
	switch {
	case ch == nil:
		s.dispatchUnjoined(m)
	case m.event == eventJoin:
		s.rejoin(ch, m)
	case !m.joinRef.isNull() && !m.joinRef.equal(ch.rawJoinRef()):
		// Stale: of an earlier join of this topic. Silence.
	case m.event == eventLeave:
		s.leave(ch, m)
	default:
		ch.handleIn(m)
	}
}

func (s *socket) dispatchUnjoined(m *message) {
	switch {
	case m.event == eventJoin && m.rawTopic == "":
		s.join(m)
	case m.event == eventLeave && m.rawTopic == "":
		s.reply(m.joinRef, m.ref, m.topic, statusOK, Payload{})
	default:
		s.unmatched(m)
	}
}

func (s *socket) unmatched(m *message) {
	sh := newSheet()
	defer sh.release()
	sh.b = s.serializer().appendUnmatched(sh.b, m)
	_ = s.write(sh.frame(s.packed))
}

func (s *socket) find(topic string) *channel {
	for ch := s.first; ch != nil; ch = ch.next {
		if ch.Topic() == topic {
			return ch
		}
	}
	return nil
}

// drop takes a channel off the socket and out of the hub: nothing more is delivered to it.
func (s *socket) drop(ch *channel) {
	ch.state.Or(channelLeft)
	s.server().hub.Unsubscribe(ch)
	s.unlink(ch)
}

func (s *socket) unlink(ch *channel) {
	for p := &s.first; *p != nil; p = &(*p).next {
		if *p == ch {
			*p = ch.next
			s.joined--
			break
		}
	}
	ch.next = nil
}

// reply sends a phx_reply; its error is one of the payload, or of the connection.
func (s *socket) reply(joinRef, r ref, topic, status string, p Payload) error {
	sh := newSheet()
	defer sh.release()
	var binary bool
	var err error
	if sh.b, binary, err = s.serializer().appendReply(sh.b, joinRef, r, topic, status, p); err != nil {
		return err
	}
	return s.write(s.frame(sh, binary))
}

func (s *socket) push(joinRef ref, topic, event string, p Payload) error {
	sh := newSheet()
	defer sh.release()
	var binary bool
	var err error
	if sh.b, binary, err = s.serializer().appendPush(sh.b, joinRef, topic, event, p); err != nil {
		return err
	}
	if isPresence(event) {
		return s.writeOrClose(s.frame(sh, binary))
	}
	return s.write(s.frame(sh, binary))
}

// pushClose and pushError end a channel on the client's side. They are not dropped: a client that missed
// one would believe for ever that it is still joined.
func (s *socket) pushClose(joinRef ref, topic string) {
	sh := newSheet()
	defer sh.release()
	sh.b = s.serializer().appendClose(sh.b, joinRef, topic)
	_ = s.writeOrClose(sh.frame(s.packed))
}

func (s *socket) pushError(joinRef ref, topic string) {
	sh := newSheet()
	defer sh.release()
	sh.b = s.serializer().appendError(sh.b, joinRef, topic)
	_ = s.writeOrClose(sh.frame(s.packed))
}
