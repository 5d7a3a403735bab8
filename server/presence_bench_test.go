package server_test

import (
	"fmt"
	"testing"

	"github.com/dormouse-ws/dormouse/server/drive"
)

// BenchmarkPresenceJoin shows what one that joins, is pushed the state, tracks itself and leaves costs a room of
// so many who do the same, over the whole stack but for the kernel: two diffs to each of them, and one state.
func BenchmarkPresenceJoin(b *testing.B) {
	for _, n := range []int{0, 10, 100, 1000, 9000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d, err := drive.New(mount(presenceRoom), drive.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = d.Shutdown(b.Context()) }()
			enter := func(key string) drive.Channel {
				s, err := d.Connect("/socket/websocket", nil)
				if err != nil {
					b.Fatal(err)
				}
				ch, err := s.Join("room:1", whois{Key: key, Meta: object{"online_at": "1700000000"}})
				if err != nil {
					b.Fatal(err)
				}
				return ch
			}
			for i := range n {
				enter(fmt.Sprintf("u%07d", i))
			}
			last := enter("")
			before := d.Stats()
			b.ReportAllocs()
			for b.Loop() {
				ch, err := last.Socket().Join("room:1", whois{Key: "last", Meta: object{"online_at": "1700000000"}})
				if err == nil {
					_, err = ch.Leave()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			after := d.Stats()
			b.ReportMetric(float64(after.ReceivedBytes-before.ReceivedBytes)/float64(b.N), "sentB/op")
			if got := d.Server().PresenceCount("room:1"); got != n {
				b.Errorf("%d entries, want %d", got, n)
			}
		})
	}
}

// BenchmarkJoinWithoutPresence is the same for a channel that does not track.
func BenchmarkJoinWithoutPresence(b *testing.B) {
	d, err := drive.New(mount(script{}), drive.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Shutdown(b.Context()) }()
	s, err := d.Connect("/socket/websocket", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		ch, err := s.Join("room:1", nil)
		if err == nil {
			_, err = ch.Leave()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
