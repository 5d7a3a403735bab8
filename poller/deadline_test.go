package poller_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/e2e/windowtest"
	"github.com/dormouse-ws/dormouse/poller"
)

// A fixed deadline comes once, not early, and although bytes keep coming.
func TestDeadline(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		const d = 60 * time.Millisecond
		p := newProbe()
		fired := make(chan time.Time, 16)
		p.timeout = func(poller.Conn) { fired <- time.Now() }
		p.data = func(c poller.Conn, b []byte) int { c.Write(b); return len(b) }
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		conn := wait(t, p.opened, "open")
		begun := time.Now()
		conn.SetDeadline(d)
		for fires := 0; fires == 0; {
			mustWrite(t, c, []byte("x"))
			readFull(t, c, 1)
			select {
			case at := <-fired:
				fires++
				if after := at.Sub(begun); after < d {
					t.Errorf("fired after %v, want not before %v", after, d)
				}
			default:
			}
			if time.Since(begun) > patience {
				t.Fatal("it never fired")
			}
		}
		conn.SetIdleTimeout(d) // a second event to wait for, and the first must not come again meanwhile
		wait(t, fired, "idle timeout")
		if len(fired) != 0 {
			t.Error("a deadline fired twice")
		}
	})
}

// An idle timeout is put off by bytes, and comes without them.
func TestIdleTimeout(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			windowtest.Run(t, 100*time.Millisecond, func(t testing.TB, d time.Duration) {
				idleTimeout(t, d, func(cfg poller.Config) *rig { return startRig(t, e.make, cfg) })
			})
		})
	}
}

func idleTimeout(t testing.TB, d time.Duration, start starter) {
	p := newProbe()
	fired, bytes := make(chan time.Time, 16), make(chan time.Time, 1<<20)
	p.timeout = func(poller.Conn) { fired <- time.Now() }
	p.data = func(c poller.Conn, b []byte) int { bytes <- time.Now(); c.Write(b); return len(b) }
	r := start(poller.Config{Accept: p.accept})
	c := r.dial()
	wait(t, p.opened, "open").SetIdleTimeout(d)
	for begun := time.Now(); time.Since(begun) < 3*d; {
		mustWrite(t, c, []byte("x"))
		readFull(t, c, 1)
	}
	at := wait(t, fired, "timeout")
	var last time.Time
	for len(bytes) > 0 {
		if b := <-bytes; b.Before(at) {
			last = b
		}
	}
	// The clock counts whole milliseconds, from which a loop takes the time of its turn, in which it may be held up.
	if quiet := at.Sub(last); quiet < d-d/50 {
		t.Errorf("fired %v after the last byte, want not before %v", quiet, d)
	}
}

// What was taken back does not come; the wait is for a later one of another connection.
func TestDeadlineTakenBack(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		fired := make(chan poller.Conn, 16)
		p.timeout = func(c poller.Conn) { fired <- c }
		r := start(poller.Config{Accept: p.accept})
		r.dial()
		first := wait(t, p.opened, "open")
		r.dial()
		second := wait(t, p.opened, "open")
		inTime := true
		for _, set := range []func(time.Duration){first.SetDeadline, first.SetIdleTimeout} {
			d := 30 * time.Millisecond
			for begun := time.Now(); ; begun, d = time.Now(), 2*d {
				set(d)
				if set(0); time.Since(begun) < d {
					break
				}
				inTime = false // on a slow machine: it may have come rightly
			}
			second.SetDeadline(2 * d)
			for c := wait(t, fired, "timeout"); c != second; c = wait(t, fired, "timeout") {
				if inTime {
					t.Error("a deadline fired that had been taken back")
				}
			}
		}
	})
}

// A deadline of a closed connection does not hit the next owner of its slot.
func TestDeadlineOfReusedSlot(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		fired := make(chan poller.Conn, 16)
		p.timeout = func(c poller.Conn) { fired <- c }
		r := start(poller.Config{Accept: p.accept})
		bare := map[poller.Conn]bool{} // connections that never had a deadline
		for range 20 {
			c := r.dial()
			wait(t, p.opened, "open").SetDeadline(40 * time.Millisecond)
			c.Close()
			wait(t, p.closed, "close")
			eventually(t, "the end", func() bool { return r.Stats().Open == 0 })
			r.dial().Close()
			bare[wait(t, p.opened, "open")] = true
			wait(t, p.closed, "close")
		}
		r.dial()
		last := wait(t, p.opened, "open")
		last.SetDeadline(80 * time.Millisecond)
		for c := wait(t, fired, "timeout"); c != last; c = wait(t, fired, "timeout") {
			if bare[c] {
				t.Error("a deadline of the slot's former owner fired")
			} // else its own did, on a slow machine
		}
	})
}

func TestLingerTimeout(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		r := start(poller.Config{Accept: p.accept, LingerTimeout: 40 * time.Millisecond})
		r.dial() // never closes
		conn := wait(t, p.opened, "open")
		begun := time.Now()
		conn.Close()
		wait(t, p.closed, "close")
		eventually(t, "the descriptor to be closed", func() bool { return r.Stats().Open == 0 })
		if d := time.Since(begun); d < 40*time.Millisecond {
			t.Errorf("closed after %v", d)
		}
	})
}

// Bytes that a paused handler did not take are the first that the next handler sees.
func TestPauseAndSetHandler(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p, next := newProbe(), newProbe()
		seen := make(chan string, 64)
		next.data = func(c poller.Conn, b []byte) int {
			seen <- string(b)
			clear(b) // data may be changed in place
			return len(b)
		}
		goOn := make(chan struct{})
		p.data = func(c poller.Conn, b []byte) int {
			c.Pause()
			c.Do(task(func(c poller.Conn) { <-goOn; c.SetHandler(next); c.Resume() }))
			return 2
		}
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		mustWrite(t, c, []byte("ab-held-"))
		wait(t, p.opened, "open")
		mustWrite(t, c, []byte("later"))
		close(goOn)
		got := ""
		for got != "-held-later" {
			if got += wait(t, seen, "bytes"); len(got) > len("-held-later") {
				t.Fatalf("got %q", got)
			}
		}
		c.Close()
		if err := wait(t, next.closed, "close"); !errors.Is(err, io.EOF) {
			t.Errorf("OnClose(%v), want io.EOF", err)
		}
	})
}

// While a connection is paused the peer's end waits behind the bytes before it.
func TestEndWhilePaused(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		paused, seen := make(chan poller.Conn, 1), make(chan string, 8)
		first := true
		p.data = func(c poller.Conn, b []byte) int {
			if first {
				first = false
				c.Pause()
				paused <- c
				return 0
			}
			seen <- string(b)
			return len(b)
		}
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		mustWrite(t, c, []byte("first"))
		conn := wait(t, paused, "pause")
		mustWrite(t, c, []byte("second"))
		c.CloseWrite()
		conn.Resume()
		for got := ""; got != "firstsecond"; {
			got += wait(t, seen, "bytes")
		}
		if err := wait(t, p.closed, "close"); !errors.Is(err, io.EOF) {
			t.Errorf("OnClose(%v), want io.EOF", err)
		}
	})
}

func TestDetach(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		given := make(chan net.Conn, 1)
		p.data = func(c poller.Conn, b []byte) int {
			nc, err := c.Detach()
			if err != nil {
				t.Error(err)
			}
			given <- nc
			return len(b)
		}
		r := start(poller.Config{Accept: p.accept})
		c := r.dial()
		conn := wait(t, p.opened, "open")
		mustWrite(t, c, []byte("another protocol"))
		nc := wait(t, given, "net.Conn")
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		mustWrite(t, nc, []byte("reply"))
		if got := readFull(t, c, 5); string(got) != "reply" {
			t.Errorf("got %q", got)
		}
		mustWrite(t, c, []byte("more"))
		if got := readFull(t, nc, 4); string(got) != "more" {
			t.Errorf("got %q", got)
		}
		conn.Close() // a late call reaches nobody
		conn.Abort(io.ErrUnexpectedEOF)
		if err := conn.Write([]byte("stray")); err != poller.ErrClosed {
			t.Errorf("Write after Detach: %v, want ErrClosed", err)
		}
		if nc.RemoteAddr().String() != c.LocalAddr().String() {
			t.Errorf("RemoteAddr %v, want %v", nc.RemoteAddr(), c.LocalAddr())
		}
		c.CloseWrite()
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read %d, %v; want EOF", n, err)
		}
		if s := r.Stats(); s.Detached != 1 || s.Open != 0 || len(p.closed) != 0 {
			t.Errorf("%+v, %d calls of OnClose", s, len(p.closed))
		}
	})
}

// A detached connection has deadlines: one that is set wakes a Read, as net/http wants it.
func TestDetachedDeadline(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		given := make(chan net.Conn, 1)
		p.data = func(c poller.Conn, b []byte) int {
			nc, _ := c.Detach()
			given <- nc
			return len(b)
		}
		r := start(poller.Config{Accept: p.accept})
		mustWrite(t, r.dial(), []byte("x"))
		nc := wait(t, given, "net.Conn")
		defer nc.Close()
		woken := make(chan error, 1)
		go func() {
			_, err := nc.Read(make([]byte, 1))
			woken <- err
		}()
		nc.SetReadDeadline(time.Unix(1, 0))
		var timeout net.Error
		if err := wait(t, woken, "the end of Read"); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("Read: %v, want a timeout", err)
		}
	})
}

func TestDetachWhileBusy(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		gate, result := make(chan struct{}), make(chan error, 1)
		p.data = func(c poller.Conn, b []byte) int {
			c.Do(task(func(poller.Conn) { <-gate }))
			_, err := c.Detach()
			result <- err
			return len(b)
		}
		r := start(poller.Config{Accept: p.accept})
		mustWrite(t, r.dial(), []byte("x"))
		if err := wait(t, result, "Detach"); err != poller.ErrBusy {
			t.Errorf("Detach: %v, want ErrBusy", err)
		}
		close(gate)
	})
}

func TestAttach(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		p := newProbe()
		p.data = func(c poller.Conn, b []byte) int { c.Write(b); return len(b) }
		r := start(poller.Config{Accept: func(poller.Conn) poller.Handler { panic("Accept is not for attached ones") }})
		ours, theirs := pair(t)
		mustWrite(t, theirs, []byte("late"))
		if err := r.Attach(ours, p, []byte("early ")); err != nil {
			t.Fatal(err)
		}
		if got := readFull(t, theirs, 10); string(got) != "early late" {
			t.Errorf("got %q", got)
		}
		theirs.Close()
		wait(t, p.closed, "close")
		r.stop(patience)
		ours, _ = pair(t)
		if err := r.Attach(ours, p, nil); err != poller.ErrShutdown {
			t.Errorf("Attach after Shutdown: %v, want ErrShutdown", err)
		}
		if err := r.Attach(noSocket{}, p, nil); err == nil {
			t.Error("something without a socket was attached")
		}
	})
}

type noSocket struct{ net.Conn }

func (noSocket) Close() error { return nil }
