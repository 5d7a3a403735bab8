package server

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// serializerV2 is protocol version 2.0: JSON arrays as text, and binary frames (sections 2.1, 2.2).
type serializerV2 struct{}

// The kinds of binary frames.
const (
	kindPush      = 0
	kindReply     = 1
	kindBroadcast = 2
)

// maxField is what the one byte of a field's size can say.
const maxField = 255

func (serializerV2) version() int { return 2 }

func (s serializerV2) decode(data []byte, binary bool) (message, error) {
	if binary {
		return s.decodeBinary(data)
	}
	return s.decodeText(data)
}

// decodeText takes the first five elements of the array and ignores more, which must be valid all the
// same.
func (serializerV2) decodeText(data []byte) (message, error) {
	if !utf8.Valid(data) {
		return message{}, errNotUTF8
	}
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '[' {
		return message{}, textError(data, errNotArray)
	}
	var starts, ends [5]int
	count := 0
	for more := true; more; count++ {
		start := skipSpace(data, i+1)
		end := skipValue(data, start, 1)
		if end < 0 {
			return message{}, textError(data, errNotArray) // the empty array comes here
		}
		if count < 5 {
			starts[count], ends[count] = start, end
		}
		i = skipSpace(data, end)
		more = i < len(data) && data[i] == ','
	}
	if i >= len(data) || data[i] != ']' || skipSpace(data, i+1) != len(data) {
		return message{}, errNotJSON
	}
	if count < 5 {
		return message{}, errNotArray
	}
	header := string(data[:ends[3]])
	m := message{joinRef: ref(header[starts[0]:ends[0]]), ref: ref(header[starts[1]:ends[1]])}
	m.setTopic(header[starts[2]:ends[2]])
	m.setEvent(header[starts[3]:ends[3]])
	m.payload.data = data[starts[4]:ends[4]:ends[4]]
	return m, m.check()
}

// textError returns shape if data is JSON, of another shape than it should be.
func textError(data []byte, shape *decodeError) *decodeError {
	i := skipSpace(data, 0)
	if i = skipValue(data, i, 0); i >= 0 && skipSpace(data, i) == len(data) {
		return shape
	}
	return errNotJSON
}

// decodeBinary takes a push apart. Its refs are strings: length 0 is the empty string and not null
// (section 2.2).
func (serializerV2) decodeBinary(data []byte) (message, error) {
	const header = 5
	if len(data) < header || data[0] != kindPush {
		return message{}, errBinaryForm
	}
	var ends [4]int
	end := header
	for i, size := range data[1:header] {
		end += int(size)
		ends[i] = end
	}
	if end > len(data) {
		return message{}, errBinaryForm
	}
	var b strings.Builder
	b.Grow(end - header + len(`""""`))
	joinRef := quoteInto(&b, data[header:ends[0]])
	r := quoteInto(&b, data[ends[0]:ends[1]])
	b.Write(data[ends[1]:ends[3]])
	all := b.String()
	topic := joinRef + r + ends[2] - ends[1]
	return message{
		joinRef: ref(all[:joinRef]),
		ref:     ref(all[joinRef : joinRef+r]),
		topic:   all[joinRef+r : topic],
		event:   all[topic:],
		payload: Payload{data: data[end:len(data):len(data)], binary: true},
	}, nil
}

// quoteInto adds s as a JSON string and returns the length of that.
func quoteInto(b *strings.Builder, s []byte) int {
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			n, _ := b.Write(appendString(nil, string(s)))
			return n
		}
	}
	b.WriteByte('"')
	b.Write(s)
	b.WriteByte('"')
	return len(s) + 2
}

func (serializerV2) appendReply(dst []byte, joinRef, r ref, topic, status string, p Payload) ([]byte, bool, error) {
	if p.err != nil {
		return dst, false, p.err
	}
	if p.binary {
		return appendBinary(dst, kindReply, [4]ref{joinRef, r}, 2, topic, status, p.data)
	}
	dst = appendHeader(dst, joinRef, r, topic, eventReply)
	dst = appendResponse(dst, status, p)
	return append(dst, ']'), false, nil
}

func (serializerV2) appendPush(dst []byte, joinRef ref, topic, event string, p Payload) ([]byte, bool, error) {
	switch {
	case p.err != nil:
		return dst, false, p.err
	case p.binary:
		return appendBinary(dst, kindPush, [4]ref{joinRef}, 1, topic, event, p.data)
	case !p.isObject():
		return dst, false, ErrPayloadNotObject
	}
	dst = appendHeader(dst, joinRef, "", topic, event)
	return append(p.appendJSON(dst), ']'), false, nil
}

func (serializerV2) appendBroadcast(dst []byte, topic, event string, p Payload) ([]byte, bool, error) {
	switch {
	case p.err != nil:
		return dst, false, p.err
	case p.binary:
		return appendBinary(dst, kindBroadcast, [4]ref{}, 0, topic, event, p.data)
	case !p.isObject():
		return dst, false, ErrPayloadNotObject
	}
	dst = appendHeader(dst, "", "", topic, event)
	return append(p.appendJSON(dst), ']'), false, nil
}

func (serializerV2) appendClose(dst []byte, joinRef ref, topic string) []byte {
	return append(appendHeader(dst, joinRef, joinRef, topic, eventClose), `{}]`...)
}

func (serializerV2) appendError(dst []byte, joinRef ref, topic string) []byte {
	return append(appendHeader(dst, joinRef, joinRef, topic, eventError), payloadCrash+`]`...)
}

func (serializerV2) appendUnmatched(dst []byte, m *message) []byte {
	dst = append(dst, `[null,`...)
	dst = append(dst, m.ref.json()...)
	dst = m.appendTopic(append(dst, ','))
	return append(dst, `,"phx_reply",{"status":"error","response":`+payloadUnmatched+`}]`...)
}

// appendHeader appends a text message up to its payload.
func appendHeader(dst []byte, joinRef, r ref, topic, event string) []byte {
	dst = append(append(dst, '['), joinRef.json()...)
	dst = append(append(dst, ','), r.json()...)
	dst = appendString(append(dst, ','), topic)
	dst = appendString(append(dst, ','), event)
	return append(dst, ',')
}

// appendBinary appends a binary message with the first count of refs. name is the event, or the status
// of a reply.
func appendBinary(dst []byte, kind byte, refs [4]ref, count int, topic, name string, data []byte) ([]byte, bool, error) {
	var fields [4]string
	for i, r := range refs[:count] {
		text, err := r.binaryText()
		if err != nil {
			return dst, false, err
		}
		fields[i] = text
	}
	fields[count], fields[count+1] = topic, name
	for _, f := range fields[:count+2] {
		if len(f) > maxField {
			return dst, false, ErrFieldTooLong
		}
	}
	dst = append(dst, kind)
	for _, f := range fields[:count+2] {
		dst = append(dst, byte(len(f)))
	}
	for _, f := range fields[:count+2] {
		dst = append(dst, f...)
	}
	return append(dst, data...), true, nil
}

func (serializerV2) heartbeat(data []byte, binary bool) (r []byte, ok bool) {
	if binary {
		return nil, false
	}
	return heartbeatV2(data)
}

// heartbeatV2 recognises [null,"7","phoenix","heartbeat",{}].
func heartbeatV2(text []byte) (r []byte, ok bool) {
	const tail = `,"phoenix","heartbeat",{}]`
	if !bytes.HasSuffix(text, []byte(tail)) || text[0] != '[' {
		return nil, false
	}
	refs := text[1 : len(text)-len(tail)]
	n := cutSimpleRef(refs)
	if n == 0 || n >= len(refs) || refs[n] != ',' {
		return nil, false
	}
	r = refs[n+1:]
	return r, len(r) > 0 && cutSimpleRef(r) == len(r)
}

func (serializerV2) appendHeartbeatReply(dst, r []byte) []byte {
	dst = append(dst, `[null,`...)
	dst = append(dst, r...)
	return append(dst, `,"phoenix","phx_reply",{"status":"ok","response":{}}]`...)
}
