package server_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// A talker sends messages in all the ways that there are, on a server whose message memory they do not fit in. It
// is closed, or answered; it is not left waiting, and is sent no letter of another's.
type talker struct {
	t       *testing.T
	r       *rand.Rand
	nc      rawConn
	letter  string // of all that it sends
	plain   bool
	deflate bool
	pause   <-chan time.Time // told when it goes on
}

// unmasked is a frame of a client, whose mask is 0.
func unmasked(h ws.Header, text string) string {
	h.Masked, h.Length = true, int64(len(text))
	return string(frame.AppendHeader(nil, h)) + text
}

// frames are the frames of a message.
func (k *talker) frames(text string) string {
	h := ws.Header{Fin: true, OpCode: ws.OpText}
	if b := frame.AppendDeflated(nil, ws.OpText, []byte(text)); k.deflate && b[0]&0x40 != 0 && k.r.IntN(2) == 0 {
		h.Rsv = ws.Rsv(true, false, false)
		text = string(b[map[byte]int{126: 4, 127: 10}[b[1]]:])
		if b[1] < 126 {
			text = string(b[2:])
		}
	}
	var b strings.Builder
	for k.r.IntN(3) != 0 && text != "" {
		n := k.r.IntN(len(text) + 1)
		h.Fin = false
		b.WriteString(unmasked(h, text[:n]))
		text, h.OpCode, h.Rsv = text[n:], ws.OpContinuation, 0
		if op := []ws.OpCode{ws.OpPing, ws.OpPong, 0}[k.r.IntN(3)]; op != 0 {
			b.WriteString(unmasked(ws.Header{Fin: true, OpCode: op}, "ping"))
		}
	}
	h.Fin = true
	return b.String() + unmasked(h, text)
}

func (k *talker) message(event string, size int) string {
	return k.frames(fmt.Sprintf(`["1","2","room:%s","%s",["%s"]]`, strings.ToLower(k.letter), event, strings.Repeat(k.letter, size)))
}

// messages are some that are answered; ends says that the connection ends behind what is there of them.
func (k *talker) messages() (text string, ends bool) {
	for range 1 + k.r.IntN(4) {
		event := []string{"echo", "echo", "held", "boom", "nobody's"}[k.r.IntN(5)]
		text += k.message(event, []int{10, 5_000, 30_000, 90_000}[k.r.IntN(4)])
	}
	switch k.r.IntN(8) {
	case 0:
		return text[:k.r.IntN(len(text))], true
	case 1: // more than a message may have, when a part of it is there
		return text + unmasked(ws.Header{OpCode: ws.OpText}, strings.Repeat(k.letter, 50_000)) +
			unmasked(ws.Header{OpCode: ws.OpContinuation}, strings.Repeat(k.letter, 60_000)), false
	case 2: // not UTF-8
		return text + unmasked(ws.Header{OpCode: ws.OpText}, strings.Repeat(k.letter, 20_000)+"\xff"), false
	}
	return text, false
}

func (k *talker) talk(addr string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	k.nc = rawConn{nc.(*net.TCPConn)}
	defer nc.Close()
	if k.r.IntN(3) == 0 {
		_ = k.nc.SetLinger(0)
	}
	path, fields := handshake+"&user="+k.letter, []string(nil)
	if k.plain = k.r.IntN(3) == 0; k.plain {
		path = "/plain"
	}
	if k.deflate = k.r.IntN(2) == 0; k.deflate {
		fields = append(fields, "Sec-WebSocket-Extensions: permessage-deflate")
	}
	text, ends := k.messages()
	join := k.frames(fmt.Sprintf(`["1","1","room:%s","phx_join",{}]`, strings.ToLower(k.letter)))
	text = upgrade(path, fields...) + join + text
	if !ends {
		text += unmasked(ws.Header{Fin: true, OpCode: ws.OpPing}, "the last") // its pong does not wait for the messages
		text += k.frames(`[null,"3","phoenix","heartbeat",{}]`) + unmasked(ws.Header{Fin: true, OpCode: ws.OpClose}, "")
	}
	for text != "" {
		n := min(len(text), 1+k.r.IntN(70_000))
		if _, err := k.nc.Write([]byte(text[:n])); err != nil {
			k.waited(err)
			return
		}
		if text = text[n:]; k.r.IntN(3) == 0 {
			<-k.pause
		}
	}
	if !ends {
		k.readAll()
	}
}

// readAll reads to the end, which the server brings about.
func (k *talker) readAll() {
	var got []byte
	for buf := make([]byte, 32<<10); ; {
		n, err := k.nc.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			k.waited(err)
			break
		}
	}
	if k.deflate {
		return
	}
	for letter := 'A'; letter < 'A'+talkers; letter++ {
		if other := strings.Repeat(string(letter), 8); string(letter) != k.letter && strings.Contains(string(got), other) {
			k.t.Errorf("%s was sent what %c has sent", k.letter, letter)
		}
	}
}

func (k *talker) waited(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		k.t.Errorf("talker %s: %v", k.letter, err)
	}
}

const talkers = 10

// talkConfig holds up some messages until release is told.
func talkConfig(release <-chan time.Time) server.Config {
	cfg := memoryConfig(func(c *server.Context, event string, p server.Payload) error {
		switch event {
		case "boom":
			panic("boom")
		case "held":
			<-release
		}
		return c.Reply(p)
	})
	cfg.Sockets[0].WebSocket.Compress = true
	cfg.Sockets[0].Connect = func(c *server.Connect) error { c.ID = "users:" + c.Params.Get("user"); return nil }
	cfg.WebSockets = []*server.WebSocket{{Path: "/plain", Message: func(c *server.Conn, text bool, data []byte) {
		if strings.Contains(string(data), "held") {
			<-release
		}
		_ = c.Send(text, data)
	}, Options: server.WebSocketOptions{MaxFrameSize: 100_000, Timeout: patient, Compress: true}}}
	cfg.Limits = server.Limits{Connections: 1000, ConnectionsPerAddress: 1000, Messages: server.Rate{PerSecond: 1e6}}
	return cfg
}

// Clients of all kinds send more than there is room for, and go as they like. Nobody is left waiting, and nothing counts
// afterwards, also when the server ends amidst them.
func TestMessageMemoryChaos(t *testing.T) {
	for _, engine := range poller.Names() {
		for _, amidst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,ends amidst them=%v", engine, amidst), func(t *testing.T) { talkTogether(t, engine, amidst) })
		}
	}
}

func talkTogether(t *testing.T, engine string, amidst bool) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	cfg := talkConfig(tick.C)
	cfg.Engine, cfg.Poller.LingerTimeout = engine, 100*time.Millisecond
	s := servertest.Start(t, cfg)
	for range 3 {
		beginMessage(t, s) // and never end it
	}
	var all sync.WaitGroup
	var turns atomic.Int64
	for i := range uint64(talkers) {
		r := rand.New(rand.NewPCG(seed, i))
		all.Go(func() {
			for range 12 {
				(&talker{t: t, r: r, letter: string(rune('A' + i)), pause: tick.C}).talk(s.Addr())
				turns.Add(1)
				if r.IntN(4) == 0 {
					s.Disconnect(fmt.Sprintf("users:%c", 'A'+r.IntN(talkers)))
				}
			}
		})
	}
	if amidst {
		servertest.Eventually(t, "some have gone", func() bool { return turns.Load() > 3*talkers })
		s.Stop()
	}
	all.Wait()
	servertest.Eventually(t, "nothing is left but what was begun first", func() bool {
		st := s.Stats()
		return st.Waiting == 0 && st.Unfinished == st.Limits.Counted*unfinishedHeld && st.Limits.Handshaking == 0
	})
	st := s.Stats()
	t.Logf("%d upgrades, %+v", st.Upgraded, st.Limits.Refused)
	if st.Upgraded == 0 || st.Limits.Refused.Unfinished == 0 || st.Limits.Counted > 3 {
		t.Errorf("%+v", st)
	}
}
