package conformance_test

import (
	"testing"
)

// RFC 3629: what is not UTF-8. bad is the number of bytes after which that is certain; what follows
// them here is only there to be cut off.
var notUTF8 = []struct {
	name string
	text string
	bad  int
}{
	{"continuation byte alone", "\x80", 1},
	{"last continuation byte alone", "ok\xbf", 3},
	{"lead byte before ASCII", "\xc3(", 2},
	{"three bytes cut by ASCII", "\xe2\x82(", 3},
	{"four bytes cut by ASCII", "\xf0\x9f\x98(", 4},
	{"overlong slash in two bytes", "\xc0\xaf", 1},
	{"overlong in two bytes, greatest", "\xc1\xbf", 1},
	{"overlong in three bytes", "\xe0\x80\xaf", 2},
	{"overlong in three bytes, greatest", "\xe0\x9f\xbf", 2},
	{"overlong in four bytes", "\xf0\x80\x80\xaf", 2},
	{"overlong NUL", "\xc0\x80", 1},
	{"first surrogate U+D800", "\xed\xa0\x80", 2},
	{"last surrogate U+DFFF", "\xed\xbf\xbf", 2},
	{"surrogate pair", "\xed\xa0\xbd\xed\xb8\x80", 2},
	{"U+110000", "\xf4\x90\x80\x80", 2},
	{"five bytes", "\xf8\x88\x80\x80\x80", 1},
	{"six bytes", "\xfc\x84\x80\x80\x80\x80", 1},
	{"FE", "\xfe", 1},
	{"FF", "\xff", 1},
	{"after much that is valid", "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!\xf4\x90", 31},
}

// unfinished are texts that end inside a character.
var unfinished = []string{"\xc3", "\xe2\x82", "\xf0\x9f", "\xf0\x9f\x98", "ok\xe2", "\u20ac\xe2\x82"}

// badText: section 8.1, 1007 for a text that is not UTF-8, as soon as that is certain.
func badText() (rows []violation) {
	for _, row := range notUTF8 {
		rows = append(rows,
			violation{"8.1 " + row.name, text(row.text), 1007},
			violation{"8.1 " + row.name + ", in the second fragment", join(part(opText, "fine"), part(fin|opCont, row.text)), 1007},
			violation{"8.1 " + row.name + ", a fragment a byte", inFragments(row.text), 1007},
			violation{"8.1 " + row.name + ", in a frame that goes on", unfinishedFrame(row.text[:row.bad]), 1007},
			violation{"8.1 " + row.name + ", in a message that goes on", part(opText, row.text[:row.bad]), 1007},
		)
	}
	for _, s := range unfinished {
		rows = append(rows,
			violation{"8.1 ends inside a character: " + short([]byte(s)), text(s), 1007},
			violation{"8.1 ends inside a character, empty last fragment: " + short([]byte(s)), join(part(opText, s), part(fin|opCont, "")), 1007},
		)
	}
	return rows
}

// unfinishedFrame is a text frame that announces 100,000 bytes more than it has.
func unfinishedFrame(s string) []byte {
	return append(header(fin|opText, 8, uint64(100_000+len(s))), masked([]byte(s))...)
}

// inFragments is a text message with a fragment for each byte.
func inFragments(s string) []byte {
	out := part(opText, s[:min(1, len(s))])
	for i := 1; i < len(s); i++ {
		b0 := byte(opCont)
		if i == len(s)-1 {
			b0 |= fin
		}
		out = append(out, part(b0, s[i:i+1])...)
	}
	if len(s) < 2 {
		out = append(out, part(fin|opCont, "")...)
	}
	return out
}

// TestUTF8 sends the edges of every length of character, cut at every byte.
func TestUTF8(t *testing.T) {
	const s = "a\x00\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\ufffe\uffff\U00010000\U0010ffff\U0001f600κόσμε"
	onEngines(t, func(t *testing.T, engine string) {
		p := dial(t, startEcho(t, engine).addr, "/")
		for i := range len(s) + 1 {
			p.send(part(opText, s[:i]), part(fin|opCont, s[i:]))
			p.want(opText, []byte(s))
		}
		p.send(inFragments(s))
		p.want(opText, []byte(s))
		p.dribble(text(s))
		p.want(opText, []byte(s))
		// A binary message is not looked at.
		for _, row := range notUTF8 {
			p.send(binaryOf([]byte(row.text)))
			p.want(opBinary, []byte(row.text))
		}
	})
}
