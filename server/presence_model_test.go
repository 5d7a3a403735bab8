package server_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
	"github.com/dormouse-ws/dormouse/server/servertest"
)

const (
	modelTopics  = 3
	modelPeople  = 6 // each a goroutine
	modelSockets = 3 // of each
	modelRounds  = 12
	modelSteps   = 60 // of each in a round
)

// TestPresenceModel has people join, leave, track, update, untrack, broadcast, crash and vanish, all at once in
// the same topics, over the real stack but for the kernel. When they rest, every joined client must show, as
// phoenix.js's class Presence would, what a map says; and each broadcast must have reached those who were
// joined from before it to after it, once for each join, and nobody who was not joined meanwhile. A seed gives
// the same steps again, though not the same order of the goroutines.
func TestPresenceModel(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -seed %d", *seed)
	cfg := mount(presenceRoom)
	cfg.Sockets[0].Connect = func(c *server.Connect) error { c.ID = c.Params.Get("id"); return nil }
	cfg.Presence.DiffBytes = 400 // many are divided
	d, err := drive.New(cfg, drive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*servertest.Patience)
	defer cancel()
	w := &world{t: t, ctx: ctx, driver: d}
	for p := range modelPeople {
		w.people = append(w.people, newPlayer(w, p))
	}
	for range modelRounds {
		var wg sync.WaitGroup
		for _, p := range w.people {
			wg.Go(func() {
				for range modelSteps {
					p.step()
				}
			})
		}
		wg.Wait()
		w.rest()
	}
	st := d.Stats().Server
	t.Logf("%d entries at the end, %d changes in %d diffs", st.Presence.Entries, st.Presence.Changes, st.Presence.Diffs)
	for _, p := range w.people {
		for i := range p.sockets {
			p.vanish(i)
		}
	}
	if err := d.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	st = d.Stats().Server
	if st.Presence.Entries+st.Presence.Topics+st.Presence.Waiting+st.Hub.Topics+st.Hub.Subscriptions != 0 {
		t.Errorf("left at the end: %+v, %+v", st.Presence, st.Hub)
	}
	w.account()
}

// A world is all people, and what has been broadcast.
type world struct {
	t      *testing.T
	ctx    context.Context
	driver *drive.Driver
	people []*player
	clock  atomic.Int64 // what happens before something else has a lower number
}

// A stay is one join of a topic: the client asked for it at began[0] and had the answer at began[1]; the same
// for its end.
type stay struct {
	topic        string
	began, ended [2]int64
}

// news is one broadcast.
type news struct {
	topic      string
	id         string
	begin, end int64
}

// A player is one goroutine with some sockets. It alone knows what they track.
type player struct {
	w       *world
	n       int
	rnd     *rand.Rand
	sockets []*sock
	gone    []*sock // those that have ended, with what they have received
	sent    []news
}

// A sock is one connection with what its client knows.
type sock struct {
	*drive.Socket
	drive.Inbox // of replies and ends
	id          string
	channels    map[string]drive.Channel     // by topic, while joined
	tracked     map[string]map[string]string // topic -> key -> name
	stays       []*stay
	here        map[string]*stay // by topic, while joined

	mu    sync.Mutex // protects the following
	lists map[string]*shown
	heard map[string]int // topic and id of a broadcast
}

// shown is what the class Presence holds for one topic: it knows metas by their refs (section 4.7).
type shown struct {
	awaits  bool      // presence_state, of the join under way
	left    drive.Ref // of the join that the client has left last: what comes for that is not looked at
	pending []presenceDiff
	metas   map[string]string // ref -> key and name
}

func (s *shown) state(list presenceList) {
	s.metas, s.awaits = list.metas(), false
	for _, d := range s.pending {
		s.apply(d)
	}
	s.pending = nil
}

func (s *shown) diff(d presenceDiff) {
	if s.awaits {
		s.pending = append(s.pending, d)
		return
	}
	s.apply(d)
}

type presenceList map[string]struct {
	Metas []struct {
		Name string
		Ref  string `json:"phx_ref"`
	}
}

type presenceDiff struct{ Joins, Leaves presenceList }

func (l presenceList) metas() map[string]string {
	m := map[string]string{}
	for key, e := range l {
		for _, meta := range e.Metas {
			m[meta.Ref] = key + "=" + meta.Name
		}
	}
	return m
}

func (s *shown) apply(d presenceDiff) {
	maps.Copy(s.metas, d.Joins.metas())
	for ref := range d.Leaves.metas() {
		delete(s.metas, ref)
	}
}

// Message implements drive.Observer.
func (s *sock) Message(ds *drive.Socket, m drive.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Event {
	case hub.EventPresenceState:
		var list presenceList
		if err := m.Payload.Decode(&list); err != nil {
			panic(err)
		}
		if l := s.lists[m.Topic]; m.JoinRef > l.left {
			l.state(list)
		}
	case hub.EventPresenceDiff:
		var d presenceDiff
		if err := m.Payload.Decode(&d); err != nil || d.Joins == nil || d.Leaves == nil {
			panic(fmt.Sprintf("diff %s: %v", m.Payload.Bytes(), err))
		}
		s.lists[m.Topic].diff(d)
	case "news":
		var n struct{ N string }
		_ = m.Payload.Decode(&n)
		s.heard[m.Topic+" "+n.N]++
	default:
		s.Inbox.Message(ds, m)
	}
}

// Closed implements drive.Observer.
func (s *sock) Closed(ds *drive.Socket, code int) { s.Inbox.Closed(ds, code) }

func newPlayer(w *world, n int) *player {
	p := &player{w: w, n: n, rnd: rand.New(rand.NewPCG(*seed, uint64(n)))}
	for range modelSockets {
		p.sockets = append(p.sockets, p.connect())
	}
	return p
}

func (p *player) connect() *sock {
	s := &sock{id: fmt.Sprintf("user:%d.%d", p.n, len(p.gone)+len(p.sockets)), channels: map[string]drive.Channel{},
		tracked: map[string]map[string]string{}, here: map[string]*stay{}, lists: map[string]*shown{}, heard: map[string]int{}}
	for i := range modelTopics {
		s.lists[fmt.Sprint("room:", i)] = &shown{}
	}
	var err error
	if s.Socket, err = p.w.driver.Connect("/socket/websocket?id="+s.id, s); err != nil {
		panic(err)
	}
	return s
}

// must is for what only ends early when the test fails.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (p *player) step() {
	i := p.rnd.IntN(len(p.sockets))
	s, topic := p.sockets[i], fmt.Sprint("room:", p.rnd.IntN(modelTopics))
	ch, joined := s.channels[topic]
	key, name := fmt.Sprint("k", p.rnd.IntN(3)), strconv.FormatInt(p.w.clock.Add(1), 36)
	_, has := s.tracked[topic][key]
	switch op := p.rnd.IntN(100); {
	case op < 4:
		p.vanish(i)
		p.sockets[i] = p.connect()
	case !joined || op < 8:
		p.join(s, topic)
	case op < 11:
		p.hop(s, topic, key)
	case op < 14:
		p.end(s, topic, func() {
			must(s.Reply(p.w.ctx, must(ch.Leave())))
			must(s.Event(p.w.ctx, "phx_close"))
		})
	case op < 18:
		p.end(s, topic, func() {
			must(ch.Push("boom", nil))
			must(s.Event(p.w.ctx, "phx_error"))
		})
	case op < 50:
		if p.ask(s, ch, "track", whois{Key: key, Meta: object{"name": name}}, !has) {
			s.tracked[topic][key] = name
		}
	case op < 65:
		if p.ask(s, ch, "update", whois{Key: key, Meta: object{"name": name}}, has) {
			s.tracked[topic][key] = name
		}
	case op < 70:
		if p.ask(s, ch, "rename", whois{Key: key, Meta: name}, has) {
			s.tracked[topic][key] = name
		}
	case op < 82:
		p.ask(s, ch, "untrack", whois{Key: key}, true)
		delete(s.tracked[topic], key)
	default:
		n := news{topic: topic, id: name, begin: p.w.clock.Add(1)}
		p.ask(s, ch, "bcast", whois{Meta: name}, true)
		n.end = p.w.clock.Add(1)
		p.sent = append(p.sent, n)
	}
}

// ask pushes an event and says whether the answer was ok, which it must be if it should.
func (p *player) ask(s *sock, ch drive.Channel, event string, in whois, should bool) bool {
	m := must(s.Reply(p.w.ctx, must(ch.Push(event, in))))
	if ok := m.Status == "ok"; ok != should {
		p.w.t.Errorf("%s of %s: %s %s, want ok: %v", event, in.Key, m.Status, m.Payload.Bytes(), should)
	}
	return should
}

// join joins, perhaps for the second time.
func (p *player) join(s *sock, topic string) {
	old := s.here[topic]
	s.mu.Lock()
	s.lists[topic].awaits = true
	s.mu.Unlock()
	st := &stay{topic: topic}
	st.began[0] = p.w.clock.Add(1)
	if old != nil {
		old.ended[0] = st.began[0]
	}
	ch := must(s.Join(topic, nil))
	must(s.Reply(p.w.ctx, ch.JoinRef()))
	if old != nil {
		must(s.Event(p.w.ctx, "phx_close"))
		old.ended[1] = p.w.clock.Add(1)
	}
	st.began[1] = p.w.clock.Add(1)
	s.channels[topic], s.tracked[topic], s.here[topic] = ch, map[string]string{}, st
	s.stays = append(s.stays, st)
}

// hop joins once more, leaves that and joins without waiting: as phoenix.js does with several channels of a topic. The
// last one has all diffs that come from here on, also those that are for the others.
func (p *player) hop(s *sock, topic, key string) {
	beat := must(s.Heartbeat())
	must(s.Reply(p.w.ctx, beat))
	s.mu.Lock()
	s.lists[topic] = &shown{awaits: true, left: beat + 1}
	s.mu.Unlock()
	old, mid, st := s.here[topic], &stay{topic: topic}, &stay{topic: topic}
	begin := p.w.clock.Add(1)
	first := must(s.Join(topic, whois{Key: key}))
	left := must(first.Leave())
	next := must(s.Join(topic, nil))
	for _, ref := range []drive.Ref{first.JoinRef(), left, next.JoinRef()} {
		must(s.Reply(p.w.ctx, ref))
	}
	for range 2 {
		must(s.Event(p.w.ctx, "phx_close"))
	}
	end := p.w.clock.Add(1)
	old.ended, mid.began, mid.ended, st.began = [2]int64{begin, end}, [2]int64{begin, end}, [2]int64{begin, end}, [2]int64{begin, end}
	s.channels[topic], s.tracked[topic], s.here[topic] = next, map[string]string{}, st
	s.stays = append(s.stays, mid, st)
}

// end ends a join by what do does, or several by the end of their socket.
func (p *player) end(s *sock, topic string, do func()) {
	begin := p.w.clock.Add(1)
	do()
	end := p.w.clock.Add(1)
	for t, st := range s.here {
		if t == topic || topic == "" {
			st.ended = [2]int64{begin, end}
			delete(s.here, t)
			delete(s.channels, t)
			delete(s.tracked, t)
		}
	}
}

// vanish ends a socket, from this side or from the other.
func (p *player) vanish(i int) {
	s := p.sockets[i]
	p.end(s, "", func() {
		if p.rnd.IntN(2) == 0 {
			_ = s.Close()
		} else {
			p.w.driver.Server().Disconnect(s.id)
		}
		must(s.Code(p.w.ctx))
	})
	p.gone = append(p.gone, s)
}

// rest waits until everybody shows what is true.
func (w *world) rest() {
	for i := range modelTopics {
		topic := fmt.Sprint("room:", i)
		want := map[string]int{}
		for _, p := range w.people {
			for _, s := range p.sockets {
				for key, name := range s.tracked[topic] {
					want[key+"="+name]++
				}
			}
		}
		var problem string
		defer func() {
			if w.t.Failed() {
				w.t.Log(problem)
			}
		}()
		servertest.Eventually(w.t, "everybody shows who is in "+topic, func() bool {
			problem = w.differs(topic, want)
			return problem == ""
		})
	}
}

// differs says what is not as it should be in a topic, by the server or by a client.
func (w *world) differs(topic string, want map[string]int) string {
	var list presenceList
	if err := w.driver.Server().Presences(topic).Decode(&list); err != nil {
		return err.Error()
	}
	all, got := list.metas(), map[string]int{}
	for _, meta := range all {
		got[meta]++
	}
	if !maps.Equal(got, want) {
		return fmt.Sprintf("the server lists %v in %s, want %v", got, topic, want)
	}
	for _, p := range w.people {
		for _, s := range p.sockets {
			if s.here[topic] == nil {
				continue
			}
			s.mu.Lock()
			l := s.lists[topic]
			same := !l.awaits && maps.Equal(l.metas, all)
			text := fmt.Sprintf("%s shows %v in %s, want %v", s.id, l.metas, topic, all)
			s.mu.Unlock()
			if !same {
				return text
			}
		}
	}
	return ""
}

// account holds what each client has heard against its stays.
func (w *world) account() {
	deliveries, exact := 0, 0
	for _, sender := range w.people {
		for _, n := range sender.sent {
			for _, p := range w.people {
				for _, s := range p.gone {
					least, most := 0, 0
					for _, st := range s.stays {
						switch {
						case st.topic != n.topic || st.ended[1] < n.begin || n.end < st.began[0]:
						case st.began[1] < n.begin && n.end < st.ended[0]:
							least, most = least+1, most+1
						default:
							most++
						}
					}
					got := s.heard[n.topic+" "+n.id]
					if got < least || got > most {
						w.t.Errorf("%s heard %s of %s %d times, want %d to %d", s.id, n.id, n.topic, got, least, most)
					}
					deliveries += got
					exact += least
				}
			}
		}
	}
	w.t.Logf("%d deliveries, %d of them certain", deliveries, exact)
	if exact == 0 {
		w.t.Error("nothing was certain")
	}
}
