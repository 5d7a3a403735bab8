// In-package: serializers are internal; the wire bytes are the contract.
package server

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const packedHeartbeat = "95 c0 a137 a770686f656e6978 a9686561727462656174 80"

func TestPackedDecode(t *testing.T) {
	const tail = " a6726f6f6d3a31 a46563686f" // "room:1", "echo"
	for _, row := range []struct {
		name, in string
		want     message
		err      error
	}{
		{"2.1: an event", "95 a133 a135" + tail + " 81 a161 01",
			message{joinRef: `"3"`, ref: `"5"`, topic: "room:1", event: "echo"}, nil},
		{"2.1: null and a number", "95 c0 07" + tail + " 81 a161 01",
			message{joinRef: `null`, ref: `7`, topic: "room:1", event: "echo"}, nil},
		{"2.1: numbers of 64 bits", "95 d38000000000000000 cfffffffffffffffff" + tail + " 81 a161 01",
			message{joinRef: `-9223372036854775808`, ref: `18446744073709551615`, topic: "room:1", event: "echo"}, nil},
		{"2.1: a reference that JSON escapes", "95 a122 a2c3a4" + tail + " 81 a161 01",
			message{joinRef: `"\""`, ref: `"ä"`, topic: "room:1", event: "echo"}, nil},
		{"2.1: more than five elements", "96 c0 c0" + tail + " 81 a161 01 c3",
			message{joinRef: `null`, ref: `null`, topic: "room:1", event: "echo"}, nil},
		{"2.1: array 32", "dd00000005 c0 c0" + tail + " 81 a161 01",
			message{joinRef: `null`, ref: `null`, topic: "room:1", event: "echo"}, nil},
		{"2.1: four elements", "94 c0 c0" + tail, message{}, errPackedArray},
		{"2.1: a map", "81 a161 01", message{}, errPackedArray}, {"nothing", "", message{}, errPackedArray},
		{"array header cut short", "dc00", message{}, errPackedArray},
		{"more elements than bytes", "ddffffffff c0 c0" + tail + " 80", message{}, errPackedValue},
		{"an element is missing", "95 c0 c0" + tail, message{}, errPackedValue},
		{"something follows", "95 c0 c0" + tail + " 80 c0", message{}, errPackedValue},
		{"the payload is not UTF-8", "95 c0 c0" + tail + " a1ff", message{}, errPackedValue},
		{"the sixth is not MessagePack", "96 c0 c0" + tail + " 80 c1", message{}, errPackedValue},
		{"topic nil", "95 c0 c0 c0 a161 80", message{}, errPackedField},
		{"event a number", "95 c0 c0 a161 01 80", message{}, errPackedField},
		{"ref a float", "95 c0 ca00000000" + tail + " 80", message{}, errPackedField},
		{"join_ref bytes", "95 c40131 c0" + tail + " 80", message{}, errPackedField},
		{"ref an array", "95 c0 90" + tail + " 80", message{}, errPackedField},
		{"ref too long", "95 c0 da0600" + strings.Repeat("78", 0x600) + tail + " 80", message{}, errRefSize},
	} {
		m, err := serializerPacked{}.decode(packed(t, row.in), true)
		if row.err != nil {
			if !errors.Is(err, row.err) {
				t.Errorf("%s: %v, want %v", row.name, err, row.err)
			}
			continue
		}
		if err != nil || m.joinRef != row.want.joinRef || m.ref != row.want.ref || m.topic != row.want.topic ||
			m.event != row.want.event || string(m.payload.Bytes()) != `{"a":1}` {
			t.Errorf("%s: %+v %v, want %+v", row.name, m, err, row.want)
		}
	}
	if _, err := (serializerPacked{}).decode(packed(t, packedHeartbeat), false); err != errPackedText {
		t.Error("in a text frame:", err)
	}
}

func TestPackedEncode(t *testing.T) {
	s, long := serializerPacked{}, strings.Repeat("x", 300)
	const head = "95 a133 a135 a6726f6f6d3a31 " // "3", "5", "room:1"
	reply := func(status string, p Payload) func([]byte) ([]byte, bool, error) {
		return func(d []byte) ([]byte, bool, error) { return s.appendReply(d, `"3"`, `"5"`, "room:1", status, p) }
	}
	push := func(p Payload) func([]byte) ([]byte, bool, error) {
		return func(d []byte) ([]byte, bool, error) { return s.appendPush(d, `"3"`, "room:1", "e", p) }
	}
	broadcast := func(event string, p Payload) func([]byte) ([]byte, bool, error) {
		return func(d []byte) ([]byte, bool, error) { return s.appendBroadcast(d, "room:1", event, p) }
	}
	plain := func(f func([]byte) []byte) func([]byte) ([]byte, bool, error) {
		return func(d []byte) ([]byte, bool, error) { return f(d), true, nil }
	}
	const replied = head + "a97068785f7265706c79 82 a6737461747573 a26f6b a8726573706f6e7365 "
	for _, row := range []struct {
		name, want string
		err        error
		call       func([]byte) ([]byte, bool, error)
	}{
		{"2.1: reply", replied + "81a16101", nil, reply("ok", raw(`{"a":1}`))},
		{"2.1: reply with any value", replied + "c0", nil, reply("ok", raw(`null`))},
		{"2.2: reply with bytes", replied + "c402 0102", nil, reply("ok", Binary([]byte{1, 2}))},
		{"reply as it came", replied + "93 d4050a c0 01", nil, reply("ok", MessagePack(packed(t, "93 d4050a c0 01")))},
		{"2.1: push", "95 a133 c0 a6726f6f6d3a31 a165 80", nil, push(Payload{})},
		{"2.1: push as it came", "95 a133 c0 a6726f6f6d3a31 a165 81 01 cf0000000000000001", nil,
			push(MessagePack(packed(t, "81 01 cf0000000000000001")))},
		{"2.2: push of bytes", "95 a133 c0 a6726f6f6d3a31 a165 c400", nil, push(Binary(nil))},
		{"2.1: broadcast", "95 c0 c0 a6726f6f6d3a31 a165 81a16101", nil, broadcast("e", raw(`{"a":1}`))},
		{"2.2: no field is too long", "95 c0 c0 a6726f6f6d3a31 da012c" + strings.Repeat("78", 300) + " c400", nil, broadcast(long, Binary(nil))},
		{"2.1: push of a list", "", ErrPayloadNotObject, push(raw(`[]`))},
		{"2.1: push of a list that came", "", ErrPayloadNotObject, push(MessagePack([]byte{0x90}))},
		{"2.1: broadcast of a list", "", ErrPayloadNotObject, broadcast("e", raw(`[]`))},
		{"no JSON", "", ErrNoMessagePack, broadcast("e", raw(`{"a"}`))},
		{"no MessagePack", "", ErrNotMessagePack, reply("ok", MessagePack(nil))},
		{"2.1: graceful close", "95 a133 a133 a6726f6f6d3a31 a97068785f636c6f7365 80", nil,
			plain(func(d []byte) []byte { return s.appendClose(d, `"3"`, "room:1") })},
		{"2.1: crash", "95 07 07 a6726f6f6d3a31 a97068785f6572726f72 81 a6726561736f6e ad6368616e6e656c5f6372617368", nil,
			plain(func(d []byte) []byte { return s.appendError(d, `7`, "room:1") })},
		{"3.2: unmatched", "95 c0 a135 a178 a97068785f7265706c79 82 a6737461747573 a56572726f72 a8726573706f6e7365 81 a6726561736f6e" +
			" af756e6d61746368656420746f706963", nil,
			plain(func(d []byte) []byte { return s.appendUnmatched(d, &message{ref: `"5"`, topic: "x"}) })},
	} {
		out, binary, err := row.call([]byte("dst"))
		want := append([]byte("dst"), packed(t, row.want)...)
		if !errors.Is(err, row.err) || !bytes.Equal(out, want) || !binary {
			t.Errorf("%s: %x %v, want %x %v", row.name, out, err, want, row.err)
		}
	}
}

// References go back as they came, but for integers in more bytes than they need.
func TestPackedRefs(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"c0", ""}, {"a137", ""}, {"07", ""}, {"ff", ""}, {"cfffffffffffffffff", ""}, {"d38000000000000000", ""}, {"a0", ""},
		{"a2220a", ""}, {"d920" + strings.Repeat("78", 32), ""}, {"d90137", "a137"}, {"cf0000000000000007", "07"}, {"d007", "07"},
	} {
		want := row.want
		if want == "" {
			want = row.in
		}
		m, err := serializerPacked{}.decode(packed(t, "95 c0 "+row.in+" a174 a165 80"), true)
		if got := appendPackedRef(nil, m.ref); err != nil || !bytes.Equal(got, packed(t, want)) {
			t.Errorf("%s: %x %v, want %s", row.in, got, err, want)
		}
	}
}

// The recogniser takes what clients send, and leaves the rest to the decoder.
func TestPackedHeartbeat(t *testing.T) {
	const tail = " a770686f656e6978 a9686561727462656174 80"
	for _, row := range []struct {
		in   string
		want bool
	}{
		{packedHeartbeat, true}, {"95 c0 07" + tail, true}, {"95 a131 cf0000000000000007" + tail, true}, {"95 05 c0" + tail, true},
		{"95 c0" + tail, false}, {"95 c0 c0 c0" + tail, false}, {"95 c0 a1ff" + tail, false}, {"95 c0 90" + tail, false},
		{"95 c0 cb0000000000000000" + tail, false}, {"95 c0 a837" + tail, false}, {"95" + tail, false}, {tail, false}, {"", false},
		{"95 c0 a137 a770686f656e6978 a9686561727462656174 81", false}, {"96 c0 a137" + tail, false}, {"95 cf07 a1" + tail, false},
	} {
		in := packed(t, row.in)
		if r, ok := (serializerPacked{}).heartbeat(in, true); ok != row.want {
			t.Errorf("%s: %v, ref %x", row.in, ok, r)
		}
		if _, ok := (serializerPacked{}).heartbeat(in, false); ok {
			t.Errorf("%s is taken in a text frame", row.in)
		}
	}
}

func TestPackedAllocates(t *testing.T) {
	s := serializerPacked{}
	dst := make([]byte, 0, 512)
	beat, text, bin := packed(t, packedHeartbeat), raw(`{"body":"hi","n":[1,-2,3.5,null,true]}`), Binary([]byte{1, 2})
	came := MessagePack(packed(t, "81 a161 01"))
	event := packed(t, "95 a133 a135 a6726f6f6d3a31 a46563686f 82 a161 93010203 a162 a178")
	for _, row := range []struct {
		name string
		want float64
		f    func()
	}{
		{"heartbeat", 0, func() {
			r, ok := s.heartbeat(beat, true)
			if !ok {
				t.Fatal("not recognised")
			}
			dst = s.appendHeartbeatReply(dst[:0], r)
		}},
		{"reply", 0, func() { dst, _, _ = s.appendReply(dst[:0], `"3"`, `5`, "room:1", statusOK, text) }},
		{"reply of bytes", 0, func() { dst, _, _ = s.appendReply(dst[:0], `"3"`, `"5"`, "room:1", statusOK, bin) }},
		{"push as it came", 0, func() { dst, _, _ = s.appendPush(dst[:0], `"3"`, "room:1", "e", came) }},
		{"broadcast", 0, func() { dst, _, _ = s.appendBroadcast(dst[:0], "room:1", "e", text) }},
		{"ends", 0, func() { dst = s.appendError(s.appendClose(dst[:0], `"3"`, "room:1"), `"3"`, "room:1") }},
		{"V2 of what came", 0, func() { dst, _, _ = serializerV2{}.appendBroadcast(dst[:0], "room:1", "e", came) }},
		{"decode", 1, func() {
			if _, err := s.decode(event, true); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		if n := testing.AllocsPerRun(100, row.f); n > row.want {
			t.Errorf("%s: %v allocations, want %v", row.name, n, row.want)
		}
	}
}

// The loop answers the heartbeat in place, in a binary frame, and without allocation.
func TestLoopAnswersPackedHeartbeat(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	k, c := fakeSocket(newFakeServer(t, Config{}), true)
	k.packed, c.inline, c.keep = true, false, true
	f, buf := masked(ws.OpBinary, string(packed(t, packedHeartbeat))), make([]byte, 0, 256)
	const answer = "\x82\x2b\x95\xc0\xa17\xa7phoenix\xa9phx_reply\x82\xa6status\xa2ok\xa8response\x80"
	if n := k.receive(f, buf); n != len(f) || len(c.queued) != 0 || string(c.last) != answer {
		t.Fatalf("took %d of %d bytes, queued %d tasks, answered %q", n, len(f), len(c.queued), c.last)
	}
	if n := testing.AllocsPerRun(1000, func() { k.receive(f, buf) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	c.closed = nil
	k.receive(masked(ws.OpText, `[null,"7","phoenix","heartbeat",{}]`), buf)
	c.work()
	if got := c.closeCode(); got != codeInternalError {
		t.Errorf("after a text frame: closed with %d, want %d", got, codeInternalError)
	}
}

// A broadcast is turned into MessagePack once, whoever made it and however many hear it.
func TestBroadcastIsPackedOnce(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	s := newFakeServer(t, Config{})
	var few, many float64
	for i, n := range []int{30, 3_000} {
		topic := "quiet:" + strings.Repeat("x", i+1)
		for j := range n {
			k, _ := fakeSocket(s, true)
			k.packed = j%3 == 0
			k.deflate = j%3 == 1
			fakeJoin(k, topic)
		}
		allocs := fewestAllocs(func() { deliverTo(s, topic) })
		if few, many = many, allocs; i > 0 && few != many {
			t.Errorf("%d subscribers: %v allocations, for 30 %v", n, many, few)
		}
	}
}

func BenchmarkPacked(b *testing.B) {
	const text = `{"body":"hello, everybody","user":{"id":17,"name":"jo"},"tags":["a","b"],"at":1763737923.25}`
	s, dst := serializerPacked{}, make([]byte, 0, 1024)
	p, _ := raw(text).MessagePack()
	event, _, _ := s.appendReply(nil, `"3"`, `"5"`, "room:lobby", "ok", raw(text))
	beat := packed(b, packedHeartbeat)
	for _, row := range []struct {
		name string
		size int
		f    func()
	}{
		{"decode", len(event), func() { _, _ = s.decode(event, true) }},
		{"heartbeat", len(beat), func() {
			r, _ := s.heartbeat(beat, true)
			dst = s.appendHeartbeatReply(dst[:0], r)
		}},
		{"from JSON", len(text), func() { dst, _ = appendJSONPacked(dst[:0], []byte(text)) }},
		{"to JSON", len(p), func() { dst, _ = appendPackedJSON(dst[:0], p) }},
		{"broadcast as it came", len(p), func() { dst, _, _ = s.appendBroadcast(dst[:0], "room:lobby", "e", Payload{data: p, packed: true}) }},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(row.size))
			for b.Loop() {
				row.f()
			}
		})
	}
}
