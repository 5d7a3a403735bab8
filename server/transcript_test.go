package server_test

import (
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A transcript is one client's conversation, a line for each step:
//
//	→ text    the client sends this; b→ hex  a binary frame
//	← text    the next that it receives is this; b← hex
//	·         it receives nothing
//	× 1011    the connection is closed with this code
type transcript struct {
	name  string // the section and what it says
	lines string
}

// play holds one connection, to path, for each transcript.
func play(t *testing.T, path string, rows []transcript) {
	srv := servertest.Start(t, roomConfig())
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := servertest.Dial(t, srv.URL(path))
			for line := range strings.Lines(row.lines) {
				step(t, c, strings.TrimSpace(line))
			}
		})
		playPacked(t, srv.URL(path), row)
	}
}

func step(t *testing.T, c *servertest.Client, line string) {
	t.Helper()
	sign, text, _ := strings.Cut(line, " ")
	text = strings.TrimSpace(text)
	switch sign {
	case "":
	case "→":
		c.Send(text)
	case "←":
		c.Expect(text)
	case "b→":
		c.SendBinary(unhex(t, text))
	case "b←":
		c.ExpectBinary(unhex(t, text))
	case "·":
		c.ExpectNothing()
	case "×":
		code, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		c.ExpectClose(code)
	default:
		t.Fatalf("a transcript has no line %q", line)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDispatch(t *testing.T) {
	play(t, wsPath, []transcript{
		{"3.2.1: heartbeat", `
			→ [null,"7","phoenix","heartbeat",{}]
			← [null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`},
		{"3.2.1: a heartbeat's join_ref is not echoed", `
			→ ["9","7","phoenix","heartbeat",{}]
			← [null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`},
		{"3.2.1: a heartbeat in other words, with a payload and a sixth element", `
			→ [ null, 7, "phoen\u0069x", "heartbeat", {"a":1}, 0 ]
			← [null,7,"phoenix","phx_reply",{"status":"ok","response":{}}]`},
		{"3.2.1: a heartbeat as a binary frame", `
			b→ 00 00 01 07 09 37 70686f656e6978 686561727462656174
			← [null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`},
		{"3.2.1: another event on phoenix is unmatched", `
			→ ["1","7","phoenix","ping",{}]
			← [null,"7","phoenix","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.2.2: join without a route", `
			→ ["1","2","nowhere","phx_join",{}]
			← [null,"2","nowhere","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.2.2: leave of an unknown topic", `
			→ ["1","2","nowhere","phx_leave",{}]
			← ["1","2","nowhere","phx_reply",{"status":"ok","response":{}}]`},
		{"3.2.2: event on an unknown topic", `
			→ ["1","2","room:1","echo",{}]
			← [null,"2","room:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.2.2: a topic that is no string", `
			→ ["1","2",{"a":1},"phx_join",{}]
			← [null,"2",{"a":1},"phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.2.3: a null join_ref reaches the channel", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ [null,"2","room:1","echo",{"a":1}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{"a":1}}]`},
		{"3.2.3: stale events and leaves are dropped in silence", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["0","2","room:1","echo",{}]
			→ ["0","3","room:1","phx_leave",{}]
			·
			→ ["1","4","room:1","ack",{}]
			← ["1","4","room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"3.2.3: join_refs are compared with their JSON type", `
			→ [1,2,"room:1","phx_join",{}]
			← [1,2,"room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["1",3,"room:1","echo",{}]
			·
			→ [1,4,"room:1","echo",{}]
			← [1,4,"room:1","phx_reply",{"status":"ok","response":{}}]`},
		{"3.8: the transport's own replies come in the order of the requests", `
			→ ["1","2","nowhere","phx_join",{}]
			→ ["1","3","nowhere","phx_leave",{}]
			→ ["4","4","room:1","phx_join",{}]
			→ ["1","5","nowhere","echo",{}]
			← [null,"2","nowhere","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
			← ["1","3","nowhere","phx_reply",{"status":"ok","response":{}}]
			← ["4","4","room:1","phx_reply",{"status":"ok","response":{}}]
			← [null,"5","nowhere","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.2: special names are ordinary events", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["1","2","room:1","phx_close",{"n":1}]
			← ["1","2","room:1","phx_reply",{"status":"ok","response":{"n":1}}]
			→ ["1","3","room:1","phx_error",{"n":2}]
			← ["1","3","room:1","phx_reply",{"status":"ok","response":{"n":2}}]
			→ ["1","4","room:1","phx_reply",{"n":3}]
			← ["1","4","room:1","phx_reply",{"status":"ok","response":{"n":3}}]`},
	})
}

func TestDecodeErrorsEndTheConnection(t *testing.T) {
	play(t, wsPath, []transcript{
		{"1.9: not JSON", "→ nonsense\n× 1011"},
		{"2.1: no array", "→ {}\n× 1011"},
		{"2.1: four elements", "→ [null,\"1\",\"phoenix\",\"heartbeat\"]\n× 1011"},
		{"2.2: a kind that clients do not send", "b→ 01 00 00 00 00\n× 1011"},
		{"2.2: sizes exceed the frame", "b→ 00 01 01 01 ff 31\n× 1011"},
		{"1.9: nothing is handled after it", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ nonsense
			× 1011`},
	})
}

func TestRoutes(t *testing.T) {
	play(t, wsPath, []transcript{
		{"3.1: a literal topic", `
			→ ["1","1","exact","phx_join",{}]
			← ["1","1","exact","phx_reply",{"status":"ok","response":{"says":"exact"}}]
			→ ["1","2","exact:1","phx_join",{}]
			← [null,"2","exact:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.1: the first route that matches", `
			→ ["1","1","food:1","phx_join",{}]
			← ["1","1","food:1","phx_reply",{"status":"ok","response":{"says":"food"}}]
			→ ["2","2","foo","phx_join",{}]
			← ["2","2","foo","phx_reply",{"status":"ok","response":{"says":"foo"}}]`},
		{"3.1: the prefix alone", `
			→ ["1","1","room:","phx_join",{}]
			← ["1","1","room:","phx_reply",{"status":"ok","response":{}}]`},
	})
}

func TestLimit(t *testing.T) {
	long := strings.Repeat("x", 1024)
	play(t, "/few/websocket", []transcript{
		{"3.2.2: too many channels, join_ref kept", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["2","2","room:2","phx_join",{}]
			← ["2","2","room:2","phx_reply",{"status":"error","response":{"reason":"too many channels joined"}}]`},
		{"3.2.2: the route is looked up before the limit", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["2","2","nowhere","phx_join",{}]
			← [null,"2","nowhere","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`},
		{"3.5: the limit does not refuse a duplicate join", `
			→ ["1","1","room:1","phx_join",{}]
			← ["1","1","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["2","2","room:1","phx_join",{}]
			← ["2","2","room:1","phx_reply",{"status":"ok","response":{}}]
			← ["1","1","room:1","phx_close",{}]`},
		{"a leave, a crash and a refused join free the slot", `
			→ ["1","1","room:deny","phx_join",{}]
			← ["1","1","room:deny","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]
			→ ["2","2","room:1","phx_join",{}]
			← ["2","2","room:1","phx_reply",{"status":"ok","response":{}}]
			→ ["2","3","room:1","boom",{}]
			← ["2","2","room:1","phx_error",{"reason":"channel_crash"}]
			→ ["4","4","room:2","phx_join",{}]
			← ["4","4","room:2","phx_reply",{"status":"ok","response":{}}]
			→ ["4","5","room:2","phx_leave",{}]
			← ["4","5","room:2","phx_reply",{"status":"ok","response":{}}]
			← ["4","4","room:2","phx_close",{}]
			→ ["6","6","room:3","phx_join",{}]
			← ["6","6","room:3","phx_reply",{"status":"ok","response":{}}]`},
		{"a topic of 1,024 bytes is the longest", `
			→ ["1","1","room:` + long + `","phx_join",{}]
			← ["1","1","room:` + long + `","phx_reply",{"status":"error","response":{"reason":"topic too long"}}]
			→ ["2","2","room:` + long[5:] + `","phx_join",{}]
			← ["2","2","room:` + long[5:] + `","phx_reply",{"status":"ok","response":{}}]`},
	})
}
