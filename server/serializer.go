package server

// The events that the protocol itself uses.
const (
	eventJoin      = "phx_join"
	eventLeave     = "phx_leave"
	eventReply     = "phx_reply"
	eventClose     = "phx_close"
	eventError     = "phx_error"
	eventHeartbeat = "heartbeat"
	topicPhoenix   = "phoenix" // of heartbeats
)

// The statuses of replies that the protocol itself uses.
const (
	statusOK    = "ok"
	statusError = "error"
)

const (
	payloadUnmatched = `{"reason":"unmatched topic"}`
	payloadCrash     = `{"reason":"channel_crash"}` // since Phoenix 1.8.10, section 3.6
)

// A serializer is one version of the message format (section 2). Its methods may be called from any
// goroutine.
//
// The append methods add one message to dst and return it, with whether its frame is binary rather
// than text. After an error dst is returned as it was. Errors: [Payload.Err], [ErrPayloadNotObject],
// [ErrFieldTooLong], [ErrBinaryV1]; each is a mistake of the application.
type serializer interface {
	// version is the major number of the protocol version.
	version() int

	// decode takes a message of a client apart. The payload refers to data, all else is copied. Every
	// error is a *decodeError, and ends the connection with close code 1011.
	decode(data []byte, binary bool) (message, error)

	// appendReply: joinRef and r are the message's, as section 3 has them for each case.
	appendReply(dst []byte, joinRef, r ref, topic, status string, p Payload) (out []byte, binary bool, err error)

	// appendPush: joinRef is that of the channel's join.
	appendPush(dst []byte, joinRef ref, topic, event string, p Payload) (out []byte, binary bool, err error)

	// appendBroadcast makes the frame that all subscribers of this version share.
	appendBroadcast(dst []byte, topic, event string, p Payload) (out []byte, binary bool, err error)

	// The following are text, but binary in MessagePack, and cannot fail. joinRef is that of the join that ends.
	appendClose(dst []byte, joinRef ref, topic string) []byte
	appendError(dst []byte, joinRef ref, topic string) []byte

	// appendUnmatched answers a message whose topic has no channel (section 3.2), echoing a topic
	// that is no string.
	appendUnmatched(dst []byte, m *message) []byte

	// heartbeat recognises the heartbeats of phoenix.js without decoding them: r is the ref, a part
	// of data. When ok is false the message may still be one, in other words. It does not allocate.
	heartbeat(data []byte, binary bool) (r []byte, ok bool)

	// appendHeartbeatReply answers what heartbeat has recognised. It does not allocate but for dst.
	appendHeartbeatReply(dst, r []byte) []byte
}

// A decodeError says why a message cannot be decoded.
type decodeError struct{ text string }

func (e *decodeError) Error() string { return e.text }

var (
	errNotJSON    = &decodeError{"server: the message is not JSON"}
	errNotUTF8    = &decodeError{"server: the message is not UTF-8"}
	errNotArray   = &decodeError{"server: the message is not an array of five elements or more"}
	errNotObject  = &decodeError{"server: the message is not a JSON object"}
	errMissingKey = &decodeError{"server: the message lacks one of the keys topic, event, payload, ref"}
	errBinaryForm = &decodeError{"server: the header of the binary message does not fit it"}
	errRefSize    = &decodeError{"server: a reference of the message is too long"}
)

// maxRefBytes bounds a reference as it stands in the message: a channel keeps its join_ref for as long
// as it lives. phoenix.js counts, so 20 bytes hold every one of its refs; a reference of 255 bytes in a
// binary frame can become this long as JSON, where each byte takes six and the quotes two.
const maxRefBytes = 6*255 + 2

// setTopic and setEvent take the field as raw JSON; see message.rawTopic.
func (m *message) setTopic(raw string) {
	var ok bool
	if m.topic, ok = unquote(raw); !ok {
		m.rawTopic = ref(raw)
	}
}

func (m *message) setEvent(raw string) {
	var ok bool
	if m.event, ok = unquote(raw); !ok {
		m.event = raw
	}
}

// check is the last step of decoding.
func (m *message) check() error {
	if len(m.joinRef) > maxRefBytes || len(m.ref) > maxRefBytes {
		return errRefSize
	}
	return nil
}

// appendTopic appends the topic as it came.
func (m *message) appendTopic(dst []byte) []byte {
	if m.rawTopic != "" {
		return append(dst, m.rawTopic...)
	}
	return appendString(dst, m.topic)
}

// binaryText returns a ref as it stands in the header of a binary frame (section 2.2): null is nothing,
// a string is its value, a number its digits.
func (r ref) binaryText() (string, error) {
	if r.isNull() {
		return "", nil
	}
	if s, ok := unquote(string(r)); ok {
		return s, nil
	}
	if r[0] == '[' || r[0] == '{' {
		return "", errRefInBinary
	}
	return string(r), nil
}

// appendResponse appends the payload of a reply.
func appendResponse(dst []byte, status string, p Payload) []byte {
	dst = append(dst, `{"status":`...)
	dst = appendString(dst, status)
	dst = append(dst, `,"response":`...)
	dst = p.appendJSON(dst)
	return append(dst, '}')
}

// cutSimpleRef takes a ref that is null, a number of digits or a string without escapes and with ASCII
// only, which is what clients use, and returns its length; 0 for any other.
func cutSimpleRef(b []byte) int {
	end := 0
	switch {
	case len(b) == 0:
		return 0
	case b[0] == '"':
		for i := 1; i < len(b); i++ {
			c := b[i]
			if c == '"' {
				end = i + 1
				break
			}
			if c < ' ' || c == '\\' || c >= 0x80 {
				return 0
			}
		}
	case b[0] >= '1' && b[0] <= '9':
		end = skipDigits(b, 0)
	case b[0] == 'n':
		end = max(skipWord(b, 0, "null"), 0)
	}
	if end > maxRefBytes {
		return 0
	}
	return end
}
