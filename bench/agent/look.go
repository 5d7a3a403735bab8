package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A sight is what an agent sees of a target on its own host.
type sight struct {
	Protocol int            `json:"protocol"`
	Process  sample.Process `json:"process"`
	Kernel   sample.Kernel  `json:"kernel"`
}

// look answers with the process that listens at an address of this host, and with the host's kernel.
func (a *agent) look(w http.ResponseWriter, r *http.Request) {
	at, err := netip.ParseAddrPort(r.URL.Query().Get("listener"))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("the listener is no address with a port: %w", err))
		return
	}
	p, err := a.listener(at)
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	answer(w, http.StatusOK, sight{Protocol: protocol, Process: p, Kernel: sample.ReadKernel()})
}

// listener reads the process that listens at an address. To find it takes a look at the descriptors of all
// processes, so who was found is asked first the next time.
func (a *agent) listener(at netip.AddrPort) (sample.Process, error) {
	a.mu.Lock()
	pid := a.listeners[at]
	a.mu.Unlock()
	if pid != 0 {
		if p, err := sample.ReadProcess(pid); err == nil {
			return p, nil
		}
	}
	pid, _, ok := sample.FindListener(at)
	if !ok {
		return sample.Process{}, fmt.Errorf("nobody whom it may look at listens at %s there", at)
	}
	a.mu.Lock()
	if a.listeners == nil || len(a.listeners) >= maxListeners {
		a.listeners = map[netip.AddrPort]int{}
	}
	a.listeners[at] = pid
	a.mu.Unlock()
	return sample.ReadProcess(pid)
}

// maxListeners bounds what is remembered of targets.
const maxListeners = 64

// Look has the agent, on the target's machine, read the process that listens at an address there, and its
// kernel: memory, CPU, descriptors, slabs.
func (r *Remote) Look(ctx context.Context, listener netip.AddrPort) (sample.Process, sample.Kernel, error) {
	c := r.client()
	defer c.CloseIdleConnections()
	var seen sight
	resp, err := r.ask(ctx, c, http.MethodGet, "/look?listener="+url.QueryEscape(listener.String()), nil)
	if err == nil {
		defer resp.Body.Close()
		err = decode(resp.Body, &seen)
	}
	if err == nil && seen.Protocol != protocol {
		err = errVersion(seen.Protocol)
	}
	if err != nil {
		return sample.Process{}, sample.Kernel{}, fmt.Errorf("agent %s: %w", r.address, err)
	}
	return seen.Process, seen.Kernel, nil
}
