// In-package: serializers are internal; the wire bytes are the contract.
package server

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestV1Decode(t *testing.T) {
	for _, row := range []struct {
		name, in, want string
		err            error
	}{
		{"2.3: join", `{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}`, `|"1"|room:1|phx_join|json {}`, nil},
		{"2.3: join_ref is read", `{"topic":"t","event":"e","payload":{},"ref":"1","join_ref":"3"}`, `"3"|"1"|t|e|json {}`, nil},
		{"2.3: join_ref null", `{"topic":"t","event":"e","payload":{},"ref":"1","join_ref":null}`, `null|"1"|t|e|json {}`, nil},
		{"2.3: null is allowed", `{"topic":null,"event":null,"payload":null,"ref":null}`, `|null||null|json null|raw topic null`, nil},
		{"2.3: any order, other keys", `{"x":[1],"ref":1,"payload":[2],"event":"e","topic":"t"}`, `|1|t|e|json [2]`, nil},
		{"2.3: white space", " { \"topic\" : \"t\" , \"event\":\"e\",\"payload\": 1 ,\"ref\":2 } ", `|2|t|e|json 1`, nil},
		{"2.3: key with escapes", `{"\u0074opic":"t","event":"e","payload":1,"ref":2}`, `|2|t|e|json 1`, nil},
		{"2.3: the last of equal keys", `{"topic":"a","topic":"t","event":"e","payload":1,"ref":2}`, `|2|t|e|json 1`, nil},
		{"2.3: no topic", `{"event":"e","payload":{},"ref":"1"}`, "", errMissingKey},
		{"2.3: no event", `{"topic":"t","payload":{},"ref":"1"}`, "", errMissingKey},
		{"2.3: no payload", `{"topic":"t","event":"e","ref":"1"}`, "", errMissingKey},
		{"2.3: no ref", `{"topic":"t","event":"e","payload":{}}`, "", errMissingKey},
		{"2.3: empty object", ` { } `, "", errMissingKey},
		{"2.3: no object", `["3","3","t","e",{}]`, "", errNotObject},
		{"2.3: not JSON", `{"topic":"t","event":"e","payload":{},"ref":"1"`, "", errNotJSON},
		{"2.3: not JSON in an unknown key", `{"topic":"t","event":"e","payload":{},"ref":"1","x":tru}`, "", errNotJSON},
		{"2.3: not JSON in a key", `{"topic":"t","event":"e","payload":{},"ref":"1",x:1}`, "", errNotJSON},
		{"2.3: trailing comma", `{"topic":"t","event":"e","payload":{},"ref":"1",}`, "", errNotJSON},
		{"2.3: two values", `{"topic":"t","event":"e","payload":{},"ref":"1"}{}`, "", errNotJSON},
		{"2.3: nothing", ``, "", errNotJSON},
		{"2.3: not UTF-8", "{\"topic\":\"\xff\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}", "", errNotUTF8},
	} {
		for _, binary := range []bool{false, true} { // 2.3: the frame type is not looked at
			m, err := serializerV1{}.decode([]byte(row.in), binary)
			if err != row.err {
				t.Errorf("%s: error %v, want %v", row.name, err, row.err)
			} else if err == nil && flat(m) != row.want {
				t.Errorf("%s: %s, want %s", row.name, flat(m), row.want)
			}
		}
	}
}

func TestV1Encode(t *testing.T) {
	s := serializerV1{}
	text := func(out []byte, binary bool, err error) []byte {
		if err != nil || binary {
			t.Errorf("%s: binary %v, %v", out, binary, err)
		}
		return out
	}
	m := message{joinRef: "1", ref: "2", rawTopic: "null"}
	for _, row := range []struct {
		name string
		got  []byte
		want string
	}{
		{"2.3: reply", text(s.appendReply(nil, "9", `"1"`, "room:1", "ok", Payload{})), `{"topic":"room:1","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`},
		{"2.3: push", text(s.appendPush(nil, "9", "room:1", "new_msg", raw(`{"body":"hi"}`))), `{"topic":"room:1","event":"new_msg","payload":{"body":"hi"},"ref":null}`},
		{"2.3: broadcast", text(s.appendBroadcast(nil, "room:1", "new_msg", raw(`[1]`))), `{"topic":"room:1","event":"new_msg","payload":[1],"ref":null}`},
		{"2.3: close", s.appendClose(nil, "", "room:1"), `{"topic":"room:1","event":"phx_close","payload":{},"ref":null}`},
		{"2.3: close of a join with join_ref", s.appendClose(nil, `"3"`, "room:1"), `{"topic":"room:1","event":"phx_close","payload":{},"ref":"3"}`},
		{"2.3: error of a join with join_ref", s.appendError(nil, `"3"`, "room:1"), `{"topic":"room:1","event":"phx_error","payload":{"reason":"channel_crash"},"ref":"3"}`},
		{"3.2: unmatched, topic no string", s.appendUnmatched(nil, &m), `{"topic":null,"event":"phx_reply","payload":{"status":"error","response":{"reason":"unmatched topic"}},"ref":2}`},
	} {
		if string(row.got) != row.want {
			t.Errorf("%s: %s, want %s", row.name, row.got, row.want)
		}
	}
}

// FuzzV1Decode: it accepts what encoding/json takes for an object with the four keys, and splits alike.
func FuzzV1Decode(f *testing.F) {
	f.Add([]byte(`{"topic":"room:1","event":"phx_join","payload":{"a":[1]},"ref":"1","join_ref":null,"x":{}}`))
	f.Add([]byte(`{"\u0074opic":1,"event":2,"payload":3,"ref":4,"topic":"t"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := serializerV1{}.decode(data, false)
		var keys map[string]json.RawMessage
		known := json.Unmarshal(data, &keys) == nil && utf8.Valid(data) && len(keys["ref"]) <= maxRefBytes && len(keys["join_ref"]) <= maxRefBytes
		for _, key := range []string{"topic", "event", "payload", "ref"} {
			known = known && keys[key] != nil
		}
		if (err == nil) != known {
			t.Fatalf("%v, encoding/json %v", err, known)
		}
		if err != nil {
			return
		}
		if string(m.joinRef) != string(keys["join_ref"]) || string(m.ref) != string(keys["ref"]) || !bytes.Equal(m.payload.data, keys["payload"]) {
			t.Fatalf("%s, encoding/json %s", flat(m), keys)
		}
		sameField(t, m.topic, string(m.rawTopic), "", keys["topic"])
		sameField(t, m.event, "", string(keys["event"]), keys["event"])
	})
}
