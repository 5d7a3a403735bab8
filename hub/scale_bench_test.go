package hub_test

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/hub"
)

// The hub at scale: what stays of its figures at a million. Run it with -cpu 1,2,4 and so on, and -benchtime 1x where
// a single run is enough.

var crowds = []int{1000, 10_000, 100_000, 1_000_000}

// crowded returns a hub with n subscribers on one topic, and the bytes that each takes beside its own.
func crowded(n int, subscriber func(i int) hub.Subscriber) (h *hub.Hub, bytes float64) {
	subscribers := make([]hub.Subscriber, n)
	for i := range subscribers {
		subscribers[i] = subscriber(i)
	}
	h = hub.New()
	before := heap()
	for _, s := range subscribers {
		h.Subscribe("room:1", s)
	}
	bytes = float64(heap()-before) / float64(n)
	runtime.KeepAlive(subscribers)
	return h, bytes
}

func newDeaf(int) hub.Subscriber { return &deaf{} }

// helped are the numbers of goroutines that may help a fan-out: none, one, and what the number of processors gives.
var helped = []struct {
	name  string
	limit int
}{{"alone", -1}, {"one helper", 1}, {"by processors", 0}}

// BenchmarkScaleBroadcast is one broadcast to all of a topic, with a Deliver that does nothing.
func BenchmarkScaleBroadcast(b *testing.B) {
	for _, n := range crowds {
		h, bytes := crowded(n, newDeaf)
		for _, row := range helped {
			b.Run(fmt.Sprintf("%d/%s", n, row.name), func(b *testing.B) {
				hub.SetHelpers(h, row.limit, hub.SpreadPages)
				benchmarkBroadcast(b, h, n)
				b.ReportMetric(bytes, "B/sub")
			})
		}
	}
}

// A sender sends each message to nobody, by UDP over the loopback interface: the whole way through the kernel, with
// nobody to be scheduled at its end.
type sender struct {
	hub.Subscription
	fd int
}

func (s *sender) Deliver(m *hub.Message) { _, _ = syscall.Write(s.fd, m.Payload) }

// BenchmarkScaleSend is BenchmarkScaleBroadcast with a Deliver that sends.
func BenchmarkScaleSend(b *testing.B) {
	fds := deadEnds(b, 512)
	for _, n := range crowds {
		h, _ := crowded(n, func(i int) hub.Subscriber { return &sender{fd: fds[i%len(fds)]} })
		for _, row := range helped {
			b.Run(fmt.Sprintf("%d/%s", n, row.name), func(b *testing.B) {
				hub.SetHelpers(h, row.limit, hub.SpreadPages)
				benchmarkBroadcast(b, h, n)
			})
		}
	}
}

func benchmarkBroadcast(b *testing.B, h *hub.Hub, n int) {
	m := &hub.Message{Topic: "room:1", Payload: make([]byte, 100)}
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if got := h.Broadcast(m); got != n {
			b.Fatalf("delivered to %d of %d", got, n)
		}
	}
	deliveries := float64(b.N) * float64(n)
	b.ReportMetric(float64(b.Elapsed())/deliveries, "ns/delivery")
	b.ReportMetric(float64(processorTime(b)-before)/deliveries, "cpu-ns/delivery")
}

// processorTime is what this process has had of all processors. Where a machine has other work too, it says what more
// goroutines cost when the time on the clock does not: as long as it stays, twice the processors are twice the speed.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// deadEnds returns sockets whose peer reads nothing: what is too much for it the kernel drops.
func deadEnds(b *testing.B, n int) []int {
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { peer.Close() })
	to := &syscall.SockaddrInet4{Port: peer.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	fds := make([]int, n)
	for i := range fds {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err == nil {
			err = syscall.Connect(fd, to)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { syscall.Close(fd) })
		fds[i] = fd
	}
	return fds
}

// storm broadcasts to room:1 without end, until the function that it returns is called.
func storm(h *hub.Hub) (calm func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for m := (&hub.Message{Topic: "room:1", Payload: make([]byte, 100)}); ; {
			select {
			case <-stop:
				return
			default:
				h.Broadcast(m)
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// BenchmarkScaleChurn is 10,000 subscribers who join a topic and leave it again, while it is quiet and while
// broadcasts to it never cease.
func BenchmarkScaleChurn(b *testing.B) {
	const movers = 10_000
	for _, busy := range []bool{false, true} {
		for _, n := range crowds {
			h, _ := crowded(n, newDeaf)
			b.Run(fmt.Sprintf("busy=%v/%d", busy, n), func(b *testing.B) {
				if busy {
					defer storm(h)()
				}
				come := make([]deaf, movers)
				var joins, leaves time.Duration
				var slowest time.Duration
				for b.Loop() {
					start := time.Now()
					for i := range come {
						begin := time.Now()
						h.Subscribe("room:1", &come[i])
						slowest = max(slowest, time.Since(begin))
					}
					joined := time.Now()
					for i := range come {
						h.Unsubscribe(&come[i])
					}
					joins, leaves = joins+joined.Sub(start), leaves+time.Since(joined)
				}
				total := float64(b.N * movers)
				b.ReportMetric(total/joins.Seconds(), "joins/s")
				b.ReportMetric(total/leaves.Seconds(), "leaves/s")
				b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
			})
		}
	}
}

// BenchmarkScaleOthers is a broadcast to ten subscribers every 100 µs while broadcasts to a large topic never cease,
// in the same shard and in another: how long it takes from the moment at which it is due.
func BenchmarkScaleOthers(b *testing.B) {
	const every, few = 100 * time.Microsecond, 10
	fds := deadEnds(b, 512)
	for _, n := range crowds {
		h, _ := crowded(n, func(i int) hub.Subscriber { return &sender{fd: fds[i%len(fds)]} })
		for _, place := range []string{"calm", "another shard", "same shard"} {
			b.Run(fmt.Sprintf("%s/%d", place, n), func(b *testing.B) {
				topic := topicIn(h, place == "same shard")
				ears := make([]deaf, few)
				for i := range ears {
					h.Subscribe(topic, &ears[i])
					defer h.Unsubscribe(&ears[i])
				}
				if place != "calm" {
					defer storm(h)()
				}
				m := &hub.Message{Topic: topic}
				took := make([]time.Duration, 0, b.N)
				due := time.Now()
				for b.Loop() {
					due = due.Add(every)
					for time.Now().Before(due) {
						runtime.Gosched()
					}
					h.Broadcast(m)
					took = append(took, time.Since(due))
					due = time.Now()
				}
				slices.Sort(took)
				at := func(part float64) float64 { return float64(took[int(part*float64(len(took)-1))].Nanoseconds()) / 1000 }
				b.ReportMetric(at(0.5), "p50-µs")
				b.ReportMetric(at(0.99), "p99-µs")
				b.ReportMetric(at(1), "max-µs")
			})
		}
	}
}

// topicIn returns a topic of the same shard as room:1, or of another.
func topicIn(h *hub.Hub, same bool) string {
	for i := 0; ; i++ {
		topic := "small:" + strconv.Itoa(i)
		if (hub.ShardOf(h, topic) == hub.ShardOf(h, "room:1")) == same {
			return topic
		}
	}
}

// BenchmarkScaleTopics is a million topics with one subscriber each: how fast they come, are broadcast to, and go, and
// what is left of them.
func BenchmarkScaleTopics(b *testing.B) {
	const n = 1_000_000
	names, subscribers := make([]string, n), make([]deaf, n)
	messages := make([]hub.Message, n)
	for i := range names {
		names[i] = ownTopic(i)
		messages[i].Topic = names[i]
	}
	var join, send, leave time.Duration
	var full, left int
	for b.Loop() {
		h := hub.New()
		empty := heap()
		start := time.Now()
		for i := range subscribers {
			h.Subscribe(names[i], &subscribers[i])
		}
		join += time.Since(start)
		full = heap() - empty
		start = time.Now()
		for i := range messages {
			h.Broadcast(&messages[i])
		}
		send += time.Since(start)
		start = time.Now()
		for i := range subscribers {
			h.Unsubscribe(&subscribers[i])
		}
		leave += time.Since(start)
		clear(subscribers)
		left = heap() - empty
		runtime.KeepAlive(h)
	}
	total := float64(b.N) * n
	b.ReportMetric(float64(join)/total, "ns/join")
	b.ReportMetric(float64(send)/total, "ns/broadcast")
	b.ReportMetric(float64(leave)/total, "ns/leave")
	b.ReportMetric(float64(full)/n, "B/sub")
	b.ReportMetric(float64(left), "B-left")
}
