package main

// In the package: the server of the bench's own is not exported.

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dormouse-ws/dormouse/server/servertest"
)

func startOwn(t *testing.T, args ...string) *ownServer {
	t.Helper()
	t.Setenv(asProgram, "1")
	s, err := startServer(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func TestOwnServer(t *testing.T) {
	s := startOwn(t)
	res, err := http.Get("http" + strings.TrimPrefix(s.url, "ws") + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", res.Status)
	}
	if group, err := syscall.Getpgid(s.pid); err != nil || group != s.pid {
		t.Errorf("its process group is %d (%v), which gets the terminal's Ctrl-C", group, err)
	}
	s.stop()
	s.stop()
	if s.err != nil {
		t.Errorf("stopped: %v; want exit status 0", s.err)
	}
}

// A server that dies under the bench is named, with what it said last.
func TestOwnServerDies(t *testing.T) {
	s := startOwn(t)
	ctx, unwatch := s.watch(t.Context())
	defer unwatch()
	if err := syscall.Kill(s.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	err := context.Cause(ctx)
	for _, want := range []string{"has ended", "killed", "listening on"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// One that lives is not, when the bench ends first.
func TestOwnServerUnwatched(t *testing.T) {
	s := startOwn(t)
	ctx, unwatch := s.watch(t.Context())
	unwatch()
	s.stop()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cause %v", err)
	}
}

func TestOwnServerDoesNotStart(t *testing.T) {
	t.Setenv(asProgram, "1")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		name string
		ctx  context.Context
		args []string
		want []string
	}{
		{"refused", t.Context(), []string{"--engine", "x"}, []string{"has ended: exit status 1", `--engine is "x"`}},
		{"interrupted", ended, nil, []string{"context canceled"}},
	} {
		s, err := startServer(row.ctx, row.args...)
		if err == nil {
			s.stop()
			if row.ctx != ended { // it may have listened first
				t.Errorf("%s: no error", row.name)
			}
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", row.name, err, want)
			}
		}
	}
}

// benchInHand makes the test binary start a server of its own, say its pid, and hang: see
// TestOwnServerIsNoOrphan.
const benchInHand = "DORMOUSE_TEST_HOLD_SERVER"

// A bench that is killed, which can clean up nothing, leaves no server behind.
func TestOwnServerIsNoOrphan(t *testing.T) {
	if os.Getenv(benchInHand) != "" {
		s := startOwn(t)
		os.Stdout.WriteString("pid " + strconv.Itoa(s.pid) + "\n")
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "-test.run", "^TestOwnServerIsNoOrphan$")
	parent.Env = append(os.Environ(), benchInHand+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "pid "))
	servertest.Eventually(t, "the server's end", func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ") // nobody may be there to reap it
	})
}

func TestTail(t *testing.T) {
	long := strings.Repeat("x", 2*tailWidth)
	for _, row := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, "; it has logged nothing"},
		{"half a line", []string{"a"}, "; it has logged nothing"},
		{"a line in pieces", []string{"a", "b\nc", "d\n"}, "; its last lines:\n  ab\n  cd"},
		{"a line too long", []string{long, long + "\n", "a\n"}, "; its last lines:\n  " + long[:tailWidth] + "\n  a"},
		{"the last lines", []string{strings.Repeat("a\n", 3*tailLines) + strings.Repeat("b\n", tailLines)},
			"; its last lines:" + strings.Repeat("\n  b", tailLines)},
	} {
		log := newTail()
		for _, w := range row.writes {
			if n, err := io.WriteString(log, w); n != len(w) || err != nil {
				t.Errorf("%s: wrote %d, %v", row.name, n, err)
			}
		}
		if got := log.String(); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestTailFindsTheAddress(t *testing.T) {
	log := newTail()
	_, _ = io.WriteString(log, `time=x level=INFO msg="listening on http://127.0.0.1:4567" engine=epoll`+"\nlistening on http://again\n")
	if got := <-log.listening; got != "127.0.0.1:4567" {
		t.Errorf("listens on %q", got)
	}
}
