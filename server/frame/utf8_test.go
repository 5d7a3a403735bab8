package frame_test

import (
	"testing"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/server/frame"
)

// Rows are RFC 6455 section 8.1 and RFC 3629 section 3; at is the byte that ends all hope.
func TestUTF8(t *testing.T) {
	for _, row := range []struct {
		name, text string
		at         int // -1: none; len(text): only the end shows it
	}{
		{"empty", "", -1},
		{"ASCII", "plain text of more than a word", -1},
		{"two bytes", "é", -1},
		{"three bytes", "€", -1},
		{"four bytes", "😀", -1},
		{"lowest of each length", "\x00\u0080\u0800\U00010000", -1},
		{"highest of each length", "\x7f\u07ff\uffff\U0010ffff", -1},
		{"U+FFFD itself", "a\ufffdb", -1},
		{"lone continuation", "a\x80", 1},
		{"C0", "\xc0\x80", 0},
		{"C1", "\xc1\xbf", 0},
		{"overlong, three bytes", "\xe0\x9f\xbf", 1},
		{"overlong, four bytes", "\xf0\x8f\xbf\xbf", 1},
		{"surrogate", "\xed\xa0\x80", 1},
		{"before the surrogates", "\xed\x9f\xbf", -1},
		{"over U+10FFFF", "\xf4\x90\x80\x80", 1},
		{"F5", "\xf5", 0},
		{"FF after text", "κόσμε\xff and more", 10},
		{"cut by ASCII", "\xe2\x82(", 2},
		{"cut by a start", "\xe2\xe2\x82\xac", 1},
		{"two bytes, one missing", "a\xc3", 2},
		{"three bytes, one missing", "\xe2\x82", 2},
		{"four bytes, one missing", "\xf0\x9f\x98", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := []byte(row.text)
			if utf8.Valid(p) != (row.at < 0) {
				t.Fatal("the row is wrong")
			}
			for i := range len(p) + 1 {
				var u frame.UTF8
				if ok := u.Push(p[:i]) && u.Push(p[i:]) && u.Complete(); ok != (row.at < 0) {
					t.Errorf("cut at %d: %v", i, ok)
				}
			}
			var u frame.UTF8
			for i := range p {
				if ok := u.Push(p[i : i+1]); ok == (i == row.at) {
					t.Fatalf("byte %d: %v", i, ok)
				} else if !ok {
					return
				}
			}
			if u.Complete() != (row.at < 0) {
				t.Errorf("complete: %v", u.Complete())
			}
		})
	}
}
