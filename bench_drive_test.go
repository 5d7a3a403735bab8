package main

// In the package: the command is not exported.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runDrive runs the command as `dormouse bench drive` with args.
func runDrive(ctx context.Context, t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Setenv(asProgram, "1")
	var out bytes.Buffer
	err := run(ctx, append([]string{"bench", "drive"}, args...), &out, io.Discard)
	return out.String(), err
}

func TestDrive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "drive.json")
	out, err := runDrive(t.Context(), t, "--connections", "2k", "--compare", "500", "--json", file, "--workers", "3", "--broadcasts", "2")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r driveResult
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Hibernated == nil || r.Awake == nil || r.Hibernated.Sockets != 2000 || r.Awake.Sockets != 500 {
		t.Fatalf("%s", out)
	}
	if n := r.Hibernated.Goroutines; n > 200 {
		t.Errorf("%d goroutines for 2,000 sockets that sleep", n)
	}
	if n := r.Awake.Goroutines; n < 500 {
		t.Errorf("%d goroutines for 500 sockets that do not", n)
	}
	for name, s := range map[string]*driveSide{"hibernated": r.Hibernated, "awake": r.Awake} {
		if s.Created <= 0 || s.Resident <= 0 || s.Peak < s.Resident/2 || s.Heap <= 0 || s.Broadcast <= 0 || s.RoundTrip <= 0 || s.Closed <= 0 {
			t.Errorf("%s: %+v", name, *s)
		}
	}
}

// One side alone, as a table.
func TestDriveOneSide(t *testing.T) {
	for _, row := range []struct {
		args       []string
		want, lack string
	}{
		{[]string{"--connections", "200", "--compare", "0", "--broadcasts", "0"}, "hibernated", "a goroutine each"},
		{[]string{"--connections", "200", "--hibernate=false"}, "a goroutine each", "hibernated"},
	} {
		out, err := runDrive(t.Context(), t, row.args...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out, row.want) || strings.Contains(out, row.lack) || !strings.Contains(out, "resident, for each") {
			t.Errorf("%q:\n%s", row.args, out)
		}
	}
}

func TestDriveErrors(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string // what the error names
	}{
		{[]string{"--connections", "9"}, "--connections"},
		{[]string{"--compare", "-2"}, "--compare"},
		{[]string{"--compare", "3"}, "--compare"},
		{[]string{"--compare", "100", "--hibernate=false"}, "--compare"},
		{[]string{"--workers", "0"}, "--workers"},
		{[]string{"--broadcasts", "-1"}, "--broadcasts"},
		{[]string{"--topic", "hall:1"}, "--topic"},
		{[]string{"--connections", "1000m", "--compare", "0"}, "do not fit"},
		{[]string{"--connections", "1000m", "--hibernate=false"}, "do not fit"},
		{[]string{"--json", "/nowhere/x.json"}, "/nowhere"},
		{[]string{"much"}, "much"},
	} {
		if out, err := runDrive(t.Context(), t, row.args...); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want one that says %q\n%s", row.args, err, row.want, out)
		}
	}
}

func TestDrivePlan(t *testing.T) {
	const gib = 1 << 30
	for _, row := range []struct {
		name          string
		o             driveOptions
		available     int64
		asleep, awake int
		note, err     bool
	}{
		{"as many", driveOptions{connections: 1000, hibernate: true, compare: -1}, gib, 1000, 1000, false, false},
		{"a quarter of the memory", driveOptions{connections: 100_000, hibernate: true, compare: -1}, gib, 100_000, 21845, true, false},
		{"chosen", driveOptions{connections: 100_000, hibernate: true, compare: 50_000}, gib, 100_000, 50_000, false, false},
		{"none", driveOptions{connections: 1000, hibernate: true, compare: 0}, gib, 1000, 0, false, false},
		{"only awake", driveOptions{connections: 1000, compare: -1}, gib, 0, 1000, false, false},
		{"memory is not known", driveOptions{connections: 1_000_000, hibernate: true, compare: -1}, 0, 1_000_000, 1_000_000, false, false},
		{"too many", driveOptions{connections: 10_000_000, hibernate: true, compare: 0}, gib, 10_000_000, 0, false, true},
		{"too many awake", driveOptions{connections: 1_000_000, compare: -1}, gib, 0, 1_000_000, false, true},
	} {
		asleep, awake, note, err := row.o.plan(row.available)
		if asleep != row.asleep || awake != row.awake || (note != "") != row.note || (err != nil) != row.err {
			t.Errorf("%s: %d, %d, %q, %v", row.name, asleep, awake, note, err)
		}
	}
}

// Ctrl-C is no error, and leaves nothing behind: leaktest looks.
func TestDriveInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out, err := runDrive(ctx, t, "--connections", "1000"); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	o := driveOptions{connections: 1000, hibernate: true, topic: "rooms:a", workers: 2}
	if _, err := driveSockets(ctx, &o); !errors.Is(err, context.Canceled) {
		t.Errorf("a side that was interrupted: %v", err)
	}
}

func TestDriveResultPrint(t *testing.T) {
	side := func(sockets int, each float64) *driveSide {
		return &driveSide{Sockets: sockets, Created: 7 * time.Second, CPU: 12340 * time.Nanosecond, Resident: 320 << 20, Each: each, Goroutines: 8}
	}
	r := driveResult{Topic: "rooms:a", Hibernated: side(1_000_000, 300), Awake: side(100_000, 9000), Note: "A note."}
	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"joined to rooms:a",
		"                                      hibernated  a goroutine each\n",
		"sockets, joined                        1,000,000           100,000\n",
		"resident, for each                         300 B           9,000 B\n",
		"  for each, connect and join             7.00 µs           70.0 µs\n",
		"  CPU for each                           12.3 µs           12.3 µs\n",
		"push and reply                                 -                 -\n",
		"takes 300 B, one that does not 9,000 B: 30 times as much.\nA note.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
