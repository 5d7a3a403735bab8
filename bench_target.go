package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// Values of --metrics besides a URL.
const (
	metricsAuto = "auto"
	metricsNone = "none"
)

// lookLimit bounds each question to a target before the run.
const lookLimit = 2 * time.Second

// A benchTarget is what is known of a target before the run. Of several it is the first.
type benchTarget struct {
	info     bench.Target
	sample   *sample.Target // nil: it cannot be looked into
	sameHost bool           // it is on this machine
}

// ownTarget is the bench's own server.
func ownTarget(s *ownServer, engine string) benchTarget {
	return benchTarget{
		info:     bench.Target{URLs: []string{s.url}, PID: s.pid, Name: "dormouse serve", Own: true, Engine: engine},
		sample:   &sample.Target{PID: s.pid, MetricsURL: metricsURL(s.url)},
		sameHost: true,
	}
}

// findTarget looks for the process and the metrics of the target, as --pid and --metrics say.
func (o *benchOptions) findTarget(ctx context.Context) (benchTarget, error) {
	t := benchTarget{info: bench.Target{URLs: o.cfg.URLs, PID: o.pid}, sample: &sample.Target{}}
	if len(o.targetAgent) > 0 {
		if err := t.askAgent(ctx, o); err != nil {
			return t, err
		}
	} else if o.pid != 0 {
		if _, err := sample.ReadProcess(o.pid); err != nil {
			return t, fmt.Errorf("--pid is %d: %w; want a process of this machine", o.pid, err)
		}
		t.sameHost = true
		name, _ := os.ReadFile("/proc/" + strconv.Itoa(o.pid) + "/comm")
		t.info.Name = strings.TrimSpace(string(name))
	} else {
		t.findListener(ctx)
	}
	t.sample.PID = t.info.PID
	if err := t.findMetrics(ctx, o.metrics); err != nil {
		return t, err
	}
	if t.sample.PID == 0 && t.sample.MetricsURL == "" && t.sample.Ask == nil {
		t.sample = nil
	}
	return t, nil
}

// askAgent has the target read by an agent on its machine.
func (t *benchTarget) askAgent(ctx context.Context, o *benchOptions) error {
	token, err := agentToken(o.tokenFile)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	addrs := t.addresses(ctx)
	if len(addrs) == 0 {
		return fmt.Errorf("the host of the URL %q is not found", t.info.URLs[0])
	}
	a := agent.New(o.targetAgent[0].Address, token)
	t.sample.Ask = func(ctx context.Context) (sample.Process, sample.Kernel, error) { return a.Look(ctx, addrs[0]) }
	p, _, err := t.sample.Ask(ctx)
	if err != nil {
		return fmt.Errorf("--target-agent is %s: %w", o.targetAgent[0].Address, err)
	}
	t.info.Name = fmt.Sprintf("process %d there", p.PID)
	return nil
}

// findListener finds the process that listens at the URL, if it is on this machine.
func (t *benchTarget) findListener(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	for _, at := range t.addresses(ctx) {
		t.sameHost = t.sameHost || at.Addr().IsLoopback()
		if pid, name, ok := sample.FindListener(at); ok {
			t.info.PID, t.info.Name, t.sameHost = pid, name, true
			return
		}
	}
}

// addresses are those of the first URL; none if it is wrong, which the run will say.
func (t *benchTarget) addresses(ctx context.Context) (all []netip.AddrPort) {
	u, err := url.Parse(t.info.URLs[0])
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		port = map[string]uint64{"ws": 80, "wss": 443}[u.Scheme]
	}
	ips, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return all
}

// findMetrics tries the target's metrics: those that were asked for must be there.
func (t *benchTarget) findMetrics(ctx context.Context, asked string) error {
	at := asked
	switch asked {
	case metricsNone:
		return nil
	case metricsAuto:
		at = metricsURL(t.info.URLs[0])
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	_, err := sample.ScrapeMetrics(ctx, client, at)
	if err == nil {
		t.sample.MetricsURL = at
		return nil
	}
	if asked == metricsAuto {
		return nil
	}
	return fmt.Errorf("--metrics is %q: %w; want the URL of metrics in Prometheus's text format, auto or none", asked, err)
}

// metricsURL is where the metrics of a ws or wss target would be.
func metricsURL(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: "http" + strings.TrimPrefix(u.Scheme, "ws"), Host: u.Host, Path: "/metrics"}).String()
}
