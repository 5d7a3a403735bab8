package bench

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A hostile is a small Phoenix server that a test can have misbehave. Its fields are set before the first
// connection.
type hostile struct {
	tls   *tls.Config   // nil: plain
	chaos float64       // how likely it misbehaves, at each upgrade and each message
	delay time.Duration // how long everything is on its way to the users
	seed  uint64        // of the run, if sessions are to be numbered by its users and not in the order of the connects

	// allow says whether a join is accepted, push handles a message instead of the server if it
	// returns true, and drop says whether a broadcast is withheld from a session; nil: never. They are
	// called by one goroutine at a time.
	allow func(s *session, topic string) bool
	push  func(s *session, m *message) bool
	drop  func(seq int, s *session) bool
	beat  func(s *session) // sees a heartbeat; called by many goroutines

	listener net.Listener
	done     chan struct{} // closed when the test is over
	running  sync.WaitGroup
	hooks    sync.Mutex // held while a hook is called, but not drop

	mu       sync.Mutex // protects the following
	random   *rand.Rand
	sessions map[*session]bool
	topics   map[string]map[*session]bool
	accepted int
}

// A session is one connection of a user.
type session struct {
	hostile *hostile
	number  int // in the order of the connects, or of the users whose first connect it is; from 1
	raw     net.Conn
	conn    net.Conn // raw, or what is inside of its TLS
	query   string   // of the upgrade's URL
	out     chan delayed
	over    chan struct{} // closed when nobody reads from conn any more
}

// A delayed is what a session writes, and when.
type delayed struct {
	at    time.Time
	frame []byte
}

// maxDelayed bounds what waits for a user. Who lets more wait is cut off.
const maxDelayed = 4096

// A message is one of Phoenix Channels.
type message struct {
	joinRef, ref, topic, event string
	payload                    json.RawMessage
}

// UnmarshalJSON reads the array that the V2 serializer makes. A null is the empty string.
func (m *message) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&m.joinRef, &m.ref, &m.topic, &m.event, &m.payload})
}

// startHostile starts h, which ends with the test.
func startHostile(t *testing.T, h *hostile) *hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("the server's seed is %d", seed)
	h.random = rand.New(rand.NewPCG(seed, 1))
	h.listener, h.done = l, make(chan struct{})
	h.sessions, h.topics = map[*session]bool{}, map[string]map[*session]bool{}
	h.running.Go(h.accept)
	t.Cleanup(h.stop)
	return h
}

func (h *hostile) url() string {
	scheme := "ws"
	if h.tls != nil {
		scheme = "wss"
	}
	return scheme + "://" + h.listener.Addr().String() + "/socket"
}

func (h *hostile) accept() {
	for {
		c, err := h.listener.Accept()
		if err != nil {
			return
		}
		s := &session{hostile: h, raw: c, conn: c, out: make(chan delayed, maxDelayed), over: make(chan struct{})}
		if h.tls != nil {
			s.conn = tls.Server(c, h.tls)
		}
		h.mu.Lock()
		h.accepted++
		s.number = h.accepted
		h.sessions[s] = true
		h.mu.Unlock()
		h.running.Go(s.serve)
	}
}

func (h *hostile) stop() {
	close(h.done)
	h.listener.Close()
	h.mu.Lock()
	for s := range h.sessions {
		s.raw.Close()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// pause waits, but not beyond the test; false: it is over.
func (h *hostile) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-h.done:
		return false
	}
}

// misbehaves throws the dice.
func (h *hostile) misbehaves() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.Float64() < h.chaos
}

func (h *hostile) intN(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.IntN(n)
}

// cast sends an event to all members of a topic.
func (h *hostile) cast(topic, event string, payload []byte) {
	seq := -1
	if m, ok := findMark(payload); ok {
		seq = int(m.seq)
	}
	text := fmt.Appendf(nil, `[null,null,%q,%q,%s]`, topic, event, payload)
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.topics[topic] {
		if h.drop == nil || !h.drop(seq, s) {
			s.send(ws.NewTextFrame(text))
		}
	}
}

// end forgets a session and closes its connection.
func (s *session) end() {
	h := s.hostile
	h.mu.Lock()
	for _, members := range h.topics {
		delete(members, s)
	}
	delete(h.sessions, s)
	h.mu.Unlock()
	close(s.over)
	s.conn.Close()
}

func (s *session) serve() {
	h := s.hostile
	defer s.end()
	r := bufio.NewReader(s.conn)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	s.query = req.URL.RawQuery
	s.identify(req.Header.Get("Sec-WebSocket-Key"))
	if h.misbehaves() {
		s.spoilUpgrade()
		return
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 section 1.3
	fmt.Fprintf(s.conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	h.running.Go(s.write)
	for {
		head, err := ws.ReadHeader(r)
		if err != nil || head.Length > 1<<20 {
			return
		}
		f := ws.Frame{Header: head, Payload: make([]byte, head.Length)}
		if _, err := io.ReadFull(r, f.Payload); err != nil {
			return
		}
		f = ws.UnmaskFrameInPlace(f)
		switch f.Header.OpCode {
		case ws.OpClose:
			if h.misbehaves() {
				s.spoilClose()
				return
			}
			s.conn.Write(ws.MustCompileFrame(ws.NewCloseFrame(f.Payload)))
			return
		case ws.OpText:
			var m message
			if err := json.Unmarshal(f.Payload, &m); err != nil || !s.handle(&m) {
				return
			}
		}
	}
}

// identify numbers the session by its user, if it is to be. Users may be accepted in another order than they dial.
func (s *session) identify(key string) {
	h := s.hostile
	if h.seed == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for user := range uint32(100) { // more than any such run has
		if k := upgradeKey(h.seed, user, 1); string(k[:]) == key {
			s.number = int(user) + 1
		}
	}
}

// handle does what a message asks for; false: the connection is to end.
func (s *session) handle(m *message) bool {
	h := s.hostile
	if h.misbehaves() && !s.spoilMessage(m) {
		return false
	}
	switch m.event {
	case "phx_join":
		if h.allow != nil && !hooked(h, func() bool { return h.allow(s, m.topic) }) {
			s.reply(m, "error", `{"reason":"not now"}`)
			return true
		}
		h.mu.Lock()
		if h.topics[m.topic] == nil {
			h.topics[m.topic] = map[*session]bool{}
		}
		h.topics[m.topic][s] = true
		s.reply(m, "ok", "{}") // before any broadcast
		h.mu.Unlock()
	case "phx_leave":
		h.mu.Lock()
		delete(h.topics[m.topic], s)
		h.mu.Unlock()
		s.reply(m, "ok", "{}")
		s.sendText(`[%q,%q,%q,"phx_close",{}]`, m.joinRef, m.joinRef, m.topic)
	case "heartbeat":
		if h.beat != nil {
			h.beat(s)
		}
		s.sendText(`[null,%q,"phoenix","phx_reply",{"status":"ok","response":{}}]`, m.ref)
	default:
		switch {
		case h.push != nil && hooked(h, func() bool { return h.push(s, m) }):
		case m.event == "ping":
			s.reply(m, "ok", string(m.payload))
		default:
			h.cast(m.topic, m.event, m.payload)
		}
	}
	return true
}

// hooked calls a hook, one at a time.
func hooked(h *hostile, hook func() bool) bool {
	h.hooks.Lock()
	defer h.hooks.Unlock()
	return hook()
}

func (s *session) reply(m *message, status, response string) {
	s.sendText(`[%q,%q,%q,"phx_reply",{"status":%q,"response":%s}]`, m.joinRef, m.ref, m.topic, status, response)
}

func (s *session) sendText(format string, args ...any) {
	s.send(ws.NewTextFrame(fmt.Appendf(nil, format, args...)))
}

func (s *session) send(f ws.Frame) { s.sendBytes(ws.MustCompileFrame(f)) }

// sendBytes has b written when its delay is over.
func (s *session) sendBytes(b []byte) {
	select {
	case s.out <- delayed{time.Now().Add(s.hostile.delay), b}:
	default:
		s.raw.Close()
	}
}

// write writes what the session sends, in order.
func (s *session) write() {
	for {
		select {
		case d := <-s.out:
			if !s.hostile.pause(time.Until(d.at)) {
				return
			}
			if _, err := s.conn.Write(d.frame); err != nil {
				return
			}
		case <-s.over:
			return
		}
	}
}
