package server_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dormouse-ws/dormouse/server/servertest"
)

var seed = flag.Uint64("seed", 0, "replay TestModel with this seed; 0: a new one")

// TestModel has clients join, leave, push, broadcast, crash and vanish at random, several groups of them
// at once on one server, and holds what each receives against a model of who must get what.
func TestModel(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -seed %d", *seed)
	srv := servertest.Start(t, roomConfig())
	t.Run("groups", func(t *testing.T) {
		for g := range 4 {
			t.Run(fmt.Sprint(g), func(t *testing.T) {
				t.Parallel()
				m := &model{t: t, srv: srv, group: g, rnd: rand.New(rand.NewPCG(*seed, uint64(g)))}
				for range 6 {
					m.people = append(m.people, m.connect())
				}
				for range 400 {
					m.step()
				}
				for _, p := range m.people {
					p.check()
					p.c.ExpectNothing()
				}
			})
		}
	})
}

// A model knows what each of a group of clients has to receive.
type model struct {
	t      *testing.T
	srv    *servertest.Server
	group  int
	rnd    *rand.Rand
	people []*person
	ref    int
}

type person struct {
	c      *servertest.Client
	joined map[string]string // topic -> join_ref
	due    []string          // what is to be received, in order
}

func (m *model) connect() *person {
	return &person{c: servertest.Dial(m.t, m.srv.URL(wsPath)), joined: map[string]string{}}
}

// check receives what is due.
func (p *person) check() {
	p.c.Expect(p.due...)
	p.due = nil
}

// ask has p send an event and receive everything up to its last frame, which is the last that the event
// causes anywhere: what others get of it is on its way.
func (m *model) ask(p *person, topic, event string, frames ...string) {
	p.c.Send(fmt.Sprintf(`[%s,"%d",%q,%q,{"n":%d}]`, p.joinRef(topic), m.ref, topic, event, m.ref))
	p.due = append(p.due, frames...)
	p.check()
}

func (p *person) joinRef(topic string) string {
	if ref := p.joined[topic]; ref != "" {
		return ref
	}
	return "null"
}

func (m *model) step() {
	m.ref++
	p := m.people[m.rnd.IntN(len(m.people))]
	topic := fmt.Sprintf("room:%d.%d", m.group, m.rnd.IntN(3))
	reply := func(joinRef, status, response string) string {
		return fmt.Sprintf(`[%s,"%d",%q,"phx_reply",{"status":%q,"response":%s}]`, joinRef, m.ref, topic, status, response)
	}
	joinRef, isJoined := p.joined[topic]
	end := func(event, payload string) string {
		delete(p.joined, topic)
		return fmt.Sprintf(`[%s,%s,%q,%q,%s]`, joinRef, joinRef, topic, event, payload)
	}
	const unmatched = `{"reason":"unmatched topic"}`
	echoed := fmt.Sprintf(`{"n":%d}`, m.ref)
	switch n := m.rnd.IntN(100); {
	case n < 25:
		m.join(p, topic)
	case n < 28:
		p.c.Drop()
		*p = *m.connect()
	case !isJoined:
		m.ask(p, topic, "echo", reply("null", "error", unmatched))
	case n < 35:
		m.ask(p, topic, "phx_leave", reply(joinRef, "ok", "{}"), end("phx_close", "{}"))
	case n < 42:
		m.ask(p, topic, "boom", end("phx_error", `{"reason":"channel_crash"}`))
	case n < 55:
		m.ask(p, topic, "echo", reply(joinRef, "ok", echoed))
	case n < 80:
		m.broadcast(nil, topic, "bcast", echoed)
		m.ask(p, topic, "bcast", reply(joinRef, "ok", "{}"))
	default:
		m.broadcast(p, topic, "bcast_from", echoed)
		m.ask(p, topic, "bcast_from", reply(joinRef, "ok", "{}"))
	}
}

// broadcast makes a broadcast due to all on the topic but from.
func (m *model) broadcast(from *person, topic, event, payload string) {
	for _, p := range m.people {
		if _, joined := p.joined[topic]; joined && p != from {
			p.due = append(p.due, fmt.Sprintf(`[null,null,%q,%q,%s]`, topic, event, payload))
		}
	}
}

// join joins, perhaps for the second time.
func (m *model) join(p *person, topic string) {
	old, again := p.joined[topic]
	ref := fmt.Sprintf(`"%d"`, m.ref)
	p.joined[topic] = ref
	frames := []string{fmt.Sprintf(`[%s,%s,%q,"phx_reply",{"status":"ok","response":{}}]`, ref, ref, topic)}
	if again {
		frames = append(frames, fmt.Sprintf(`[%s,%s,%q,"phx_close",{}]`, old, old, topic))
	}
	m.ask(p, topic, "phx_join", frames...)
}
