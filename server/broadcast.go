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
	case event == eventPushTo:
		return nil, ErrReservedEvent
	case p.binary && (len(topic) > 255 || len(event) > 255):
		return nil, ErrFieldTooLong
	case !p.binary && !p.isObject():
		return nil, ErrPayloadNotObject
	}
	return &hub.Message{Topic: topic, Event: event, Payload: p.data, Binary: p.binary, Packed: p.packed}, nil
}

// payloadOf returns the payload of a broadcast.
func payloadOf(m *hub.Message) Payload {
	return Payload{data: m.Payload, binary: m.Binary, packed: m.Packed}
}

// isPayloadError tells the application's mistakes from failures of the connection.
func isPayloadError(err error) bool {
	return err != nil && err != poller.ErrClosed && err != poller.ErrOutboxFull
}

// The encoded forms of a broadcast: one for each serializer, with and without compression.
const (
	formatV1 hub.Format = iota
	formatV2
	formatPacked
	formatV1Deflate
	formatV2Deflate
	formatPackedDeflate
)

func (s *socket) format() hub.Format {
	f := formatV1
	switch {
	case s.packed:
		f = formatPacked
	case s.v2:
		f = formatV2
	}
	if s.deflate {
		f += formatV1Deflate
	}
	return f
}

// encoders make the frame of a broadcast, by format.
var encoders = [hub.Formats]func(*hub.Message) ([]byte, error){
	formatV1:        func(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerV1{}, m, sealFrame) },
	formatV2:        func(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerV2{}, m, sealFrame) },
	formatV1Deflate: func(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerV1{}, m, deflateFrame) },
	formatV2Deflate: func(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerV2{}, m, deflateFrame) },
	formatPacked:    func(m *hub.Message) ([]byte, error) { return encodeBroadcast(serializerPacked{}, m, sealFrame) },
	formatPackedDeflate: func(m *hub.Message) ([]byte, error) {
		return encodeBroadcast(serializerPacked{}, m, deflateFrame)
	},
}

func encodeBroadcast(s serializer, m *hub.Message, seal func([]byte, bool) []byte) ([]byte, error) {
	if m.Event == eventPushTo {
		return nil, errNotForChannels
	}
	b := make([]byte, headRoom, headRoom+len(m.Topic)+len(m.Event)+len(m.Payload)+64)
	b, binary, err := s.appendBroadcast(b, m.Topic, m.Event, payloadOf(m))
	if err != nil {
		return nil, err
	}
	return seal(b, binary), nil
}
