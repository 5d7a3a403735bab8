package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/poller"
	"github.com/dormouse-ws/dormouse/server"
	"github.com/dormouse-ws/dormouse/server/metrics"
	"github.com/dormouse-ws/dormouse/tuning"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	addr         string
	engine       string
	host         string
	origins      []string
	drain        time.Duration
	drains       server.Drain
	timeout      time.Duration
	slow         string
	limits       limitOptions
	reportPeriod time.Duration
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a chat over Phoenix Channels, with its page",
		Long: `Serve starts with no configuration: a chat page at /, Phoenix Channels for
topics rooms:* at /socket/websocket (protocol versions 1 and 2) and, for clients
that no WebSocket reaches, /socket/longpoll; /healthz, and /metrics for
Prometheus, which a proxy in front need not show to the world.
Beside the page's new_msg a room knows the events of a channel that mix
phx.gen.channel makes: ping, which it answers with the payload, and shout, which
it broadcasts.

From time to time it logs what the connections cost, when their number has
changed. SIGTERM or Ctrl-C closes every socket with code 1012, so that clients
come back, in batches if there are more than --drain-batch, and exits 0; another
one ends it at once. In a calm after many connections have come or gone it
collects garbage and gives memory back to the kernel; SIGUSR1 does so at once,
and logs.

At the start it says how many connections this host can hold, or what stops it
below --max-connections and the command that fixes that; dormouse tune check has
the whole of it.`,
		Example: `  dormouse serve
  dormouse serve --addr :80 --host chat.example.com
  dormouse serve --engine goroutine          # to see what a goroutine each costs`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("serve takes flags only, not %q; try: dormouse serve --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return serve(cmd.Context(), o, log)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.addr, "addr", ":4000", "listen on this TCP `address`")
	f.StringVar(&o.engine, "engine", "epoll", "one of "+strings.Join(poller.Names(), ", "))
	o.limits.flags(f)
	f.StringVar(&o.host, "host", "", "the public `host`: pages from other hosts may not connect (default: all may)")
	f.StringSliceVar(&o.origins, "origin", nil, "pages that may connect, instead of --host; as https://example.com or //*.example.com")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "close a connection from which nothing was received for so long")
	f.StringVar(&o.slow, "slow", "close", "a client that does not read: close it (1013) or drop its messages")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "reset connections that are still open so long after SIGTERM and --drain-delay")
	f.IntVar(&o.drains.BatchSize, "drain-batch", 10_000, "close so many sockets at a time, or more if --drain would not suffice")
	f.DurationVar(&o.drains.Interval, "drain-interval", 2*time.Second, "and then pause; 0: close all at once")
	f.DurationVar(&o.drains.Delay, "drain-delay", 0, "before all that answer /healthz with 503 for so long, so that a balancer notices")
	f.DurationVar(&o.reportPeriod, "report", 10*time.Second, "log the cost of the connections at most this often; 0: never")
	return cmd
}

// maxTimeout is the longest --timeout; the engine's clock has room for no more.
const maxTimeout = 24 * 24 * time.Hour

func (o serveOptions) config(log *slog.Logger) (server.Config, error) {
	cfg := server.Config{Engine: o.engine, PublicHost: o.host, Log: log, Presence: server.PresenceConfig{Resync: true}}
	if err := o.limits.config(&cfg); err != nil {
		return cfg, err
	}
	switch {
	case !slices.Contains(poller.Names(), o.engine):
		return cfg, fmt.Errorf("--engine is %q: want %s", o.engine, strings.Join(poller.Names(), ", "))
	case strings.ContainsAny(o.host, "/: "):
		return cfg, fmt.Errorf("--host is %q: want a host alone, as chat.example.com, without scheme and port", o.host)
	case o.timeout <= 0 || o.timeout > maxTimeout:
		return cfg, fmt.Errorf("--timeout is %v: want more than 0 and at most %v", o.timeout, maxTimeout)
	case o.drain < 0 || o.reportPeriod < 0 || o.drains.Interval < 0 || o.drains.Delay < 0:
		return cfg, errors.New("--drain, --drain-interval, --drain-delay and --report cannot be negative")
	case o.drains.BatchSize <= 0:
		return cfg, fmt.Errorf("--drain-batch is %d: want how many sockets are closed at a time", o.drains.BatchSize)
	}
	switch o.slow {
	case "close":
		cfg.SlowConsumer = server.CloseSlow
	case "drop":
		cfg.SlowConsumer = server.DropSlow
	default:
		return cfg, fmt.Errorf("--slow is %q: want close or drop", o.slow)
	}
	cfg.Drain = o.drains
	cfg.Drain.Timeout = max(1, o.drain) // 0 would be the default
	if cfg.Drain.Interval == 0 {
		cfg.Drain.Interval = -1
	}
	sock := chatSocket()
	sock.WebSocket.Timeout = o.timeout
	if len(o.origins) > 0 {
		sock.CheckOrigin = server.AllowOrigins(o.origins...)
	}
	cfg.Sockets = []*server.Socket{sock}
	return cfg, nil
}

func serve(ctx context.Context, o serveOptions, log *slog.Logger) error {
	limit, err := poller.RaiseDescriptorLimit()
	if err != nil {
		log.Warn("cannot raise the descriptor limit", "err", err)
	}
	cfg, err := o.config(log)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	cfg.HTTP = mux
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	mux.HandleFunc("/healthz", s.Healthz)
	mux.Handle("/metrics", metrics.Handler(s))
	mux.Handle("/", server.ChatPage())

	defer startReport(s, o.reportPeriod, log)() // before it says that it listens, and SIGUSR1 may come
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		_ = s.Shutdown(context.Background())
		return listenError(o.addr, err)
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	log.Info("listening on "+pageURL(l.Addr()), "engine", o.engine, "descriptors", limit)
	startChecks(tuning.ThisHost(), o.limits.most, log)

	defer collectAtRest(s)()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return shutdown(s, o.drains.Delay+o.drain, log)
}

// shutdown ends the server within limit.
func shutdown(s *server.Server, limit time.Duration, log *slog.Logger) error {
	st := s.Stats()
	log.Info("shutting down", "open", st.Engine.Open, "http", st.HTTPConns, "at_most", limit)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("what was still open at the limit of --drain was cut off", "limit", limit)
		return nil
	}
	return err
}

// pageURL is how a person on this machine reaches the page.
func pageURL(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// listenError says what to do about an address that cannot be listened on.
func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another process (ss -ltnp shows which); choose another with --addr", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("no permission to listen on %s: ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --addr", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine (ip addr shows them); choose another with --addr", addr)
	}
	var bad *net.AddrError
	if errors.As(err, &bad) {
		return fmt.Errorf("--addr is %q: want host:port or :port, as 127.0.0.1:4000 or :4000 (%s)", addr, bad.Err)
	}
	return err
}
