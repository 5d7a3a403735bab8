package conformance_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A program is one of the real programs, as a process of its own.
type program struct {
	t      testing.TB
	cmd    *exec.Cmd
	addr   string // host:port it listens on
	stderr bytes.Buffer
}

func startEcho(t testing.TB, engine string, flags ...string) *program {
	return start(t, "echo", append([]string{"-engine", engine}, flags...)...)
}

func startFixture(t testing.TB, engine string) *program {
	return start(t, "fixture", "-engine", engine)
}

// start runs a program on a free port until the end of the test. A program that ends before, or that
// writes of a panic or a race, fails the test.
func start(t testing.TB, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(filepath.Join(bin, name), append([]string{"-addr", "127.0.0.1:0"}, args...)...)}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "://")
	if err != nil || !ok {
		t.Fatalf("%s did not say where it listens: %q, %v", name, line, err)
	}
	p.addr = addr
	return p
}

func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("the program ended before its time: %v", err)
	}
	_ = p.cmd.Wait()
	state := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if state.ExitStatus() != 0 && (!state.Signaled() || state.Signal() != syscall.SIGTERM) {
		p.t.Errorf("the program ended with %v", p.cmd.ProcessState)
	}
	if said := p.stderr.String(); strings.Contains(said, "panic") || strings.Contains(said, "DATA RACE") {
		p.t.Errorf("the program wrote:\n%s", said)
	}
}

// descriptors is the number of descriptors that the program has open.
func (p *program) descriptors() int {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(names)
}

// memory reads a size in kB from proc(5)'s status: VmRSS is the resident memory, VmHWM its peak.
func (p *program) memory(field string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kB, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			return kB
		}
	}
	p.t.Fatalf("no %s in /proc/PID/status", field)
	return 0
}

// settled waits until the program has no more descriptors than before.
func (p *program) settled(before int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d descriptors or fewer", before), func() (bool, string) {
		n := p.descriptors()
		return n <= before, strconv.Itoa(n)
	})
}
