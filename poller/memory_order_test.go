package poller_test

import (
	"io"
	"sync"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
)

// What a peer has sent before it finishes is read, also if both come while the connection is being read.
func TestMemoryFinishBehindData(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		var k *peer
		p, got := newProbe(), ""
		p.data = func(_ poller.Conn, b []byte) int {
			got += string(b)
			var wg sync.WaitGroup // of a peer that is here before OnData returns
			switch got {
			case "a":
				wg.Go(func() { k.Offer([]byte("b")) })
			case "ab":
				wg.Go(func() { k.Offer([]byte("c")); k.Finish() })
			}
			wg.Wait()
			return len(b)
		}
		k = connect(t, start(poller.Config{Accept: p.accept}))
		k.feed(t, "a")
		if err := wait(t, p.closed, "close"); err != io.EOF || got != "abc" {
			t.Errorf("OnClose(%v) after %q, want io.EOF after all", err, got)
		}
	})
}

// A peer that is told of the end of its connection may come back at once.
func TestMemoryComeBackAtOnce(t *testing.T) {
	forEachMemory(t, func(t *testing.T, start func(poller.Config) *poller.Memory) {
		p := newProbe()
		e := start(poller.Config{Accept: p.accept, MaxConns: 1})
		back := make(chan error, 1)
		_, err := e.Connect(comingBack{&peer{limit: -1}, func() {
			_, err := e.Connect(&peer{limit: -1, closed: make(chan struct{})})
			back <- err
		}})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, p.opened, "open").Close()
		if err := wait(t, back, "Closed"); err != nil {
			t.Errorf("Connect from Closed: %v", err)
		}
	})
}

type comingBack struct {
	*peer
	come func()
}

func (p comingBack) Closed() { p.come() }
