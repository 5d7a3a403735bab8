// In-package: what is written and parsed, byte by byte.
package drive

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/dormouse-ws/dormouse/server"
)

// The next size class of the Go heap is 48.
const _ = uint(32 - unsafe.Sizeof(Socket{}))

func TestAppendMessage(t *testing.T) {
	for _, row := range []struct {
		joinRef, ref Ref
		topic, event string
		payload      server.Payload
		want         string
	}{
		{1, 2, "room:1", "hi", server.Payload{}, `["1","2","room:1","hi",{}]`},
		{0, 7, "phoenix", "heartbeat", server.Payload{}, `[null,"7","phoenix","heartbeat",{}]`},
		{1, 2, `a"b`, "ü", server.Raw([]byte(`[1]`)), `["1","2","a\"b","ü",[1]]`},
		{1, 20, "t", "e", server.Binary([]byte("\xff")), "\x00\x01\x02\x01\x01120te\xff"},
		{0, 0, "t", "e", server.Binary(nil), "\x00\x00\x00\x01\x01te"},
	} {
		got, err := appendMessage([]byte("-"), row.joinRef, row.ref, row.topic, row.event, row.payload)
		if err != nil || string(got) != "-"+row.want {
			t.Errorf("%q, %v; want %q", got, err, row.want)
		}
	}
	if _, err := appendMessage(nil, 1, 2, "t", "e", server.JSON(func() {})); err == nil {
		t.Error("a payload that cannot be encoded is sent")
	}
	if _, err := appendMessage(nil, 1, 2, string(make([]byte, 256)), "e", server.Binary(nil)); err != server.ErrFieldTooLong {
		t.Errorf("a topic of 256 bytes in a binary frame: %v", err)
	}
}

func TestDecode(t *testing.T) {
	for _, row := range []struct {
		data   string
		binary bool
		want   Message
		body   string
	}{
		{`["1","2","t","phx_reply",{"status":"ok","response":{"a":1}}]`, false, Message{1, 2, "t", "phx_reply", "ok", server.Payload{}}, `{"a":1}`},
		{`[null,null,"t","e",{}]`, false, Message{0, 0, "t", "e", "", server.Payload{}}, `{}`},
		{"\x00\x01\x01\x013te!", true, Message{3, 0, "t", "e", "", server.Payload{}}, "!"},
		{"\x01\x01\x01\x01\x0234tok!", true, Message{3, 4, "t", "phx_reply", "ok", server.Payload{}}, "!"},
		{"\x02\x01\x01te", true, Message{0, 0, "t", "e", "", server.Payload{}}, ""},
	} {
		m, err := decode([]byte(row.data), row.binary)
		body := string(m.Payload.Bytes())
		m.Payload = server.Payload{}
		if err != nil || !reflect.DeepEqual(m, row.want) || body != row.body {
			t.Errorf("%q: %+v %q, %v; want %+v %q", row.data, m, body, err, row.want, row.body)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, row := range []struct {
		data   string
		binary bool
	}{
		{"", false}, {"{}", false}, {"[]", false}, {`["1","2","t","e"]`, false}, {`["1","2",3,"e",{}]`, false},
		{`["1","2","t","phx_reply",3]`, false}, {`["1","2","t","e",{},{}]`, false},
		{"", true}, {"\x03", true}, {"\x00\x01\x01", true}, {"\x01\xff\x01\x01\x01abcd", true},
	} {
		if m, err := decode([]byte(row.data), row.binary); err == nil {
			t.Errorf("%q: %+v", row.data, m)
		}
	}
}

func TestStatusOf(t *testing.T) {
	for response, want := range map[string]int{
		"HTTP/1.1 101 Switching Protocols\r\n": 101, "HTTP/1.1 403 Forbidden": 403,
		"": 0, "HTTP/1.1 ": 0, "HTTP/1.0 101": 0, "HTTP/1.1 abc": 0,
	} {
		if got := statusOf([]byte(response)); got != want {
			t.Errorf("%q: %d, want %d", response, got, want)
		}
	}
}

// What is decoded refers to nothing of the bytes that it came in.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`["1","2","t","phx_reply",{"status":"ok","response":{}}]`), false)
	f.Add([]byte("\x01\x01\x01\x01\x0234tok!"), true)
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		m, err := decode(data, binary)
		body := string(m.Payload.Bytes())
		clear(data)
		if err == nil && string(m.Payload.Bytes()) != body {
			t.Errorf("the payload has changed from %q", body)
		}
	})
}
