package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

const v1, v2 = "/socket/websocket", "/socket/websocket?vsn=2.0.0"

// heartbeats are answered by a socket that is well.
const heartbeat, heartbeatReply = `[null,"1","phoenix","heartbeat",{}]`, `[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`

// noMessages are frames that RFC 6455 has nothing against and Phoenix Channels have.
func noMessages() (rows []violation, paths []string) {
	add := func(path, name string, sent []byte) {
		rows = append(rows, violation{path + " " + name, sent, 1011})
		paths = append(paths, path)
	}
	for _, path := range []string{v1, v2} {
		for _, s := range []string{
			"", " ", "hello", "null", "true", "1", `"text"`, "[", "{", "]", "[]", "{}", "[1,2,3,4]", `[null,"1","phoenix","heartbeat",{}`,
			`[null,"1","phoenix","heartbeat",{}]]`, `{"topic":"phoenix"}`, "\x00", "{'a':1}", `["1","1","t","e",NaN]`, `["1","1","t","e",]`,
			strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 50_000), `["1","1","t","e","` + "\x01" + `"]`,
		} {
			add(path, "text "+short([]byte(s)), text(s))
		}
	}
	for name, b := range map[string]string{
		"empty": "", "kind alone": "\x00", "header cut": "\x00\x01\x01", "kind 1 from a client": "\x01\x00\x00\x00\x00",
		"kind 2 from a client": "\x02\x01\x01ab", "kind 255": "\xff\x00\x00\x00\x00", "sizes beyond the frame": "\x00\x01\x01\x01\x01abc",
		"sizes far beyond the frame": "\x00\xff\xff\xff\xffabc", "text in binary": heartbeat,
	} {
		add(v2, "binary "+name, binaryOf([]byte(b)))
	}
	return rows, paths
}

// TestNoMessages: a message that cannot be decoded ends the connection with 1011 (section 1.9), after the
// answer to what came before, and no other connection.
func TestNoMessages(t *testing.T) {
	rows, paths := noMessages()
	onEngines(t, func(t *testing.T, engine string) {
		addr := startFixture(t, engine).addr
		bystander := dial(t, addr, v2)
		for i, row := range rows {
			t.Run(row.clause, func(t *testing.T) {
				p := dial(t, addr, paths[i])
				p.send(row.sent)
				p.wantClose(row.code)
				p = dial(t, addr, paths[i])
				p.send(ping("first"), row.sent, text("late"), repeat(0xff, 1<<16))
				p.want(opPong, []byte("first"))
				p.wantClose(row.code)
			})
		}
		bystander.send(text(heartbeat))
		bystander.want(opText, []byte(heartbeatReply))
	})
}

// TestSocketFrames: the framing of a mount of channels is that of the others.
func TestSocketFrames(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		addr := startFixture(t, engine).addr
		for _, row := range append(framing[:8:8], badCloses...) {
			p := dial(t, addr, v2)
			p.send(text(heartbeat), row.sent)
			p.want(opText, []byte(heartbeatReply))
			p.wantClose(row.code)
		}
		for _, vsn := range []string{"3.0.0", "0.1.0", "2", "2.0", "x", "2.0.0.0", "%32.1.0", "-1.0.0"} {
			p := connect(t, addr)
			p.send(upgradeHead("/socket/websocket?vsn=" + vsn))
			p.refused(403)
		}
		p := dial(t, addr, v2)
		cut := len(heartbeat) / 2
		p.send(part(opText, heartbeat[:cut]), ping("p"), part(fin|opCont, heartbeat[cut:]))
		p.want(opPong, []byte("p"))
		p.want(opText, []byte(heartbeatReply))
		p.dribble(text(heartbeat))
		p.want(opText, []byte(heartbeatReply))

		// A join and its leave, then the close: all answers come before its own.
		p.send(text(`["1","1","room:1","phx_join",{}]`), text(`["1","2","room:1","echo",{"n":1}]`),
			text(`["1","3","room:1","phx_leave",{}]`), closeCode(1000))
		for _, want := range []string{
			`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`,
			`["1","2","room:1","phx_reply",{"status":"ok","response":{"n":1}}]`,
			`["1","3","room:1","phx_reply",{"status":"ok","response":{}}]`,
			`["1","1","room:1","phx_close",{}]`,
		} {
			p.want(opText, []byte(want))
		}
		p.wantClose(1000)
		limited(t, addr)
	})
}

// TestDeafAfterClose: section 5.5.1, what follows a Close frame is ignored, by the application too.
func TestDeafAfterClose(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		addr := startFixture(t, engine).addr
		joined := func() *peer {
			p := dial(t, addr, v2)
			p.send(text(`["1","1","room:1","phx_join",{}]`))
			p.want(opText, []byte(`["1","1","room:1","phx_reply",{"status":"ok","response":{}}]`))
			return p
		}
		listener := joined()
		quiet := func() {
			for range 10 {
				listener.send(text(`["1","2","room:1","echo",{}]`))
				listener.want(opText, []byte(`["1","2","room:1","phx_reply",{"status":"ok","response":{}}]`))
			}
		}
		late := join(text(`["1","2","room:1","bcast",{}]`), plain(0xff, 0xff))
		p := joined()
		p.send(closeCode(1000), late)
		p.wantClose(1000)
		quiet()

		// The answer to the Close frame waits for the message before it; meanwhile more is read.
		p = joined()
		p.send(text(`["1","4","room:1","sleep",{"ms":100}]`), closeCode(1000))
		quiet()
		p.send(late)
		quiet()
		p.want(opText, []byte(`["1","4","room:1","phx_reply",{"status":"ok","response":{}}]`))
		p.wantClose(1000)
		quiet()
	})
}

// limited: the mount takes messages of 2,000 bytes, over all their fragments.
func limited(t *testing.T, addr string) {
	t.Helper()
	const path = "/limited/websocket?vsn=2.0.0"
	fits := fmt.Sprintf(`[null,"1","phoenix","heartbeat",{"a":"%s"}]`, strings.Repeat("x", 2000-len(`[null,"1","phoenix","heartbeat",{"a":""}]`)))
	p := dial(t, addr, path)
	p.send(text(fits))
	p.want(opText, []byte(heartbeatReply))
	p.send(part(opText, fits[:1000]), part(fin|opCont, fits[1000:]))
	p.want(opText, []byte(heartbeatReply))
	p.send(header(fin|opText, 2, 2001))
	p.wantClose(1009)
	p = dial(t, addr, path)
	p.send(part(opText, fits[:1999]), ping(""), header(fin|opCont, 0, 2))
	p.want(opPong, nil)
	p.wantClose(1009)
}
