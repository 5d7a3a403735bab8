package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormouse-ws/dormouse/bench/report"
	"github.com/dormouse-ws/dormouse/bench/sample"
)

// maxDriveWorkers is more than any host has processors for.
const maxDriveWorkers = 1024

// driveOptions are the flags of bench drive.
type driveOptions struct {
	connections int
	hibernate   bool
	compare     int
	topic       string
	broadcasts  int
	workers     int
	json        string
	quiet       bool
	side        bool // this process drives one side, and prints it as JSON
}

// What a socket needs at most, resident with what the collector has yet to collect, measured and rounded up:
// for the checks before a run.
const (
	driveAsleepBytes = 600
	driveAwakeBytes  = 12 << 10
)

func driveCommand() *cobra.Command {
	var o driveOptions
	cmd := &cobra.Command{
		Use:   "drive",
		Short: "Drive sockets inside the server's process, without a network",
		Long: `drive opens sockets in the server's own process and joins each to one topic: the
request head, the handshake, frames, serializer, channels and hub are those of
serve, only the kernel is left out. So a million sockets can be looked at
whatever the descriptor limit.

It then does the same with a goroutine and a read buffer for each socket, as
servers have that do not hibernate, so that the saving is two numbers side by
side. Each side has a process of its own. Memory is what is resident after a
forced collection; what a socket costs is the slope between a tenth of the
sockets and all of them, its client's side of 48 bytes included.`,
		Example: `  dormouse bench drive
  dormouse bench drive --connections 1000000
  dormouse bench drive --connections 1000000 --compare 0     # hibernated sockets only
  dormouse bench drive --hibernate=false --connections 50000 # and only those that are not`,
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if o.side {
				return o.driveOne(cmd.Context(), cmd.OutOrStdout())
			}
			return o.drive(cmd)
		},
	}
	useFlags(cmd, driveFlags(&o))
	return cmd
}

func driveFlags(o *driveOptions) []flagGroup {
	o.connections, o.compare, o.topic, o.broadcasts, o.workers = 100_000, -1, "rooms:lobby", 5, runtime.GOMAXPROCS(0)
	sockets := newFlagGroup("Sockets")
	flag(sockets, "connections", "N", "100k", "how many", parseCount, assign(&o.connections))
	sockets.BoolVar(&o.hibernate, "hibernate", true, "let them sleep; =false: keep a goroutine and a buffer for each, and drive only those")
	flag(sockets, "compare", "N", "", "how many that do not sleep to compare with; 0: none (default: as many, if a quarter of the memory holds them)",
		parseCount, assign(&o.compare))
	flag(sockets, "topic", "TOPIC", o.topic, "that all join, as rooms:NAME", asIs, assign(&o.topic))
	flag(sockets, "broadcasts", "N", "5", "how many messages to send to all of them", parseCount, assign(&o.broadcasts))
	flag(sockets, "workers", "N", strconv.Itoa(o.workers), "how many goroutines open them at the same time", parseCount, assign(&o.workers))
	output := newFlagGroup("Output")
	flag(output, "json", "FILE", "", "for the results", asIs, assign(&o.json))
	output.BoolVar(&o.quiet, "quiet", false, "no progress, only the table at the end")
	output.BoolVar(&o.side, "side", false, "drive one side in this process")
	_ = output.MarkHidden("side")
	return []flagGroup{sockets, output}
}

// driveSlope is the part of the sockets at which memory is looked at first.
const driveSlope = 10

func (o *driveOptions) check() error {
	switch {
	case o.connections < driveSlope || o.compare > 0 && o.compare < driveSlope:
		return fmt.Errorf("--connections and --compare must be at least %d: what one socket costs is a slope", driveSlope)
	case !o.hibernate && o.compare >= 0:
		return errors.New("--hibernate=false drives sockets that do not sleep alone: --compare has nothing to compare with")
	case o.workers < 1 || o.workers > maxDriveWorkers:
		return fmt.Errorf("--workers is %d: want 1 to %d", o.workers, maxDriveWorkers)
	case !strings.HasPrefix(o.topic, "rooms:"):
		return fmt.Errorf("--topic is %q: the server that is driven has the topics of serve, rooms:NAME", o.topic)
	}
	return (&benchOptions{json: o.json}).checkFiles()
}

// A driveResult is both sides, or the one that was asked for.
type driveResult struct {
	Topic      string     `json:"topic"`
	Broadcasts int        `json:"broadcasts"`
	Hibernated *driveSide `json:"hibernated,omitempty"`
	Awake      *driveSide `json:"awake,omitempty"`
	Note       string     `json:"note,omitempty"`
}

// drive drives each side in a process of its own and prints the result. When it is interrupted it prints
// the side that it has.
func (o *driveOptions) drive(cmd *cobra.Command) error {
	asleep, awake, note, err := o.plan(sample.ReadKernel().Available)
	if err != nil {
		return err
	}
	result := driveResult{Topic: o.topic, Broadcasts: o.broadcasts, Note: note}
	if asleep > 0 {
		if result.Hibernated, err = o.start(cmd, asleep, true); err != nil {
			return err
		}
	}
	if awake > 0 {
		result.Awake, err = o.start(cmd, awake, false)
		switch interrupted := cmd.Context().Err() != nil; {
		case interrupted && result.Hibernated != nil:
			result.Note = "It was interrupted before there was something to compare with."
		case err != nil:
			return err
		}
	}
	return errors.Join(result.print(cmd.OutOrStdout()), o.save(&result))
}

// plan says how many sockets of each kind there will be, with so many bytes of memory; 0: it is not known.
func (o *driveOptions) plan(available int64) (asleep, awake int, note string, err error) {
	asleep, awake = o.connections, o.compare
	switch fits := int(available / 4 / driveAwakeBytes); {
	case !o.hibernate:
		asleep, awake = 0, o.connections
	case awake >= 0:
	case available == 0 || fits >= asleep:
		awake = asleep
	default:
		awake = max(fits, driveSlope)
		note = fmt.Sprintf("The sockets with a goroutine each are fewer: at %d KiB, %s fill a quarter of the memory. --compare chooses.",
			driveAwakeBytes>>10, report.Count(int64(awake)))
	}
	err = errors.Join(fitsMemory(asleep, driveAsleepBytes, available), fitsMemory(awake, driveAwakeBytes, available))
	return asleep, awake, note, err
}

func (o *driveOptions) save(r *driveResult) error {
	if o.json == "" {
		return nil
	}
	return report.WriteFile(o.json, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(r)
	})
}

// fitsMemory refuses what would have the kernel kill something.
func fitsMemory(sockets int, each, available int64) error {
	if available == 0 || int64(sockets)*each <= available {
		return nil
	}
	return fmt.Errorf("%s sockets at up to %d bytes each do not fit into the %s that are available; %s do",
		report.Count(int64(sockets)), each, report.Bytes(available), report.Count(available/each))
}

// driveEnd is how long a side has to end after SIGTERM.
const driveEnd = 10 * time.Second

// start drives one side in a process of its own, which does not outlive this one.
func (o *driveOptions) start(cmd *cobra.Command, sockets int, hibernate bool) (*driveSide, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start a process of the bench's own: %w", err)
	}
	how := "hibernated"
	if !hibernate {
		how = "with a goroutine each"
	}
	if !o.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s sockets, %s\n", report.Count(int64(sockets)), how)
	}
	args := append(strings.Fields(cmd.CommandPath())[1:], "--side",
		"--connections", strconv.Itoa(sockets), "--hibernate="+strconv.FormatBool(hibernate), "--topic", o.topic,
		"--broadcasts", strconv.Itoa(o.broadcasts), "--workers", strconv.Itoa(o.workers))
	ctx := cmd.Context()
	c := exec.CommandContext(ctx, self, args...)
	c.Stderr = cmd.ErrOrStderr()
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = driveEnd
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends (prctl(2), PR_SET_PDEATHSIG)
	defer runtime.UnlockOSThread()
	out, err := c.Output()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("driving %s sockets %s: %w", report.Count(int64(sockets)), how, err)
	}
	var side driveSide
	if err := json.Unmarshal(out, &side); err != nil {
		return nil, fmt.Errorf("driving %s sockets %s: its result cannot be read: %w", report.Count(int64(sockets)), how, err)
	}
	return &side, nil
}

// driveOne drives one side in this process.
func (o *driveOptions) driveOne(ctx context.Context, out io.Writer) error {
	side, err := driveSockets(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(side)
}
