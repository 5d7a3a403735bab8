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
}

// TestRoomAccount plays random comings, goings, sends and deliveries against a model of sets.
func TestRoomAccount(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 8 {
		playRoom(t, r)
	}
}

func playRoom(t *testing.T, r *rand.Rand) {
	const people, steps = 8, 1200
	// However slow this machine is, nothing is lost for the time that it took.
	c := &crowd{rooms: []*room{{topic: "t", slowest: time.Hour}}, users: make([]user, people), began: time.Now()}
	m := &roomModel{in: map[int]bool{}, since: map[int]int{}}
	for i := range c.users {
		c.users[i].crowd, c.users[i].index = c, uint32(i)
	}
	for range steps {
		i := r.IntN(people)
		u := &c.users[i]
		switch r.IntN(64) { // a member stays for some 100 messages
		case 0, 1, 2, 3:
			m.enter(c, u, i)
		case 4:
			m.exit(c, u, i, r.IntN(2) == 0)
		case 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16:
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
	m.in[i], m.since[i] = true, len(m.expected)
}

func (m *roomModel) exit(c *crowd, u *user, i int, free bool) {
	if !m.in[i] {
		return
	}
	c.exitLocked(u, free)
	u.state = upgraded
	delete(m.in, i)
	for seq := m.since[i]; free && seq < len(m.expected); seq++ {
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
	}
}

// deliver brings a random one of the newest messages, perhaps again: what a member knows by itself and what is owed
// to it are mixed.
func (m *roomModel) deliver(c *crowd, u *user, i int, r *rand.Rand) {
	if len(m.expected) == 0 {
		return
	}
	seq := len(m.expected) - 1 - r.IntN(min(len(m.expected), 2*maxUnseen))
	c.deliveredLocked(u, mark{seq: uint32(seq), due: c.clock()})
	switch {
	case !m.in[i] || seq < m.since[i]:
	case m.got[seq][i]:
		m.extra[seq]++
	default:
		m.got[seq][i] = true
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

// Who leaves has lost what was overtaken, unless the target has stood still for as long, or does.
func TestRoomOvertaken(t *testing.T) {
	var c *crowd
	send := func() uint32 {
		seq, _ := c.rooms[0].send(&c.users[0], false)
		return seq
	}
	pass := func(d time.Duration) { c.began = c.began.Add(-d) }
	deliver := func(seq uint32, after time.Duration) {
		c.deliveredLocked(&c.users[0], mark{seq: seq, due: c.clock() - int64(after)})
	}
	for _, row := range []struct {
		what   string
		missed int64
		do     func()
	}{
		{"it has stood still", 0, func() {
			seq := send()
			pass(10 * time.Second)
			deliver(seq, 10*time.Second)
		}},
		{"it stands still", 0, func() { deliver(send(), 0); pass(10 * time.Second) }},
		{"it goes on", 0, func() { deliver(send(), 0); pass(10 * time.Second); deliver(send(), 0) }},
		{"it is lost", 1, func() {
			for range 10 {
				deliver(send(), 0)
				pass(time.Second)
			}
		}},
	} {
		c = &crowd{rooms: []*room{{topic: "t"}}, users: make([]user, 1), began: time.Now().Add(-time.Minute)}
		c.users[0].crowd, c.users[0].state = c, joined
		c.enterLocked(&c.users[0])
		send() // which the others overtake
		row.do()
		c.exitLocked(&c.users[0], true)
		if n := c.rooms[0].missing(); n != row.missed {
			t.Errorf("%s: %d missing, want %d", row.what, n, row.missed)
		}
	}
}

// What is owed to users is bounded, and goes with them.
func TestRoomOwed(t *testing.T) {
	c := &crowd{rooms: []*room{{topic: "t", shared: true}}, users: make([]user, 2), began: time.Now()}
	r := c.rooms[0]
	for i := range c.users {
		u := &c.users[i]
		u.crowd, u.index, u.state = c, uint32(i), joined
		c.enterLocked(u)
	}
	for i := range c.users {
		c.deliveredLocked(&c.users[i], mark{seq: uint32(c.maxMessages() - 1), due: c.clock()})
	}
	if want := c.maxMessages(); r.debts != want {
		t.Errorf("%d are owed, want no more than %d", r.debts, want)
	}
	for i := range c.users {
		c.exitLocked(&c.users[i], i == 0)
	}
	if r.debts != 0 || len(r.owed) != 0 {
		t.Errorf("%d are still owed, to %d who have left", r.debts, len(r.owed))
	}
}
