package server

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// serializerV1 is protocol version 1.0: JSON objects (section 2.3). join_ref is read and never sent.
type serializerV1 struct{}

func (serializerV1) version() int { return 1 }

// The keys of a message, in the order in which v1Message copies them.
const (
	v1Topic = iota
	v1Event
	v1Payload
	v1Ref
	v1JoinRef
	v1Keys
)

// decode takes the keys in any order; of equal keys the last counts, others are ignored. The frame type
// is not looked at.
func (serializerV1) decode(data []byte, _ bool) (message, error) {
	if !utf8.Valid(data) {
		return message{}, errNotUTF8
	}
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return message{}, textError(data, errNotObject)
	}
	var values [v1Keys][]byte
	for more := true; more; {
		key := skipSpace(data, i+1)
		start := skipKey(data, key)
		if start < 0 {
			return message{}, textError(data, errMissingKey) // the empty object comes here
		}
		end := skipValue(data, start, 1)
		if end < 0 {
			return message{}, errNotJSON
		}
		if n := v1Key(data[key:start]); n >= 0 {
			values[n] = data[start:end:end]
		}
		i = skipSpace(data, end)
		more = i < len(data) && data[i] == ','
	}
	if i >= len(data) || data[i] != '}' || skipSpace(data, i+1) != len(data) {
		return message{}, errNotJSON
	}
	return v1Message(&values)
}

// v1Key returns which key the text of one, with what follows it up to the value, is; -1 for another.
func v1Key(text []byte) int {
	key := text[:skipString(text, 0)]
	if bytes.IndexByte(key, '\\') >= 0 {
		s, _ := unquote(string(key))
		key = []byte(`"` + s + `"`)
	}
	switch string(key) {
	case `"topic"`:
		return v1Topic
	case `"event"`:
		return v1Event
	case `"payload"`:
		return v1Payload
	case `"ref"`:
		return v1Ref
	case `"join_ref"`:
		return v1JoinRef
	}
	return -1
}

// v1Message makes the message, with one copy for the fields that it keeps.
func v1Message(values *[v1Keys][]byte) (message, error) {
	size := 0
	for n, value := range values {
		if value == nil && n != v1JoinRef {
			return message{}, errMissingKey
		}
		if n != v1Payload {
			size += len(value)
		}
	}
	var b strings.Builder
	b.Grow(size)
	var ends [v1Keys]int
	for n, value := range values {
		if n != v1Payload {
			b.Write(value)
		}
		ends[n] = b.Len()
	}
	text := b.String()
	m := message{ref: ref(text[ends[v1Payload]:ends[v1Ref]]), joinRef: ref(text[ends[v1Ref]:])}
	m.setTopic(text[:ends[v1Topic]])
	m.setEvent(text[ends[v1Topic]:ends[v1Event]])
	m.payload.data = values[v1Payload]
	return m, m.check()
}

func (serializerV1) appendReply(dst []byte, _, r ref, topic, status string, p Payload) ([]byte, bool, error) {
	if err := v1Payloads(p); err != nil {
		return dst, false, err
	}
	dst = appendV1(dst, topic, eventReply)
	return appendV1Ref(appendResponse(dst, status, p), r), false, nil
}

func (serializerV1) appendPush(dst []byte, _ ref, topic, event string, p Payload) ([]byte, bool, error) {
	return serializerV1{}.appendBroadcast(dst, topic, event, p)
}

func (serializerV1) appendBroadcast(dst []byte, topic, event string, p Payload) ([]byte, bool, error) {
	if err := v1Payloads(p); err != nil {
		return dst, false, err
	}
	dst = appendV1(dst, topic, event)
	return appendV1Ref(p.appendJSON(dst), ""), false, nil
}

func (serializerV1) appendClose(dst []byte, joinRef ref, topic string) []byte {
	return appendV1Ref(append(appendV1(dst, topic, eventClose), `{}`...), joinRef)
}

func (serializerV1) appendError(dst []byte, joinRef ref, topic string) []byte {
	return appendV1Ref(append(appendV1(dst, topic, eventError), payloadCrash...), joinRef)
}

func (serializerV1) appendUnmatched(dst []byte, m *message) []byte {
	dst = m.appendTopic(append(dst, `{"topic":`...))
	dst = append(dst, `,"event":"phx_reply","payload":{"status":"error","response":`+payloadUnmatched+`}`...)
	return appendV1Ref(dst, m.ref)
}

// v1Payloads returns why p cannot be sent. Any JSON value can.
func v1Payloads(p Payload) error {
	if p.binary {
		return ErrBinaryV1
	}
	return p.err
}

// appendV1 appends a message up to its payload.
func appendV1(dst []byte, topic, event string) []byte {
	dst = appendString(append(dst, `{"topic":`...), topic)
	dst = appendString(append(dst, `,"event":`...), event)
	return append(dst, `,"payload":`...)
}

// appendV1Ref appends what follows the payload.
func appendV1Ref(dst []byte, r ref) []byte {
	dst = append(dst, `,"ref":`...)
	dst = append(dst, r.json()...)
	return append(dst, '}')
}

func (serializerV1) heartbeat(data []byte, _ bool) (r []byte, ok bool) { return heartbeatV1(data) }

// heartbeatV1 recognises {"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}, the order of keys
// in which the clients of that time wrote them.
func heartbeatV1(text []byte) (r []byte, ok bool) {
	const head = `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":`
	if len(text) < len(head)+2 || string(text[:len(head)]) != head || text[len(text)-1] != '}' {
		return nil, false
	}
	r = text[len(head) : len(text)-1]
	return r, cutSimpleRef(r) == len(r)
}

func (serializerV1) appendHeartbeatReply(dst, r []byte) []byte {
	dst = append(dst, `{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":`...)
	dst = append(dst, r...)
	return append(dst, '}')
}
