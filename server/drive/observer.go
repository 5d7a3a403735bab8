package drive

import (
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// An Observer hears what a socket receives. Its methods are called one at a time for a socket, on the
// goroutine that sends, with the connection locked: they must not block, and must not call a Socket or a
// Channel. One observer may hear many sockets, then on several goroutines at once.
type Observer interface {
	// Message is given each message, which may be kept.
	Message(s *Socket, m Message)

	// Closed is called once, after the last message, with the code of the server's Close frame, or
	// 1006 if the connection ended without one (RFC 6455 section 7.1.5).
	Closed(s *Socket, code int)
}

// A Message is what a socket received.
type Message struct {
	JoinRef, Ref Ref
	Topic, Event string

	// Status is that of a reply, and Payload then its response.
	Status  string
	Payload server.Payload
}

// observed is the sink of a socket that somebody hears.
type observed struct {
	driver   *Driver
	observer Observer
	code     int
}

// receive is given whole frames: a socket takes everything, so nothing waits to be cut.
func (o *observed) receive(s *Socket, p []byte) {
	o.driver.silent.receive(s, p)
	d := frame.Decoder{Client: true}
	d.Push(p)
	part, ok, err := d.Next()
	if err != nil || !ok || !part.Header.Fin {
		o.driver.silent.undecoded.Add(1)
		return
	}
	switch op := part.Header.OpCode; op {
	case ws.OpClose:
		code, _, _ := frame.ParseClose(part.Payload)
		o.code = int(code)
	case ws.OpText, ws.OpBinary:
		m, err := decode(part.Payload, op == ws.OpBinary)
		if err != nil {
			o.driver.silent.undecoded.Add(1)
			return
		}
		o.observer.Message(s, m)
	}
}

func (o *observed) closed(s *Socket) {
	if o.code == 0 {
		o.code = 1006
	}
	o.observer.Closed(s, o.code)
}
