package drive_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server/drive"
)

// Ten thousand sleeping sockets hold no goroutine; awake ones hold one each.
func TestManySockets(t *testing.T) {
	const n, connecting = 10_000, 4
	forEachDriver(t, config(nil), func(t *testing.T, d *drive.Driver) {
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		for range connecting {
			wg.Go(func() {
				for range n / connecting {
					s, err := d.Connect("/socket/websocket", nil)
					if err == nil {
						_, err = s.Join("room:all", nil)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		asleep := strings.HasSuffix(t.Name(), "asleep")
		// Of an earlier driver some may still be on their way out.
		if now := runtime.NumGoroutine(); asleep && now-before > n/100 || !asleep && now < n {
			t.Errorf("%d goroutines for %d sockets, %d before", now, n, before)
		}
		eventually(t, "all are joined", func() bool { return d.Stats().Server.Hub.Subscriptions == n })
		was := d.Stats().Received
		if err := d.Server().Broadcast("room:all", "news", nil); err != nil {
			t.Fatal(err)
		}
		if got := d.Stats().Received - was; asleep && got != n {
			t.Errorf("a broadcast reached %d sockets of %d", got, n)
		}
	})
}

// Sockets that push at the same time, from several goroutines each, get all their replies.
func TestConcurrentPushes(t *testing.T) {
	forEachDriver(t, config(nil), func(t *testing.T, d *drive.Driver) {
		const sockets, pushers, each = 4, 3, 200
		var wg sync.WaitGroup
		for range sockets {
			s, in := open(t, d, "/socket/websocket")
			ch := join(t, s, in, "room:1")
			for range pushers {
				wg.Go(func() {
					for range each {
						ref, err := ch.Push("echo", nil)
						for errors.Is(err, poller.ErrUnread) {
							runtime.Gosched()
							ref, err = ch.Push("echo", nil)
						}
						if err != nil {
							t.Error(err)
							return
						}
						if _, err := in.Reply(within(t), ref); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		wg.Wait()
	})
}

// counting is an observer of many sockets.
type counting struct{ messages, ended atomic.Int64 }

func (c *counting) Message(*drive.Socket, drive.Message) { c.messages.Add(1) }
func (c *counting) Closed(*drive.Socket, int)            { c.ended.Add(1) }

func TestOneObserverOfMany(t *testing.T) {
	var seen counting
	const n = 100
	forEachDriver(t, config(nil), func(t *testing.T, d *drive.Driver) {
		seen.messages.Store(0)
		seen.ended.Store(0)
		for range n {
			s, err := d.Connect("/socket/websocket", &seen)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Heartbeat(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "every end", func() bool { return seen.ended.Load() == n })
		if got := seen.messages.Load(); got != n {
			t.Errorf("heard %d messages, want %d", got, n)
		}
	})
}
