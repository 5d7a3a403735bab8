package bench

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// The client's end of Phoenix Channels, V2 serializer. Nothing here allocates for a message that is as
// servers write it.

// Names of phoenix.js.
const (
	eventJoin      = "phx_join"
	eventLeave     = "phx_leave"
	eventReply     = "phx_reply"
	eventHeartbeat = "heartbeat"
	topicPhoenix   = "phoenix"
)

// appendJoin appends a phx_join. phoenix.js uses its ref as join_ref, too.
func appendJoin(dst []byte, ref uint32, topic, params string) []byte {
	dst = appendHeader(dst, ref, ref, topic, eventJoin)
	return append(append(dst, params...), ']')
}

// appendPush appends an event for the channel that was joined with joinRef. payload is JSON.
func appendPush(dst []byte, joinRef, ref uint32, topic, event string, payload []byte) []byte {
	dst = appendHeader(dst, joinRef, ref, topic, event)
	return append(append(dst, payload...), ']')
}

// appendLeave appends a phx_leave.
func appendLeave(dst []byte, joinRef, ref uint32, topic string) []byte {
	return append(appendHeader(dst, joinRef, ref, topic, eventLeave), "{}]"...)
}

// appendHeartbeat appends a heartbeat, which belongs to no channel.
func appendHeartbeat(dst []byte, ref uint32) []byte {
	return append(appendHeader(dst, 0, ref, topicPhoenix, eventHeartbeat), "{}]"...)
}

// appendHeader appends what stands before the payload.
func appendHeader(dst []byte, joinRef, ref uint32, topic, event string) []byte {
	dst = append(dst, '[')
	dst = append(appendRef(dst, joinRef), ',')
	dst = append(appendRef(dst, ref), ',')
	dst = append(appendQuoted(dst, topic), ',')
	return append(appendQuoted(dst, event), ',')
}

// appendRef appends a ref as phoenix.js writes it: a string, or null for 0.
func appendRef(dst []byte, ref uint32) []byte {
	if ref == 0 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, uint64(ref), 10)
	return append(dst, '"')
}

// appendQuoted appends s as a JSON string. What is not UTF-8 becomes U+FFFD, as in encoding/json: a text
// message must not hold it.
func appendQuoted(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// An inbound is a message from the server. Its slices lie in what was parsed, but for topic and event they
// are as they came.
type inbound struct {
	joinRef, ref uint32 // 0: null, or none that we have given out
	topic, event []byte // without quotes and escapes
	status       replyStatus
	payload      []byte // JSON, but for binary
	binary       bool   // payload is bytes of the application
}

// A replyStatus is that of a phx_reply.
type replyStatus uint8

const (
	statusNone  replyStatus = iota // no reply, or one without a status
	statusOK                       // ok
	statusError                    // error
	statusOther                    // a name of the application's own
)

// parseMessage reads a message of the V2 serializer. A text is changed in place where its topic or its
// event have escapes. The error is errGarbage.
func parseMessage(p []byte, binary bool) (inbound, error) {
	if binary {
		return parseBinary(p)
	}
	return parseText(p)
}

// parseText reads [join_ref, ref, topic, event, payload]. What stands behind these five is ignored, as
// phoenix.js does.
func parseText(p []byte) (inbound, error) {
	var elements [5][]byte
	i := skipSpace(p, 0)
	if i >= len(p) || p[i] != '[' {
		return inbound{}, errGarbage
	}
	for n := 0; ; n++ {
		start := skipSpace(p, i+1) // behind the bracket or the comma
		end := skipValue(p, start, 1)
		if end < 0 {
			return inbound{}, errGarbage
		}
		if n < len(elements) {
			elements[n] = p[start:end]
		}
		if i = skipSpace(p, end); i >= len(p) || p[i] != ',' {
			if i >= len(p) || p[i] != ']' || skipSpace(p, i+1) != len(p) || n+1 < len(elements) {
				return inbound{}, errGarbage
			}
			break
		}
	}
	topic, event := elements[2], elements[3]
	if topic[0] != '"' || event[0] != '"' {
		return inbound{}, errGarbage
	}
	m := inbound{
		joinRef: parseRef(elements[0]), ref: parseRef(elements[1]),
		topic: unescape(topic[1 : len(topic)-1]), event: unescape(event[1 : len(event)-1]),
		payload: elements[4],
	}
	if string(m.event) == eventReply {
		m.status = findStatus(m.payload)
	}
	return m, nil
}

// parseRef reads a ref in the one way in which appendRef writes it: servers give them back unchanged.
func parseRef(value []byte) uint32 {
	if len(value) < 3 || value[0] != '"' {
		return 0
	}
	return parseDecimal(value[1 : len(value)-1])
}

// parseDecimal reads a number above 0 without leading zeros.
func parseDecimal(digits []byte) uint32 {
	if len(digits) == 0 || len(digits) > len("4294967295") || digits[0] == '0' {
		return 0
	}
	n := uint64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + uint64(c-'0')
	}
	if n > 1<<32-1 {
		return 0
	}
	return uint32(n)
}

// findStatus returns the status that a reply's payload has at its top level; of several the last, as in
// JSON.parse. payload is valid.
func findStatus(payload []byte) replyStatus {
	status := statusNone
	if payload[0] != '{' {
		return status
	}
	for i := 0; payload[i] != '}'; {
		key := skipSpace(payload, i+1) // behind the brace or the comma
		if payload[key] == '}' {
			break
		}
		keyEnd := skipString(payload, key)
		value := skipSpace(payload, skipSpace(payload, keyEnd)+1)
		end := skipValue(payload, value, 2)
		if isEscaped(payload[key+1:keyEnd-1], "status") {
			status = statusOf(payload[value:end])
		}
		i = skipSpace(payload, end)
	}
	return status
}

// statusOf reads a status, whose name may hold escapes.
func statusOf(value []byte) replyStatus {
	if value[0] != '"' {
		return statusNone
	}
	name := value[1 : len(value)-1]
	switch {
	case isEscaped(name, "ok"):
		return statusOK
	case isEscaped(name, "error"):
		return statusError
	}
	return statusOther
}

// Kinds of binary messages from a server; those of a push from a client have another head.
const (
	binaryPush      = 0
	binaryReply     = 1
	binaryBroadcast = 2
)

// parseBinary reads a message whose payload is bytes: a kind, the length of each field in a byte, the
// fields, and the payload.
func parseBinary(p []byte) (inbound, error) {
	if len(p) == 0 || p[0] > binaryBroadcast {
		return inbound{}, errGarbage
	}
	counts := [...]int{binaryPush: 3, binaryReply: 4, binaryBroadcast: 2}
	n := counts[p[0]]
	if len(p) < 1+n {
		return inbound{}, errGarbage
	}
	var fields [4][]byte
	rest := p[1+n:]
	for i, size := range p[1 : 1+n] {
		if len(rest) < int(size) {
			return inbound{}, errGarbage
		}
		fields[i], rest = rest[:size], rest[size:]
	}
	m := inbound{payload: rest, binary: true}
	switch p[0] {
	case binaryPush:
		m.joinRef, m.topic, m.event = parseDecimal(fields[0]), fields[1], fields[2]
	case binaryReply:
		m.joinRef, m.ref, m.topic, m.event = parseDecimal(fields[0]), parseDecimal(fields[1]), fields[2], replyEvent
		switch string(fields[3]) {
		case "ok":
			m.status = statusOK
		case "error":
			m.status = statusError
		default:
			m.status = statusOther
		}
	case binaryBroadcast:
		m.topic, m.event = fields[0], fields[1]
	}
	return m, nil
}

// replyEvent is the event that a binary reply does not carry. Never changed.
var replyEvent = []byte(eventReply)

// unescape replaces the escapes of a JSON string's contents in place: none is shorter than what it stands
// for.
func unescape(s []byte) []byte {
	i := bytes.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	out := s[:i]
	for i < len(s) {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		var r rune
		r, i = escape(s, i)
		out = utf8.AppendRune(out, r)
	}
	return out
}

// isEscaped reports whether the contents of a JSON string stand for want, which is ASCII.
func isEscaped(s []byte, want string) bool {
	for j := range len(want) {
		if len(s) == 0 {
			return false
		}
		r, n := rune(s[0]), 1
		if s[0] == '\\' {
			r, n = escape(s, 0)
		}
		if r != rune(want[j]) {
			return false
		}
		s = s[n:]
	}
	return len(s) == 0
}
