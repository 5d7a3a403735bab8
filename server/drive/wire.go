package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// A scratch is memory for what is on its way to the server.
type scratch struct{ message, frame []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 512), make([]byte, 0, 512)} }}

// keptScratch is the largest scratch that is kept for the next message.
const keptScratch = 64 << 10

// feed sends one frame whose payload appendPayload appends.
func (s *Socket) feed(op ws.OpCode, appendPayload func([]byte) ([]byte, error)) error {
	sc := scratches.Get().(*scratch)
	var err error
	if sc.message, err = appendPayload(sc.message[:0]); err == nil {
		n := rand.Uint32()
		mask := [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
		sc.frame = frame.AppendClient(sc.frame[:0], op, mask, sc.message)
		err = s.link.Feed(sc.frame)
	}
	if cap(sc.frame) <= keptScratch {
		scratches.Put(sc)
	}
	return err
}

// appendRequest appends the head of a handshake. Its key is the RFC's: nobody is between us and the server.
func appendRequest(dst []byte, path string) []byte {
	dst = append(append(dst, "GET "...), path...)
	if !strings.Contains(path, "vsn=") {
		sep := byte('?')
		if strings.Contains(path, "?") {
			sep = '&'
		}
		dst = append(append(dst, sep), "vsn=2.0.0"...)
	}
	return append(dst, " HTTP/1.1\r\nHost: drive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"...)
}

// statusOf returns the status of an HTTP response, 0 if it is none.
func statusOf(response []byte) int {
	text, ok := strings.CutPrefix(string(response[:min(len(response), len("HTTP/1.1 101"))]), "HTTP/1.1 ")
	if !ok {
		return 0
	}
	status, _ := strconv.Atoi(text)
	return status
}

// appendMessage appends a message of protocol version 2. Binary payloads have the form of phoenix.js's
// binaryEncode: kind 0, the sizes of the four fields, the fields.
func appendMessage(dst []byte, joinRef, ref Ref, topic, event string, p server.Payload) ([]byte, error) {
	if err := p.Err(); err != nil {
		return dst, err
	}
	if p.IsBinary() {
		fields := [4]string{refText(joinRef), refText(ref), topic, event}
		dst = append(dst, 0)
		for _, f := range fields {
			if len(f) > 255 {
				return dst, server.ErrFieldTooLong
			}
			dst = append(dst, byte(len(f)))
		}
		for _, f := range fields {
			dst = append(dst, f...)
		}
		return append(dst, p.Bytes()...), nil
	}
	dst = appendRef(append(dst, '['), joinRef)
	dst = appendRef(append(dst, ','), ref)
	dst = appendString(append(dst, ','), topic)
	dst = appendString(append(dst, ','), event)
	dst = append(append(dst, ','), p.Bytes()...)
	return append(dst, ']'), nil
}

// appendRef appends a ref as phoenix.js writes it: as a string.
func appendRef(dst []byte, ref Ref) []byte {
	if ref == 0 {
		return append(dst, "null"...)
	}
	dst = strconv.AppendUint(append(dst, '"'), uint64(ref), 10)
	return append(dst, '"')
}

func refText(ref Ref) string {
	if ref == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(ref), 10)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			text, _ := json.Marshal(s) // a string has no error
			return append(dst, text...)
		}
	}
	dst = append(append(dst, '"'), s...)
	return append(dst, '"')
}

var errNoMessage = errors.New("drive: not a message of protocol version 2")

// decode takes a message of the server apart. What it returns refers to nothing of data.
func decode(data []byte, binary bool) (Message, error) {
	if binary {
		return decodeBinary(data)
	}
	var fields []json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || len(fields) != 5 {
		return Message{}, errNoMessage
	}
	var m Message
	var joinRef, ref string
	for i, to := range []*string{&joinRef, &ref, &m.Topic, &m.Event} {
		if err := json.Unmarshal(fields[i], to); err != nil { // null leaves it ""
			return Message{}, fmt.Errorf("%w: %w", errNoMessage, err)
		}
	}
	m.setRefs(joinRef, ref)
	m.Payload = server.Raw(fields[4])
	if m.Event != eventReply {
		return m, nil
	}
	var reply struct {
		Status   string
		Response json.RawMessage
	}
	if err := json.Unmarshal(fields[4], &reply); err != nil {
		return Message{}, fmt.Errorf("%w: %w", errNoMessage, err)
	}
	m.Status, m.Payload = reply.Status, server.Raw(reply.Response)
	return m, nil
}

const eventReply = "phx_reply"

// decodeBinary is phoenix.js's binaryDecode: a kind, the sizes of its fields, the fields, the data.
func decodeBinary(data []byte) (Message, error) {
	if len(data) == 0 || data[0] > 2 {
		return Message{}, errNoMessage
	}
	count := [...]int{3, 4, 2}[data[0]] // push, reply, broadcast
	if len(data) < 1+count {
		return Message{}, errNoMessage
	}
	var fields [4]string
	rest := data[1+count:]
	for i, size := range data[1 : 1+count] {
		if int(size) > len(rest) {
			return Message{}, errNoMessage
		}
		fields[i], rest = string(rest[:size]), rest[size:]
	}
	m := Message{Payload: server.Binary(append([]byte(nil), rest...))}
	switch data[0] {
	case 0:
		m.setRefs(fields[0], "")
		m.Topic, m.Event = fields[1], fields[2]
	case 1:
		m.setRefs(fields[0], fields[1])
		m.Topic, m.Event, m.Status = fields[2], eventReply, fields[3]
	case 2:
		m.Topic, m.Event = fields[0], fields[1]
	}
	return m, nil
}

// setRefs takes refs that were this socket's, so numbers.
func (m *Message) setRefs(joinRef, ref string) {
	j, _ := strconv.ParseUint(joinRef, 10, 32)
	r, _ := strconv.ParseUint(ref, 10, 32)
	m.JoinRef, m.Ref = Ref(j), Ref(r)
}
