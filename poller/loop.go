package poller

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A loop is one epoll instance and the goroutine that waits on it. It reads for all its connections
// into one buffer and calls their handlers.
//
// The goroutine does not block in epoll_wait(2): the epoll descriptor itself is registered with the
// runtime's poller, so a loop without events is a parked goroutine like any other, holds no thread,
// and is made runnable on the same processor as the workers that it wakes.
type loop struct {
	e    *Epoll
	epfd int
	file *os.File // epfd, as the runtime's poller knows it
	raw  syscall.RawConn
	wake int // an eventfd; readable when ops has something

	turn    atomic.Uint64        // odd while the loop is lent, see lend.go
	serving atomic.Pointer[conn] // whose OnData is running; serving's own mark once that began work
	mark    *conn                // a connection that is none

	// Owned by the worker that runs the loop.
	events    []unix.EpollEvent
	buf       []byte
	now       uint32
	handUntil uint32 // work is handed to other workers until then; 0: it is not
	spare     []posted

	mu       sync.Mutex // protects the following
	ops      []posted
	runnable []*conn // those that have got tasks in this turn; before it ends only the loop's worker looks
	next     int     // the first of them that has not been seen to
	woken    bool
	ended    bool
}

// A posted op is what another goroutine asks of the loop.
type posted struct {
	c  *conn
	op op
}

// turnReads is how many full buffers one connection may read in a turn before the others' turn comes.
const turnReads = 2

// loopEvents is how many events one epoll_wait(2) returns at most.
const loopEvents = 256

// wakeFd marks the eventfd's events; no descriptor is negative.
const wakeFd = -1

func newLoop(e *Epoll) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, os.NewSyscallError("eventfd2", err)
	}
	l := &loop{e: e, epfd: epfd, wake: wake, events: make([]unix.EpollEvent, loopEvents), buf: make([]byte, e.cfg.ReadBuffer), mark: new(conn)}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeFd}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		unix.Close(epfd)
		unix.Close(wake)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil { // or NewFile leaves it out of the runtime's poller
		unix.Close(epfd)
		unix.Close(wake)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l.file = os.NewFile(uintptr(epfd), "epoll")
	if l.raw, err = l.file.SyscallConn(); err != nil {
		l.file.Close()
		unix.Close(wake)
		return nil, err
	}
	return l, nil
}

// run is the loop: wait, serve what is ready, do what was asked, see to the work that came of it. It
// returns when the engine ends, or when the loop has gone to another worker; on reports that the
// calling worker is a plain one then.
func (l *loop) run() (on bool) {
	n := 0
	ready := func(fd uintptr) bool {
		n, _ = unix.EpollWait(int(fd), l.events, 0)
		return n != 0
	}
	for {
		if err := l.raw.Read(ready); err != nil {
			panic("poller: waiting on an epoll descriptor failed: " + err.Error()) // the loop owns it: our bug
		}
		l.now = l.e.clock.now()
		for i := range max(n, 0) {
			l.dispatch(&l.events[i])
		}
		if l.runOps() {
			l.handRunnable()
			l.e.loopsDone.Done()
			return false
		}
		if !l.runTasks() {
			return true
		}
	}
}

// dispatch handles one event. A datum whose generation is not the one of the connection at that
// descriptor is from a former owner, closed earlier in this very batch.
func (l *loop) dispatch(ev *unix.EpollEvent) {
	if ev.Fd == wakeFd {
		return // ops are looked at in every turn; edge-triggered, so it needs no read(2)
	}
	var c *conn
	if s := l.e.table.at(int(ev.Fd)); s != nil {
		c = s.conn.Load()
	}
	if c == nil || c.gen != uint32(ev.Pad) {
		l.e.counters.stale.Add(1)
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		c.flush(c, &l.e.base)
	}
	if ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && c.is(stPaused|stFull) {
		c.abort(c, &l.e.base, unix.ECONNRESET) // nobody reads it now, so nobody else would see it
		return
	}
	if ev.Events&^unix.EPOLLOUT != 0 {
		l.serve(c, ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// runOps does what was posted until nothing is, and reports whether the loop shall end.
func (l *loop) runOps() bool {
	for {
		l.mu.Lock()
		ops := l.ops
		l.ops, l.spare = l.spare[:0], nil
		l.woken = false
		ended := l.ended
		l.mu.Unlock()
		if len(ops) == 0 {
			l.spare = ops
			return ended
		}
		for i, p := range ops {
			ops[i] = posted{}
			l.runOp(p)
		}
		if cap(ops) <= loopEvents {
			l.spare = ops
		}
	}
}

func (l *loop) runOp(p posted) {
	switch p.op {
	case opRead:
		l.serve(p.c, true)
	case opTimeout:
		p.c.timeout(p.c, &l.e.base)
	case opDestroy:
		l.destroy(p.c, nil)
	}
}

// post has the loop do op for c in its next turn.
func (l *loop) post(c *conn, op op) {
	l.mu.Lock()
	if c != nil {
		l.ops = append(l.ops, posted{c, op})
	}
	wake := !l.woken
	l.woken = true
	l.mu.Unlock()
	if wake {
		l.interrupt()
	}
}

// interrupt makes the eventfd's counter move, which is an edge whatever it was. It cannot fail before
// 2^64-1 of them.
func (l *loop) interrupt() {
	one := [8]byte{0: 1}
	_, _ = unix.Write(l.wake, one[:])
}

// end makes run return once nothing is left to do. All connections are gone.
func (l *loop) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.post(nil, opRead)
}

// close frees the loop's descriptors. No goroutine may be about to wake it any more.
func (l *loop) close() {
	l.file.Close()
	unix.Close(l.wake)
}
