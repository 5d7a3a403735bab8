// In-package: the parts that parse are not exported.
package server

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/gobwas/ws"
)

// Section 5.4: a body gives at most 100 records, which cut again to what the lines say.
func FuzzAppendPost(f *testing.F) {
	for _, body := range []string{"", "[1]", "[1]\n[2]", "[1]\r\n\r\n[2]", "AAEBBg==\n[1]", "!", "[1]\n!", strings.Repeat("[1]\n", 120)} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, ndjson bool) {
		records, err := appendPost(nil, body, ndjson)
		lines := strings.Split(string(body), "\n")
		lines = lines[:min(len(lines), maxPollLines)]
		if !ndjson {
			lines = []string{string(body)}
		}
		n := 0
		for ; len(records) > 0; n++ {
			var kind byte
			var got []byte
			kind, got, records = cutRecord(records)
			want := lines[n]
			if ndjson {
				want = strings.TrimSuffix(want, "\r")
			}
			if kind == recordBinary {
				b, err := base64.StdEncoding.DecodeString(want)
				if err != nil || strings.HasPrefix(want, "[") {
					t.Fatalf("line %d, %q, was taken for base64: %v", n, want, err)
				}
				want = string(b)
			}
			if string(got) != want {
				t.Fatalf("line %d: %q, want %q", n, got, want)
			}
		}
		if err == nil && n != len(lines) || err != nil && n >= len(lines) {
			t.Fatalf("%d records of %d lines, %v", n, len(lines), err)
		}
	})
}

// Section 5.2: nobody makes a token but who has the secret, and no text is the token of two sessions.
func FuzzPollToken(f *testing.F) {
	s := &Server{cfg: Config{Secret: []byte("secret")}}
	now := time.Unix(1_700_000_000, 0)
	id := pollID{1, 2, 3}
	valid := s.pollToken(id, now.Unix())
	for _, token := range []string{"", valid, valid[:len(valid)-1], valid + "A", strings.ToUpper(valid), strings.Repeat("A", len(valid)),
		"AAAA" + strings.Repeat("\n", len(valid)-4), strings.Repeat("\r", len(valid))} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, ok := s.readPollToken(token, now, time.Hour)
		if ok != (token == valid) || ok && got != id {
			t.Fatalf("%q: %v, %v", token, got, ok)
		}
	})
}

// Section 5.2: the token's age.
func TestPollTokenAge(t *testing.T) {
	s := &Server{cfg: Config{Secret: []byte("secret")}}
	opened := time.Unix(1_700_000_000, 0)
	token := s.pollToken(pollID{9}, opened.Unix())
	for age, want := range map[time.Duration]bool{0: true, time.Hour: true, time.Hour + time.Second: false, -time.Minute: true} {
		if _, ok := s.readPollToken(token, opened.Add(age), time.Hour); ok != want {
			t.Errorf("after %v: %v, want %v", age, ok, want)
		}
	}
	other := &Server{cfg: Config{Secret: []byte("another")}}
	if _, ok := other.readPollToken(token, opened, time.Hour); ok {
		t.Error("another secret's token was taken")
	}
}

// A frame of ours is cut as it was made; whatever else comes, what is cut lies in it.
func FuzzCutServerFrame(f *testing.F) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		f.Add(frame.AppendHeader(nil, ws.Header{Fin: true, OpCode: ws.OpText, Length: int64(n)}), n)
	}
	f.Add([]byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if _, payload, took := cutServerFrame(b); took > len(b) || len(payload) > took {
			t.Fatalf("%d of %d bytes, %d of payload", took, len(b), len(payload))
		}
		if n < 0 || n > 1<<17 {
			return
		}
		want := bytes.Repeat([]byte("x"), n)
		made := append(frame.AppendHeader(nil, ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(n)}), want...)
		op, payload, took := cutServerFrame(append(made[:len(made):len(made)], b...))
		if op != ws.OpBinary || took != len(made) || !bytes.Equal(payload, want) {
			t.Fatalf("%d bytes: %v, %d of %d", n, op, took, len(made))
		}
		if _, _, took := cutServerFrame(made[:len(made)-1]); took != 0 {
			t.Fatalf("%d bytes but one: cut", n)
		}
	})
}

// RFC 9112 section 6.3: a size is told once, and is one.
func FuzzBodySize(f *testing.F) {
	for _, row := range [][2]string{{"0", ""}, {"10", ""}, {"11", ""}, {"-1", ""}, {"+1", ""}, {"1, 1", ""}, {"0x1", ""}, {"1_0", ""},
		{"99999999999999999999", ""}, {"", "chunked"}, {"1", "chunked"}, {"", "gzip, chunked"}} {
		f.Add(row[0], row[1])
	}
	f.Fuzz(func(t *testing.T, length, coding string) {
		h := &head{minor: 1}
		if length != "" {
			h.fields = append(h.fields, headField{"Content-Length", length})
		}
		if coding != "" {
			h.fields = append(h.fields, headField{"Transfer-Encoding", coding})
		}
		size, status := bodySize(h, 10)
		n, err := strconv.Atoi(length)
		digits := err == nil && strings.Trim(length, "0123456789") == ""
		switch {
		case status != 0:
			if size != 0 {
				t.Fatalf("refused with %d and %d bytes", status, size)
			}
		case size == chunked:
			if length != "" || !strings.EqualFold(coding, "chunked") {
				t.Fatalf("%q, %q: chunked", length, coding)
			}
		case length == "" && coding == "" && size == 0:
		case coding != "" || !digits || size != n || size > 10:
			t.Fatalf("%q, %q: %d bytes", length, coding, size)
		}
	})
}

// RFC 9112 section 7.1: what is taken for a body is one for net/http too, and the same, however it is cut.
func FuzzChunks(f *testing.F) {
	for _, b := range []string{"0\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", "A;a=b\r\n0123456789\r\n00\r\nX: y\r\n\r\nnext", "1\nx\n0\n\n", "g\r\n", "\r\n",
		"1 \r\nx\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "1\r\nxx", "0\r\n\n"} {
		f.Add([]byte(b), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		body, n, ok := unchunk(b, len(b)+1)
		if step = step&15 + 1; step > 0 {
			again, m, alike := unchunk(b, step)
			if !bytes.Equal(again, body) || alike != ok || ok && m != n {
				t.Fatalf("in pieces of %d: %q, %d, %v; whole: %q, %d, %v", step, again, m, alike, body, n, ok)
			}
		}
		if !ok {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(b[:n])))
		if err != nil || !bytes.Equal(want, body) {
			t.Fatalf("%q: %q, net/http says %q, %v", b, body, want, err)
		}
	})
}

// unchunk decodes b in pieces; ok says that it found the end, behind n bytes.
func unchunk(b []byte, step int) (body []byte, n int, ok bool) {
	var d chunkDecoder
	for n < len(b) && !d.done() {
		took, piece, herr := d.next(b[n:min(len(b), n+step)])
		if herr != nil {
			return body, n, false
		}
		n += took
		body = append(body, piece...)
	}
	return body, n, d.done()
}
