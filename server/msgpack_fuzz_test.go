// In-package: the walkers are internal.
package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzPackedDecode: whatever is sent, the decoder returns, and what it accepts can be shown to every client.
func FuzzPackedDecode(f *testing.F) {
	for _, seed := range []string{
		"\x95\xc0\xa17\xa7phoenix\xa9heartbeat\x80", "\x95\xa11\xa12\xa6room:1\xa5event\x83\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01\xc4\x01\x00\xff\xd4\x05\x00",
		"\xdd\xff\xff\xff\xff", "\x95\xc0\xc0\xa1t\xa1e\xdf\xff\xff\xff\xff", "\x95\xc0\xc0\xa1t\xa1e\xd7\xff\x77\x35\x94\x00\x5a\x49\x7a\x00",
		"\x95\xc0\xc0\xa1t\xa1e\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "\x95\xc0\xc0\xa1t\xa1e\xc4\x02\x01\x02",
		"\x95\xc0\xc0\xa1t\xa1e" + strings.Repeat("\x91", 512) + "\xc0",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := serializerPacked{}
		m, err := s.decode(data, true)
		if r, ok := s.heartbeat(data, true); ok {
			if err != nil || !m.isHeartbeat() {
				t.Fatalf("a heartbeat with ref %x is decoded as %+v %v", r, m, err)
			}
			long, _, _ := s.appendReply(nil, "", m.ref, m.topic, statusOK, Payload{})
			if short := s.appendHeartbeatReply(nil, r); !sameValue(short, long) {
				t.Fatalf("%x, decoded: %x", short, long)
			}
		}
		if err != nil {
			if !errors.As(err, new(*decodeError)) {
				t.Fatalf("%v is no decodeError", err)
			}
			return
		}
		text := m.payload.Bytes()
		if !m.payload.binary && (!json.Valid(text) || !utf8.Valid(text) || len(text) > 10*len(data)) {
			t.Fatalf("%d bytes of %d, or no JSON: %.200s", len(text), len(data), text)
		}
		out, err := m.payload.appendPacked(appendPackedHeader(nil, m.joinRef, m.ref, m.topic, m.event))
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.decode(out, true)
		if err != nil || again.ref != m.ref || again.joinRef != m.joinRef || again.topic != m.topic {
			t.Fatalf("%+v became %+v %v", m, again, err)
		}
	})
}

// sameValue compares what two values are as JSON.
func sameValue(a, b []byte) bool {
	return bytes.Equal(MessagePack(a).Bytes(), MessagePack(b).Bytes())
}

// FuzzPackedJSON: JSON that becomes MessagePack and JSON again is the same value, as far as numbers go that are
// integers of 64 bits or floats.
func FuzzPackedJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2,3.5,1e400,null,true,false,"\u0000\ud83d\ude00\"\\"],"":{},"a":[]}`, `18446744073709551615`, `-9223372036854775808`,
		`18446744073709551616`, `-0`, `1E5`, `0.1`, ` [ ] `, `[[[[[[[[]]]]]]]]`, "\"\xff\"", `"\ud800"`, `{"a":1,}`, `1e-7`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := appendJSONPacked(nil, text)
		if err != nil {
			if json.Valid(text) && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= maxPackedDepth {
				t.Fatalf("%.200q: %v", text, err)
			}
			return
		}
		if !json.Valid(text) || len(out) > 5*len(text) {
			t.Fatalf("%.200q is taken, %d bytes of %d", text, len(out), len(text))
		}
		if rest, ok := skipPacked(out, maxPackedDepth); !ok || len(rest) > 0 {
			t.Fatalf("%.200q: %x, which a client could not send", text, out)
		}
		back, _ := appendPackedJSON(nil, out)
		if got, want := jsonValue(t, back), jsonValue(t, text); !reflect.DeepEqual(got, want) {
			t.Fatalf("%.200q came back as %.200q", text, back)
		}
	})
}

// jsonValue returns what a client reads: numbers become their nearest float unless they are integers of 64 bits.
func jsonValue(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := Raw(text).Decode(&v); err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
	return readNumbers(v)
}

func readNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, ok := new(big.Int).SetString(string(v), 10); ok && (i.IsInt64() || i.IsUint64()) && v != "-0" {
			return i.String()
		}
		f, err := v.Float64()
		if err != nil {
			return nil // beyond floats: an infinity, which is null in JSON
		}
		return strconv.FormatFloat(f, 'f', -1, 64) // a large one has zeros for digits that it does not know
	case []any:
		for i := range v {
			v[i] = readNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = readNumbers(v[k])
		}
	}
	return v
}
