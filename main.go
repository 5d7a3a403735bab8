// Dormouse holds millions of mostly idle realtime connections on one Linux host. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	first, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(behind(first, stop), os.Args[1:], os.Stdout, os.Stderr)
	if status, ok := err.(exitStatus); ok {
		os.Exit(int(status))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormouse:", err)
		os.Exit(1)
	}
}

// behind returns a context that ends once first has and stop has returned. So a second Ctrl-C does not wait for what
// the first has begun, also that of somebody who has just seen it begin.
func behind(first context.Context, stop func()) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(first, func() {
		stop()
		cancel()
	})
	return ctx
}

// An exitStatus ends the program with it and without a word: all was said.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// run is the program. It ends in good order when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:   "dormouse",
		Short: "Hold millions of mostly idle realtime connections on one Linux host",
		Long: `Dormouse serves Phoenix Channels to unmodified phoenix.js clients. An idle
connection is a descriptor in epoll and about 150 bytes of records: no
goroutine, no buffer, no timer. Its bench opens as many connections to any such
server, and says what each one costs; tune finds what stops a host short of them.`,
		Version:       version(),
		Example:       "  dormouse serve\n  dormouse serve --addr 127.0.0.1:4000 --engine goroutine\n  dormouse bench connect\n  dormouse tune check --connections 2m",
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q; try: dormouse --help", args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; try: %s --help", err, cmd.CommandPath())
	})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(), benchCommand(), tuneCommand())
	err := root.ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// version is the module's, as the build has recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version + " " + info.GoVersion
	}
	return "unknown"
}
