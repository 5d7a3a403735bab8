// In-package: the steps of a session's polls are taken one by one, in orders that no network would bring about soon.
package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/frame"
)

// A pollModel is a session, its polls that have no answer yet, and what was sent and received.
type pollModel struct {
	t       *testing.T
	session *pollSession
	polls   []*modelPoll
	sent    int
	got     []int
}

type modelPoll struct {
	conn *fakeConn
	x    *exchange
}

func newPollModel(t *testing.T) *pollModel {
	s, err := New(Config{Log: slog.New(slog.DiscardHandler), Sockets: []*Socket{{
		Path:     "/socket",
		Routes:   []Route{{Topic: "*", Channel: func() Channel { return quiet{} }}},
		LongPoll: &LongPollOptions{Window: time.Hour},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	r := newUpgradeRequest(&fakeConn{})
	defer r.release()
	r.params = Params{"vsn": "2.0.0"}
	if status, body := s.mountOf("/socket/longpoll").openPoll(r); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	m := &pollModel{t: t}
	for _, m.session = range s.polls.sessions {
	}
	return m
}

func (m *pollModel) send() {
	text := fmt.Appendf(nil, "%d", m.sent)
	f := append(frame.AppendHeader(nil, ws.Header{Fin: true, OpCode: ws.OpText, Length: int64(len(text))}), text...)
	if err := m.session.sock.conn.Write(f); err != nil {
		m.t.Fatal(err)
	}
	m.sent++
}

func (m *pollModel) poll() {
	p := &modelPoll{conn: &fakeConn{keep: true}}
	p.x = m.session.await(p.conn, false, false, false)
	m.session.park(p.x)
	m.polls = append(m.polls, p)
}

// answer does what a worker does with poll i, if there is something, and reads the answer.
func (m *pollModel) answer(i int) {
	p := m.polls[i]
	p.conn.work()
	if !p.x.answered.Load() {
		return
	}
	m.drop(i)
	if p.conn.closed != nil {
		return
	}
	_, body, _ := bytes.Cut(p.conn.last, []byte("\r\n\r\n"))
	var a struct {
		Status   int
		Messages []string
	}
	if err := json.Unmarshal(body, &a); err != nil || (a.Status == 200) != (len(a.Messages) > 0) {
		m.t.Fatalf("%s: %v", body, err)
	}
	for _, text := range a.Messages {
		var n int
		_, _ = fmt.Sscan(text, &n)
		m.got = append(m.got, n)
	}
}

func (m *pollModel) drop(i int) { m.polls = append(m.polls[:i:i], m.polls[i+1:]...) }

// leave ends the connection of a poll that nobody has claimed yet: what was claimed may be on its way.
func (m *pollModel) leave(i int, first bool) {
	p := m.polls[i]
	if p.x.claimed.Load() {
		return
	}
	p.conn.closed = []byte{}
	if first {
		m.send() // it is claimed, and its task refused
	}
	p.x.OnClose(p.conn, nil)
	m.drop(i)
}

// Sections 5.3 and 3.8: whatever messages, polls that displace each other, ends of windows and of connections come
// in whatever order, every message is in one answer, in order, and no poll is counted that is over.
func TestPollModel(t *testing.T) {
	for range 300 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		m := newPollModel(t)
		for range 60 {
			some := 0
			if len(m.polls) > 0 {
				some = random.IntN(len(m.polls))
			}
			switch step := random.IntN(10); {
			case step < 3:
				m.send()
			case step < 6 || len(m.polls) == 0:
				m.poll()
			case step < 8:
				m.answer(some)
			case step == 8:
				m.polls[some].x.OnTimeout(m.polls[some].conn)
				m.answer(some)
			default:
				m.leave(some, random.IntN(2) == 0)
			}
		}
		m.poll()
		for len(m.polls) > 0 {
			last := len(m.polls) - 1
			m.polls[last].x.OnTimeout(m.polls[last].conn)
			m.answer(last)
		}
		for i, n := range m.got {
			if i != n {
				t.Fatalf("seed %d: got %v", seed, m.got)
			}
		}
		if len(m.got) != m.sent || m.session.server().polls.waits.Load() != 0 {
			t.Fatalf("seed %d: %d of %d messages; %d polls counted", seed, len(m.got), m.sent, m.session.server().polls.waits.Load())
		}
		if m.session.busy != nil || m.session.poll != nil {
			t.Fatalf("seed %d: the session keeps what it had for its polls", seed)
		}
	}
}

// A takingConn notes how many messages there are when its answer is given to a worker, who may be at once there.
type takingConn struct {
	fakeConn
	session *pollSession
	taken   int
}

func (c *takingConn) Do(poller.Task) (bool, error) {
	c.taken = len(c.session.busy.messages) // the session is locked
	return false, nil
}

// Section 5.3: what is buffered is returned at once, all of it: no worker is asked to answer before all is there.
func TestPollTakesAllThatIsBuffered(t *testing.T) {
	m := newPollModel(t)
	const buffered = 10
	for range buffered {
		m.send()
	}
	c := &takingConn{session: m.session}
	m.session.park(m.session.await(c, false, false, false))
	if c.taken != buffered {
		t.Errorf("answered with %d messages, want %d", c.taken, buffered)
	}
}
