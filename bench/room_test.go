// In-package: the account is kept by unexported methods of crowd, driven here without connections.
package bench

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A roomModel is what a room must say, as sets.
type roomModel struct {
	in       map[int]bool
	expected []map[int]bool // by message: who must get it
	got      []map[int]bool // who has
	extra    []int64
	since    map[int]int // the first message that counts for a member
	high     map[int]int // behind the newest that a member has
}

// TestRoomAccount plays random comings, goings, sends and deliveries against a model of sets.
func TestRoomAccount(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		playRoom(t, r)
	}
}

func playRoom(t *testing.T, r *rand.Rand) {
	const people, steps = 8, 400
	c := &crowd{rooms: []*room{{topic: "t"}}, users: make([]user, people), began: time.Now()}
	m := &roomModel{in: map[int]bool{}, since: map[int]int{}, high: map[int]int{}}
	for i := range c.users {
		c.users[i].crowd, c.users[i].index = c, uint32(i)
	}
	for range steps {
		i := r.IntN(people)
		u := &c.users[i]
		switch r.IntN(8) {
		case 0:
			m.enter(c, u, i)
		case 1:
			m.exit(c, u, i, r.IntN(2) == 0)
		case 2:
			m.send(t, c, u, i)
		default:
			m.deliver(c, u, i, r)
		}
		m.compare(t, c)
	}
}

func (m *roomModel) enter(c *crowd, u *user, i int) {
	if m.in[i] {
		return
	}
	u.state = joined
	c.enterLocked(u)
	m.in[i], m.since[i], m.high[i] = true, len(m.expected), len(m.expected)
}

func (m *roomModel) exit(c *crowd, u *user, i int, free bool) {
	if !m.in[i] {
		return
	}
	c.exitLocked(u, free)
	u.state = upgraded
	delete(m.in, i)
	for seq := max(m.since[i], m.high[i]-maxUnseen); free && seq < len(m.expected); seq++ {
		if !m.got[seq][i] {
			delete(m.expected[seq], i)
		}
	}
}

func (m *roomModel) send(t *testing.T, c *crowd, u *user, i int) {
	if !m.in[i] {
		return
	}
	others := i%2 == 0
	seq, ok := c.rooms[0].send(u, others)
	if !ok || int(seq) != len(m.expected) {
		t.Fatalf("message %d got number %d, %v", len(m.expected), seq, ok)
	}
	want := map[int]bool{}
	for j := range m.in {
		want[j] = !others || j != i
		if !want[j] {
			delete(want, j)
		}
	}
	m.expected, m.got, m.extra = append(m.expected, want), append(m.got, map[int]bool{}), append(m.extra, 0)
	if others {
		m.got[seq][i] = true // it has it, but nothing counts
		m.high[i] = int(seq) + 1
	}
}

// deliver brings a random one of the newest messages, perhaps again.
func (m *roomModel) deliver(c *crowd, u *user, i int, r *rand.Rand) {
	if len(m.expected) == 0 {
		return
	}
	seq := len(m.expected) - 1 - r.IntN(min(len(m.expected), maxUnseen/2))
	c.deliveredLocked(u, mark{seq: uint32(seq), due: c.clock()})
	switch {
	case !m.in[i] || seq < m.since[i]:
	case m.got[seq][i]:
		m.extra[seq]++
	default:
		m.got[seq][i] = true
		m.high[i] = max(m.high[i], seq+1)
	}
}

func (m *roomModel) compare(t *testing.T, c *crowd) {
	t.Helper()
	for _, a := range c.rooms[0].account(0).Messages {
		received := int64(0)
		for i := range m.got[a.Seq] {
			if m.expected[a.Seq][i] {
				received++
			}
		}
		if a.Expected != int64(len(m.expected[a.Seq])) || a.Received != received || a.Extra != m.extra[a.Seq] {
			t.Fatalf("message %d: expected %d, received %d, extra %d; the model says %d, %d, %d",
				a.Seq, a.Expected, a.Received, a.Extra, len(m.expected[a.Seq]), received, m.extra[a.Seq])
		}
	}
}

func TestRoomLost(t *testing.T) {
	c := &crowd{rooms: []*room{{topic: "t"}}, users: make([]user, 3), began: time.Now()}
	for i := range c.users {
		u := &c.users[i]
		u.crowd, u.state = c, joined
		c.enterLocked(u)
	}
	seq, _ := c.rooms[0].send(&c.users[0], false)
	c.deliveredLocked(&c.users[0], mark{seq: seq, due: c.clock()})
	c.exitLocked(&c.users[1], true)  // goes by itself: is forgiven
	c.exitLocked(&c.users[2], false) // is cut off: misses it
	if n := c.rooms[0].missing(); n != 1 {
		t.Errorf("%d missing, want 1", n)
	}
}
