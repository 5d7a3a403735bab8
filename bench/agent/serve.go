package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// Options of [Serve].
type Options struct {
	Generator bench.Generator // carries out the runs

	// Token is what a conductor must know. Without one the listener must be on loopback.
	Token string

	// Allow is the targets that may be connected to: prefixes, addresses, names and, with *. in front, all
	// names below one, each with a port or without. None means loopback.
	Allow []string

	// MaxRun ends a run that takes longer. 0 means 24 hours.
	MaxRun time.Duration

	Log *slog.Logger // nil: none
}

const (
	defaultMaxRun = 24 * time.Hour

	// headLimit is how long a request head may take, and bodyLimit the body behind it. idleLimit is how
	// long a connection may lie between two requests.
	headLimit = 5 * time.Second
	bodyLimit = 10 * time.Second
	idleLimit = time.Minute
	maxHead   = 16 << 10

	// lookupLimit bounds the lookup of all targets' names.
	lookupLimit = 10 * time.Second

	// endLimit is how long a run may take to end once it should: 2 s for what is on its way, 3 s for
	// connections to close, and the Outcome's way.
	endLimit = 10 * time.Second
)

// Serve is an agent: it carries out runs for conductors that come to l, one at a time, until ctx ends; then a
// run in progress is ended and its Outcome sent. It closes l. The error says that it cannot serve.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	defer l.Close()
	return serve(ctx, l, o, lookup)
}

func serve(ctx context.Context, l net.Listener, o Options, resolve resolver) error {
	allow, err := parseAllow(o.Allow)
	switch {
	case err != nil:
		return err
	case o.Token == "" && !onLoopback(l.Addr()):
		return fmt.Errorf("an agent on %s needs a token, or everybody who can reach it directs its load: "+
			"give it one in --token-file or DORMOUSE_AGENT_TOKEN, or let it listen on 127.0.0.1", l.Addr())
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxRun <= 0 {
		o.MaxRun = defaultMaxRun
	}
	a := &agent{Options: o, allow: allow, resolve: resolve}
	s := &http.Server{
		Handler: newGuard(o.Token, a.routes()), BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headLimit, IdleTimeout: idleLimit, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	o.Log.Info("waiting for a bench with --agents "+l.Addr().String(), "token", o.Token != "", "allow", cmp.Or(strings.Join(o.Allow, " "), "loopback"))
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
		defer cancel()
		_ = s.Shutdown(end)
		err = <-failed
	}
	_ = s.Close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func onLoopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// An agent carries out runs for conductors.
type agent struct {
	Options
	allow   allowList
	resolve resolver

	mu  sync.Mutex // protects the following
	run *run       // nil: none is under way

	listeners map[netip.AddrPort]int // the processes that were found to listen there
}

func (a *agent) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /clock", a.clock)
	mux.HandleFunc("GET /look", a.look)
	mux.HandleFunc("POST /runs", a.begin)
	mux.HandleFunc("POST /runs/{id}", a.order)
	return mux
}

func (a *agent) clock(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, reading{Protocol: protocol, Now: time.Now().UnixNano()})
}

// begin carries out a run. Its response ends with the run, and the run with the connection.
func (a *agent) begin(w http.ResponseWriter, r *http.Request) {
	var h hello
	if !read(w, r, &h) {
		return
	}
	cfg, status, err := a.accept(r.Context(), h)
	if err != nil {
		a.Log.Warn("run refused", "from", r.RemoteAddr, "err", err)
		refuse(w, status, err)
		return
	}
	u := a.take(w)
	if u == nil {
		refuse(w, http.StatusConflict, errors.New("it has another run to carry out; it takes one at a time"))
		return
	}
	defer a.leave(u)
	ctx, cancel := context.WithTimeoutCause(r.Context(), a.MaxRun, fmt.Errorf("the run took longer than the agent's --max-run, %v", a.MaxRun))
	defer cancel()
	a.Log.Info("run begins", "from", r.RemoteAddr, "scenario", cfg.Scenario, "targets", hosts(cfg.URLs), "connections", cfg.Connections)
	err = u.carryOut(ctx, a.generator(), cfg, func() { a.leave(u) })
	a.Log.Info("run ended", "from", r.RemoteAddr, "err", err)
}

// generator is the one that carries out runs. Ours asks again before it dials: what a name stands for may
// have changed since accept.
func (a *agent) generator() bench.Generator {
	if l, ours := a.Generator.(bench.Local); ours {
		l.Allow = a.permit
		return l
	}
	return a.Generator
}

func (a *agent) permit(host string, to netip.AddrPort) error {
	if !a.allow.allows(host, plain(to.Addr()), to.Port()) {
		return &forbiddenError{host: host, addr: to.Addr(), port: to.Port()}
	}
	return nil
}

// hosts are what may be logged of targets: the rest of a URL may hold a user's token.
func hosts(targets []string) []string {
	var all []string
	for _, target := range targets {
		if u, err := url.Parse(target); err == nil && !slices.Contains(all, u.Host) {
			all = append(all, u.Host)
		}
	}
	return all
}

// accept checks what a conductor wants, and completes it.
func (a *agent) accept(ctx context.Context, h hello) (cfg bench.Config, status int, err error) {
	if h.Protocol != protocol {
		return cfg, http.StatusBadRequest, errVersion(h.Protocol)
	}
	if h.Config == nil {
		return cfg, http.StatusBadRequest, errors.New("there is no configuration of a run")
	}
	if cfg, err = h.Config.Check(); err != nil {
		return cfg, http.StatusBadRequest, err
	}
	if limit := descriptorLimit(); uint64(cfg.Connections) > limit {
		return cfg, http.StatusBadRequest, fmt.Errorf("%d connections are more than its %d descriptors: raise them there (ulimit -Hn, "+
			"or LimitNOFILE= in a systemd unit), give it less weight, or add agents", cfg.Connections, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	for _, target := range cfg.URLs {
		if err := a.allow.check(ctx, a.resolve, target); err != nil {
			if _, no := errors.AsType[*forbiddenError](err); no {
				return cfg, http.StatusForbidden, err
			}
			return cfg, http.StatusBadRequest, err
		}
	}
	return cfg, 0, nil
}

// descriptorLimit is the hard limit of open files: what a generator can raise its own to.
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return l.Max
}

// take begins the run that is under way; nil: there is one.
func (a *agent) take(w http.ResponseWriter) *run {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run != nil {
		return nil
	}
	a.run = newRun(w)
	return a.run
}

// leave ends u, if it is under way. A conductor may have the next run as soon as it has heard of the end.
func (a *agent) leave(u *run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run == u {
		a.run = nil
	}
}

// order passes on what the conductor of the run under way says.
func (a *agent) order(w http.ResponseWriter, r *http.Request) {
	var o order
	if !read(w, r, &o) {
		return
	}
	a.mu.Lock()
	u := a.run
	a.mu.Unlock()
	if u == nil || u.id != r.PathValue("id") {
		refuse(w, http.StatusNotFound, errors.New("this run is not under way"))
		return
	}
	if err := u.obey(o); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

// read reads a request's body as JSON; false: it was refused.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	// What may come now is the end of the connection only, and that at any time.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("the request cannot be read: %w", err))
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, refusal{Error: err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who has gone needs no answer
}
