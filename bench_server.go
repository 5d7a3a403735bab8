package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	ownReady = 10 * time.Second // in which an own server must listen
	ownDrain = 2 * time.Second  // its --drain: the bench has closed its connections before
	ownEnd   = 5 * time.Second  // after SIGTERM, before it is killed
)

// An ownServer is `dormouse serve` in a process of its own: the target of a bench that was given none. It
// never outlives this process.
type ownServer struct {
	url   string // ws://127.0.0.1:port
	pid   int
	cmd   *exec.Cmd
	log   *tail
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended, once ended is closed

	stopping sync.Once
}

// startServer starts `dormouse serve` with more arguments, and returns when it listens. Whoever has it must
// stop it.
func startServer(ctx context.Context, args ...string) (*ownServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start a server of the bench's own: %w; start one and give its --url", err)
	}
	s := &ownServer{log: newTail(), ended: make(chan struct{})}
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--report", "0s", "--drain", ownDrain.String()}, args...)
	s.cmd = exec.Command(self, args...)
	s.cmd.Stderr = s.log
	s.cmd.WaitDelay = time.Second // for what the process may have left its stderr to
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C is for the bench: it has a report to make before the server may end
		Pdeathsig: syscall.SIGKILL,
	}
	started := make(chan error, 1)
	go s.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start a server of the bench's own: %w; start one and give its --url", err)
	}
	s.pid = s.cmd.Process.Pid
	if err := s.listens(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// run starts the process and waits for its end on one thread: Pdeathsig is sent when the thread that forked
// ends, not the process (prctl(2), PR_SET_PDEATHSIG).
func (s *ownServer) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	s.err = s.cmd.Wait()
	close(s.ended)
}

// listens waits for the line in which serve says where it listens.
func (s *ownServer) listens(ctx context.Context) error {
	patience := time.NewTimer(ownReady)
	defer patience.Stop()
	select {
	case addr := <-s.log.listening:
		s.url = "ws://" + addr
		return nil
	case <-s.ended:
		return s.death()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-patience.C:
		return fmt.Errorf("the bench's own server does not listen after %v%s", ownReady, s.log)
	}
}

// death is how the server ended, once it has.
func (s *ownServer) death() error {
	how := "exit status 0"
	if s.err != nil {
		how = s.err.Error()
	}
	return fmt.Errorf("the bench's own server has ended: %s%s", how, s.log)
}

// watch returns a context that ends with ctx, and when the server dies, for which death is the cause. The
// function it returns must be called before the server is stopped.
func (s *ownServer) watch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.ended:
			cancel(s.death())
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-watched
	}
}

// stop ends the server in good order, or by force if that takes too long, and waits for its end.
func (s *ownServer) stop() {
	s.stopping.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		patience := time.NewTimer(ownEnd)
		defer patience.Stop()
		select {
		case <-s.ended:
			return
		case <-patience.C:
		}
		_ = s.cmd.Process.Kill()
		<-s.ended
	})
}

const (
	tailLines = 10
	tailWidth = 400 // bytes of a line; the rest of it is dropped
)

// A tail keeps the last lines of a log, and says where a server listens.
type tail struct {
	listening chan string // the address, once

	mu    sync.Mutex // protects the following
	lines []string
	part  []byte // of a line that is not at its end
}

func newTail() *tail { return &tail{listening: make(chan string, 1)} }

var listeningLine = regexp.MustCompile(`listening on http://([^\s"]+)`)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		text, whole := strings.CutSuffix(line, "\n")
		t.part = append(t.part, text[:min(len(text), tailWidth-len(t.part))]...)
		if whole {
			t.addLocked(string(t.part))
			t.part = t.part[:0]
		}
	}
	return len(p), nil
}

func (t *tail) addLocked(line string) {
	if m := listeningLine.FindStringSubmatch(line); m != nil {
		select {
		case t.listening <- m[1]:
		default:
		}
	}
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

// String is the lines as the end of an error message.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return "; it has logged nothing"
	}
	return "; its last lines:\n  " + strings.Join(t.lines, "\n  ")
}
