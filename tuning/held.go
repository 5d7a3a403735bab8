package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A server that runs holds some of the goal's connections already. What they take is in use, and it is in what the
// goal needs: counted as both, a host would be judged to hold fewer connections the more it holds. So what such a
// process has is given back to what is there, and the Report says whose it is.

// A Holder is a process that has some of the goal's connections already.
type Holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"` // dormouse serve, dormouse bench; "process" if it was named by its number

	// Descriptors is how many it has open, all but a few of them connections. Memory is what it has to itself,
	// in bytes, and Kernel what the kernel is predicted to keep for its descriptors.
	Descriptors int64 `json:"descriptors"`
	Memory      int64 `json:"memory"`
	Kernel      int64 `json:"kernel"`

	// Unread says why that is not known, in which case it is counted as another's.
	Unread string `json:"unread,omitempty"`

	threads     int64
	reclaimable int64 // of Kernel
}

func (p Holder) String() string { return fmt.Sprintf("%s (%d)", p.Command, p.PID) }

// findHolders finds the processes of a goal that run already: those of Goal.HeldBy, or, if that is nil, every
// dormouse serve for the role of a server and every dormouse bench for that of a load generator. What runs in
// a container of its own is seen from the host, and not the other way round.
func findHolders(h *Host, g Goal) ([]Holder, error) {
	var found []Holder
	if g.HeldBy != nil {
		for _, pid := range g.HeldBy {
			p := Holder{PID: pid, Command: "process"}
			if command := h.command(pid); command != "" {
				p.Command = "dormouse " + command
			}
			if err := h.measure(&p, g); err != nil {
				return nil, fmt.Errorf("there is no process %d, which --held-by names", pid)
			}
			found = append(found, p)
		}
		return found, nil
	}
	var pids []int
	for _, name := range h.dir("proc") {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		command := h.command(pid)
		if command == "serve" && g.Role&Server != 0 || command == "bench" && g.Role&LoadGen != 0 {
			p := Holder{PID: pid, Command: "dormouse " + command}
			if h.measure(&p, g) == nil { // else it has just ended
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func processFile(pid int, name string) string { return path.Join("proc", strconv.Itoa(pid), name) }

// command is which of dormouse's a process runs, "" if it is another program's.
func (h *Host) command(pid int) string {
	b, err := h.files.ReadFile(processFile(pid, "cmdline"))
	if err != nil {
		return ""
	}
	_, command, _ := strings.Cut(commandOf(string(b)), "\x00")
	return strings.TrimSuffix(command, "\x00")
}

// commandOf keeps the name of the program and of the command of a line as in /proc/PID/cmdline, if they are
// dormouse's that hold connections; "" for all others.
func commandOf(cmdline string) string {
	program, rest, _ := strings.Cut(cmdline, "\x00")
	if path.Base(program) != "dormouse" {
		return ""
	}
	for word := range strings.SplitSeq(rest, "\x00") {
		switch {
		case among(word, "serve", "bench"):
			return "dormouse\x00" + word + "\x00"
		case !strings.HasPrefix(word, "-"):
			return ""
		}
	}
	return ""
}

// measure fills in what a process has. An error is that it is not there.
func (h *Host) measure(p *Holder, g Goal) error {
	status := processFile(p.PID, "status")
	if _, err := h.text(status); errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n, err := h.number(processFile(p.PID, "fd"))
	private, ok := h.kibibytes(status, "RssAnon")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		p.Unread = h.unread(processFile(p.PID, "fd"), err)
		return nil
	case !ok:
		p.Unread = "no RssAnon in /" + status
		return nil
	}
	n = min(max(n, 0), MaxConnections)
	p.Descriptors, p.Memory = n, private
	if s, ok := h.line(status, "Threads"); ok {
		p.threads, _ = strconv.ParseInt(s, 10, 32)
	}
	g.Connections = max(n, 1)
	for _, o := range kernelObjects(h, g) {
		bytes := o.total(n) / g.ends() // kept for one end
		p.Kernel += bytes
		if among(o.name, reclaimableSlabs()...) {
			p.reclaimable += bytes
		}
	}
	return nil
}

// reclaimableSlabs are the kinds that MemAvailable takes for memory to be had, though those of an open socket are
// not (SLAB_RECLAIM_ACCOUNT; si_mem_available in mm/show_mem.c).
func reclaimableSlabs() []string { return []string{"sock_inode_cache", "dentry"} }

// known are the holders of which it is known what they have.
func (g Goal) known(yield func(Holder) bool) {
	for _, p := range g.held {
		if p.Unread == "" && !yield(p) {
			return
		}
	}
}

// heldMemory is what MemAvailable lacks for what is held already, in bytes.
func (g Goal) heldMemory() (bytes int64) {
	for p := range g.known {
		bytes += p.Memory + p.Kernel - p.reclaimable
	}
	return bytes
}

func (g Goal) heldDescriptors() (n int64) {
	for p := range g.known {
		n += p.Descriptors
	}
	return n
}

// heldCommitted is what of Committed_AS is of the holders, in bytes.
func (g Goal) heldCommitted() (bytes int64) {
	for p := range g.known {
		bytes += p.Memory + mappedBytes
	}
	return bytes
}

// heldIn is what a cgroup is charged for the holders in it: bytes of its memory, and threads.
func (h *Host) heldIn(g Goal, dir, controller string) (bytes, threads int64) {
	for p := range g.known {
		if slices.Contains(h.hierarchyOf(strconv.Itoa(p.PID), controller).dirs, dir) {
			bytes += p.Memory + p.Kernel
			threads += p.threads
		}
	}
	return bytes, threads
}

// heldWords says what is counted as part of the goal, and what is not as nothing is known of it.
func heldWords(held []Holder) (said []string) {
	var names []string
	var descriptors, bytes int64
	for p := range (Goal{held: held}).known {
		names = append(names, p.String())
		descriptors += p.Descriptors
		bytes += p.Memory + p.Kernel
	}
	if len(names) > 0 {
		have := "has"
		if len(names) > 1 {
			have = "have"
		}
		said = append(said, fmt.Sprintf("What %s %s already is counted as part of the goal: %s and %s.",
			list(names, 4), have, plural(descriptors, "descriptor"), byteCount(bytes)))
	}
	for _, p := range held {
		if p.Unread != "" {
			said = append(said, fmt.Sprintf("How much of the goal %s holds already is not known (%s): what it has is counted beside the goal.",
				p, p.Unread))
		}
	}
	return said
}
