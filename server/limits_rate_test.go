package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/frame"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

// clocked is limited, with a clock of the test.
func clocked(l server.Limits) (func() server.Config, *handClock) {
	clock := new(handClock)
	l.SetClock(clock.now)
	return func() server.Config { return limited(l) }, clock
}

// Joins: above the rate a join is answered with an error, and all else goes on.
func TestJoinRate(t *testing.T) {
	configure, clock := clocked(server.Limits{Joins: server.Rate{PerSecond: 1, Burst: 2}})
	forEachLimited(t, configure, func(t *testing.T, s *servertest.Server) {
		c := s.Dial(wsPath)
		c.Send(`["1","1","room:a","phx_join",{}]`)
		c.Send(`["2","2","room:b","phx_join",{}]`)
		c.Send(`["3","3","room:c","phx_join",{}]`)
		c.Send(`["4","4","room:a","phx_join",{}]`) // a rejoin is a join: the channel that is there stays
		c.Send(`["1","5","room:a","echo",{"n":1}]`)
		c.Send(`["9","9","nobody","phx_join",{}]`) // looked at before the route: nothing is free
		refused := func(ref, topic string) string {
			return fmt.Sprintf(`["%s","%[1]s","%s","phx_reply",{"status":"error","response":{"reason":"rate limited","retry_after":1}}]`, ref, topic)
		}
		c.Expect(
			`["1","1","room:a","phx_reply",{"status":"ok","response":{}}]`,
			`["2","2","room:b","phx_reply",{"status":"ok","response":{}}]`,
			refused("3", "room:c"), refused("4", "room:a"),
			`["1","5","room:a","phx_reply",{"status":"ok","response":{"n":1}}]`,
			refused("9", "nobody"))
		clock.advance(time.Second + 20*time.Millisecond)
		c.Send(`["6","6","room:c","phx_join",{}]`)
		c.Send(`["7","7","room:d","phx_join",{}]`)
		c.Expect(`["6","6","room:c","phx_reply",{"status":"ok","response":{}}]`, refused("7", "room:d"))
		if got := s.Stats().Limits.Refused; got != (server.Refusals{JoinRate: 4}) {
			t.Errorf("%+v", got)
		}
	})
}

// JoinsPerAddress is what all connections of an address share. V1 is told in its own form.
func TestJoinRateOfAnAddress(t *testing.T) {
	configure, clock := clocked(server.Limits{JoinsPerAddress: server.Rate{PerSecond: 0.1, Burst: 2}})
	s := servertest.Start(t, configure())
	s.Dial(wsPath).Join("room:a", nil)
	s.Dial(wsPath).Join("room:a", nil)
	c := s.Dial(wsV1Path)
	const join = `{"topic":"room:a","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}`
	c.Send(join)
	c.Expect(`{"topic":"room:a","event":"phx_reply","ref":"1","payload":{"status":"error","response":{"reason":"rate limited","retry_after":10}}}`)
	clock.advance(10 * time.Second)
	clock.advance(100 * time.Millisecond)
	c.Send(join)
	c.Expect(`{"topic":"room:a","event":"phx_reply","ref":"1","payload":{"status":"ok","response":{}}}`)
	if got := s.Stats().Limits.Refused; got != (server.Refusals{AddressJoinRate: 1}) {
		t.Errorf("%+v", got)
	}
}

// The burst of joins that nobody has set has room for all topics of a client that comes back.
func TestBurstOfJoins(t *testing.T) {
	configure, _ := clocked(server.Limits{Joins: server.Rate{PerSecond: 1}})
	s := servertest.Start(t, configure())
	c := s.Dial(wsPath)
	for i := range 100 {
		c.Join(fmt.Sprint("room:", i), nil)
	}
	c.Send(`["x","x","room:0","phx_join",{}]`)
	if m := c.Next(); !strings.Contains(string(m.Raw), "rate limited") {
		t.Errorf("%s", m.Raw)
	}
}

// Messages: whatever a client sends counts, and what came before the one too many is answered.
func TestMessageRate(t *testing.T) {
	const heartbeat = `[null,"7","phoenix","heartbeat",{}]`
	for _, row := range []struct {
		name, path string
		send       func(c *servertest.Client)
		answers    int
	}{
		{"heartbeats", wsPath, func(c *servertest.Client) { c.Send(heartbeat) }, 3},
		{"messages", wsPath, func(c *servertest.Client) { c.Send(`["1","2","room:a","echo",{}]`) }, 3},
		{"binary", wsPath, func(c *servertest.Client) { c.SendBinary([]byte("\x00\x01\x01\x06\x0412room:aecho")) }, 3},
		{"V1", wsV1Path, func(c *servertest.Client) {
			c.Send(`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}`)
		}, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			configure, clock := clocked(server.Limits{Messages: server.Rate{PerSecond: 1, Burst: 3}})
			forEachLimited(t, configure, func(t *testing.T, s *servertest.Server) {
				c := s.Dial(row.path)
				for range 3 {
					row.send(c)
				}
				for range row.answers {
					c.Next()
				}
				clock.advance(time.Second + 20*time.Millisecond)
				row.send(c)
				c.Next()
				for range 3 {
					row.send(c) // the first is one too many, what follows is not looked at
				}
				c.ExpectClose(1008)
				counted(t, s, 0)
				if got := s.Stats().Limits.Refused; got != (server.Refusals{MessageRate: 1}) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// Frames that make no message count too: they cost as much to take. Those of a message that bring something do not.
func TestFramesWithoutMessages(t *testing.T) {
	masked := func(op ws.OpCode, fin bool, text string) string {
		head := frame.AppendHeader(nil, ws.Header{Fin: fin, OpCode: op, Masked: true, Length: int64(len(text))})
		return string(head) + text // the mask is 0
	}
	for _, row := range []struct {
		name, begin, each string
		floods            bool
	}{
		{"pongs", "", masked(ws.OpPong, true, ""), true},
		{"empty fragments", masked(ws.OpText, false, "["), masked(ws.OpContinuation, false, ""), true},
		{"fragments", masked(ws.OpText, false, "["), masked(ws.OpContinuation, false, " "), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			configure, _ := clocked(server.Limits{Messages: server.Rate{PerSecond: 1, Burst: 3}})
			s := servertest.Start(t, configure())
			nc := dialTCP(t, s.Addr())
			rawSocket(t, nc, wsPath) // its join is a message
			writeText(t, nc, row.begin+row.each+row.each)
			if !row.floods {
				writeText(t, nc, row.each+row.each+masked(ws.OpContinuation, true, `"1","2","room:1","echo",{}]`))
				readUntil(t, nc, `"2","room:1","phx_reply"`)
				return
			}
			writeText(t, nc, row.each)
			readUntil(t, nc, "\x03\xf0too many messages") // code 1008
		})
	}
}

// Pings count, and those of a plain mount as well.
func TestPingsAreMessages(t *testing.T) {
	configure, _ := clocked(server.Limits{Messages: server.Rate{PerSecond: 1, Burst: 3}})
	s := servertest.Start(t, configure())
	for _, path := range []string{wsPath, "/plain"} {
		c := s.Dial(path).WebSocket()
		ctx, cancel := context.WithTimeout(t.Context(), servertest.Patience)
		defer cancel()
		ended := make(chan error, 1)
		go func() { // Ping needs a reader
			for {
				if _, _, err := c.Read(ctx); err != nil {
					ended <- err
					return
				}
			}
		}()
		for range 3 {
			if err := c.Ping(ctx); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Ping(ctx)
		if err := <-ended; websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The messages of a long-poll session count as those of any socket: the session ends.
func TestMessageRateOfLongPoll(t *testing.T) {
	configure, _ := clocked(server.Limits{Messages: server.Rate{PerSecond: 1, Burst: 3}})
	forEachLimited(t, configure, func(t *testing.T, s *servertest.Server) {
		c := newLPClient(t, s)
		c.open()
		post := func() int { return c.do("POST", "application/json", `[null,"7","phoenix","heartbeat",{}]`).Status }
		for range 3 {
			if got := post(); got != 200 {
				t.Fatalf("status %d", got)
			}
		}
		post()
		if got := post(); got != 410 {
			t.Errorf("status %d after the limit, want 410: the session has ended", got)
		}
		if got := s.Stats().Limits.Refused; got != (server.Refusals{MessageRate: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// A client that sends 10,000 heartbeats is ended by the limit, and its neighbour notices nothing.
func TestFloodIsEnded(t *testing.T) {
	s := servertest.Start(t, limited(server.Limits{Messages: server.Rate{PerSecond: 100, Burst: 500}}))
	neighbour := s.Dial(wsPath)
	neighbour.Join("room:a", nil)
	flood := dialFrom(t, s, here)
	if a := flood.ask(upgrade(handshake)); a.status != 101 {
		t.Fatalf("%+v", a)
	}
	frame := append([]byte{0x81, 0x80 | 35, 0, 0, 0, 0}, `[null,"7","phoenix","heartbeat",{}]`...)
	many := []byte(strings.Repeat(string(frame), 1000))
	for range 10 {
		if _, err := flood.Write(many); err != nil {
			break // the server has closed
		}
	}
	servertest.Eventually(t, "the end of the flood", func() bool { return s.Stats().Limits.Refused.MessageRate == 1 })
	neighbour.Send(`["1","2","room:a","echo",{"n":1}]`)
	if m := neighbour.Next(); m.Event != "phx_reply" {
		t.Errorf("%s", m.Raw)
	}
	counted(t, s, 1)
}
