package poller_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/poller"
)

// small is a socket buffer that fills soon. The kernel doubles it and has a lower bound of its own.
const small = 4 << 10

// dialSlow is dial with small buffers on the peer's side; startSlow's listener has them on ours.
func (r *rig) dialSlow() peerConn {
	d := net.Dialer{Control: shrink}
	c, err := d.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return peerConn{c.(*net.TCPConn)}
}

func shrink(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, small)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, small)
	})
}

// fill sends numbered frames until one is refused and returns what was accepted.
func fill(t *testing.T, c poller.Conn, size int) (accepted []byte) {
	t.Helper()
	for i := 0; i < 1<<20; i++ {
		p := bytes.Repeat([]byte{byte(i)}, size)
		switch err := c.Write(p); err {
		case nil:
			accepted = append(accepted, p...)
		case poller.ErrOutboxFull:
			return accepted
		default:
			t.Fatalf("write %d: %v", i, err)
		}
	}
	t.Fatal("nothing was ever refused")
	return nil
}

func TestSlowReaderMeetsTheOutboxLimit(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		const limit, size = 64 << 10, 1000
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, OutboxLimit: limit})
		c := r.dialSlow()
		conn := wait(t, p.opened, "open")
		want := fill(t, conn, size)
		if n := conn.Outbox(); n > limit || n < limit-size {
			t.Errorf("%d bytes wait, want just below %d", n, limit)
		}
		if s := r.Stats(); s.OutboxFull != 1 {
			t.Errorf("OutboxFull is %d, want 1", s.OutboxFull)
		}
		if got := readFull(t, c, len(want)); !bytes.Equal(got, want) {
			t.Fatal("what arrived is not what was accepted")
		}
		eventually(t, "an empty outbox", func() bool { return conn.Outbox() == 0 })
		conn.Send([]byte("after"))
		if got := readFull(t, c, 5); string(got) != "after" {
			t.Errorf("then got %q", got)
		}
	})
}

// A truncated consumer gets the frame that had begun whole, then the last words, then FIN.
func TestTruncate(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		const size = 10_000
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, OutboxLimit: 256 << 10})
		c := r.dialSlow()
		conn := wait(t, p.opened, "open")
		sent := fill(t, conn, size)
		conn.Truncate([]byte("last words"))
		if err := conn.Write([]byte("x")); err != poller.ErrClosed {
			t.Errorf("Write after Truncate: %v, want ErrClosed", err)
		}
		if err := wait(t, p.closed, "close"); err != poller.ErrOutboxFull {
			t.Errorf("OnClose(%v), want ErrOutboxFull", err)
		}
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		body, ok := bytes.CutSuffix(got, []byte("last words"))
		if !ok || len(body)%size != 0 || !bytes.HasPrefix(sent, body) || len(body) == len(sent) {
			t.Errorf("got %d of %d bytes, last words: %t; want whole frames, not all, then the last words", len(body), len(sent), ok)
		}
	})
}

func TestCloseWith(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, OutboxLimit: 64 << 10})
		c := r.dialSlow()
		conn := wait(t, p.opened, "open")
		want := append(fill(t, conn, 1000), "last words"...)
		conn.CloseWith([]byte("last words"))
		if err := wait(t, p.closed, "close"); err != nil {
			t.Errorf("OnClose(%v), want nil", err)
		}
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
		}
	})
}

func TestWriteTimeout(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, WriteTimeout: 40 * time.Millisecond, OutboxLimit: 32 << 10})
		r.dialSlow()
		conn := wait(t, p.opened, "open")
		begun := time.Now()
		for conn.Outbox() == 0 && conn.Write(make([]byte, 1000)) == nil { // it may be over by the second
		}
		if err := wait(t, p.closed, "close"); err != poller.ErrWriteTimeout {
			t.Errorf("OnClose(%v), want ErrWriteTimeout", err)
		}
		if d := time.Since(begun); d < 40*time.Millisecond {
			t.Errorf("closed after %v", d)
		}
		eventually(t, "it is counted as closed", func() bool { return r.Stats().Closed == 1 })
		if s := r.Stats(); s.WriteTimeouts != 1 {
			t.Errorf("WriteTimeouts is %d, want 1", s.WriteTimeouts)
		}
	})
}

// At its limit a mailbox stops the reading, so that the peer's writes stall; once it drains, all goes
// on in order and nothing is lost.
func TestMailboxLimitStallsThePeer(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		const limit, message, total = 4, 512, 12 << 20
		gate, got := make(chan struct{}), make(chan []byte, 64)
		p, taken := newProbe(), new(atomic.Int64)
		p.data = messages(message, taken, func(m []byte) { <-gate; got <- m })
		r := start(poller.Config{Accept: p.accept, MailboxLimit: limit, ReadBuffer: 4096, GoroutineBuffer: 4096})
		c := r.dialSlow()
		sent := make([]byte, total)
		for i := range sent {
			sent[i] = byte(i / message)
		}
		var written atomic.Int64
		go func() {
			for b := sent; len(b) > 0; b = b[message:] {
				if _, err := c.Write(b[:message]); err != nil {
					return
				}
				written.Add(message)
			}
		}()
		eventually(t, "the mailbox to fill", func() bool { return taken.Load() >= limit*message })
		if !r.readsOn {
			eventually(t, "the peer to stall", stalled(&written))
			if n := written.Load(); n >= total {
				t.Fatalf("the peer wrote all %d bytes although nobody took them", n)
			}
		}
		if n := taken.Load(); n > (limit+1)*message { // one runs, limit wait
			t.Errorf("%d bytes were taken, want at most %d", n, (limit+1)*message)
		}
		close(gate)
		for i := 0; i < total; i += message {
			if m := wait(t, got, "message"); !bytes.Equal(m, sent[i:i+message]) {
				t.Fatalf("message at %d differs", i)
			}
		}
	})
}

// An engine that cannot slow its peer down gives up a connection that fills its memory.
func TestUnreadBytesAreBounded(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = func(c poller.Conn, b []byte) int { c.Pause(); return 0 }
		r := start(poller.Config{Accept: p.accept})
		if !r.readsOn {
			t.Skip("TestMailboxLimitStallsThePeer is its bound")
		}
		c := r.dial()
		go io.Copy(c, zeros{}) // until it is reset
		if err := wait(t, p.closed, "close"); err != poller.ErrMailboxFull {
			t.Errorf("OnClose(%v), want ErrMailboxFull", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// messages is an OnData that cuts the stream into messages and has a task handle each.
func messages(size int, taken *atomic.Int64, handle func([]byte)) func(poller.Conn, []byte) int {
	var part []byte
	return func(c poller.Conn, b []byte) (took int) {
		for took < len(b) {
			n := min(size-len(part), len(b)-took)
			part = append(part, b[took:took+n]...)
			took += n
			if len(part) < size {
				return took
			}
			m := part
			part = nil
			taken.Add(int64(size))
			if full, err := c.Do(task(func(poller.Conn) { handle(m) })); full || err != nil {
				return took
			}
		}
		return took
	}
}

// stalled returns a condition that holds once n has not moved for 50 looks of eventually.
func stalled(n *atomic.Int64) func() bool {
	last, same := int64(-1), 0
	return func() bool {
		if now := n.Load(); now != last {
			last, same = now, 0
		}
		same++
		return same > 50
	}
}

func TestMailboxRefusesTasksFromElsewhere(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		const limit = 4
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, MailboxLimit: limit})
		r.dial()
		conn := wait(t, p.opened, "open")
		gate, running := make(chan struct{}), make(chan struct{})
		conn.Do(task(func(poller.Conn) { close(running); <-gate }))
		wait(t, running, "first task")
		var ran atomic.Int64
		for i := 1; i <= 4*limit; i++ {
			full, err := conn.Do(task(func(poller.Conn) { ran.Add(1) }))
			if err != nil || full != (i >= limit) {
				t.Errorf("task %d: full %t, %v", i, full, err)
			}
		}
		if _, err := conn.Do(task(func(poller.Conn) { ran.Add(1) })); err != poller.ErrMailboxFull {
			t.Errorf("one more: %v, want ErrMailboxFull", err)
		}
		close(gate)
		eventually(t, "all accepted tasks", func() bool { return ran.Load() == 4*limit })
		if s := r.Stats(); s.MailboxFull != 1 {
			t.Errorf("MailboxFull is %d, want 1", s.MailboxFull)
		}
	})
}

// A connection with endless tasks does not keep the only worker from the others.
func TestOneWorkerIsFair(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept, Workers: 1, MailboxLimit: 1 << 10})
		r.dial()
		greedy := wait(t, p.opened, "open")
		var stop atomic.Bool
		t.Cleanup(func() { stop.Store(true) })
		var again task
		again = func(c poller.Conn) {
			if !stop.Load() {
				c.Do(again)
			}
		}
		for range 8 {
			greedy.Do(again)
		}
		for i := range 20 {
			c := r.dial()
			mustWrite(t, c, []byte{byte(i)})
			if got := readFull(t, c, 1); got[0] != byte(i) {
				t.Fatalf("got %d, want %d", got[0], i)
			}
		}
		stop.Store(true)
	})
}

func TestMaxConns(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept, MaxConns: 2})
		a := r.dial()
		r.dial()
		wait(t, p.opened, "open")
		wait(t, p.opened, "open")
		if _, err := r.dial().Read(make([]byte, 1)); err == nil {
			t.Error("a third connection was served")
		}
		eventually(t, "the count of the third", func() bool { return r.Stats().OverLimit == 1 })
		ours, theirs := pair(t)
		if err := r.Attach(ours, p, nil); err != poller.ErrMaxConns {
			t.Errorf("Attach: %v, want ErrMaxConns", err)
		}
		if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the refused one's peer read %v, want EOF", err)
		}
		a.Close()
		wait(t, p.closed, "close")
		eventually(t, "room", func() bool { return r.Stats().Open == 1 })
		c := r.dial()
		mustWrite(t, c, []byte("x"))
		readFull(t, c, 1)
	})
}

// pair returns the two ends of a loopback connection.
func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	near.SetDeadline(time.Time{})
	return near.(*net.TCPConn), far.(*net.TCPConn)
}
