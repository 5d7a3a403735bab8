package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dormouse-ws/dormouse/bench"
	"github.com/dormouse-ws/dormouse/bench/agent"
)

// runAgent runs the command and returns what it returned; told is given what it logs.
func runAgent(ctx context.Context, told io.Writer, args ...string) error {
	cmd := agentCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(args)
	cmd.SetOut(told)
	cmd.SetErr(told)
	return cmd.ExecuteContext(ctx)
}

func TestAgentRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	t.Setenv(tokenVariable, "")
	for _, row := range []struct{ args, want string }{
		{"--listen 0.0.0.0:0", "needs a token"},
		{"--token-file " + empty, "--token-file"},
		{"--listen " + busy.Addr().String(), "address already in use"},
		{"--listen 127.0.0.1:0 --allow 10.0.0.0/99", `--allow "10.0.0.0/99"`},
		{"--max-run 0s", "--max-run"},
		{"somewhere", "somewhere"},
	} {
		err := runAgent(t.Context(), io.Discard, strings.Fields(row.args)...)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("bench agent %s: %v, want %q", row.args, err, row.want)
		}
	}
}

// TestAgentServes holds that the command listens, wants its token, and ends with its context.
func TestAgentServes(t *testing.T) {
	t.Setenv(tokenVariable, "secret")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log, told := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- runAgent(ctx, told, "--listen", "127.0.0.1:0", "--allow", "127.0.0.1:1")
		told.Close()
	}()
	line := make([]byte, 4096)
	n, err := log.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	address := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(string(line[:n]))

	if _, _, err := agent.New(address, "secret").Clock(ctx); err != nil {
		t.Errorf("with the token: %v", err)
	}
	if _, _, err := agent.New(address, "guess").Clock(ctx); err == nil || !strings.Contains(err.Error(), tokenVariable) {
		t.Errorf("with another token: %v", err)
	}
	cfg, err := bench.Config{Scenario: "connect", URLs: []string{"ws://127.0.0.1:2/"}, Connections: 1}.Check()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.New(address, "secret").Generate(ctx, cfg, nil, nil); err == nil || !strings.Contains(err.Error(), "--allow 127.0.0.1:2") {
		t.Errorf("a target that is not allowed: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
