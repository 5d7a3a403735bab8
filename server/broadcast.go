package server

import (
	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/poller"
)

// toPayload takes the payload argument of the public methods.
func toPayload(v any) Payload {
	switch v := v.(type) {
	case nil:
		return Payload{}
	case Payload:
		return v
	}
	return JSON(v)
}

// newBroadcast checks what Phoenix checks when the first version 2 subscriber is served (section 3.7):
// the error is the broadcaster's.
func newBroadcast(topic, event string, payload any) (*hub.Message, error) {
	p := toPayload(payload)
	switch {
	case p.Err() != nil:
		return nil, p.Err()
	case p.binary && (len(topic) > 255 || len(event) > 255):
		return nil, ErrFieldTooLong
	case !p.binary && !p.isObject():
		return nil, ErrPayloadNotObject
	}
	return &hub.Message{Topic: topic, Event: event, Payload: p.data, Binary: p.binary}, nil
}

// isPayloadError tells the application's mistakes from failures of the connection.
func isPayloadError(err error) bool {
	return err != nil && err != poller.ErrClosed && err != poller.ErrOutboxFull
}

// encoder returns the function that makes the frame of a broadcast for this socket's version.
func (s *socket) encoder() func(*hub.Message) ([]byte, error) {
	if s.v2 {
		return encodeV2
	}
	return encodeV1
}

func encodeV1(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerV1{}, m) }
func encodeV2(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerV2{}, m) }

func encodeBroadcast(s serializer, m *hub.Message) ([]byte, error) {
	b := make([]byte, headRoom, headRoom+len(m.Topic)+len(m.Event)+len(m.Payload)+64)
	b, binary, err := s.appendBroadcast(b, m.Topic, m.Event, Payload{data: m.Payload, binary: m.Binary})
	if err != nil {
		return nil, err
	}
	return sealFrame(b, binary), nil
}
