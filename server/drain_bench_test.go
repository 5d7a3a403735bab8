package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/drive"
)

// BenchmarkDrain sends away joined sockets in ten batches, without the time of the pauses.
func BenchmarkDrain(b *testing.B) {
	const n = 100_000
	for range b.N {
		b.StopTimer()
		cfg := mount(script{})
		cfg.Drain = server.Drain{BatchSize: n / 10, Timeout: time.Hour}
		d, err := drive.New(cfg, drive.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for range n {
			s, err := d.Connect(wsPath, nil)
			if err == nil {
				_, err = s.Join("room:1", nil)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		over := make(chan time.Time)
		close(over)
		d.Server().PauseDrains(func(time.Duration) <-chan time.Time { return over })
		b.StartTimer()
		if err := d.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/socket")
}
