package poller

// This file tests parts whose edges the contract suite cannot reach from outside the package.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The size classes of the Go heap around them are 48, 64 and 80 bytes: one word more would cost a
// million idle connections 16 MB.
const (
	_ = uint(48 - unsafe.Sizeof(core{}))
	_ = uint(64 - unsafe.Sizeof(conn{}))
	_ = uint(16 - unsafe.Sizeof(slot[conn]{}))
)

func TestJudgeAccept(t *testing.T) {
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{unix.EMFILE, acceptWait},
		{unix.ENFILE, acceptWait},
		{unix.ENOBUFS, acceptWait},
		{unix.ENOMEM, acceptWait},
		{unix.ECONNABORTED, acceptNext},
		{unix.EINTR, acceptNext},
		{unix.EPROTO, acceptNext},
		{unix.EPERM, acceptNext},
		{unix.ENETDOWN, acceptNext},
		{unix.EHOSTUNREACH, acceptNext},
		{unix.ENETUNREACH, acceptNext},
		{unix.EBADF, acceptStop},
		{unix.EINVAL, acceptStop},
		{unix.ENOTSOCK, acceptStop},
		{net.ErrClosed, acceptStop},
		{errors.New("of somebody's own listener"), acceptStop},
	} {
		for _, err := range []error{c.err, os.NewSyscallError("accept4", c.err), &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", c.err)}} {
			if got := judgeAccept(err); got != c.want {
				t.Errorf("%v: verdict %d, want %d", err, got, c.want)
			}
		}
	}
}

func TestAcceptPause(t *testing.T) {
	var b base
	if err := b.init(Config{Accept: func(Conn) Handler { return nil }}); err != nil {
		t.Fatal(err)
	}
	defer b.workers.release(context.Background())
	calls := 0
	err := b.serve(func() (int, error) {
		switch calls++; calls {
		case 1, 3:
			return 0, unix.EMFILE
		case 2:
			return 1, unix.ECONNABORTED
		}
		return 0, unix.EBADF
	})
	if err != unix.EBADF || calls != 4 || b.Stats().AcceptErrors != 2 {
		t.Errorf("%v after %d calls, %d accept errors", err, calls, b.Stats().AcceptErrors)
	}
}

func TestClockWrapsAround(t *testing.T) {
	for _, c := range []struct {
		deadline, now uint32
		want          bool
	}{
		{0, 0, false}, {0, 1 << 31, false},
		{10, 9, false}, {10, 10, true}, {10, 11, true},
		{5, 1<<32 - 5, false}, // set before the wrap, for after it
		{1<<32 - 5, 5, true},  // the wrap came in between
		{10 + uint32(maxTimeout/time.Millisecond), 10, false},
	} {
		if got := due(c.deadline, c.now); got != c.want {
			t.Errorf("due(%d, %d) = %t", c.deadline, c.now, got)
		}
	}
	if later(1<<32-5, 5) == 0 {
		t.Error("a deadline at the wrap means none")
	}
	if stamp(0) == 0 || stamp((1<<32)*time.Millisecond) == 0 {
		t.Error("the clock shows no time")
	}
	for d, want := range map[time.Duration]uint32{
		-1: 1, 0: 1, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 1 << 62: uint32(maxTimeout / time.Millisecond),
	} {
		if got := millis(d); got != want {
			t.Errorf("millis(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var tb table[int]
	for _, i := range []int{-1, 0, chunkSlots, 1 << 20} {
		if tb.at(i) != nil {
			t.Errorf("an empty table has slot %d", i)
		}
	}
	far := tb.grow(5 * chunkSlots)
	if tb.at(0) != nil || tb.at(5*chunkSlots) != far {
		t.Error("only the chunk that was asked for shall exist")
	}
	near := tb.grow(chunkSlots - 1)
	if tb.at(5*chunkSlots) != far {
		t.Error("a slot has moved")
	}
	a, b := 1, 2
	near.conn.Store(&a)
	far.conn.Store(&b)
	var got []int
	tb.each(func(_ *slot[int], p *int) bool { got = append(got, *p); return true })
	if !slices.Equal(got, []int{1, 2}) {
		t.Errorf("each: %v", got)
	}
	tb.each(func(*slot[int], *int) bool { got = got[:0]; return false })
	near.read.Store(7)
	near.clear()
	if near.conn.Load() != nil || near.read.Load() != 0 {
		t.Error("a cleared slot is not free")
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := g; i < 20*chunkSlots; i += 97 {
				tb.grow(i)
			}
		})
	}
	wg.Wait()
	if tb.at(5*chunkSlots) != far || tb.at(chunkSlots-1) != near {
		t.Error("a slot has moved")
	}
}

func TestNumbers(t *testing.T) {
	var n numbers
	for want := range int32(3) {
		if got := n.take(); got != want {
			t.Errorf("take: %d, want %d", got, want)
		}
	}
	n.giveBack(1)
	if got := n.take(); got != 1 {
		t.Errorf("take: %d, want the one given back", got)
	}
	if got := n.take(); got != 3 {
		t.Errorf("take: %d, want 3", got)
	}
}

type numbered int

func (numbered) Run(Conn) {}

func TestMailboxKeepsOrder(t *testing.T) {
	m := newMailbox()
	pushed, popped := 0, 0
	for round := range 500 {
		for range round % 7 {
			m.push(numbered(pushed))
			pushed++
		}
		for range round % 5 {
			if m.waiting() == 0 {
				break
			}
			if got := m.pop(); got != numbered(popped) {
				t.Fatalf("popped %v, want %d", got, popped)
			}
			popped++
		}
		if m.waiting() != pushed-popped {
			t.Fatalf("%d wait, want %d", m.waiting(), pushed-popped)
		}
	}
	for ; popped < pushed; popped++ {
		if got := m.pop(); got != numbered(popped) {
			t.Fatalf("popped %v, want %d", got, popped)
		}
	}
	if m.pop() != nil {
		t.Error("an empty mailbox gave a task")
	}
	for i := range 4 * keptTasks {
		m.push(numbered(i))
	}
	tasks := m.tasks
	m.release()
	if cap(m.tasks) > keptTasks {
		t.Errorf("a pooled mailbox keeps %d slots", cap(m.tasks))
	}
	for _, task := range tasks[:cap(tasks)] {
		if task != nil {
			t.Fatal("a pooled mailbox keeps a task")
		}
	}
}

// A consumer that is always in the middle of a frame does not make the slice grow.
func TestOutboxOfAnEternalLaggardIsBounded(t *testing.T) {
	o := newOutbox()
	o.push(make([]byte, 10))
	o.took(5)
	for range 100_000 {
		o.push(make([]byte, 10))
		o.took(10)
	}
	if o.size != 5 || cap(o.frames) > 256 {
		t.Errorf("%d bytes wait in %d slots", o.size, cap(o.frames))
	}
}

func TestOutboxReleasesFrames(t *testing.T) {
	o := newOutbox()
	for range 2 * keptFrames {
		o.push([]byte{1})
	}
	o.vectors(maxVectors)
	frames, iov := o.frames, o.iov
	o.release()
	if cap(o.frames) > keptFrames {
		t.Errorf("a pooled outbox keeps %d slots", cap(o.frames))
	}
	for _, f := range slices.Concat(frames[:cap(frames)], iov[:cap(iov)]) {
		if f != nil {
			t.Fatal("a pooled outbox keeps a frame")
		}
	}
}

// FuzzOutbox holds an outbox against a model: a list of what is left of each frame.
func FuzzOutbox(f *testing.F) {
	f.Add([]byte{0, 5, 0, 3, 1, 4, 2, 1, 9})
	f.Add(bytes.Repeat([]byte{0, 9, 1, 5}, 200))
	f.Fuzz(func(t *testing.T, script []byte) {
		o := newOutbox()
		defer o.release()
		var want [][]byte
		begun, next := false, byte(0) // begun: of want[0] something is gone
		for i := 0; i+1 < len(script); i += 2 {
			n := int(script[i+1])
			switch script[i] % 3 {
			case 0:
				p := make([]byte, n)
				for j := range p {
					p[j] = next
					next++
				}
				if o.push(p); n > 0 {
					want = append(want, p)
				}
			case 1:
				n = min(n, o.size)
				o.took(n)
				for n > 0 {
					k := min(n, len(want[0]))
					want[0], n, begun = want[0][k:], n-k, true
					if len(want[0]) == 0 {
						want, begun = want[1:], false
					}
				}
			case 2:
				o.truncate()
				if begun {
					want = want[:1]
				} else {
					want = nil
				}
			}
			left, got := bytes.Join(want, nil), bytes.Join(o.vectors(len(script)), nil)
			if !bytes.Equal(got, left) || o.size != len(left) || o.empty() != (len(left) == 0) {
				t.Fatalf("step %d: %d bytes wait (size %d), want %d", i, len(got), o.size, len(left))
			}
		}
	})
}

type countdown struct {
	left int
	w    *workers
	ran  *[]string
	name string
	done chan string
}

func (c *countdown) run() bool {
	*c.ran = append(*c.ran, c.name)
	if c.left--; c.left == 0 {
		c.done <- c.name
		return false
	}
	return true
}

// An asked error looks around when somebody wants to know what it is.
type asked struct{ look func() }

func (asked) Error() string { return "asked" }

func (e asked) Is(error) bool { e.look(); return false }

// Who sees that a connection has closed sees why.
func TestReasonIsCountedFirst(t *testing.T) {
	var c counters
	times := 0
	c.closed(asked{func() {
		if times++; c.closedAll.Load() != 0 {
			t.Error("it is counted as closed, and not why")
		}
	}})
	if times == 0 || c.closedAll.Load() != 1 || c.failed.Load() != 1 {
		t.Errorf("closed %d, by failure %d; asked %d times", c.closedAll.Load(), c.failed.Load(), times)
	}
}

// With one worker, connections that have more to do take turns.
func TestWorkersTakeTurns(t *testing.T) {
	w, err := newWorkers(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.release(context.Background())
	gate, ran, done := make(chan struct{}), []string(nil), make(chan string, 2)
	w.submit(blocker(gate))
	for _, name := range []string{"a", "b"} {
		w.submit(&countdown{left: 3, w: w, ran: &ran, name: name, done: done})
	}
	if backlog, active := w.waiting(); backlog != 2 || active != 1 {
		t.Errorf("%d wait, %d active; want 2 and 1", backlog, active)
	}
	close(gate)
	<-done
	<-done
	if got := fmt.Sprint(ran); got != "[a b a b a b]" {
		t.Errorf("ran %s", got)
	}
}

// A deserter ends its worker in the middle of a task, once.
type deserter struct {
	w    *workers
	runs atomic.Int32
	left chan struct{}
}

func (d *deserter) run() bool {
	if d.runs.Add(1) == 1 {
		defer d.w.desert(d)
		d.w.mu.Lock() // what is left behind gets no further
		close(d.left)
		runtime.Goexit()
	}
	return false
}

// Who is released leaves nobody behind, also where a worker was deserted at the end.
func TestReleaseWaitsForTheDeserted(t *testing.T) {
	w, err := newWorkers(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, released := &deserter{w: w, left: make(chan struct{})}, make(chan error, 1)
	w.submit(d)
	<-d.left
	go func() { released <- w.release(context.Background()) }()
	select {
	case <-released:
		t.Fatal("release has not waited")
	case <-time.After(20 * time.Millisecond): // too short says nothing
	}
	w.mu.Unlock()
	if err := <-released; err != nil {
		t.Error(err)
	}
	if _, active := w.waiting(); active != 0 || d.runs.Load() != 2 {
		t.Errorf("%d active; it ran %d times, want 2", active, d.runs.Load())
	}
}

type blocker chan struct{}

func (b blocker) run() bool { <-b; return false }

// A Close between Accept and the registration makes the loop read before epoll knows the connection; if
// that uses up its turn there is nothing to modify yet, and the connection must live to end in order.
func TestTurnUsedUpBeforeRegistration(t *testing.T) {
	e, err := NewEpoll(Config{Accept: func(Conn) Handler { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	c := &conn{loop: e.loops[0], fd: int32(fds[0]), gen: 1}
	e.loops[0].again(c)
	if c.is(stGone) {
		t.Fatal("the connection was destroyed")
	}
}
