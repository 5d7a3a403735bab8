package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"regexp"
	"syscall"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A process is a dormouse server that was started for one measurement.
type process struct {
	cmd  *exec.Cmd
	addr string
	logs chan string // its log lines
}

var listening = regexp.MustCompile(`listening on http://([^" ]+)`)

// start runs the server on a free port and waits until it listens.
func start(binary, engine string) (*process, error) {
	p := &process{logs: make(chan string, 1024)}
	p.cmd = exec.Command(binary, "serve", "--addr", "127.0.0.1:0", "--engine", engine, "--timeout", "1h", "--report", "0s")
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (make build builds it)", err)
	}
	go func() {
		defer close(p.logs)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.logs <- lines.Text()
		}
	}()
	m, err := p.await(listening)
	if err != nil {
		p.stop()
		return nil, err
	}
	p.addr = m[1]
	return p, nil
}

// await returns the first log line that matches.
func (p *process) await(re *regexp.Regexp) ([]string, error) {
	var last string
	for deadline := time.After(time.Minute); ; {
		select {
		case line, ok := <-p.logs:
			if !ok {
				return nil, fmt.Errorf("the server has ended; it said: %s", last)
			}
			if m := re.FindStringSubmatch(line); m != nil {
				return m, nil
			}
			last = line
		case <-deadline:
			return nil, fmt.Errorf("no line %q from the server within a minute", re)
		}
	}
}

var collected = regexp.MustCompile(`msg=connections`)

// collect makes the server collect its garbage and give memory back.
func (p *process) collect() error {
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	_, err := p.await(collected)
	return err
}

// atRest is how long the resident memory must not have changed by a page to be read, and patience how
// long that may take.
const (
	atRest   = 4 * time.Second
	patience = time.Minute
	between  = 500 * time.Millisecond // readings
)

// resident reads VmRSS once it has come to rest.
func (p *process) resident() (int64, error) {
	var last int64
	same := 0
	for range int(patience / between) {
		now, err := residentOf(p.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		if same++; now != last {
			last, same = now, 1
		}
		if same > int(atRest/between) {
			break
		}
		time.Sleep(between)
	}
	return last, nil
}

func residentOf(pid int) (int64, error) {
	p, err := sample.ReadProcess(pid)
	return p.RSS, err
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	for range p.logs {
	}
	_ = p.cmd.Wait()
}
