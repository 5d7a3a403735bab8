package frame_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server/frame"
)

func TestParseClose(t *testing.T) {
	for _, row := range []struct {
		name    string
		payload string
		code    ws.StatusCode // also the one to answer with
		reason  string
		err     error
	}{
		{"5.5.1 empty", "", 1005, "", nil},
		{"5.5.1 one byte", "\x03", 1002, "", frame.ErrCloseLength},
		{"5.5.1 code alone", "\x03\xe8", 1000, "", nil},
		{"5.5.1 code and reason", "\x0f\xa0bye", 4000, "bye", nil},
		{"5.5.1 reason of 123", "\x03\xe8" + strings.Repeat("r", 123), 1000, strings.Repeat("r", 123), nil},
		{"8.1 reason is not UTF-8", "\x03\xe8\xff", 1007, "", frame.ErrCloseReason},
		{"8.1 reason is cut", "\x03\xe8\xe2\x82", 1007, "", frame.ErrCloseReason},
		{"7.4 code before reason", "\x03\xed\xff", 1002, "", frame.ErrCloseCode},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, reason, err := frame.ParseClose([]byte(row.payload))
			if code != row.code || string(reason) != row.reason || err != row.err {
				t.Errorf("got %d %q %v", code, reason, err)
			}
		})
	}
}

func TestCloseCodes(t *testing.T) {
	// Section 7.4.1 and 7.4.2; 1012-1014 from the IANA registry.
	ok := func(c int) bool {
		return 1000 <= c && c <= 1003 || 1007 <= c && c <= 1014 || 3000 <= c && c <= 4999
	}
	for c := range 1 << 16 {
		code, _, err := frame.ParseClose([]byte{byte(c >> 8), byte(c)})
		if (err == nil) != ok(c) || frame.SendableCode(ws.StatusCode(c)) != ok(c) {
			t.Fatalf("code %d: %v", c, err)
		}
		if err == nil && int(code) != c {
			t.Fatalf("code %d is read as %d", c, code)
		}
		if oracle := ws.CheckCloseFrameData(ws.StatusCode(c), ""); (oracle == nil) != ok(c) && (c < 1012 || c > 1014) && c < 5000 {
			t.Fatalf("code %d: gobwas says %v", c, oracle)
		}
	}
}

func TestAppendClose(t *testing.T) {
	e123 := strings.Repeat("r", 123)
	for _, row := range []struct {
		name   string
		code   ws.StatusCode
		reason string
		want   string
	}{
		{"code alone", 1000, "", "\x88\x02\x03\xe8"},
		{"code and reason", 1001, "bye", "\x88\x05\x03\xe9bye"},
		{"no code", 1005, "ignored", "\x88\x00"},
		{"1006 cannot be sent", 1006, "", "\x88\x02\x03\xf3"},
		{"1004 cannot be sent", 1004, "", "\x88\x02\x03\xf3"},
		{"0 cannot be sent", 0, "why", "\x88\x05\x03\xf3why"},
		{"reason fits", 1000, e123, "\x88\x7d\x03\xe8" + e123},
		{"reason is cut", 1000, e123 + "s", "\x88\x7d\x03\xe8" + e123},
		{"cut before a character", 1000, e123[:122] + "é", "\x88\x7c\x03\xe8" + e123[:122]},
		{"cut after a character", 1000, e123[:121] + "éa", "\x88\x7d\x03\xe8" + e123[:121] + "é"},
		{"reason is not UTF-8", 1000, "a\xffb", "\x88\x07\x03\xe8a\ufffdb"},
		{"cut after repair", 1000, e123[:121] + "\xff", "\x88\x7b\x03\xe8" + e123[:121]},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := frame.AppendClose([]byte("before"), row.code, row.reason)
			if string(got) != "before"+row.want {
				t.Errorf("got %q, want %q", got[6:], row.want)
			}
		})
	}
}

func FuzzClosePayload(f *testing.F) {
	for _, s := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x03\xe8\xff", "\x0f\xa0\xe2\x82\xac", strings.Repeat("\x0f", 200)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		code, reason, err := frame.ParseClose(p)
		switch e, isOurs := err.(frame.Error); {
		case err != nil && (!isOurs || e.Code() != code):
			t.Fatalf("%v with code %d", err, code)
		case err == nil && !utf8.Valid(reason):
			t.Fatalf("reason %q", reason)
		}
		// The answer is a frame that the other side takes.
		wire := frame.AppendClose(nil, code, string(reason))
		d := frame.Decoder{Client: true}
		d.Push(wire)
		part, ok, derr := d.Next()
		if !ok || derr != nil {
			t.Fatalf("answer %x: %v", wire, derr)
		}
		back, _, berr := frame.ParseClose(part.Payload)
		if berr != nil || back != code {
			t.Fatalf("answer %x: code %d, want %d (%v)", wire, back, code, berr)
		}
		// Any bytes as a reason make one, too.
		if n := len(frame.AppendClosePayload(nil, 1000, string(p))); n < 2 || n > 125 {
			t.Fatalf("payload of %d bytes", n)
		}
	})
}
