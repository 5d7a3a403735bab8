package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
	"github.com/dormouse-ws/dormouse/poller"
)

// agentOptions are the flags of bench agent.
type agentOptions struct {
	listen    string
	tokenFile string
	allow     []string
	maxRun    time.Duration
}

func agentCommand() *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Generate load on this machine for a bench that runs on another",
		Long: `agent waits for a bench with --agents and carries out its share of the load, one
run at a time. A run ends when the connection to its bench does.

It directs load only at targets that --allow names: addresses, prefixes, names,
or with *. in front all names below one, each with a port or without.

Whoever knows the token can direct the load. It is read from a file or from
$` + tokenVariable + `, as everybody on this machine can see a command line, and
travels in the clear: let agents listen in a network that you trust, or on
loopback behind ssh -L.`,
		Example: `  dormouse bench agent --listen 10.0.0.2:` + agent.DefaultPort + ` --token-file token --allow 10.0.0.0/8
  dormouse bench agent --allow ws.example.com:443      # behind ssh -L ` + agent.DefaultPort + `:127.0.0.1:` + agent.DefaultPort,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.serve(cmd.Context(), slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:"+agent.DefaultPort, "listen on this TCP `address`")
	f.StringVar(&o.tokenFile, "token-file", "", "`file` with the token (default: $"+tokenVariable+"; on loopback none is needed)")
	f.StringSliceVar(&o.allow, "allow", nil, "`targets` that may be connected to, as 10.0.0.0/8, 10.0.0.2:4000 or *.example.com (default: loopback)")
	f.DurationVar(&o.maxRun, "max-run", 24*time.Hour, "end a run that takes longer")
	return cmd
}

// serve carries out runs until ctx ends.
func (o *agentOptions) serve(ctx context.Context, log *slog.Logger) error {
	if o.maxRun <= 0 {
		return errors.New("--max-run must be above 0")
	}
	token, err := agentToken(o.tokenFile)
	if err != nil {
		return err
	}
	if _, err := poller.RaiseDescriptorLimit(); err != nil {
		log.Warn("cannot raise the descriptor limit", "err", err)
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("--listen is %q: %w", o.listen, err)
	}
	return agent.Serve(ctx, l, agent.Options{Generator: bench.Local{}, Token: token, Allow: o.allow, MaxRun: o.maxRun, Log: log})
}
