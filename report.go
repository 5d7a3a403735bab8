package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
)

// slopeFrom is the number of connections from which the growth of the resident memory says something
// about one of them: below it, the pages of the runtime weigh more.
const slopeFrom = 1000

// startReport logs what the connections cost each period in which their number has changed, and at
// SIGUSR1 after a forced collection. The function it returns ends it.
func startReport(s *server.Server, period time.Duration, log *slog.Logger) (stop func()) {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	r := reporter{server: s, log: log, base: residentBytes()}
	done, ended := make(chan struct{}), make(chan struct{})
	var tick <-chan time.Time
	if period > 0 {
		t := time.NewTicker(period)
		tick = t.C
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-tick:
				r.report(false)
			case <-usr1:
				debug.FreeOSMemory()
				r.report(true)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(usr1)
		close(done)
		<-ended
	}
}

type reporter struct {
	server *server.Server
	log    *slog.Logger
	base   int64 // resident memory before the first connection
	last   [2]int64
	failed int64 // accepts, as last reported
}

func (r *reporter) report(always bool) {
	st := r.server.Stats()
	r.reportFailures(st.Engine.AcceptErrors)
	now := [2]int64{st.Engine.Open, int64(st.Hub.Subscriptions)}
	if now == r.last && !always {
		return
	}
	r.last = now
	l := server.IdleLedger()
	args := []any{"open", now[0], "joined", now[1],
		"idle_connection", fmt.Sprintf("%dB", l.Record+l.Socket), "each_topic", fmt.Sprintf("%dB", l.Topic)}
	if rss := residentBytes(); rss > 0 {
		args = append(args, "resident", fmt.Sprintf("%.1fMiB", float64(rss)/(1<<20)))
		if now[0] >= slopeFrom {
			args = append(args, "resident_each", fmt.Sprintf("%dB", (rss-r.base)/now[0]))
		}
	}
	if st.SlowClosed+st.SlowDropped > 0 {
		args = append(args, "slow_closed", st.SlowClosed, "slow_dropped", st.SlowDropped)
	}
	r.log.Info("connections", args...)
}

// reportFailures warns once a period in which connections could not be accepted. They wait in the kernel's
// queue meanwhile, and are accepted when there is room.
func (r *reporter) reportFailures(now int64) {
	if now == r.failed {
		return
	}
	r.failed = now
	limit, _ := poller.RaiseDescriptorLimit()
	r.log.Warn("connections could not be accepted: the process is out of descriptors, or the host of memory",
		"descriptors", limit, "fix", "dormouse tune check")
}

// residentBytes is VmRSS of proc_pid_status(5), 0 if it cannot be read.
func residentBytes() int64 {
	p, _ := sample.ReadProcess(0)
	return p.RSS
}
