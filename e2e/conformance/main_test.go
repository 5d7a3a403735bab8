// Package conformance_test speaks RFC 6455, HTTP and nonsense to the real programs, from outside: every
// engine, separate processes, loopback sockets. Its own frames are built and read here and share no
// code with the server, so that a mistake there cannot hide in the test.
package conformance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloudwego/netpoll"

	"github.com/dormouse-ws/dormouse/e2e/leaktest"
	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
)

// bin is the folder of the programs under test.
var bin string

func TestMain(m *testing.M) {
	if to := os.Getenv(victimEnv); to != "" {
		victim(to)
		return
	}
	dir, err := os.MkdirTemp("", "conformance")
	if err == nil {
		bin = dir
		err = build("examples/echo", "e2e/fixture")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	netpoll.Initialize() // its pollers belong to the process: they are no leak of the first test that uses them
	leaktest.Main(m, func() { os.RemoveAll(dir) })
}

func build(packages ...string) error {
	for _, p := range packages {
		args := []string{"build", "-o", filepath.Join(bin, filepath.Base(p))}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "github.com/dormouse-ws/dormouse/"+p)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", p, err, out)
		}
	}
	return nil
}

// onEngines runs a test once for each engine there is.
func onEngines(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range poller.Names() {
		t.Run(engine, func(t *testing.T) { test(t, engine) })
	}
}

// patience bounds every wait of a failing run. No passing run comes near it.
const patience = time.Minute

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() (ok bool, now string)) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		ok, now := cond()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not reached: %s; it is %s", what, now)
		}
	}
}

// serve runs a server in this process, for what no flag of the programs sets.
func serve(t testing.TB, cfg server.Config) (addr string) {
	t.Helper()
	cfg.Poller.Recover = func(_ poller.Conn, p any) { panic(p) } // a bug of the server is to be seen
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		<-done
	})
	return l.Addr().String()
}
