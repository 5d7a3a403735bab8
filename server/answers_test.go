// In-package: what is written at once is nothing that the API shows.
package server

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/gobwas/ws"
)

// A scribe is a fakeConn that keeps what is written and queued, in order.
type scribe struct {
	*fakeConn
	all    []byte
	writes int
}

func (c *scribe) Write(p []byte) error {
	c.writes++
	c.all = append(c.all, p...)
	return nil
}

func (c *scribe) Do(poller.Task) (bool, error) {
	c.all = append(c.all, "<task>"...)
	return false, nil
}

func newScribe(s *Server) (*socket, *scribe) {
	k, f := fakeSocket(s, true)
	c := &scribe{fakeConn: f}
	k.conn = c
	return k, c
}

const heartbeatText = `[null,"7","phoenix","heartbeat",{}]`

var heartbeatAnswer = "\x81\x3e" + `[null,"7","phoenix","phx_reply",{"status":"ok","response":{}}]`

// RFC 6455 section 5.5.3, and section 3.8 of the protocol: every ping and heartbeat is answered, in order, and
// before anything that came after it is handled; those that came together in few writes.
func TestAnswersKeepTheirOrder(t *testing.T) {
	s := newFakeServer(t, Config{})
	ping := func(text string) []byte { return masked(ws.OpPing, text) }
	message := masked(ws.OpText, `["1","1","quiet:1","phx_join",{}]`)
	for _, row := range []struct {
		name   string
		read   [][]byte
		want   string
		writes int
	}{
		{"5.5.3: pings", [][]byte{ping("a"), ping(""), ping("b")}, "\x8a\x01a\x8a\x00\x8a\x01b", 1},
		{"3.8: a heartbeat between pings", [][]byte{ping("a"), masked(ws.OpText, heartbeatText), ping("b")},
			"\x8a\x01a" + heartbeatAnswer + "\x8a\x01b", 1},
		{"3.8: a message between pings", [][]byte{ping("a"), message, ping("b")}, "\x8a\x01a<task>\x8a\x01b", 2},
		{"5.5.1: a close behind a ping", [][]byte{ping("a"), masked(ws.OpClose, "")}, "\x8a\x01a<task>", 1},
		{"5.1: a violation behind a ping", [][]byte{ping("a"), {0x89, 0}}, "\x8a\x01a<task>", 1},
		{"5.4: half a message behind a ping", [][]byte{ping("a"), message[:20]}, "\x8a\x01a", 1},
	} {
		k, c := newScribe(s)
		k.receive(bytes.Join(row.read, nil), nil)
		if string(c.all) != row.want || c.writes != row.writes {
			t.Errorf("%s: %d writes of %q, want %d of %q", row.name, c.writes, c.all, row.writes, row.want)
		}
	}
}

// A flood of pings or heartbeats costs a write for each two kilobytes of answers, and leaves no large buffer.
func TestFloodOfPingsIsFewWrites(t *testing.T) {
	s := newFakeServer(t, Config{})
	const n = 5000
	for _, row := range []struct {
		name   string
		one    []byte
		answer string
	}{
		{"ping", masked(ws.OpPing, "hello"), "\x8a\x05hello"},
		{"heartbeat", masked(ws.OpText, heartbeatText), heartbeatAnswer},
	} {
		k, c := newScribe(s)
		k.receive(bytes.Repeat(row.one, n), nil)
		if want := strings.Repeat(row.answer, n); string(c.all) != want {
			t.Errorf("%s: answered %d bytes, want %d", row.name, len(c.all), len(want))
		}
		if most := n*len(row.answer)/answersBytes + 1; c.writes > most {
			t.Errorf("%s: %d answers in %d writes, want at most %d", row.name, n, c.writes, most)
		}
		cu := cuts.Get().(*cut)
		if cap(cu.out) > 4*answersBytes {
			t.Errorf("%s: a buffer of %d bytes is kept", row.name, cap(cu.out))
		}
		cuts.Put(cu)
		if k.cut != nil {
			t.Errorf("%s: the sleeping connection holds a decoder", row.name)
		}
	}
}

// BenchmarkHeartbeats reads them a hundred at a time, as they come when a client floods.
func BenchmarkHeartbeats(b *testing.B) {
	s := newFakeServer(b, Config{})
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			k, c := fakeSocket(s, true)
			f := bytes.Repeat(masked(ws.OpText, heartbeatText), n)
			buf := make([]byte, 0, len(f))
			b.ReportAllocs()
			for range b.N {
				k.receive(f, buf)
			}
			b.ReportMetric(float64(c.sends)/float64(b.N), "writes/op")
		})
	}
}
