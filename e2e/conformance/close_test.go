package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

// badCloses: sections 5.5.1, 7.4 and 8.1.
var badCloses = func() []violation {
	rows := []violation{
		{"5.5.1 close payload of one byte", closing([]byte{3}), 1002},
		{"8.1 close reason is not UTF-8", closing(closePayload(1000, "\xff")), 1007},
		{"8.1 close reason ends inside a character", closing(closePayload(1000, "ok\xe2\x82")), 1007},
		{"8.1 close reason with a surrogate", closing(closePayload(3000, "\xed\xa0\x80")), 1007},
		{"7.4 close code beats its reason", closing(closePayload(1005, "\xff")), 1002},
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535} {
		rows = append(rows, violation{fmt.Sprintf("7.4 close code %d", code), closeCode(code), 1002})
	}
	return rows
}()

// TestClose: the closing handshake of section 5.5.1. The code comes back, then FIN.
func TestClose(t *testing.T) {
	codes := []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine).addr
		for _, code := range codes {
			p := dial(t, addr, "/")
			p.send(closeCode(code))
			p.wantClose(code)
			p = dial(t, addr, "/")
			p.send(closing(closePayload(code, strings.Repeat("é", 61)+"!")))
			p.wantClose(code)
		}
		for _, row := range closes {
			t.Run(row.name, func(t *testing.T) {
				p := dial(t, addr, "/")
				if row.dribbled {
					p.dribble(row.sent)
				} else {
					p.send(row.sent)
				}
				for _, s := range row.answers {
					p.want(opText, []byte(s))
				}
				p.wantClose(row.code)
			})
		}
	})
}

var closes = []struct {
	name     string
	sent     []byte
	dribbled bool
	answers  []string
	code     int
}{
	{name: "5.5.1 empty", sent: closing(nil)},
	{name: "5.5.1 empty, byte by byte", sent: closing(nil), dribbled: true},
	{name: "5.5.1 with a reason, byte by byte", sent: closing(closePayload(4001, "bye")), dribbled: true, code: 4001},
	{name: "5.5.1 data after it is ignored", sent: join(closeCode(1000), text("late"), ping("late")), code: 1000},
	{name: "5.5.1 a second close is ignored", sent: join(closeCode(1000), closeCode(1001)), code: 1000},
	{name: "5.5.1 violations after it are ignored", sent: join(closeCode(1001), plain(0x73, 0x7f)), code: 1001},
	{name: "5.4 inside a fragmented message", sent: join(part(opText, "half"), closeCode(1000)), code: 1000},
	{name: "5.5.1 answers to earlier messages come first", sent: join(text("one"), text("two"), closeCode(1000)),
		answers: []string{"one", "two"}, code: 1000},
	{name: "5.5.1 in the middle of two messages", sent: join(text("one"), closeCode(1000), text("two")),
		answers: []string{"one"}, code: 1000},
}

// TestHalfClose: a client that finishes its side without a Close frame still gets its answers, and the
// end of the connection.
func TestHalfClose(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		p := dial(t, startEcho(t, engine).addr, "/")
		big := repeat('x', 100_000)
		p.send(text("a"), binaryOf(big))
		if err := p.c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.want(opText, []byte("a"))
		p.want(opBinary, big)
		p.eof()
	})
}
