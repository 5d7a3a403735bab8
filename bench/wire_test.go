package bench

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestAppendMessages(t *testing.T) {
	for _, row := range []struct{ name, got, want string }{
		{"join", string(appendJoin(nil, 3, "room:1", `{"user":"jo"}`)), `["3","3","room:1","phx_join",{"user":"jo"}]`},
		{"push", string(appendPush(nil, 3, 5, "room:1", "shout", []byte(`{"a":1}`))), `["3","5","room:1","shout",{"a":1}]`},
		{"push outside of a channel", string(appendPush(nil, 0, 5, "t", "e", []byte(`1`))), `[null,"5","t","e",1]`},
		{"leave", string(appendLeave(nil, 3, 8, "room:1")), `["3","8","room:1","phx_leave",{}]`},
		{"heartbeat", string(appendHeartbeat(nil, 7)), `[null,"7","phoenix","heartbeat",{}]`},
		{"largest ref", string(appendHeartbeat(nil, 1<<32-1)), `[null,"4294967295","phoenix","heartbeat",{}]`},
		{"behind what is there", string(appendHeartbeat([]byte("x"), 7)), `x[null,"7","phoenix","heartbeat",{}]`},
		{"quotes", string(appendLeave(nil, 1, 2, "a\"\\\n\x1f\u2028ü")), `["1","2","a\"\\\u000a\u001f` + "\u2028ü" + `","phx_leave",{}]`},
		{"not UTF-8", string(appendLeave(nil, 1, 2, "a\xff")), "[\"1\",\"2\",\"a\uFFFD\",\"phx_leave\",{}]"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, row.got, row.want)
		}
	}
}

func TestParseMessage(t *testing.T) {
	for _, row := range []struct {
		name   string
		wire   string
		want   inbound
		topic  string
		event  string
		answer string // the payload
	}{
		{"heartbeat reply", `[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`,
			inbound{ref: 7, status: statusOK}, "phoenix", "phx_reply", `{"status":"ok","response":{}}`},
		{"join refused", `["3","3","room:1","phx_reply",{"response":{"reason":"unauthorized"},"status":"error"}]`,
			inbound{joinRef: 3, ref: 3, status: statusError}, "room:1", "phx_reply", `{"response":{"reason":"unauthorized"},"status":"error"}`},
		{"broadcast", `[null,null,"room:1","new_msg",{"body":"hi"}]`, inbound{}, "room:1", "new_msg", `{"body":"hi"}`},
		{"push", `["3",null,"room:1","pushed",{"n":1}]`, inbound{joinRef: 3}, "room:1", "pushed", `{"n":1}`},
		{"phx_close", `["3","3","room:1","phx_close",{}]`, inbound{joinRef: 3, ref: 3}, "room:1", "phx_close", `{}`},
		{"white space", " [ \"3\" ,\t\"4\",\r\n\"t\" , \"e\" , { } ] ", inbound{joinRef: 3, ref: 4}, "t", "e", `{ }`},
		{"more than five", `[null,null,"t","e",{},{},6]`, inbound{}, "t", "e", `{}`},
		{"refs that are not ours", `[3,"03","t","e",{}]`, inbound{}, "t", "e", `{}`},
		{"refs that are no numbers", `["x",["1"],"t","e",{}]`, inbound{}, "t", "e", `{}`},
		{"ref too large", `["4294967296","4294967295","t","e",{}]`, inbound{ref: 1<<32 - 1}, "t", "e", `{}`},
		{"ref longer still", `["18446744073709551617","","t","e",{}]`, inbound{}, "t", "e", `{}`},
		{"escapes", `[null,null,"\u0072oom\/\"\ud83d\ude00\ud83d!","\\e\n",{"a":"\u0061"}]`, inbound{}, "room/\"\U0001F600\uFFFD!", "\\e\n", `{"a":"\u0061"}`},
		{"short escapes", `[null,null,"\b\f\n\r\t\"\\","\u00E9\u00e9\uDE00\ud83dx",-0.5E+1]`, inbound{}, "\b\f\n\r\t\"\\", "éé\uFFFD\uFFFDx", `-0.5E+1`},
		{"escaped event", `[null,"1","t","phx\u005freply",{"st\u0061tus":"o\u006B"}]`, inbound{ref: 1, status: statusOK}, "t", "phx_reply", `{"st\u0061tus":"o\u006B"}`},
		{"status further down", `[null,"1","t","phx_reply",{"response":{"status":"error"},"status":"ok"}]`, inbound{ref: 1, status: statusOK}, "t", "phx_reply", `{"response":{"status":"error"},"status":"ok"}`},
		{"status only further down", `[null,"1","t","phx_reply",{"response":{"status":"error"}}]`, inbound{ref: 1}, "t", "phx_reply", `{"response":{"status":"error"}}`},
		{"status in an array", `[null,"1","t","phx_reply",["status","ok"]]`, inbound{ref: 1}, "t", "phx_reply", `["status","ok"]`},
		{"status twice", `[null,"1","t","phx_reply",{"status":"ok" , "status" : "error"}]`, inbound{ref: 1, status: statusError}, "t", "phx_reply", `{"status":"ok" , "status" : "error"}`},
		{"status twice, once no name", `[null,"1","t","phx_reply",{"status":"ok","status":1}]`, inbound{ref: 1}, "t", "phx_reply", `{"status":"ok","status":1}`},
		{"status as another's value", `[null,"1","t","phx_reply",{"x":"status","status_":"ok","statu":"ok"}]`, inbound{ref: 1}, "t", "phx_reply", `{"x":"status","status_":"ok","statu":"ok"}`},
		{"status of the application", `[null,"1","t","phx_reply",{"status":"okay"}]`, inbound{ref: 1, status: statusOther}, "t", "phx_reply", `{"status":"okay"}`},
		{"status that is no name", `[null,"1","t","phx_reply",{"status":1}]`, inbound{ref: 1}, "t", "phx_reply", `{"status":1}`},
		{"reply without payload", `[null,"1","t","phx_reply",null]`, inbound{ref: 1}, "t", "phx_reply", `null`},
		{"empty reply", `[null,"1","t","phx_reply",{ }]`, inbound{ref: 1}, "t", "phx_reply", `{ }`},
		{"status of an event", `[null,"1","t","e",{"status":"ok"}]`, inbound{ref: 1}, "t", "e", `{"status":"ok"}`},
		{"deep", `[null,null,"t","e",` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `]`, inbound{}, "t", "e", strings.Repeat("[", 9999) + strings.Repeat("]", 9999)},
	} {
		m, err := parseMessage([]byte(row.wire), false)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if m.joinRef != row.want.joinRef || m.ref != row.want.ref || m.status != row.want.status || m.binary ||
			string(m.topic) != row.topic || string(m.event) != row.event || string(m.payload) != row.answer {
			t.Errorf("%s: got %d %d %q %q status %d %.50q", row.name, m.joinRef, m.ref, m.topic, m.event, m.status, m.payload)
		}
	}
}

func TestParseMessageErrors(t *testing.T) {
	for _, text := range []string{
		"", " ", "x", "{}", `"a"`, "[", "[]", "[1]", `[null,null,"t","e"]`, `[null,null,"t","e",]`, `[null,null,"t","e",{}`,
		`[null,null,"t","e",{}]x`, `[null,null,"t","e",{}],`, `[null,null,null,"e",{}]`, `[null,null,"t",1,{}]`, `[,null,"t","e",{}]`,
		`[null,null,"t","e",{a:1}]`, `[null,null,"t","e",{"a"}]`, `[null,null,"t","e",{"a":1,}]`, `[null,null,"t","e",[1 2]]`,
		`[null,null,"t","e","]`, `[null,null,"t","e","\x"]`, `[null,null,"t","e","\u00g0"]`, "[null,null,\"t\",\"e\",\"\n\"]",
		`[null,null,"t","e",01]`, `[null,null,"t","e",-]`, `[null,null,"t","e",1.]`, `[null,null,"t","e",1e]`, `[null,null,"t","e",nul]`,
		`[null,null,"t","e",{"a" 1}]`, `[null,null,"t","e",{"a":1 "b":2}]`, `[null,null,"t","e",{"a\`, `[null,null,"t","e",{"a":[1`, `[null,null,"t","e","\u00`,
		`[null,null,"t","e",[}]`, `["1","2","t","e",{}][]`, `[null,null,"t","e",` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `]`,
	} {
		if m, err := parseMessage([]byte(text), false); err != errGarbage {
			t.Errorf("%.60q: got %+v, %v", text, m, err)
		}
	}
}

// The bytes are those of PHOENIX_PROTOCOL.md section 2.2.
func TestParseBinary(t *testing.T) {
	for _, row := range []struct {
		name         string
		wire         string
		joinRef, ref uint32
		topic, event string
		status       replyStatus
		payload      string
	}{
		{"push", "\x00\x02\x08\x0511room:binchunk\x00\x01", 11, 0, "room:bin", "chunk", statusNone, "\x00\x01"},
		{"reply", "\x01\x02\x01\x08\x02112room:binok\x01\x02\x03\x04", 11, 2, "room:bin", "phx_reply", statusOK, "\x01\x02\x03\x04"},
		{"reply error", "\x01\x00\x01\x01\x052terror", 0, 2, "t", "phx_reply", statusError, ""},
		{"reply of the application", "\x01\x00\x01\x01\x012tx", 0, 2, "t", "phx_reply", statusOther, ""},
		{"broadcast", "\x02\x08\x04room:bintickefg", 0, 0, "room:bin", "tick", statusNone, "efg"},
		{"empty fields", "\x02\x00\x00", 0, 0, "", "", statusNone, ""},
		{"longest topic", "\x02\xff\x01" + strings.Repeat("t", 255) + "e", 0, 0, strings.Repeat("t", 255), "e", statusNone, ""},
	} {
		m, err := parseMessage([]byte(row.wire), true)
		if err != nil || m.joinRef != row.joinRef || m.ref != row.ref || string(m.topic) != row.topic || string(m.event) != row.event ||
			m.status != row.status || string(m.payload) != row.payload || !m.binary {
			t.Errorf("%s: got %+v, %v", row.name, m, err)
		}
	}
	for _, wire := range []string{"", "\x00", "\x03\x00\x00", "[", "\x00\x00\x00", "\x02\x01\x00", "\x01\x01\x01\x01\x01abc", "\x00\x00\xff\x00t"} {
		if m, err := parseMessage([]byte(wire), true); err != errGarbage {
			t.Errorf("%q: got %+v, %v", wire, m, err)
		}
	}
}

func TestWireAllocations(t *testing.T) {
	dst := make([]byte, 0, 1024)
	payload := []byte(`{"body":"x"}`)
	for name, f := range map[string]func(){
		"join":      func() { appendJoin(dst, 3, "rooms:lobby", "{}") },
		"push":      func() { appendPush(dst, 3, 4, "rooms:lobby", "shout", payload) },
		"heartbeat": func() { appendHeartbeat(dst, 3) },
		"reply": func() {
			b := append(dst, `["3","4","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`...)
			parseMessage(b, false)
		},
		"escapes": func() {
			b := append(dst, `["3","4","rooms:\u00fclobby","shout",{"status":"ok","response":{}}]`...)
			parseMessage(b, false)
		},
		"binary":  func() { parseMessage(append(dst, "\x01\x02\x01\x08\x02112room:binok"...), true) },
		"garbage": func() { parseMessage(append(dst, "garbage"...), false) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzParseText takes encoding/json for what is right.
func FuzzParseText(f *testing.F) {
	for _, text := range []string{
		`[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`, `["3","3","room:1","phx_reply",{"response":{"status":"error"},"status":"\u006fk"}]`,
		`["1",null,"\u0072\ud83d\ude00","e",[-1.5e+7,true,false,null,"\\"]] `, `[1,2,"t","e",{},5]`, `{"a":[]}`, `[null,null,"t","e"`, `["1","2","t","phx_reply",{"":{"status":1}}]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, ok := referenceParse(text)
		m, err := parseMessage(bytes.Clone(text), false)
		if ok != (err == nil) {
			t.Fatalf("%q: got %v, and encoding/json says %v", text, err, ok)
		}
		// encoding/json puts U+FFFD for what is not UTF-8, which no text message holds.
		topic, event := strings.ToValidUTF8(string(m.topic), "\uFFFD"), strings.ToValidUTF8(string(m.event), "\uFFFD")
		if !ok || !bytes.Equal(bytes.ToValidUTF8(text, nil), text) {
			return
		}
		if m.joinRef != want.joinRef || m.ref != want.ref || topic != string(want.topic) || event != string(want.event) ||
			!bytes.Equal(m.payload, want.payload) || m.status != want.status {
			t.Fatalf("%q: got %d %d %q %q %q status %d, want %d %d %q %q %q status %d", text, m.joinRef, m.ref, topic, event, m.payload, m.status,
				want.joinRef, want.ref, want.topic, want.event, want.payload, want.status)
		}
	})
}

func referenceParse(text []byte) (m inbound, ok bool) {
	var elements []json.RawMessage
	if json.Unmarshal(text, &elements) != nil || len(elements) < 5 {
		return m, false
	}
	var topic, event *string
	if json.Unmarshal(elements[2], &topic) != nil || json.Unmarshal(elements[3], &event) != nil || topic == nil || event == nil {
		return m, false
	}
	m = inbound{joinRef: referenceRef(elements[0]), ref: referenceRef(elements[1]), topic: []byte(*topic), event: []byte(*event), payload: elements[4]}
	var payload map[string]json.RawMessage
	if *event == "phx_reply" && json.Unmarshal(m.payload, &payload) == nil {
		var status *string
		if json.Unmarshal(payload["status"], &status) == nil && status != nil {
			m.status = map[string]replyStatus{"ok": statusOK, "error": statusError}[*status]
			if m.status == statusNone {
				m.status = statusOther
			}
		}
	}
	return m, true
}

func referenceRef(value []byte) uint32 {
	n, err := strconv.ParseUint(strings.Trim(string(value), `"`), 10, 32)
	if err != nil || string(value) != strconv.Quote(strconv.FormatUint(n, 10)) {
		return 0
	}
	return uint32(n)
}

// FuzzParseBinary looks for reads beyond what is there.
func FuzzParseBinary(f *testing.F) {
	f.Add([]byte("\x01\x02\x01\x08\x02112room:binok\x01\x02\x03\x04"))
	f.Add([]byte("\x00\x02\x08\x0511room:binchunk\x00\x01"))
	f.Add([]byte("\x02\x08\x04room:bintickefg"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		m, err := parseMessage(slices.Clip(wire), true)
		if err != nil {
			return
		}
		if len(m.topic)+len(m.payload) >= len(wire) || !bytes.HasSuffix(wire, m.payload) {
			t.Fatalf("%q: topic %q, payload %q", wire, m.topic, m.payload)
		}
	})
}

// FuzzAppend holds what is written against encoding/json.
func FuzzAppend(f *testing.F) {
	f.Add(uint32(1), uint32(2), "room:1", "shout", "hi")
	f.Add(uint32(0), uint32(1<<32-1), "\"\\\x00", "\u2028", "\xff")
	f.Fuzz(func(t *testing.T, joinRef, ref uint32, topic, event, body string) {
		payload, err := json.Marshal(map[string]string{"body": body})
		if err != nil {
			t.Fatal(err)
		}
		wire := appendPush(nil, joinRef, ref, topic, event, payload)
		m, ok := referenceParse(wire)
		if !ok || m.joinRef != joinRef || m.ref != ref || string(m.topic) != strings.ToValidUTF8(topic, "\uFFFD") && !hasInvalidRun(topic) ||
			string(m.event) != strings.ToValidUTF8(event, "\uFFFD") && !hasInvalidRun(event) || !bytes.Equal(m.payload, payload) {
			t.Fatalf("%s", wire)
		}
	})
}

// hasInvalidRun reports that s is not UTF-8 in two bytes that follow each other, of which
// strings.ToValidUTF8 makes one U+FFFD and JSON two.
func hasInvalidRun(s string) bool {
	return strings.ToValidUTF8(s, "\uFFFD") != string([]rune(s))
}
