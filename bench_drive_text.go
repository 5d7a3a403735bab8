package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A driveLine is a line of the table.
type driveLine struct {
	name string
	text func(*driveSide) string
}

func driveLines() []driveLine {
	return []driveLine{
		{"sockets, joined", func(s *driveSide) string { return driveCount(s.Sockets) }},
		{"resident, for each", func(s *driveSide) string { return driveCount(int(s.Each)) + " B" }},
		{"resident at rest", func(s *driveSide) string { return driveBytes(s.Resident) }},
		{"  heap, live", func(s *driveSide) string { return driveBytes(s.Heap) }},
		{"  stacks", func(s *driveSide) string { return driveBytes(s.Stacks) }},
		{"resident at its peak", func(s *driveSide) string { return driveBytes(s.Peak) }},
		{"goroutines", func(s *driveSide) string { return driveCount(s.Goroutines) }},
		{"created in", func(s *driveSide) string { return driveTime(s.Created) }},
		{"  for each, connect and join", func(s *driveSide) string { return driveTime(s.Created / time.Duration(s.Sockets)) }},
		{"  CPU for each", func(s *driveSide) string { return driveTime(s.CPU) }},
		{"broadcast to all", func(s *driveSide) string { return driveTime(s.Broadcast) }},
		{"  for each subscriber", func(s *driveSide) string { return driveTime(s.Broadcast / time.Duration(s.Sockets)) }},
		{"push and reply", func(s *driveSide) string { return driveTime(s.RoundTrip) }},
		{"closed in", func(s *driveSide) string { return driveTime(s.Closed) }},
	}
}

// print writes the result for people.
func (r *driveResult) print(w io.Writer) error {
	const row = "%-30s"
	var b strings.Builder
	fmt.Fprintf(&b, "\nSockets driven in process, without the kernel, all joined to %s\n\n"+row, r.Topic, "")
	var sides []*driveSide
	if r.Hibernated != nil {
		sides = append(sides, r.Hibernated)
		fmt.Fprintf(&b, "%18s", "hibernated")
	}
	if r.Awake != nil {
		sides = append(sides, r.Awake)
		fmt.Fprintf(&b, "%18s", "a goroutine each")
	}
	for _, line := range driveLines() {
		fmt.Fprintf(&b, "\n"+row, line.name)
		for _, s := range sides {
			fmt.Fprintf(&b, "%18s", line.text(s))
		}
	}
	b.WriteByte('\n')
	if h, a := r.Hibernated, r.Awake; h != nil && a != nil && h.Each > 0 {
		fmt.Fprintf(&b, "\nA socket that sleeps takes %s B, one that does not %s B: %.0f times as much.\n",
			driveCount(int(h.Each)), driveCount(int(a.Each)), a.Each/h.Each)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "%s\n", r.Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// driveCount writes 1000000 as 1,000,000.
func driveCount(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func driveBytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// driveTime writes a time with three digits, and what was not measured as a dash.
func driveTime(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	unit := time.Duration(1)
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}
