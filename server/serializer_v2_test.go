// In-package: serializers are internal; the wire bytes are the contract.
package server

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// flat is a message in one comparable line.
func flat(m message) string {
	kind := "json "
	if m.payload.binary {
		kind = "binary "
	}
	s := string(m.joinRef) + "|" + string(m.ref) + "|" + m.topic + "|" + m.event + "|" + kind + string(m.payload.data)
	if m.rawTopic != "" {
		s += "|raw topic " + string(m.rawTopic)
	}
	return s
}

func TestV2DecodeText(t *testing.T) {
	for _, row := range []struct {
		name, in, want string
		err            error
	}{
		{"2.1: heartbeat", `[null,"7","phoenix","heartbeat",{}]`, `null|"7"|phoenix|heartbeat|json {}`, nil},
		{"2.1: join", `["3","3","room:1","phx_join",{"user":"jo"}]`, `"3"|"3"|room:1|phx_join|json {"user":"jo"}`, nil},
		{"2.1: numbers as refs", `[1,2,"t","e",{}]`, `1|2|t|e|json {}`, nil},
		{"2.1: empty strings as refs", `["","","t","e",{}]`, `""|""|t|e|json {}`, nil},
		{"2.1: any JSON as refs", `[{"a":[1]},[ ],"t","e",{}]`, `{"a":[1]}|[ ]|t|e|json {}`, nil},
		{"2.1: more than five", `[null,null,"t","e",{},6,[7]]`, `null|null|t|e|json {}`, nil},
		{"2.1: the sixth is no JSON", `[null,null,"t","e",{},x]`, "", errNotJSON},
		{"2.1: four", `[null,null,"t","e"]`, "", errNotArray},
		{"2.1: none", ` [ ] `, "", errNotArray},
		{"2.1: no array", `{"topic":"t"}`, "", errNotArray},
		{"2.1: a string", `"abc"`, "", errNotArray},
		{"2.1: not JSON", `[null,null,"t","e",{}`, "", errNotJSON},
		{"2.1: nothing", ``, "", errNotJSON},
		{"2.1: two values", `[null,null,"t","e",{}] []`, "", errNotJSON},
		{"2.1: trailing comma", `[null,null,"t","e",{},]`, "", errNotJSON},
		{"2.1: bad JSON within the payload", `[null,null,"t","e",{"a":[1,2}]`, "", errNotJSON},
		{"2.1: white space", " [ null , 1 ,\t\"t\"\n, \"e\" , { \"a\" : 1 } ] \r\n", `null|1|t|e|json { "a" : 1 }`, nil},
		{"2.1: escapes in topic and event", `[null,"\u0031","\u0074\n","e\"",{}]`, `null|"\u0031"|` + "t\n" + `|e"|json {}`, nil},
		{"2.1: payload of any kind", `[null,null,"t","e",123456789012345678901234567890]`, `null|null|t|e|json 123456789012345678901234567890`, nil},
		{"2.1: payload null", `[null,null,"t","e",null]`, `null|null|t|e|json null`, nil},
		{"2.1: topic is a number", `[null,"1",5,"e",{}]`, `null|"1"||e|json {}|raw topic 5`, nil},
		{"2.1: topic is null", `[null,"1",null,"phx_join",{}]`, `null|"1"||phx_join|json {}|raw topic null`, nil},
		{"2.1: event is a number", `[null,"1","t",5,{}]`, `null|"1"|t|5|json {}`, nil},
		{"1.9: not UTF-8", "[null,null,\"\xff\",\"e\",{}]", "", errNotUTF8},
		{"limit: ref", `[null,"` + strings.Repeat("x", maxRefBytes-1) + `","t","e",{}]`, "", errRefSize},
		{"limit: join_ref", `["` + strings.Repeat("x", maxRefBytes-1) + `",1,"t","e",{}]`, "", errRefSize},
		{"limit: depth", `[1,2,"t","e",` + strings.Repeat("[", maxJSONDepth) + strings.Repeat("]", maxJSONDepth) + `]`, "", errNotJSON},
	} {
		m, err := serializerV2{}.decode([]byte(row.in), false)
		if err != row.err {
			t.Errorf("%s: error %v, want %v", row.name, err, row.err)
		} else if err == nil && flat(m) != row.want {
			t.Errorf("%s: %s, want %s", row.name, flat(m), row.want)
		}
	}
}

// TestV2DecodeKeepsNothing: only the payload may change with the bytes that were decoded.
func TestV2DecodeKeepsNothing(t *testing.T) {
	for in, binary := range map[string]bool{
		`["3","5","room:1","echo",[]]`:                        false,
		"\x00\x02\x01\x08\x06112room:binupload\x01\x02":       true,
		"\x00\x02\x01\x08\x061\"2room:binupload\x01\x02\x00z": true,
	} {
		b := []byte(in)
		m, err := serializerV2{}.decode(b, binary)
		if err != nil {
			t.Fatal(err)
		}
		if cap(m.payload.data) != len(m.payload.data) {
			t.Error("an append to the payload would write over what follows")
		}
		m.payload.data = nil
		before := strings.Clone(flat(m))
		clear(b)
		if flat(m) != before {
			t.Errorf("%q changed to %q", before, flat(m))
		}
	}
}

func TestV2DecodeBinary(t *testing.T) {
	for _, row := range []struct {
		name, in, want string // in as hex, want empty: refused
	}{
		{"2.2: push", "00 02 01 08 06  31 31  32  72 6f 6f 6d 3a 62 69 6e  75 70 6c 6f 61 64  01 02", "\"11\"|\"2\"|room:bin|upload|binary \x01\x02"},
		{"2.2: empty payload", "00 01 01 01 01 31 32 74 65", `"1"|"2"|t|e|binary `},
		{"2.2: length 0 is the empty string", "00 00 00 00 00", `""|""|||binary `},
		{"2.2: one byte short", "00 01 01 01 01 31 32 74", ""},
		{"2.2: header cut", "00 00 00 00", ""},
		{"2.2: nothing", "", ""},
		{"2.2: kind 1", "01 00 00 00 00", ""},
		{"2.2: kind 2", "02 00 00 00 00", ""},
		{"2.2: kind 3", "03 00 00 00 00", ""},
		{"2.2: Latin-1 in the topic", "00 01 01 01 01 31 32 e4 65", "\"1\"|\"2\"|\xe4|e|binary "},
		{"2.2: Latin-1 in the ref", "00 01 01 01 01 31 e4 74 65", `"1"|"\ufffd"|t|e|binary `},
		{"2.2: quote in the ref", "00 01 01 01 01 31 22 74 65", `"1"|"\""|t|e|binary `},
		{"2.2: fields of 255", "00 ff ff ff ff" + strings.Repeat("61", 1020), `"` + strings.Repeat("a", 255) + `"|"` + strings.Repeat("a", 255) + `"|` + strings.Repeat("a", 255) + "|" + strings.Repeat("a", 255) + "|binary "},
	} {
		m, err := serializerV2{}.decode(unhexString(t, row.in), true)
		if row.want == "" {
			if err != errBinaryForm {
				t.Errorf("%s: %v %s", row.name, err, flat(m))
			}
		} else if err != nil || flat(m) != row.want {
			t.Errorf("%s: %q %v, want %q", row.name, flat(m), err, row.want)
		}
	}
}

func unhexString(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A binary push of a topic joined as text belongs to the same join.
func TestV2RefsOfBothForms(t *testing.T) {
	text, _ := serializerV2{}.decode([]byte(`["11","11","room:bin","phx_join",{}]`), false)
	bin, _ := serializerV2{}.decode(unhexString(t, "00 02 01 08 06  31 31  32  72 6f 6f 6d 3a 62 69 6e  75 70 6c 6f 61 64"), true)
	if !bin.joinRef.equal(text.joinRef) {
		t.Errorf("2.2: %s is not %s", bin.joinRef, text.joinRef)
	}
}

func TestV2EncodeText(t *testing.T) {
	s := serializerV2{}
	unmatched := func(in string) []byte {
		m, err := s.decode([]byte(in), false)
		if err != nil {
			t.Fatal(err)
		}
		return s.appendUnmatched(nil, &m)
	}
	text := func(out []byte, binary bool, err error) []byte {
		if err != nil || binary {
			t.Errorf("%s: binary %v, %v", out, binary, err)
		}
		return out
	}
	for _, row := range []struct {
		name string
		got  []byte
		want string
	}{
		{"2.1: heartbeat", text(s.appendReply(nil, "", `"7"`, "phoenix", "ok", Payload{})), `[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`},
		{"2.1: join", text(s.appendReply(nil, `"3"`, `"3"`, "room:1", "ok", Payload{})), `["3","3","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"2.1: reply", text(s.appendReply(nil, `"3"`, `"5"`, "room:1", "ok", raw(`{"a":1}`))), `["3","5","room:1","phx_reply",{"status":"ok","response":{"a":1}}]`},
		{"2.1: push", text(s.appendPush(nil, `"3"`, "room:1", "pushed", raw(`{"n":1}`))), `["3",null,"room:1","pushed",{"n":1}]`},
		{"2.1: broadcast", text(s.appendBroadcast(nil, "room:1", "new_msg", raw(`{"body":"hi"}`))), `[null,null,"room:1","new_msg",{"body":"hi"}]`},
		{"2.1: graceful close", s.appendClose(nil, `"3"`, "room:1"), `["3","3","room:1","phx_close",{}]`},
		{"2.1: crash", s.appendError(nil, `"3"`, "room:1"), `["3","3","room:1","phx_error",{"reason":"channel_crash"}]`},
		{"2.1: numbers as refs", text(s.appendReply(nil, `1`, `2`, "t", "ok", Payload{})), `[1,2,"t","phx_reply",{"status":"ok","response":{}}]`},
		{"2.1: null ref", text(s.appendReply(nil, `null`, `null`, "t", "ok", Payload{})), `[null,null,"t","phx_reply",{"status":"ok","response":{}}]`},
		{"2.1: any JSON in a reply", text(s.appendReply(nil, `1`, `2`, "t", "custom", raw(`[1e99]`))), `[1,2,"t","phx_reply",{"status":"custom","response":[1e99]}]`},
		{"3.3: null join_ref, close", s.appendClose(nil, "null", "room:1"), `[null,null,"room:1","phx_close",{}]`},
		{"2.2: topic not UTF-8", s.appendClose(nil, "1", "a\xe4"), `[1,1,"a\ufffd","phx_close",{}]`},
		{"3.2: unmatched", unmatched(`["1","2","room:x","e",{}]`), `[null,"2","room:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.2: unmatched, topic no string", unmatched(`["1",2,[5],"e",{}]`), `[null,2,[5],"phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
	} {
		if string(row.got) != row.want {
			t.Errorf("%s: %s, want %s", row.name, row.got, row.want)
		}
	}
}

func TestV2EncodeBinary(t *testing.T) {
	s := serializerV2{}
	bin := func(out []byte, binary bool, err error) []byte {
		if err != nil || !binary {
			t.Errorf("%s: binary %v, %v", out, binary, err)
		}
		return out
	}
	for _, row := range []struct {
		name string
		got  []byte
		want string
	}{
		{"2.2: push", bin(s.appendPush(nil, `"11"`, "room:bin", "chunk", Binary([]byte{0, 1}))),
			"00 02 08 05  31 31  72 6f 6f 6d 3a 62 69 6e  63 68 75 6e 6b  00 01"},
		{"2.2: reply", bin(s.appendReply(nil, `"11"`, `"2"`, "room:bin", "ok", Binary([]byte{1, 2, 3, 4}))),
			"01 02 01 08 02  31 31  32  72 6f 6f 6d 3a 62 69 6e  6f 6b  01 02 03 04"},
		{"2.2: broadcast", bin(s.appendBroadcast(nil, "room:bin", "tick", Binary([]byte{0x65, 0x66, 0x67}))),
			"02 08 04  72 6f 6f 6d 3a 62 69 6e  74 69 63 6b  65 66 67"},
		{"2.2: null is length 0", bin(s.appendReply(nil, "null", "", "t", "ok", Binary(nil))), "01 00 00 01 02 74 6f 6b"},
		{"2.2: a number is its digits", bin(s.appendReply(nil, "11", "-2", "t", "ok", Binary(nil))), "01 02 02 01 02 31 31 2d 32 74 6f 6b"},
		{"2.2: escapes in a ref", bin(s.appendPush(nil, `"\u0031"`, "t", "e", Binary(nil))), "00 01 01 01 31 74 65"},
		{"2.2: Latin-1 topic stays", bin(s.appendPush(nil, `1`, "\xe4", "e", Binary(nil))), "00 01 01 01 31 e4 65"},
	} {
		if want := unhexString(t, row.want); !bytes.Equal(row.got, want) {
			t.Errorf("%s: % x, want % x", row.name, row.got, want)
		}
	}
}

// FuzzV2DecodeText: it accepts what encoding/json takes for an array of five or more, and splits alike.
func FuzzV2DecodeText(f *testing.F) {
	f.Add([]byte(`["3","5","room:1","echo",{"a":[1,2.5e1,{"b":"\u00e4"}]},6]`))
	f.Add([]byte(` [ null , {} , 5 , [] , "" ] `))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := serializerV2{}.decode(data, false)
		var list []json.RawMessage
		known := json.Unmarshal(data, &list) == nil && utf8.Valid(data) && len(list) >= 5 &&
			len(list[0]) <= maxRefBytes && len(list[1]) <= maxRefBytes
		if (err == nil) != known {
			t.Fatalf("%v, encoding/json %v", err, known)
		}
		if err != nil {
			return
		}
		if string(m.joinRef) != string(list[0]) || string(m.ref) != string(list[1]) || !bytes.Equal(m.payload.data, list[4]) {
			t.Fatalf("%s, encoding/json %s", flat(m), list)
		}
		sameField(t, m.topic, string(m.rawTopic), "", list[2])
		sameField(t, m.event, "", string(list[3]), list[3])
	})
}

// sameField compares a topic or event with its JSON; other is what it has to be when that is no string.
func sameField(t *testing.T, got, rawGot, other string, text json.RawMessage) {
	t.Helper()
	if text[0] != '"' {
		if got != other || rawGot != "" && rawGot != string(text) {
			t.Fatalf("%q %q for %s", got, rawGot, text)
		}
		return
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil || got != s || rawGot != "" {
		t.Fatalf("%q %q for %s", got, rawGot, text)
	}
}

func FuzzV2DecodeBinary(f *testing.F) {
	f.Add([]byte("\x00\x02\x01\x08\x06112room:binupload\x01\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := serializerV2{}.decode(data, true)
		if err != nil {
			return
		}
		if !json.Valid([]byte(m.joinRef)) || !json.Valid([]byte(m.ref)) || m.joinRef.isNull() || m.ref.isNull() {
			t.Fatalf("refs %s %s", m.joinRef, m.ref)
		}
		size := 5 + int(data[1]) + int(data[2]) + int(data[3]) + int(data[4])
		if len(m.topic) != int(data[3]) || len(m.event) != int(data[4]) || !bytes.Equal(m.payload.data, data[size:]) {
			t.Fatalf("%s", flat(m))
		}
		if reply := (serializerV2{}).appendUnmatched(nil, &m); !json.Valid(reply) || !utf8.Valid(reply) {
			t.Fatalf("%s", reply)
		}
	})
}
