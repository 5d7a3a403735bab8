// In-package: serializers are internal; the wire bytes are the contract.
package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// raw is a payload of JSON text.
func raw(text string) Payload { return Raw(json.RawMessage(text)) }

// encoded is what an append method returns, appended to something.
func encoded(out []byte, binary bool, err error) (string, bool, error) {
	return string(out), binary, err
}

func TestEncodeErrorsLeaveDst(t *testing.T) {
	long := strings.Repeat("x", maxField+1)
	full := long[1:]
	bin, object, list, bad := Binary([]byte{1}), raw(`{}`), raw(`[]`), JSON(math.Inf(1))
	v1, v2 := serializerV1{}, serializerV2{}
	for _, row := range []struct {
		name string
		want error
		call func(dst []byte) ([]byte, bool, error)
	}{
		{"2.2: topic of 255", nil, func(d []byte) ([]byte, bool, error) { return v2.appendReply(d, "1", "2", full, "ok", bin) }},
		{"2.2: topic of 256", ErrFieldTooLong, func(d []byte) ([]byte, bool, error) { return v2.appendReply(d, "1", "2", long, "ok", bin) }},
		{"2.2: status of 256", ErrFieldTooLong, func(d []byte) ([]byte, bool, error) { return v2.appendReply(d, "1", "2", "t", long, bin) }},
		{"2.2: ref of 256", ErrFieldTooLong, func(d []byte) ([]byte, bool, error) {
			return v2.appendReply(d, "1", ref(`"`+long+`"`), "t", "ok", bin)
		}},
		{"2.2: ref of 255", nil, func(d []byte) ([]byte, bool, error) { return v2.appendReply(d, "1", ref(`"`+full+`"`), "t", "ok", bin) }},
		{"2.2: join_ref is an array", errRefInBinary, func(d []byte) ([]byte, bool, error) { return v2.appendPush(d, "[1]", "t", "e", bin) }},
		{"2.2: event of 256 in a push", ErrFieldTooLong, func(d []byte) ([]byte, bool, error) { return v2.appendPush(d, "1", "t", long, bin) }},
		{"2.2: event of 256 in a broadcast", ErrFieldTooLong, func(d []byte) ([]byte, bool, error) { return v2.appendBroadcast(d, "t", long, bin) }},
		{"2.1: event of 256 as text", nil, func(d []byte) ([]byte, bool, error) { return v2.appendBroadcast(d, "t", long, object) }},
		{"2.1: push of a list", ErrPayloadNotObject, func(d []byte) ([]byte, bool, error) { return v2.appendPush(d, "1", "t", "e", list) }},
		{"2.1: broadcast of a list", ErrPayloadNotObject, func(d []byte) ([]byte, bool, error) { return v2.appendBroadcast(d, "t", "e", list) }},
		{"2.1: reply with a list", nil, func(d []byte) ([]byte, bool, error) { return v2.appendReply(d, "1", "2", "t", "ok", list) }},
		{"2.3: push of a list", nil, func(d []byte) ([]byte, bool, error) { return v1.appendPush(d, "1", "t", "e", list) }},
		{"2.3: broadcast of a list", nil, func(d []byte) ([]byte, bool, error) { return v1.appendBroadcast(d, "t", "e", list) }},
		{"2.3: binary push", ErrBinaryV1, func(d []byte) ([]byte, bool, error) { return v1.appendPush(d, "1", "t", "e", bin) }},
		{"2.3: binary reply", ErrBinaryV1, func(d []byte) ([]byte, bool, error) { return v1.appendReply(d, "1", "2", "t", "ok", bin) }},
		{"2.3: binary broadcast", ErrBinaryV1, func(d []byte) ([]byte, bool, error) { return v1.appendBroadcast(d, "t", "e", bin) }},
		{"payload error, V1 reply", bad.err, func(d []byte) ([]byte, bool, error) { return v1.appendReply(d, "1", "2", "t", "ok", bad) }},
		{"payload error, V1 push", bad.err, func(d []byte) ([]byte, bool, error) { return v1.appendPush(d, "1", "t", "e", bad) }},
		{"payload error, V2 reply", bad.err, func(d []byte) ([]byte, bool, error) { return v2.appendReply(d, "1", "2", "t", "ok", bad) }},
		{"payload error, V2 push", bad.err, func(d []byte) ([]byte, bool, error) { return v2.appendPush(d, "1", "t", "e", bad) }},
		{"payload error, V2 broadcast", bad.err, func(d []byte) ([]byte, bool, error) { return v2.appendBroadcast(d, "t", "e", bad) }},
	} {
		out, _, err := encoded(row.call([]byte("dst")))
		if !errors.Is(err, row.want) || !strings.HasPrefix(out, "dst") || err != nil && out != "dst" {
			t.Errorf("%s: %v, %.20q", row.name, err, out)
		}
	}
}

// A heartbeat's recogniser and the decoder agree: what the one takes the other takes as a heartbeat
// with the same ref, and the answers are equal.
func FuzzHeartbeat(f *testing.F) {
	for _, seed := range []string{
		`[null,"7","phoenix","heartbeat",{}]`, `["1",7,"phoenix","heartbeat",{}]`, `[12,null,"phoenix","heartbeat",{}]`,
		`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}`, `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":1}`,
		`["a,"b","phoenix","heartbeat",{}]`, `[,"phoenix","heartbeat",{}]`, `[1,2,3,"phoenix","heartbeat",{}]`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		for _, s := range []serializer{serializerV1{}, serializerV2{}} {
			r, ok := s.heartbeat(data, binary)
			if !ok {
				continue
			}
			m, err := s.decode(data, binary)
			if err != nil || m.topic != topicPhoenix || m.event != eventHeartbeat || m.rawTopic != "" || string(m.ref) != string(r) {
				t.Fatalf("version %d: %+v %v, ref %q", s.version(), m, err, r)
			}
			short := s.appendHeartbeatReply(nil, r)
			long, _, err := s.appendReply(nil, "", m.ref, m.topic, statusOK, Payload{})
			if err != nil || !bytes.Equal(short, long) {
				t.Fatalf("version %d: %s, decoded: %s", s.version(), short, long)
			}
		}
	})
}

// What is not in the words of phoenix.js is left to the decoder, and so is what is no JSON.
func TestHeartbeatLeavesToTheDecoder(t *testing.T) {
	long := strings.Repeat("7", maxRefBytes+1)
	for _, in := range []string{
		`[null,"\u0037","phoenix","heartbeat",{}]`, `[null,"\x","phoenix","heartbeat",{}]`, `[null,01,"phoenix","heartbeat",{}]`,
		`[null,1.5,"phoenix","heartbeat",{}]`, `[1x2,"phoenix","heartbeat",{}]`, `[1,2,3,"phoenix","heartbeat",{}]`,
		`[null,` + long + `,"phoenix","heartbeat",{}]`, `[` + long + `,1,"phoenix","heartbeat",{}]`, `[1,"phoenix","heartbeat",{}]`,
		`[1,,"phoenix","heartbeat",{}]`, `,"phoenix","heartbeat",{}]`, `[null,"7","phoenix","heartbeat",{"a":1}]`, "[null,\"\xff\",\"phoenix\",\"heartbeat\",{}]",
		`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":1,"topic":2}`, `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":01}`,
		`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"\n"}`, `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":}`,
		`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":` + long + `}`,
	} {
		for _, s := range []serializer{serializerV1{}, serializerV2{}} {
			if r, ok := s.heartbeat([]byte(in), false); ok {
				t.Errorf("version %d takes %.80s, ref %.20s", s.version(), in, r)
			}
		}
	}
	if _, ok := (serializerV2{}).heartbeat([]byte(`[null,"7","phoenix","heartbeat",{}]`), true); ok {
		t.Error("a heartbeat as text in a binary frame")
	}
}

func TestHeartbeatDoesNotAllocate(t *testing.T) {
	v1 := []byte(`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}`)
	v2 := []byte(`[null,"7","phoenix","heartbeat",{}]`)
	dst := make([]byte, 0, 256)
	for _, row := range []struct {
		s    serializer
		in   []byte
		want string
	}{
		{serializerV1{}, v1, `{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"7"}`},
		{serializerV2{}, v2, `[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`},
	} {
		allocs := testing.AllocsPerRun(100, func() {
			r, ok := row.s.heartbeat(row.in, false)
			if !ok {
				t.Fatal("not recognised")
			}
			dst = row.s.appendHeartbeatReply(dst[:0], r)
		})
		if allocs != 0 || string(dst) != row.want {
			t.Errorf("version %d: %v allocations, %s", row.s.version(), allocs, dst)
		}
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 512)
	p, bin := raw(`{"body":"hi"}`), Binary([]byte{1, 2})
	allocs := testing.AllocsPerRun(100, func() {
		for _, s := range [...]serializer{serializerV1{}, serializerV2{}} {
			dst, _, _ = s.appendReply(dst[:0], `"3"`, `"5"`, "room:1", statusOK, p)
			dst, _, _ = s.appendPush(dst[:0], `"3"`, "room:1", "pushed", p)
			dst, _, _ = s.appendBroadcast(dst[:0], "room:1", "new_msg", p)
			dst = s.appendError(s.appendClose(dst[:0], `"3"`, "room:1"), `"3"`, "room:1")
		}
		dst, _, _ = serializerV2{}.appendReply(dst[:0], `"3"`, `5`, "room:1", statusOK, bin)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestDecodeAllocatesOnce(t *testing.T) {
	for name, row := range map[string]struct {
		s      serializer
		in     string
		binary bool
	}{
		"V1":        {serializerV1{}, `{"topic":"room:1","event":"echo","payload":{"a":1},"ref":"5","join_ref":"3"}`, false},
		"V2":        {serializerV2{}, `["3","5","room:1","echo",{"a":[1,2,{"b":"c"}]}]`, false},
		"V2 binary": {serializerV2{}, "\x00\x02\x01\x08\x06112room:binupload\x01\x02", true},
	} {
		in := []byte(row.in)
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := row.s.decode(in, row.binary); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 1 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// FuzzRoundTrip: what is encoded can be read as JSON, and has the fields that were put in.
func FuzzRoundTrip(f *testing.F) {
	f.Add("3", "5", "room:1", "echo", []byte(`{"a":1}`))
	f.Add("\xe4", "\"", "\x00", "ä", []byte("\xff"))
	f.Fuzz(func(t *testing.T, joinRef, r, topic, event string, data []byte) {
		if len(joinRef) > maxField || len(r) > maxField {
			return // could be above maxRefBytes when quoted
		}
		jr, rr := ref(appendString(nil, joinRef)), ref(appendString(nil, r))
		p := Payload{data: data}
		if !json.Valid(data) || !utf8.Valid(data) {
			p = JSON(map[string]string{"data": string(data)})
		}
		same := func(m message, err error, joinRef ref) {
			t.Helper()
			plain := len(m.payload.data) == 0 || bytes.Contains(p.data, bytes.TrimSpace(m.payload.data))
			if err != nil || m.topic != valid8(topic) || m.event != valid8(event) || m.joinRef != joinRef || !plain {
				t.Fatalf("%+v %v", m, err)
			}
		}
		if out, binary, err := (serializerV2{}).appendPush(nil, jr, topic, event, p); err == nil {
			m, err := serializerV2{}.decode(out, binary)
			same(m, err, jr)
		}
		out, binary, err := serializerV1{}.appendPush(nil, jr, topic, event, p)
		if err != nil {
			t.Fatal(err)
		}
		m, err := serializerV1{}.decode(out, binary)
		same(m, err, "")
		binaryRoundTrip(t, jr, rr, topic, event, data)
	})
}

// valid8 is s as it comes out of JSON.
func valid8(s string) string {
	s, _ = unquote(string(appendString(nil, s)))
	return s
}

// binaryRoundTrip reads a reply as what a client could send: only the kind is another.
func binaryRoundTrip(t *testing.T, joinRef, r ref, topic, status string, data []byte) {
	t.Helper()
	out, binary, err := serializerV2{}.appendReply(nil, joinRef, r, topic, status, Binary(data))
	if errors.Is(err, ErrFieldTooLong) {
		return
	}
	if err != nil || !binary || out[0] != kindReply {
		t.Fatalf("%v, binary %v", err, binary)
	}
	out[0] = kindPush
	m, err := serializerV2{}.decode(out, true)
	if err != nil || !m.joinRef.equal(joinRef) || !m.ref.equal(r) || m.topic != topic || m.event != status ||
		!m.payload.binary || !bytes.Equal(m.payload.data, data) {
		t.Fatalf("%+v %v", m, err)
	}
}

func BenchmarkSerializer(b *testing.B) {
	text := []byte(`["3","5","room:lobby","new_msg",{"body":"hello, everybody","user":{"id":17,"name":"jo"},"tags":["a","b"]}]`)
	object := []byte(`{"topic":"room:lobby","event":"new_msg","payload":{"body":"hello, everybody","user":{"id":17}},"ref":"5"}`)
	bin := []byte("\x00\x02\x01\x08\x06112room:binupload\x01\x02")
	large := []byte(`["3","5","room:lobby","new_msg",{"body":"` + strings.Repeat("hello ", 10000) + `"}]`)
	beat := []byte(`[null,"7","phoenix","heartbeat",{}]`)
	dst := make([]byte, 0, 512)
	decode := func(s serializer, in []byte, binary bool) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if _, err := s.decode(in, binary); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("decode/v1", decode(serializerV1{}, object, false))
	b.Run("decode/v2", decode(serializerV2{}, text, false))
	b.Run("decode/v2binary", decode(serializerV2{}, bin, true))
	b.Run("decode/v2large", decode(serializerV2{}, large, false))
	b.Run("decode/encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			var list []json.RawMessage
			if err := json.Unmarshal(text, &list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("heartbeat/v2", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, _ := heartbeatV2(beat)
			dst = serializerV2{}.appendHeartbeatReply(dst[:0], r)
		}
	})
	b.Run("reply/v2", func(b *testing.B) {
		p := raw(`{"body":"hi"}`)
		b.ReportAllocs()
		for b.Loop() {
			dst, _, _ = serializerV2{}.appendReply(dst[:0], `"3"`, `"5"`, "room:1", statusOK, p)
		}
	})
	b.Run("broadcast/v2binary", func(b *testing.B) {
		p := Binary(bin)
		b.ReportAllocs()
		for b.Loop() {
			dst, _, _ = serializerV2{}.appendBroadcast(dst[:0], "room:1", "tick", p)
		}
	})
}
