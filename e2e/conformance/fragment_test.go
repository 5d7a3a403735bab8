package conformance_test

import (
	"strings"
	"testing"
)

// TestFragments: section 5.4. Each row is sent whole and byte by byte; the pongs are those of its pings.
func TestFragments(t *testing.T) {
	rows := []struct {
		name string
		sent []byte
		want []frame
	}{
		{"5.4 two fragments", join(part(opText, "Hel"), part(fin|opCont, "lo")), data("Hello")},
		{"5.4 many fragments", join(part(opText, "0"), eachByte(opCont, "123456789"), part(fin|opCont, "!")), data("0123456789!")},
		{"5.4 all empty", join(part(opText, ""), part(opCont, ""), part(fin|opCont, "")), data("")},
		{"5.4 empty first", join(part(opText, ""), part(fin|opCont, "x")), data("x")},
		{"5.4 empty last", join(part(opText, "x"), part(fin|opCont, "")), data("x")},
		{"5.4 empty in between", join(part(opText, "x"), part(opCont, ""), part(opCont, ""), part(fin|opCont, "y")), data("xy")},
		{"5.4 ping between", join(part(opText, "x"), ping("p"), part(fin|opCont, "y")), []frame{{fin | opPong, []byte("p")}, {fin | opText, []byte("xy")}}},
		{"5.4 pings everywhere", join(ping("1"), part(opBinary, "x"), ping("2"), ping(""), part(opCont, "y"), ping("3"), part(fin|opCont, "z")),
			[]frame{{fin | opPong, []byte("1")}, {fin | opPong, []byte("2")}, {fin | opPong, nil}, {fin | opPong, []byte("3")}, {fin | opBinary, []byte("xyz")}}},
		{"5.4 pong between", join(part(opText, "x"), pong("?"), part(fin|opCont, "y")), data("xy")},
		{"5.4 two messages in fragments", join(part(opText, "a"), part(fin|opCont, "b"), part(opText, "c"), part(fin|opCont, "d")), data("ab", "cd")},
	}
	onEngines(t, func(t *testing.T, engine string) {
		p := dial(t, startEcho(t, engine).addr, "/")
		p.t = t
		for _, row := range rows {
			for _, send := range []func([]byte){p.dribble, func(b []byte) { p.send(b) }} {
				send(row.sent)
				for _, f := range row.want {
					p.want(f.op(), f.payload)
				}
			}
			p.alive()
		}
	})
}

// data is the frames of whole text messages.
func data(texts ...string) (frames []frame) {
	for _, s := range texts {
		frames = append(frames, frame{fin | opText, []byte(s)})
	}
	return frames
}

// eachByte is a frame for each byte of s.
func eachByte(b0 byte, s string) (b []byte) {
	for _, c := range strings.Split(s, "") {
		b = append(b, part(b0, c)...)
	}
	return b
}

// TestPing: sections 5.5.2 and 5.5.3. A pong comes without anything following the ping.
func TestPing(t *testing.T) {
	onEngines(t, func(t *testing.T, engine string) {
		p := dial(t, startEcho(t, engine).addr, "/")
		for n := range 126 {
			body := strings.Repeat("\xff", n)
			p.send(ping(body))
			p.want(opPong, []byte(body))
		}
		p.send(part(opText, "half"), ping("now"))
		p.want(opPong, []byte("now"))
		// A ping in the middle of a frame is payload, and one behind half a message waits for nothing.
		p.send(part(opCont, ""), ping(""))
		p.want(opPong, nil)
		p.send(part(fin|opCont, "!"))
		p.want(opText, []byte("half!"))
		for range 3 {
			p.send(pong(""), pong("unsolicited"))
			p.alive()
		}
	})
}

// TestMany sends more small frames at once than a read buffer or a mailbox holds.
func TestMany(t *testing.T) {
	const n = 20_000
	onEngines(t, func(t *testing.T, engine string) {
		p := dial(t, startEcho(t, engine).addr, "/")
		written := make(chan error, 1)
		go func() {
			var b []byte
			for i := range n {
				b = append(b, binaryOf([]byte{byte(i), byte(i >> 8)})...)
			}
			_, err := p.c.Write(b)
			written <- err
		}()
		for i := range n {
			p.want(opBinary, []byte{byte(i), byte(i >> 8)})
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		p.alive()
	})
}

// TestCuts cuts a stream with every form of header at every byte, each cut on a connection of its own.
func TestCuts(t *testing.T) {
	text160 := strings.Repeat("long", 40)
	stream := join(text("ab"), ping("ping"), part(opText, "c"), part(fin|opCont, "d"), text(text160),
		append(header(fin|opBinary, 8, 65536)[:14], masked(repeat('z', 65536))...))
	const cuts = 260 // up to the payload of the last frame
	onEngines(t, func(t *testing.T, engine string) {
		addr := startEcho(t, engine).addr
		peers := make([]*peer, cuts)
		for i := range peers {
			peers[i] = dial(t, addr, "/")
			peers[i].send(stream[:i])
		}
		barrier(t, addr)
		for i, p := range peers {
			p.send(stream[i:])
			var texts []string
			for range 5 {
				f, err := p.next()
				if err != nil {
					t.Fatalf("cut at %d of %s: %v", i, short(stream), err)
				}
				if f.op() != opPong {
					texts = append(texts, string(f.payload))
				}
			}
			if len(texts) != 4 || texts[0] != "ab" || texts[1] != "cd" || texts[2] != text160 || texts[3] != strings.Repeat("z", 65536) {
				t.Fatalf("cut at %d: messages of %d bytes", i, len(strings.Join(texts, "|")))
			}
			p.c.Close()
		}
	})
}
