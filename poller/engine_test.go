package poller_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
)

func TestEcho(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		mustWrite(t, c, []byte("hello"))
		if got := readFull(t, c, 5); string(got) != "hello" {
			t.Fatalf("got %q", got)
		}
		conn := wait(t, p.opened, "open")
		if got := conn.RemoteAddr().String(); got != c.LocalAddr().String() {
			t.Errorf("RemoteAddr %s, want %s", got, c.LocalAddr())
		}
		if got := conn.LocalAddr().String(); got != r.addr {
			t.Errorf("LocalAddr %s, want %s", got, r.addr)
		}
		c.Close()
		if err := wait(t, p.closed, "close"); !errors.Is(err, io.EOF) {
			t.Errorf("OnClose(%v), want io.EOF", err)
		}
	})
}

// Whatever the cuts, the handler sees the bytes in order.
func TestCutAtEveryByte(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept})
		msg := []byte("a message to be cut in two at every byte")
		for cut := 0; cut <= len(msg); cut++ {
			c := r.dial()
			mustWrite(t, c, msg[:cut])
			got := readFull(t, c, cut) // the first part was handled before the second is sent
			mustWrite(t, c, msg[cut:])
			if got = append(got, readFull(t, c, len(msg)-cut)...); !bytes.Equal(got, msg) {
				t.Fatalf("cut at %d: got %q", cut, got)
			}
			c.Close()
		}
	})
}

// More bytes than the read buffer and the socket buffers hold, through mailbox back-pressure.
func TestLargeStreamInOrder(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept, MailboxLimit: 2, OutboxLimit: 64 << 20, ReadBuffer: 4096})
		c := r.dial()
		sent := make([]byte, 16<<20)
		src := rand.NewChaCha8([32]byte{1})
		src.Read(sent)
		var wg sync.WaitGroup
		wg.Go(func() { mustWrite(t, c, sent) })
		got := readFull(t, c, len(sent))
		wg.Wait()
		if !bytes.Equal(got, sent) {
			t.Fatal("the echo differs")
		}
	})
}

// Tasks of one connection run one at a time and in order; those of another are not held up by it.
func TestTasksInOrderAndIndependent(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, MailboxLimit: 1 << 16})
		r.dial()
		slow := wait(t, p.opened, "open")
		r.dial()
		fast := wait(t, p.opened, "open")

		gate, running, next := make(chan struct{}), 0, 0
		done := make(chan struct{})
		slow.Do(task(func(poller.Conn) { <-gate }))
		const n = 5000
		for i := range n {
			slow.Do(task(func(poller.Conn) {
				if running++; running != 1 || next != i {
					t.Errorf("task %d: %d running, expected task %d", i, running, next)
				}
				next++
				running--
				if i == n-1 {
					close(done)
				}
			}))
		}
		other := make(chan struct{})
		fast.Do(task(func(poller.Conn) { close(other) }))
		wait(t, other, "task of the other connection")
		close(gate)
		wait(t, done, "last task")
	})
}

// What several goroutines send arrives whole, and each one's in its order.
func TestSendsInOrderPerGoroutine(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, OutboxLimit: 64 << 20})
		c := r.dial()
		conn := wait(t, p.opened, "open")
		const senders, each, size = 4, 2000, 512
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := range each {
					b := bytes.Repeat([]byte{byte(s)}, size)
					binary.BigEndian.PutUint32(b[1:], uint32(i))
					send := conn.Send
					if i%2 == 1 {
						send = conn.Write
					}
					if err := send(b); err != nil {
						t.Errorf("sender %d, message %d: %v", s, i, err)
						return
					}
				}
			})
		}
		var next [senders]uint32
		for range senders * each {
			b := readFull(t, c, size)
			s := b[0]
			if i := binary.BigEndian.Uint32(b[1:]); i != next[s] || b[size-1] != s {
				t.Fatalf("sender %d: got message %d (tail %d), want %d", s, i, b[size-1], next[s])
			}
			next[s]++
		}
		wg.Wait()
	})
}

// Our close lets queued tasks run and their bytes out, and does not destroy what the peer has not
// read, although unread bytes of the peer are still arriving.
func TestCloseIsOrderly(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		conn := wait(t, p.opened, "open")
		gate := make(chan struct{})
		conn.Do(task(func(c poller.Conn) { <-gate; c.Write([]byte("last words")) }))
		conn.Close()
		if _, err := conn.Do(task(func(poller.Conn) {})); err != poller.ErrClosed {
			t.Errorf("Do after Close: %v, want ErrClosed", err)
		}
		mustWrite(t, c, make([]byte, 1<<20)) // dropped, not answered with RST
		close(gate)
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "last words" {
			t.Errorf("read %q, %v", got, err)
		}
		if err := wait(t, p.closed, "close"); err != nil {
			t.Errorf("OnClose(%v), want nil", err)
		}
		if err := conn.Write([]byte("x")); err != poller.ErrClosed {
			t.Errorf("Write after the close: %v, want ErrClosed", err)
		}
	})
}

// A peer that finishes sending still gets the answers to what it sent.
func TestHalfClose(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		gate := make(chan struct{})
		p.data = func(c poller.Conn, b []byte) int {
			b = append([]byte(nil), b...)
			c.Do(task(func(c poller.Conn) { <-gate; c.Write(b) }))
			return len(b)
		}
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		mustWrite(t, c, []byte("question"))
		c.CloseWrite()
		close(gate)
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "question" {
			t.Errorf("read %q, %v", got, err)
		}
		if err := wait(t, p.closed, "close"); !errors.Is(err, io.EOF) {
			t.Errorf("OnClose(%v), want io.EOF", err)
		}
	})
}

func TestPeerReset(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		wait(t, p.opened, "open")
		c.SetLinger(0)
		c.Close()
		if err := wait(t, p.closed, "close"); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("OnClose(%v), want the kernel's error", err)
		}
	})
}

func TestAbort(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		why := errors.New("because")
		wait(t, p.opened, "open").Abort(why)
		if err := wait(t, p.closed, "close"); err != why {
			t.Errorf("OnClose(%v), want %v", err, why)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the peer read something")
		}
	})
}

// A handle that outlives its connection never reaches the descriptor's next owner.
func TestDescriptorReuse(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept})
		var stale []poller.Conn
		for i := range 200 {
			c := r.dial()
			conn := wait(t, p.opened, "open")
			for _, s := range stale {
				if err := s.Write([]byte("stray")); err != poller.ErrClosed {
					t.Fatalf("round %d: Write to a closed connection: %v", i, err)
				}
				s.SetDeadline(1)
				s.Abort(io.ErrUnexpectedEOF)
			}
			conn.Write([]byte("mine"))
			if got := readFull(t, c, 4); string(got) != "mine" {
				t.Fatalf("round %d: got %q", i, got)
			}
			c.Close()
			wait(t, p.closed, "close")
			stale = append(stale, conn)
		}
	})
}

func TestShutdownClosesConnections(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = echo
		r := start(poller.Config{Accept: p.accept})
		var peers []peerConn
		for range 20 {
			c := r.dial()
			mustWrite(t, c, []byte("x"))
			readFull(t, c, 1)
			peers = append(peers, c)
		}
		var wg sync.WaitGroup
		for _, c := range peers {
			wg.Go(func() {
				if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
					t.Errorf("peer read %q, %v; want a clean end", b, err)
				}
				c.Close()
			})
		}
		if err := r.stop(patience); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		wg.Wait()
		if _, err := net.Dial("tcp", r.addr); err == nil {
			t.Error("the listener is still open")
		}
	})
}

// A shutdown whose context has ended resets what is left and still leaves nothing behind.
func TestShutdownAtItsDeadline(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept})
		r.dial()
		conn := wait(t, p.opened, "open")
		gate := make(chan struct{})
		conn.Do(task(func(poller.Conn) { <-gate }))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		close(gate)
		wait(t, p.closed, "close")
	})
}

func TestConfigIsValidated(t *testing.T) {
	for _, cfg := range []poller.Config{
		{},
		{Accept: newProbe().accept, Loops: -1},
		{Accept: newProbe().accept, WriteTimeout: -1},
		{Accept: newProbe().accept, LingerTimeout: 1 << 62},
	} {
		for _, e := range engines {
			if _, err := e.make(cfg); err == nil {
				t.Errorf("%s: no error for %+v", e.name, cfg)
			}
		}
	}
}
