package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/poller"
)

const (
	// ownDescriptors is what a process needs besides its connections: of each 15,000 a few for epoll,
	// files and the runtime, and while connections are replaced some of both.
	ownDescriptors = 200

	// defaultConnections is as many as a person expects of the limit of descriptors on an ordinary host.
	defaultConnections = 15_000
)

// check finds mistakes before anything is started. It sets the engine of an own server, and returns the run
// with all its defaults.
func (o *benchOptions) check() (bench.Config, error) {
	limit, err := poller.RaiseDescriptorLimit()
	if err != nil {
		return bench.Config{}, err
	}
	agents := len(o.agents) > 0
	cfg := o.cfg
	if cfg.Connections == 0 {
		cfg.Connections = roomFor(limit, agents, cmp.Or(o.most, defaultConnections))
	}
	if o.own() {
		cfg.URLs = []string{"ws://127.0.0.1"} // it is not known yet
	}
	if cfg, err = cfg.Check(); err != nil {
		return cfg, err
	}
	if o.own() {
		err = o.checkOwn(cfg)
	} else {
		err = o.checkOther()
	}
	return cfg, cmp.Or(err, o.checkFiles(), checkDescriptors(cfg.Connections, limit, agents))
}

// own says that the bench starts a server of its own.
func (o *benchOptions) own() bool { return len(o.cfg.URLs) == 0 }

func (o *benchOptions) checkOwn(cfg bench.Config) error {
	o.engine = cmp.Or(o.engine, poller.Names()[0])
	size := len(cfg.Payload) + cfg.Size
	switch {
	case !slices.Contains(poller.Names(), o.engine):
		return fmt.Errorf("--engine is %q: want %s", o.engine, strings.Join(poller.Names(), ", "))
	case o.pid != 0 || o.metrics != metricsAuto || len(o.targetAgent) > 0:
		return errors.New("--pid, --metrics and --target-agent say how to look into the server that --url names: the bench knows its own")
	case len(o.agents) > 0:
		return errors.New("--agents need a --url that they reach: the bench's own server listens on 127.0.0.1 only")
	case cfg.Protocol != bench.Phoenix:
		return fmt.Errorf("--protocol is %s: the bench's own server speaks %s only; give another's --url", cfg.Protocol, bench.Phoenix)
	case cfg.Event == "shout" && size > maxChat:
		return fmt.Errorf("--payload and --size make messages of %d bytes: the rooms of the bench's own server take %d; give another's --url",
			size, maxChat)
	}
	return nil
}

func (o *benchOptions) checkOther() error {
	switch {
	case o.engine != "":
		return errors.New("--engine is of the server that the bench starts itself, and --url names another: give one of them")
	case o.pid != 0 && len(o.targetAgent) > 0 || len(o.targetAgent) > 1:
		return errors.New("--target-agent is one agent, on the machine of the target, and goes without --pid")
	case o.tokenFile != "" && len(o.agents)+len(o.targetAgent) == 0:
		return errors.New("--token-file has the token of --agents and --target-agent, and there are none")
	}
	return nil
}

// checkFiles looks whether the results can be written, which is done when the run is over.
func (o *benchOptions) checkFiles() error {
	for _, file := range []struct{ flag, path string }{{"--json", o.json}, {"--html", o.html}} {
		if file.path == "" {
			continue
		}
		if info, err := os.Stat(file.path); err == nil && !info.Mode().IsRegular() {
			if info.IsDir() {
				return fmt.Errorf("%s is %q, which is a directory: want a file", file.flag, file.path)
			}
			continue // as /dev/stdout, which is written in place
		}
		dir := filepath.Dir(file.path)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is %q: there is no directory %s", file.flag, file.path, dir)
		}
		if err := unix.Access(dir, unix.W_OK); err != nil {
			return fmt.Errorf("%s is %q: cannot write to the directory %s: %w", file.flag, file.path, dir, err)
		}
	}
	if o.json != "" && o.json == o.html {
		return fmt.Errorf("--json and --html are both %q: want two files", o.json)
	}
	return nil
}

// roomFor is how many connections there are when nobody says. The limit is that of this process, and of the
// server that it starts. Agents have theirs.
func roomFor(limit uint64, agents bool, most int) int {
	if agents || limit >= uint64(most)+ownDescriptors {
		return most
	}
	return max(int(limit)-ownDescriptors, 1)
}

// checkDescriptors says how to raise a limit that is too low.
func checkDescriptors(wanted int, limit uint64, agents bool) error {
	need := uint64(wanted) + ownDescriptors
	if need <= limit || agents {
		return nil
	}
	instead := ""
	if limit > ownDescriptors {
		instead = fmt.Sprintf(", or want at most %d --connections", limit-ownDescriptors)
	}
	connections := fmt.Sprintf("%d connections need", wanted)
	if wanted == 1 {
		connections = "one connection needs"
	}
	return fmt.Errorf("%s %d descriptors, and a process may have %d here. Raise the hard limit "+
		"(ulimit -Hn %d as root, or LimitNOFILE=%d in a systemd unit; fs.nr_open bounds both; dormouse tune check --role both --connections %d has all that stops them)%s",
		connections, need, limit, need, need, wanted, instead)
}
