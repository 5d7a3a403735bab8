package servertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// A Message is what came from the server, or goes to it.
type Message struct {
	// JoinRef and Ref are raw JSON: `"3"`, `null`. Version 1 has no join_ref; it is `null` then.
	JoinRef, Ref string

	// Topic and Event are their values, or raw JSON if they are no strings.
	Topic, Event string

	// Payload is JSON, or binary data if Binary is set. Of a reply, Status and Response are its parts;
	// a binary one has its data in both Payload and Response.
	Payload  json.RawMessage
	Status   string
	Response json.RawMessage
	Binary   bool

	// Raw is the content of the frame.
	Raw []byte
}

// text returns the message as clients of version 1 or 2 write it.
func (m Message) text(v1 bool) string {
	topic, event := quoted(m.Topic), quoted(m.Event)
	if v1 {
		return fmt.Sprintf(`{"topic":%s,"event":%s,"payload":%s,"ref":%s}`, topic, event, m.Payload, m.Ref)
	}
	return fmt.Sprintf(`[%s,%s,%s,%s,%s]`, m.JoinRef, m.Ref, topic, event, m.Payload)
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b)
}

// unquoted returns the string that is the value of raw, or raw if it is of another type.
func unquoted(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

func parse(data []byte, binary, v1 bool) (m Message, err error) {
	switch {
	case binary:
		m, err = parseBinary(data)
	case v1:
		m, err = parseV1(data)
	default:
		m, err = parseV2(data)
	}
	m.Raw = data
	if err == nil && m.Event == "phx_reply" && !m.Binary {
		var p struct {
			Status   string
			Response json.RawMessage
		}
		err = json.Unmarshal(m.Payload, &p)
		m.Status, m.Response = p.Status, p.Response
	}
	return m, err
}

func parseV2(data []byte) (m Message, err error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return m, err
	}
	if len(parts) != 5 {
		return m, fmt.Errorf("an array of %d elements, want 5", len(parts))
	}
	m = Message{JoinRef: string(parts[0]), Ref: string(parts[1]), Payload: parts[4]}
	m.Topic, m.Event = unquoted(parts[2]), unquoted(parts[3])
	return m, nil
}

func parseV1(data []byte) (m Message, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return m, err
	}
	if len(fields) != 4 {
		return m, fmt.Errorf("an object of %d keys, want topic, event, payload, ref", len(fields))
	}
	m = Message{JoinRef: "null", Ref: string(fields["ref"]), Payload: fields["payload"]}
	m.Topic, m.Event = unquoted(fields["topic"]), unquoted(fields["event"])
	return m, nil
}

// parseBinary takes a binary frame of the server apart: a push, a reply, or a broadcast. Refs are given
// back as JSON strings.
func parseBinary(data []byte) (m Message, err error) {
	counts := []int{3, 4, 2} // fields, by kind
	if len(data) == 0 || int(data[0]) >= len(counts) {
		return m, errors.New("not a binary frame of the server")
	}
	kind, n := data[0], counts[data[0]]
	if len(data) < 1+n {
		return m, errors.New("the header is cut")
	}
	sizes, rest := data[1:1+n], data[1+n:]
	fields := make([]string, n)
	for i, size := range sizes {
		if len(rest) < int(size) {
			return m, errors.New("the sizes exceed the frame")
		}
		fields[i], rest = string(rest[:size]), rest[size:]
	}
	m = Message{JoinRef: "null", Ref: "null", Binary: true, Payload: rest}
	switch kind {
	case 0:
		m.JoinRef, m.Topic, m.Event = quoted(fields[0]), fields[1], fields[2]
	case 1:
		m.JoinRef, m.Ref, m.Topic, m.Status = quoted(fields[0]), quoted(fields[1]), fields[2], fields[3]
		m.Event, m.Response = "phx_reply", rest
	case 2:
		m.Topic, m.Event = fields[0], fields[1]
	}
	return m, nil
}

// BinaryPush returns the binary frame of a push of a client. Refs are texts, not JSON.
func BinaryPush(joinRef, ref, topic, event string, data []byte) []byte {
	b := []byte{0}
	for _, f := range []string{joinRef, ref, topic, event} {
		if len(f) > 255 {
			panic("servertest: a header field of a binary frame is above 255 bytes")
		}
		b = append(b, byte(len(f)))
	}
	b = append(b, joinRef+ref+topic+event...)
	return append(b, data...)
}

// sameJSON compares JSON texts by value, numbers as they are written.
func sameJSON(a, b string) bool {
	x, okX := jsonValue(a)
	y, okY := jsonValue(b)
	return okX && okY && reflect.DeepEqual(x, y)
}

func jsonValue(text string) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader([]byte(strings.TrimSpace(text))))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}
