package frame

import "unicode/utf8"

// UTF8 checks a text that comes in pieces, RFC 6455 section 8.1. Its zero value is at the beginning
// of a text. Overlong forms, surrogates and what is beyond U+10FFFF are not UTF-8 (RFC 3629).
type UTF8 struct {
	cut [utf8.UTFMax - 1]byte // the beginning of a character that a piece was cut in
	n   uint8
}

// Push checks the next piece. It reports false with the piece that has the first byte after which
// the text cannot be UTF-8 any more; the UTF8 must not be used after that.
func (u *UTF8) Push(p []byte) bool {
	if u.n > 0 {
		var ok bool
		if p, ok = u.finish(p); !ok {
			return false
		}
	}
	tail := cutTail(p)
	if !utf8.Valid(p[:len(p)-tail]) {
		return false
	}
	// A piece that ended inside the character finish was working on is empty now, and leaves it.
	if tail > 0 {
		u.n = uint8(copy(u.cut[:], p[len(p)-tail:]))
	}
	return true
}

// Complete reports whether the text may end here: not inside a character.
func (u *UTF8) Complete() bool { return u.n == 0 }

// finish takes bytes from p until the cut character is complete or cannot become one.
func (u *UTF8) finish(p []byte) ([]byte, bool) {
	var char [utf8.UTFMax]byte
	n := copy(char[:], u.cut[:u.n])
	for i, c := range p {
		char[n] = c
		n++
		if utf8.FullRune(char[:n]) {
			u.n = 0
			return p[i+1:], utf8.Valid(char[:n])
		}
	}
	u.n = uint8(copy(u.cut[:], char[:n]))
	return nil, true
}

// cutTail returns how many bytes at the end of p are the beginning of a character that more bytes
// could complete.
func cutTail(p []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		tail := p[len(p)-i:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return i
		}
	}
	return 0
}
