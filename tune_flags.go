package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/dormouse-ws/dormouse/tuning"
)

// tuneOptions are the flags that say what the host is for.
type tuneOptions struct{ g tuning.Goal }

// defaultTuneConnections is the goal of who names none.
const defaultTuneConnections = 1_000_000

func (o *tuneOptions) goal() tuning.Goal {
	g := o.g
	if g.Connections == 0 {
		g.Connections = defaultTuneConnections
	}
	return g
}

func goalFlags(o *tuneOptions) flagGroup {
	g, c := newFlagGroup("Goal"), &o.g
	flag(g, "connections", "N", "1m", "how many are to be held, as 2000000, 500k or 2m", parseSome, func(n int) { c.Connections = int64(n) })
	flag(g, "profile", "NAME", "", "the same by name: "+strings.Join(profileNames(), ", "), parseProfile, assign(&c.Connections))
	flag(g, "role", "NAME", tuning.Server.String(), "what the host is: server, loadgen (dormouse bench) or both", tuning.ParseRole, assign(&c.Role))
	return g
}

// workFlags are what the settings themselves do not depend on, but the memory does, and the ports.
func workFlags(o *tuneOptions) flagGroup {
	g, c := newFlagGroup("Work"), &o.g
	g.BoolVar(&c.TLS, "tls", false, "the process ends TLS itself")
	flag(g, "message-rate", "RATE", "0", "messages a second, over all connections, in and out", parseRate, assign(&c.MessageRate))
	flag(g, "message-size", "BYTES", "1000", "of a message", parseBytes, assign(&c.MessageBytes))
	flag(g, "memory", "BYTES", "", "that may be used, as 24GiB (default: what the host has available)", parseBytes, assign(&c.Memory))
	flag(g, "sources", "N", "1", "addresses that a load generator connects from", parseSome, assign(&c.Sources))
	flag(g, "targets", "N", "1", "addresses with port that it connects to", parseSome, assign(&c.Targets))
	flag(g, "held-by", "PIDS", "", "processes that hold some of the connections already, as 4711 or 4711,4712, or none "+
		"(default: every dormouse serve, or bench, that runs)", parsePIDs, assign(&c.HeldBy))
	return g
}

// parsePIDs reads numbers of processes with commas between them, or none.
func parsePIDs(s string) ([]int, error) {
	pids := []int{}
	if s == "none" {
		return pids, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		pid, err := strconv.ParseInt(part, 10, 32)
		if err != nil || pid < 1 || slices.Contains(pids, int(pid)) {
			return nil, errors.New("want numbers of processes, as 4711 or 4711,4712, or none")
		}
		pids = append(pids, int(pid))
	}
	return pids, nil
}

func profileNames() []string {
	var names []string
	for _, p := range tuning.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

func parseProfile(s string) (int64, error) {
	for _, p := range tuning.Profiles() {
		if p.Name == s {
			return p.Connections, nil
		}
	}
	return 0, fmt.Errorf("want one of %s, or --connections", strings.Join(profileNames(), ", "))
}

func fragmentNames() []string { return []string{"sysctl", "limits", "systemd"} }

func parseFragment(s string) (string, error) {
	for _, name := range fragmentNames() {
		if name == s {
			return s, nil
		}
	}
	return "", fmt.Errorf("want one of %s", strings.Join(fragmentNames(), ", "))
}

// parseBytes reads a size, as 512, 64KiB, 24GiB or 24GB. A unit's first letter alone is that of the power of
// two, as systemd reads it.
func parseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "BKMGTikmgtb")
	n, err := strconv.ParseFloat(digits, 64)
	unit, known := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[strings.ToLower(s[len(digits):])]
	if err != nil || !known || !(n > 0 && n*unit < 1<<60) || n*unit != math.Trunc(n*unit) {
		return 0, errors.New("want a size above 0, as 1000, 64KiB or 24GiB")
	}
	return int64(n * unit), nil
}

// readAtMost reads a file, or stdin for "-", and refuses more than limit bytes.
func readAtMost(file string, stdin io.Reader, limit int64) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", file, limit)
	}
	return b, err
}
