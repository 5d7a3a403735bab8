package bench

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A crowd is all the users of a generator, and what they have seen.
type crowd struct {
	cfg     Config
	targets []*target
	sources *sources
	engine  *poller.Epoll
	script  script
	unsent  int64                  // messages and requests that were due and not sent; owned by the traffic
	server  atomic.Pointer[string] // the Server header of the first upgrade
	watch   *watch
	run     uint32 // marks of other runs are not ours

	began time.Time
	epoch int64 // began, in nanoseconds since 1970 by the conductor's clock

	users      []user // the memory of those who have not arrived is not touched, so that it takes none
	arrived    atomic.Int32
	rooms      []*room
	counts     counters
	handshakes handshakeQueue
	pending    atomic.Int64 // users on their way into their topic, until that is counted
	awaiting   atomic.Int64 // requests without an answer, until that is counted
	latency    [latencies]recorder
	deliver    atomic.Int32 // which recorder the times of deliveries go to

	mu     sync.Mutex // protects the following
	errors map[string]*ErrorCount
}

// counters are [Counts] as they are counted.
type counters struct {
	open, connected, joined                                     atomic.Int64
	users, dials, upgrades, joins, leaves, closed, lost         atomic.Int64
	heartbeats, sent, answered, delivered, errors, bytesIn, out atomic.Int64
}

// newCrowd readies the users of cfg, which was checked. allow is [Local]'s.
func newCrowd(ctx context.Context, cfg Config, s script, allow func(string, netip.AddrPort) error) (*crowd, error) {
	c := &crowd{cfg: cfg, script: s, run: uint32(cfg.Seed ^ cfg.Seed>>32), errors: map[string]*ErrorCount{}}
	err := c.resolveTargets(ctx, allow)
	if err != nil {
		return nil, err
	}
	if c.sources, err = newSources(&c.cfg, c.targets, cfg.Connections); err != nil {
		return nil, err
	}
	if c.engine, err = poller.NewEpoll(poller.Config{Accept: refuse, WriteTimeout: max(cfg.Timeout, writePatience)}); err != nil {
		return nil, err
	}
	c.users = make([]user, cfg.Connections)
	c.rooms = c.makeRooms()
	c.deliver.Store(atDeliver)
	c.watch = newWatch()
	c.began = time.Now()
	c.epoch = c.began.UnixNano() - int64(cfg.ClockOffset)
	return c, nil
}

// resolveTargets finds the addresses to connect to, once for the whole run.
func (c *crowd) resolveTargets(ctx context.Context, allow func(string, netip.AddrPort) error) error {
	for _, raw := range c.cfg.URLs {
		t, err := newTarget(&c.cfg, raw)
		if err != nil {
			return err
		}
		if err := t.resolve(ctx); err != nil {
			return err
		}
		for _, a := range t.addrs {
			if allow == nil {
				break
			}
			if err := allow(t.name, a); err != nil {
				return err
			}
		}
		c.targets = append(c.targets, t)
	}
	return nil
}

// arrive makes the next user, who is not connected yet.
func (c *crowd) arrive() *user {
	i := int(c.arrived.Load())
	u := &c.users[i]
	u.crowd, u.index, u.room = c, uint32(i), uint32(i%len(c.rooms))
	c.arrived.Add(1)
	return u
}

// present are the users who have arrived, whatever has become of them.
func (c *crowd) present() []user { return c.users[:c.arrived.Load()] }

// writePatience is how long a target may leave what is sent to it unread.
const writePatience = 30 * time.Second

// refuse is the Accept of an engine that has no listener.
func refuse(poller.Conn) poller.Handler { panic("bench: an accepted connection") }

// clock is the conductor's wall clock in nanoseconds.
func (c *crowd) clock() int64 { return c.epoch + c.now() }

func (u *user) keyLocked() [24]byte {
	return upgradeKey(u.crowd.cfg.Seed, u.index, u.tries)
}

// dialLocked opens the connection of user i and sends the upgrade request. The user's lock keeps its
// callbacks waiting until the link is there.
func (u *user) dialLocked(t *target, i int, remote netip.AddrPort) error {
	c := u.crowd
	local := c.sources.pick(i, remote)
	if t.tls != nil {
		return u.dialTLSLocked(t, local, remote)
	}
	conn, err := c.engine.Dial(local, remote, u)
	if err != nil {
		return err
	}
	u.link = conn
	u.requestLocked(t)
	return nil
}

func (u *user) dialTLSLocked(t *target, local netip.Addr, remote netip.AddrPort) error {
	l := newTLSLink(t.tls, &u.crowd.handshakes, u, func(err error) { u.secured(t, err) })
	conn, err := u.crowd.engine.Dial(local, remote, l)
	if err != nil {
		return err
	}
	u.link = l
	l.attach(conn)
	return nil
}

// secured goes on when the TLS handshake is done, or has failed.
func (u *user) secured(t *target, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state != connecting || u.link == nil {
		return
	}
	if err != nil {
		u.endLocked(err)
		return
	}
	u.requestLocked(t)
}

func (u *user) requestLocked(t *target) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = t.appendUpgrade(s.b[:0], u.keyLocked())
	if u.link.Write(s.b) == nil {
		u.crowd.counts.out.Add(int64(len(s.b)))
	}
}

// outLocked takes a user whose connection ends out of the gauges and of its room. free is as for
// exitLocked.
func (c *crowd) outLocked(u *user, free bool) {
	if u.state >= upgraded && u.state < ending {
		c.counts.connected.Add(-1)
	}
	if u.state == joined {
		c.exitLocked(u, free)
	}
}

// endedLocked counts a connection that the target has ended. That of a reader who had stopped reading is
// what the target should do, and no error.
func (c *crowd) endedLocked(u *user, said error) {
	if u.flags&deaf != 0 {
		c.script.cutOff(u, said)
		return
	}
	c.counts.lost.Add(1)
	c.fail(said)
}

// maxErrorKinds bounds what a target can make us remember.
const maxErrorKinds = 200

// fail counts an error.
func (c *crowd) fail(err error) {
	c.counts.errors.Add(1)
	kind, fix := errorKind(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.errors[kind]
	if e == nil {
		if len(c.errors) >= maxErrorKinds {
			kind, fix = "other", "there are more kinds than are told apart: look at the first ones"
		}
		if e = c.errors[kind]; e == nil {
			e = &ErrorCount{Kind: kind, Example: err.Error(), Fix: fix}
			c.errors[kind] = e
		}
	}
	e.Count++
}

// errorCounts returns the kinds of errors, the most frequent first.
func (c *crowd) errorCounts() []ErrorCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []ErrorCount
	for _, e := range c.errors {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Kind, b.Kind))
	})
	return list
}

func (c *crowd) snapshot() Counts {
	n := &c.counts
	return Counts{
		Open: n.open.Load(), Connected: n.connected.Load(), Joined: n.joined.Load(),
		Users: n.users.Load(), Dials: n.dials.Load(), Upgrades: n.upgrades.Load(), Joins: n.joins.Load(),
		Leaves: n.leaves.Load(), Closed: n.closed.Load(), Lost: n.lost.Load(), Heartbeats: n.heartbeats.Load(),
		Sent: n.sent.Load(), Answered: n.answered.Load(), Delivered: n.delivered.Load(), Errors: n.errors.Load(),
		BytesIn: n.bytesIn.Load(), BytesOut: n.out.Load(),
	}
}
