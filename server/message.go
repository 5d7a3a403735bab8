package server

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/tinylib/msgp/msgp"
)

// A ref is a client's reference, join_ref or ref, as the raw JSON it came as: `"3"`, `1`, `null`. It is ""
// when a message has none, which counts as null. Refs are sent back exactly as they came.
type ref string

// isNull reports whether there is no reference.
func (r ref) isNull() bool { return r == "" || r == "null" }

// equal compares as Phoenix does, by value and JSON type: 1 is not "1", and "\u0031" is "1" (section
// 3.2). Numbers are equal when they are written alike.
func (r ref) equal(other ref) bool {
	if r == other || r.isNull() && other.isNull() {
		return true
	}
	s, ok := unquote(string(r))
	t, also := unquote(string(other))
	return ok && also && s == t
}

// json returns the text that stands for the ref in a frame.
func (r ref) json() string {
	if r == "" {
		return "null"
	}
	return string(r)
}

// A message is what a client sent. Its refs, topic and event share one string of their own, so that they
// may be kept; only the payload refers to the bytes that were decoded.
type message struct {
	joinRef, ref ref
	topic, event string

	// rawTopic is the topic as raw JSON if it is not a JSON string, else "". Such a topic, which
	// Phoenix does not refuse while decoding, matches no route and no channel, whatever topic (then
	// "") may look like: the answer is appendUnmatched. An event that is not a string is treated as
	// the string of its JSON text: no handler knows it.
	rawTopic ref

	payload Payload
}

// Errors of payloads that cannot be decoded or sent.
var (
	ErrBinaryPayload    = errors.New("server: the payload is binary, not JSON")
	ErrPayloadNotObject = errors.New("server: the payload of a push or broadcast is not a JSON object")
	ErrFieldTooLong     = errors.New("server: a header field of a binary frame is above 255 bytes")
	ErrBinaryV1         = errors.New("server: a client of protocol version 1 cannot receive a binary payload")
	errRefInBinary      = errors.New("server: a reference that is an array or object cannot be put into a binary frame")
)

// A Payload is the content of a message: JSON text, or binary data. The zero value is the empty object.
// Payloads are immutable and may be shared by any number of messages. One that came as MessagePack is that
// until somebody looks at it, and goes to other clients of MessagePack as it came; see [MessagePack].
type Payload struct {
	data   []byte
	binary bool
	packed bool // data is MessagePack, and has passed skipPacked
	err    error
}

// JSON returns v as a payload, as json.Marshal encodes it. If v cannot be encoded, the error comes up
// where the payload is sent, or before from [Payload.Err].
func JSON(v any) Payload {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return Payload{err: err}
	}
	return Payload{data: bytes.TrimSuffix(buf.Bytes(), []byte("\n"))}
}

// Raw returns a payload of JSON text that exists already. It must be one valid JSON value, which is not
// checked, and must not be changed afterwards. Empty text is the empty object.
func Raw(text json.RawMessage) Payload { return Payload{data: text} }

// Binary returns a payload of binary data, which must not be changed afterwards. Clients of protocol
// version 1 cannot receive it.
func Binary(data []byte) Payload { return Payload{data: data, binary: true} }

// IsBinary reports whether the payload is binary data.
func (p Payload) IsBinary() bool { return p.binary }

// Err returns the error that [JSON] met, or nil.
func (p Payload) Err() error { return p.err }

// Bytes returns the binary data, or the JSON text, which is nil after an error of [JSON]. It must not be
// changed. It may be kept: a message from a client is in memory of its own. Its payload keeps the whole
// message alive. Of MessagePack each call makes the text anew.
func (p Payload) Bytes() []byte {
	if p.packed {
		return p.appendJSON(nil)
	}
	if len(p.data) == 0 && !p.binary && p.err == nil {
		return []byte("{}")
	}
	return p.data
}

// Decode stores the JSON value in the variable v points to, as json.Unmarshal does, but numbers that
// go into an interface become json.Number and keep every digit. Errors: [ErrBinaryPayload], that of
// [JSON], those of encoding/json. What is stored refers to nothing of the payload, except for a
// json.RawMessage, which is a copy.
func (p Payload) Decode(v any) error {
	if p.binary {
		return ErrBinaryPayload
	}
	if p.err != nil {
		return p.err
	}
	d := json.NewDecoder(bytes.NewReader(p.Bytes()))
	d.UseNumber()
	return d.Decode(v)
}

// MarshalJSON implements json.Marshaler, so that a payload may be a part of another.
func (p Payload) MarshalJSON() ([]byte, error) {
	if p.binary {
		return nil, ErrBinaryPayload
	}
	return p.Bytes(), p.err
}

// isObject reports whether the payload is an object, judged by its first byte.
func (p Payload) isObject() bool {
	if p.packed {
		return msgp.NextType(p.data) == msgp.MapType
	}
	i := skipSpace(p.data, 0)
	return len(p.data) == 0 || i < len(p.data) && p.data[i] == '{'
}

// appendJSON appends the JSON text.
func (p Payload) appendJSON(dst []byte) []byte {
	if p.packed {
		dst, _ = appendPackedJSON(dst, p.data)
		return dst
	}
	if len(p.data) == 0 {
		return append(dst, '{', '}')
	}
	return append(dst, p.data...)
}
