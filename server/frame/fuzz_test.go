package frame_test

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// FuzzDecoder: whatever the bytes and the cuts, the same messages and the same error come out as
// from one push. options picks the side and the extension; seed makes the cuts.
func FuzzDecoder(f *testing.F) {
	for _, stream := range cutStreams() {
		f.Add(stream, byte(1), uint64(len(stream)))
		f.Add(stream, byte(0), uint64(0x0102_0304_0506_0708))
	}
	f.Add(frame.AppendServer(frame.AppendPing(nil, []byte("p")), 1, []byte("from a server")), byte(2), uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, options byte, seed uint64) {
		r := receiver{}
		r.d = frame.Decoder{Deflate: options&1 != 0, Client: options&2 != 0, LimitBytes: 1 << 16}
		r.m = frame.Message{LimitBytes: 1 << 16}
		want := r.receive(stream)
		r.stop = options&4 != 0
		var cuts []int
		for at := 0; at < len(stream); {
			seed = seed*6364136223846793005 + 1442695040888963407
			at += int(seed >> 59) // 0 to 31 bytes: headers, keys and control payloads are all cut
			cuts = append(cuts, min(at, len(stream)))
		}
		if got := r.receive(stream, cuts...); !slices.Equal(got, want) {
			t.Fatalf("cut at %v:\ngot  %q\nwant %q", cuts, got, want)
		}
		if got := r.receive(stream, bytewise(stream)...); !slices.Equal(got, want) {
			t.Fatalf("byte by byte:\ngot  %q\nwant %q", got, want)
		}
	})
}

// FuzzUTF8: in two cuts the verdict is utf8.Valid's, and it comes with the first byte after which no
// text can begin so.
func FuzzUTF8(f *testing.F) {
	for _, s := range []string{"", "plain", "κόσμε", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82", "😀\xff", "\xf0\x9f\x98\x80 and more than eight bytes"} {
		f.Add([]byte(s), uint8(1), uint8(2))
	}
	f.Fuzz(func(t *testing.T, p []byte, i, j uint8) {
		p = p[:min(len(p), 128)] // the second half is quadratic
		a := min(int(i), len(p))
		b := min(a+int(j), len(p))
		var u frame.UTF8
		got := u.Push(p[:a]) && u.Push(p[a:b]) && u.Push(p[b:]) && u.Complete()
		if want := utf8.Valid(p); got != want {
			t.Fatalf("%x cut at %d and %d: %v, utf8.Valid says %v", p, a, b, got, want)
		}
		var bytewise frame.UTF8
		for n := range p {
			if got, want := bytewise.Push(p[n:n+1]), canBegin(p[:n+1]); got != want {
				t.Fatalf("%x after byte %d: %v, want %v", p, n, got, want)
			} else if !got {
				return
			}
		}
	})
}

// canBegin reports whether some text begins with p, by trying: of the second bytes one from each
// quarter, which is what the lengths of the ranges come down to, and of the later ones the lowest.
func canBegin(p []byte) bool {
	if utf8.Valid(p) {
		return true
	}
	for _, c := range []byte{0x80, 0x90, 0xa0, 0xb0} {
		more := append(slices.Clone(p), c, 0x80, 0x80)
		for n := range 3 {
			if utf8.Valid(more[:len(p)+1+n]) {
				return true
			}
		}
	}
	return false
}
