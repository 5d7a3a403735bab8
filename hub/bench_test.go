package hub_test

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/dormouse-ws/dormouse/hub"
)

// BenchmarkFanout compares a broadcast with a plain loop over a slice that calls the same cheap
// Deliver: the difference is what the hub costs. One op is one delivery.
func BenchmarkFanout(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10_000, 100_000, 1_000_000} {
		h := hub.New()
		m := &hub.Message{Topic: "room:1"}
		slice := make([]hub.Subscriber, n)
		for i, e := range join(h, "room:1", n) {
			slice[i] = e
		}
		run := func(b *testing.B, broadcast func()) {
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				broadcast()
			}
		}
		b.Run(fmt.Sprintf("loop/%d", n), func(b *testing.B) {
			run(b, func() {
				for _, s := range slice {
					s.Deliver(m)
				}
			})
		})
		b.Run(fmt.Sprintf("hub/%d", n), func(b *testing.B) {
			run(b, func() { h.Broadcast(m) })
		})
		b.Run(fmt.Sprintf("from/%d", n), func(b *testing.B) {
			run(b, func() { h.BroadcastFrom(slice[n/2], m) })
		})
	}
}

// writer makes of each delivery the cheapest of system calls, of which a real one needs a dearer.
type writer struct {
	hub.Subscription
	fd int
}

func (w *writer) Deliver(m *hub.Message) { _, _ = syscall.Write(w.fd, m.Payload) }

// BenchmarkFanoutWrite is BenchmarkFanout with a Deliver that writes to /dev/null.
func BenchmarkFanoutWrite(b *testing.B) {
	fd, err := syscall.Open("/dev/null", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Close(fd)
	const n = 10_000
	h := hub.New()
	m := &hub.Message{Topic: "room:1", Payload: make([]byte, 100)}
	slice := make([]hub.Subscriber, n)
	for i := range slice {
		slice[i] = &writer{fd: fd}
		h.Subscribe("room:1", slice[i])
	}
	b.Run("loop", func(b *testing.B) {
		for i := 0; i < b.N; i += n {
			for _, s := range slice {
				s.Deliver(m)
			}
		}
	})
	b.Run("hub", func(b *testing.B) {
		for i := 0; i < b.N; i += n {
			h.Broadcast(m)
		}
	})
}

// BenchmarkChurn shows a subscriber's coming and going on a topic of many, at rest and while
// broadcasts to all of them never cease.
func BenchmarkChurn(b *testing.B) {
	for _, busy := range []bool{false, true} {
		for _, n := range []int{0, 1, 1000, 100_000} {
			b.Run(fmt.Sprintf("busy=%v/%d", busy, n), func(b *testing.B) {
				h := hub.New()
				for range n {
					h.Subscribe("room:1", &deaf{})
				}
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(stopped)
					for m := (&hub.Message{Topic: "room:1"}); busy; {
						select {
						case <-stop:
							return
						default:
							h.Broadcast(m)
						}
					}
				}()
				e := &deaf{}
				b.ReportAllocs()
				for b.Loop() {
					h.Subscribe("room:1", e)
					h.Unsubscribe(e)
				}
				close(stop)
				<-stopped
			})
		}
	}
}

// BenchmarkParallel shows comings and goings, of all processors at once, on topics of their own.
func BenchmarkParallel(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("topics kept=%v", kept), func(b *testing.B) {
			h := hub.New()
			var goroutines atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var names [64]string
				for i := range names {
					names[i] = "user:" + strconv.FormatInt(goroutines.Add(1), 10)
					if kept {
						h.Subscribe(names[i], &deaf{})
					}
				}
				e := &deaf{}
				for i := 0; pb.Next(); i++ {
					h.Subscribe(names[i%len(names)], e)
					h.Unsubscribe(e)
				}
			})
		})
	}
}

// BenchmarkSubscribe shows how fast a million subscribers join, on one topic and each on its own.
func BenchmarkSubscribe(b *testing.B) {
	const n = 1_000_000
	names := make([]string, n)
	for i := range names {
		names[i] = ownTopic(i)
	}
	for _, alone := range []bool{false, true} {
		b.Run(fmt.Sprintf("alone=%v", alone), func(b *testing.B) {
			for i := 0; i < b.N; i += n {
				b.StopTimer()
				h, subscribers := hub.New(), make([]deaf, n)
				b.StartTimer()
				for j := range min(n, b.N-i) {
					name := "room:1"
					if alone {
						name = names[j]
					}
					h.Subscribe(name, &subscribers[j])
				}
			}
		})
	}
}
