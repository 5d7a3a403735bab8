package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dormouse-ws/dormouse/bench/report"
)

// A driveLine is a line of the table.
type driveLine struct {
	name string
	text func(*driveSide) string
}

func driveLines() []driveLine {
	return []driveLine{
		{"sockets, joined", func(s *driveSide) string { return report.Count(int64(s.Sockets)) }},
		{"resident, for each", func(s *driveSide) string { return report.Bytes(int64(s.Each)) }},
		{"resident at rest", func(s *driveSide) string { return report.Bytes(s.Resident) }},
		{"  heap, live", func(s *driveSide) string { return report.Bytes(s.Heap) }},
		{"  stacks", func(s *driveSide) string { return report.Bytes(s.Stacks) }},
		{"resident at its peak", func(s *driveSide) string { return report.Bytes(s.Peak) }},
		{"goroutines", func(s *driveSide) string { return report.Count(int64(s.Goroutines)) }},
		{"created in", func(s *driveSide) string { return driveTime(s.Created) }},
		{"  for each, connect and join", func(s *driveSide) string { return driveTime(s.Created / time.Duration(s.Sockets)) }},
		{"  CPU for each", func(s *driveSide) string { return driveTime(s.CPU) }},
		{"broadcast to all", func(s *driveSide) string { return driveTime(s.Broadcast) }},
		{"  for each subscriber", func(s *driveSide) string { return driveTime(s.Broadcast / time.Duration(s.Sockets)) }},
		{"push and reply", func(s *driveSide) string { return driveTime(s.RoundTrip) }},
		{"closed in", func(s *driveSide) string { return driveTime(s.Closed) }},
	}
}

// driveEnough is how many sockets it takes for what the runtime has in stock to weigh little.
const driveEnough = 10_000

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
	if h, a := r.Hibernated, r.Awake; h != nil && a != nil && h.Each > 0 && min(h.Sockets, a.Sockets) >= driveEnough {
		fmt.Fprintf(&b, "\nA socket that sleeps takes %s B, one that does not %s B: %.0f times as much.\n",
			report.Count(int64(h.Each)), report.Count(int64(a.Each)), a.Each/h.Each)
	}
	if h := r.Hibernated; h != nil && h.Sockets < driveEnough {
		fmt.Fprintf(&b, "\nWith fewer than %s sockets the memory for each is mostly the runtime's stock.\n", report.Count(driveEnough))
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "%s\n", r.Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// driveTime is a dash where nothing was measured.
func driveTime(d time.Duration) string {
	if d == 0 {
		return unknown
	}
	return report.Duration(d)
}
