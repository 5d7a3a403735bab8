package server

import (
	"strings"

	"github.com/tinylib/msgp/msgp"
)

// subprotocolPacked is the sub-protocol of [WebSocketOptions.MessagePack].
const subprotocolPacked = "phoenix.msgpack"

// serializerPacked is protocol version 2.0 in MessagePack: the array of section 2.1 in a binary frame, for
// every message in both directions. A payload that is a bin is what V2 sends in the binary frames of section
// 2.2.
type serializerPacked struct{}

var (
	errPackedText  = &decodeError{"server: the message is a text frame: MessagePack comes in binary ones"}
	errPackedArray = &decodeError{"server: the message is not an array of five elements or more in MessagePack"}
	errPackedValue = &decodeError{"server: the message is not MessagePack that can be passed on"}
	errPackedField = &decodeError{"server: a reference, the topic or the event of the message is of a type that it cannot be"}
)

func (serializerPacked) version() int { return 2 }

// decode takes the first five elements and ignores more, which must be valid all the same. The references
// are null, strings or integers; topic and event are strings.
func (serializerPacked) decode(data []byte, binary bool) (message, error) {
	if !binary {
		return message{}, errPackedText
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(data)
	if err != nil || n < 5 {
		return message{}, errPackedArray
	}
	if uint64(n) > uint64(len(rest)) {
		return message{}, errPackedValue
	}
	var fields [5][]byte
	for i := range n {
		after, ok := skipPacked(rest, maxPackedDepth)
		if !ok {
			return message{}, errPackedValue
		}
		if int(i) < len(fields) {
			fields[i] = rest[: len(rest)-len(after) : len(rest)-len(after)]
		}
		rest = after
	}
	if len(rest) > 0 {
		return message{}, errPackedValue
	}
	return packedMessage(&fields)
}

// packedMessage makes the message, with one copy for the fields that it keeps.
func packedMessage(fields *[5][]byte) (message, error) {
	topic, _, err1 := msgp.ReadStringZC(fields[2])
	event, _, err2 := msgp.ReadStringZC(fields[3])
	if err1 != nil || err2 != nil {
		return message{}, errPackedField
	}
	var b strings.Builder
	b.Grow(len(`"""""`) + len(fields[0]) + len(fields[1]) + len(topic) + len(event))
	joinRef, ok1 := packedRefInto(&b, fields[0])
	r, ok2 := packedRefInto(&b, fields[1])
	if !ok1 || !ok2 {
		return message{}, errPackedField
	}
	b.Write(topic)
	b.Write(event)
	all := b.String()
	m := message{joinRef: ref(all[:joinRef]), ref: ref(all[joinRef : joinRef+r])}
	all = all[joinRef+r:]
	m.topic, m.event = all[:len(topic)], all[len(topic):]
	m.payload = packedPayload(fields[4])
	return m, m.check()
}

// packedRefInto adds a reference as JSON and returns the length of that.
func packedRefInto(b *strings.Builder, value []byte) (n int, ok bool) {
	switch msgp.NextType(value) {
	case msgp.NilType:
		b.WriteString("null")
		return len("null"), true
	case msgp.StrType:
		s, _, _ := msgp.ReadStringZC(value)
		return quoteInto(b, s), true
	case msgp.IntType, msgp.UintType:
		var room [20]byte
		digits, _ := appendPackedDigits(room[:0], value)
		b.Write(digits)
		return len(digits), true
	}
	return 0, false
}

// appendPackedRef appends a reference that decode has made: null, a string or an integer.
func appendPackedRef(dst []byte, r ref) []byte {
	if r.isNull() {
		return msgp.AppendNil(dst)
	}
	if s, ok := unquote(string(r)); ok {
		return packText(dst, s)
	}
	return packNumber(dst, string(r))
}

// appendPackedHeader appends a message up to its payload.
func appendPackedHeader(dst []byte, joinRef, r ref, topic, event string) []byte {
	dst = msgp.AppendArrayHeader(dst, 5)
	dst = appendPackedRef(appendPackedRef(dst, joinRef), r)
	return packText(packText(dst, topic), event)
}

// appendPackedStatus begins the payload of a reply, up to its response.
func appendPackedStatus(dst []byte, status string) []byte {
	dst = msgp.AppendString(msgp.AppendMapHeader(dst, 2), "status")
	return msgp.AppendString(packText(dst, status), "response")
}

// appendPackedReason appends {"reason": reason}.
func appendPackedReason(dst []byte, reason string) []byte {
	return msgp.AppendString(msgp.AppendString(msgp.AppendMapHeader(dst, 1), "reason"), reason)
}

func (serializerPacked) appendReply(dst []byte, joinRef, r ref, topic, status string, p Payload) ([]byte, bool, error) {
	out, err := p.appendPacked(appendPackedStatus(appendPackedHeader(dst, joinRef, r, topic, eventReply), status))
	if err != nil {
		return dst, true, err
	}
	return out, true, nil
}

func (serializerPacked) appendPush(dst []byte, joinRef ref, topic, event string, p Payload) ([]byte, bool, error) {
	if p.err == nil && !p.binary && !p.isObject() {
		return dst, true, ErrPayloadNotObject
	}
	out, err := p.appendPacked(appendPackedHeader(dst, joinRef, "", topic, event))
	if err != nil {
		return dst, true, err
	}
	return out, true, nil
}

func (s serializerPacked) appendBroadcast(dst []byte, topic, event string, p Payload) ([]byte, bool, error) {
	return s.appendPush(dst, "", topic, event, p)
}

func (serializerPacked) appendClose(dst []byte, joinRef ref, topic string) []byte {
	return msgp.AppendMapHeader(appendPackedHeader(dst, joinRef, joinRef, topic, eventClose), 0)
}

func (serializerPacked) appendError(dst []byte, joinRef ref, topic string) []byte {
	return appendPackedReason(appendPackedHeader(dst, joinRef, joinRef, topic, eventError), "channel_crash")
}

func (serializerPacked) appendUnmatched(dst []byte, m *message) []byte {
	dst = appendPackedHeader(dst, "", m.ref, m.topic, eventReply)
	return appendPackedReason(appendPackedStatus(dst, statusError), "unmatched topic")
}

// packedBeat is what follows the references in a heartbeat, packedBeatReply what follows the reference in the
// answer to one: the strings "phoenix" and "heartbeat", an empty map, and so on.
const (
	packedBeat      = "\xa7phoenix\xa9heartbeat\x80"
	packedBeatReply = "\xa7phoenix\xa9phx_reply\x82\xa6status\xa2ok\xa8response\x80"
)

// heartbeat recognises [nil, "7", "phoenix", "heartbeat", {}].
func (serializerPacked) heartbeat(data []byte, binary bool) (r []byte, ok bool) {
	end := len(data) - len(packedBeat)
	if !binary || end < 1 || data[0] != 0x95 || string(data[end:]) != packedBeat {
		return nil, false
	}
	refs := data[1:end]
	n := cutPackedRef(refs)
	if n == 0 {
		return nil, false
	}
	r = refs[n:]
	return r, len(r) > 0 && cutPackedRef(r) == len(r)
}

func (serializerPacked) appendHeartbeatReply(dst, r []byte) []byte {
	dst = append(append(dst, 0x95, 0xc0), r...)
	return append(dst, packedBeatReply...)
}

// cutPackedRef takes a reference that is nil, an integer or a short string of ASCII, which is what clients use, and
// returns its length; 0 for any other.
func cutPackedRef(b []byte) int {
	switch msgp.NextType(b) {
	case msgp.StrType:
		s, rest, err := msgp.ReadStringZC(b)
		if err != nil || len(s) > 31 {
			return 0
		}
		for _, c := range s {
			if c >= 0x80 {
				return 0
			}
		}
		return len(b) - len(rest)
	case msgp.NilType, msgp.IntType, msgp.UintType:
		rest, err := msgp.Skip(b)
		if err != nil {
			return 0
		}
		return len(b) - len(rest)
	}
	return 0
}
