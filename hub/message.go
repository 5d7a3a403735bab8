package hub

import (
	"sync"
	"sync/atomic"
)

// Formats is the number of encoded forms that a Message has room for: three serializers, each with and
// without compression. Each encodes the kinds of payload differently, but one message has only one.
const Formats = 6

// A Format is one of the encoded forms, 0 to Formats-1. What each means is up to the subscribers,
// who must agree on it.
type Format uint8

// A Message is what a broadcast hands to the subscribers, one for all of them. It is immutable from
// the call of Broadcast on: nobody changes a field or the payload's bytes any more, and it may be read
// on every goroutine and kept. It must not be copied.
type Message struct {
	Topic   string
	Event   string
	Payload []byte
	Binary  bool // the payload is bytes of the application's, not JSON
	Packed  bool // the payload is MessagePack, not JSON

	mu      sync.Mutex // held while encoding; protects the writing of the following
	encoded [Formats]atomic.Pointer[encoding]
}

// encoding is what an encode function returned.
type encoding struct {
	data []byte
	err  error
}

// Encoded returns m in format f, as encode returned it: the bytes or the error. encode is called at
// most once per format, by whoever asks first, while others who ask wait; so all must mean the same by
// f, and nobody may change the bytes. If encode panics, the next who asks calls theirs.
//
// encode must not call Encoded of the same message or any method of a Hub. A function that is no
// closure makes the call free of allocation.
func (m *Message) Encoded(f Format, encode func(*Message) ([]byte, error)) ([]byte, error) {
	e := m.encoded[f].Load()
	if e == nil {
		e = m.encode(f, encode)
	}
	return e.data, e.err
}

func (m *Message) encode(f Format, encode func(*Message) ([]byte, error)) *encoding {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.encoded[f].Load(); e != nil {
		return e
	}
	data, err := encode(m)
	e := &encoding{data, err}
	m.encoded[f].Store(e)
	return e
}
