package poller_test

import (
	"errors"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/poller"
)

// A shaky handler panics where it is told to, and is an echo besides.
type shaky struct {
	*probe
	in string
}

func (h *shaky) OnData(c poller.Conn, b []byte) int {
	switch what := string(b); what {
	case "data":
		panic(what)
	case "task":
		c.Do(task(func(poller.Conn) { panic(what) }))
		return len(b)
	case "timeout":
		h.in = what
		c.SetDeadline(time.Millisecond)
		return len(b)
	case "close":
		h.in = what
		c.Close()
		return len(b)
	}
	return echo(c, b)
}

func (h *shaky) OnTimeout(poller.Conn) { panic(h.in) }

func (h *shaky) OnClose(c poller.Conn, reason error) {
	h.probe.OnClose(c, reason)
	if h.in == "close" {
		panic(h.in)
	}
}

// What panics ends its own connection: on a loop, on a worker, and at the end.
func TestRecover(t *testing.T) {
	forEachEngine(t, func(t *testing.T, start starter) {
		type report struct{ value, stack string }
		told := make(chan report, 16)
		p := newProbe()
		r := start(poller.Config{
			Loops:   1,
			Accept:  func(c poller.Conn) poller.Handler { p.accept(c); return &shaky{probe: p} },
			Recover: func(_ poller.Conn, v any) { told <- report{v.(string), string(debug.Stack())} },
		})
		bystander := r.dial()
		for _, where := range []string{"data", "task", "timeout", "close", "task", "data"} {
			c := r.dial()
			mustWrite(t, c, []byte(where))
			got := wait(t, told, "call of Recover")
			if got.value != where || !strings.Contains(got.stack, "shaky") {
				t.Errorf("Recover was given %q, want %q, on\n%s", got.value, where, got.stack)
			}
			if reason := wait(t, p.closed, "OnClose"); where != "close" && !errors.Is(reason, poller.ErrPanic) {
				t.Errorf("%s: closed because of %v, want ErrPanic", where, reason)
			}
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: read %d bytes of a connection that has ended", where, n)
			}
			mustWrite(t, bystander, []byte("still here?"))
			readFull(t, bystander, len("still here?"))
		}
	})
}

func TestMemoryRecover(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p := newProbe()
		p.data = func(poller.Conn, []byte) int { panic("data") }
		told := make(chan any, 1)
		e := start(poller.Config{Accept: p.accept, Recover: func(_ poller.Conn, v any) { told <- v }})
		for range 3 {
			k := connect(t, e)
			_ = k.Feed([]byte("x")) // the end may be faster
			if got := wait(t, told, "call of Recover"); got != "data" {
				t.Errorf("Recover was given %v", got)
			}
			if reason := wait(t, p.closed, "OnClose"); !errors.Is(reason, poller.ErrPanic) {
				t.Errorf("closed because of %v, want ErrPanic", reason)
			}
			wait(t, k.closed, "Closed")
		}
	})
}
