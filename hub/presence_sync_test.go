package hub_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// room is one topic with clients, all on one goroutine: while a diff is on its way from one client to
// the next, anything else may happen, as it may on other goroutines in the server.
type room struct {
	t       *testing.T
	r       *rand.Rand
	p       *hub.Presence
	remote  *hub.Presence
	owners  []*deaf
	clients []*roomClient
	tasks   []func()
	depth   int
	diffs   int
	n       int
	log     []string // what the first client got, for phoenix.js itself
}

// roomClient is a client between its subscription and its end. Its server side pushes the snapshot at
// some time after it was taken, which is after the subscription.
type roomClient struct {
	phxPresence
	subscribed bool
	leaves     bool            // and has asked for the next join already, as phoenix.js does for another channel
	returns    bool            // it was subscribed before
	snapshot   json.RawMessage // taken and not pushed
}

const roomTopic = "room:1"

func newRoom(t *testing.T, r *rand.Rand) *room {
	rm := &room{t: t, r: r}
	cfg := hub.PresenceConfig{
		Broadcast: rm.broadcast,
		Replica:   hub.Replica{Name: "here", Epoch: 1},
		DiffBytes: []int{1, 200, 1000, 0}[r.IntN(4)],
	}
	if r.IntN(2) == 0 {
		cfg.Spawn = func(task func()) bool {
			if r.IntN(4) == 0 {
				return false
			}
			rm.tasks = append(rm.tasks, task)
			return true
		}
	}
	rm.p = hub.NewPresence(cfg)
	rm.remote = hub.NewPresence(hub.PresenceConfig{
		Broadcast: func(*hub.Message) {}, Replica: hub.Replica{Name: "there", Epoch: 1},
	})
	rm.p.ReplicaUp(hub.Replica{Name: "there", Epoch: 1})
	for range 8 {
		rm.owners = append(rm.owners, &deaf{})
	}
	for range 4 {
		rm.clients = append(rm.clients, &roomClient{})
	}
	return rm
}

// broadcast delivers as Hub.Broadcast: to those subscribed from before until after, and maybe to those
// that are subscribed meanwhile.
func (rm *room) broadcast(m *hub.Message) {
	if m.Topic != roomTopic || m.Event != hub.EventPresenceDiff {
		rm.t.Errorf("broadcast of %s to %s", m.Event, m.Topic)
	}
	rm.diffs++
	rm.depth++
	if rm.depth > 1 {
		rm.t.Error("two diffs of one topic are under way")
	}
	for i, c := range rm.clients {
		for rm.r.IntN(3) == 0 {
			rm.step()
		}
		if c.subscribed {
			c.onDiff(m.Payload)
			if i == 0 {
				rm.log = append(rm.log, `["diff",`+string(m.Payload)+`]`)
			}
		}
	}
	rm.depth--
}

// step does one thing that a call or another goroutine could do now.
func (rm *room) step() {
	rm.n++
	owner := rm.owners[rm.r.IntN(len(rm.owners))]
	key := []string{"ann", "bob", `"\` + "\n", "__proto__"}[rm.r.IntN(4)]
	meta := json.RawMessage(fmt.Sprintf(`{ "n": %d }`, rm.n))
	switch op := rm.r.IntN(20); {
	case op < 6:
		_, _ = rm.p.Track(roomTopic, key, meta, owner)
	case op < 9:
		_, _ = rm.p.Update(roomTopic, key, meta, owner)
	case op < 11:
		rm.p.Untrack(roomTopic, key, owner)
	case op < 12:
		rm.p.UntrackAll(owner)
	case op < 14 && len(rm.tasks) > 0:
		task := rm.tasks[0]
		rm.tasks = rm.tasks[1:]
		task()
	case op < 16:
		rm.cluster(owner, key, meta)
	default:
		rm.client(rm.r.IntN(len(rm.clients)))
	}
	if err := hub.CheckPresence(rm.p, false); err != nil {
		rm.t.Fatal(err)
	}
}

// cluster lets the other replica change, or its news arrive.
func (rm *room) cluster(owner *deaf, key string, meta json.RawMessage) {
	there, part := hub.Replica{Name: "there", Epoch: 1}, hub.PresencePart(roomTopic)
	switch rm.r.IntN(8) {
	case 0, 1:
		_, _ = rm.remote.Track(roomTopic, key, meta, owner)
	case 2:
		_, _ = rm.remote.Update(roomTopic, key, meta, owner)
	case 3:
		rm.remote.UntrackAll(owner)
	case 4:
		rm.p.ReplicaDown("there")
	case 5:
		rm.p.ReplicaGone("there")
	case 6:
		rm.p.ReplicaUp(there)
	default:
		rm.p.ReplicaUp(there)
		if err := rm.p.Merge(part, rm.remote.Full(part)); err != nil {
			rm.t.Fatal(err)
		}
	}
}

// client takes a client one step further: subscribe, snapshot, push, and at times a new join.
func (rm *room) client(i int) {
	c := rm.clients[i]
	switch {
	case c.leaves:
		c.subscribed, c.leaves = false, false
	case !c.subscribed:
		if c.joinRef == c.joined {
			rm.rejoin(i)
		}
		c.subscribed = true
	case c.snapshot == nil && c.joinRef != c.joined:
		c.snapshot = rm.p.Snapshot(roomTopic)
	case c.snapshot != nil:
		rm.state(i, c.snapshot)
		c.snapshot = nil
		if join := c.joined; c.returns {
			rm.p.Resync(roomTopic, c, func(state json.RawMessage) {
				for rm.r.IntN(3) == 0 {
					rm.step()
				}
				if c.joined == join && c.subscribed {
					rm.state(i, state)
				}
			})
		}
	case rm.r.IntN(10) == 0:
		c.subscribed, c.returns = false, true
	case rm.r.IntN(10) == 0:
		rm.rejoin(i)
		c.leaves, c.returns = true, true
	}
}

func (rm *room) rejoin(i int) {
	rm.clients[i].rejoin()
	if i == 0 {
		rm.log = append(rm.log, `["join"]`)
	}
}

func (rm *room) state(i int, state json.RawMessage) {
	rm.clients[i].onState(state)
	if i == 0 {
		rm.log = append(rm.log, `["state",`+string(state)+`]`)
	}
}

// settle lets everything end that has begun, and every client be joined.
func (rm *room) settle() {
	for settled := false; !settled; {
		settled = true
		for len(rm.tasks) > 0 {
			task := rm.tasks[0]
			rm.tasks = rm.tasks[1:]
			task()
		}
		for i, c := range rm.clients {
			for !c.subscribed || c.joinRef != c.joined {
				rm.client(i)
				settled = false
			}
		}
	}
}

// playRoom lets up to 150 things happen in a room, and then lets it come to rest.
func playRoom(t *testing.T, r *rand.Rand) *room {
	rm := newRoom(t, r)
	for range 1 + r.IntN(150) {
		rm.step()
	}
	rm.settle()
	return rm
}

// TestClientsConverge: whatever happens in whatever order, in the end every client has what List says.
func TestClientsConverge(t *testing.T) {
	r := seeded(t)
	for round := range 150 {
		rm := playRoom(t, r)
		want := parseState(rm.p.List(roomTopic)).text()
		for i, c := range rm.clients {
			if len(c.problems) > 0 {
				t.Fatalf("client %d could not read: %v", i, c.problems)
			}
			if got := c.state.text(); got != want {
				t.Fatalf("round %d, client %d of %d has\n%s\nwant\n%s", round, i, len(rm.clients), got, want)
			}
		}
		if got := parseState(rm.p.Snapshot(roomTopic)).text(); got != want {
			t.Fatalf("a snapshot at rest\n%s\nwant\n%s", got, want)
		}
		if err := hub.CheckPresence(rm.p, true); err != nil {
			t.Fatal(err)
		}
	}
}

// listener is a client on a real hub, whose diffs arrive on other goroutines.
type listener struct {
	hub.Subscription
	mu sync.Mutex // protects the following
	phxPresence
}

func (l *listener) Deliver(m *hub.Message) {
	l.mu.Lock()
	l.onDiff(m.Payload)
	l.mu.Unlock()
	runtime.Gosched() // so that changes meet a diff under way
}

// TestPresenceRace does the same with goroutines and a Hub.
func TestPresenceRace(t *testing.T) {
	for _, spawn := range []bool{false, true} {
		t.Run(fmt.Sprintf("spawn=%v", spawn), func(t *testing.T) { presenceRace(t, spawn) })
	}
}

func presenceRace(t *testing.T, spawn bool) {
	const goroutines, rounds = 8, 150
	h := hub.New()
	var tasks sync.WaitGroup
	cfg := hub.PresenceConfig{Broadcast: func(m *hub.Message) { h.Broadcast(m) }, DiffBytes: 300}
	if spawn {
		cfg.Spawn = func(task func()) bool { tasks.Go(task); return true }
	}
	p := hub.NewPresence(cfg)
	listeners := make([]*listener, goroutines)
	var changers sync.WaitGroup
	for g := range goroutines {
		l := &listener{}
		l.rejoin()
		listeners[g] = l
		changers.Go(func() {
			h.Subscribe(roomTopic, l)
			snapshot := p.Snapshot(roomTopic)
			l.mu.Lock()
			l.onState(snapshot)
			l.mu.Unlock()
			owner := &deaf{}
			for i := range rounds {
				meta := json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))
				_, _ = p.Track(roomTopic, "key", meta, owner)
				_, _ = p.Track(fmt.Sprint("room:", g), "key", meta, owner)
				_, _ = p.Update(roomTopic, "key", meta, owner)
				if i%3 == 0 && i < rounds-1 {
					p.UntrackAll(owner)
				}
			}
		})
	}
	changers.Wait()
	tasks.Wait()
	want := parseState(p.List(roomTopic)).text()
	for i, l := range listeners {
		if got := l.state.text(); got != want || len(l.problems) > 0 {
			t.Errorf("listener %d has\n%s\nwant\n%s\n%v", i, got, want, l.problems)
		}
		h.Unsubscribe(l)
	}
	if n := p.Count(roomTopic); n != goroutines {
		t.Errorf("%d entries at the end, want %d", n, goroutines)
	}
	if err := hub.CheckPresence(p, true); err != nil {
		t.Error(err)
	}
}
