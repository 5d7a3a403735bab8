package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (r rlimit) String() string { return fmt.Sprintf("%d:%d", r.Soft, r.Hard) }

// A task is what /proc/PID/stat says of a process.
type task struct {
	pid, parent int
	start       uint64 // ticks since the boot
	name        string // comm: the first 15 bytes
}

// parseStat reads proc(5)'s /proc/PID/stat. The name in it may hold spaces and brackets.
func parseStat(text string) (task, error) {
	garbage := &GarbageError{Path: "/proc/PID/stat", Content: clip(text)}
	head, name, _ := strings.Cut(text, " (")
	end := strings.LastIndex(name, ")")
	if end < 0 {
		return task{}, garbage
	}
	fields := strings.Fields(name[end+1:]) // the third of the file is the first here
	const parent, start = 4 - 3, 22 - 3
	if len(fields) <= start {
		return task{}, garbage
	}
	p := task{name: clip(name[:end])}
	var errs [3]error
	p.pid, errs[0] = strconv.Atoi(head)
	p.parent, errs[1] = strconv.Atoi(fields[parent])
	p.start, errs[2] = strconv.ParseUint(fields[start], 10, 64)
	if errors.Join(errs[:]...) != nil || p.pid < 1 || p.parent < 0 {
		return task{}, garbage
	}
	return p, nil
}

// task looks at a process, 0 is this one.
func (t Tuner) task(pid int) (task, error) {
	name := "self"
	if pid > 0 {
		name = strconv.Itoa(pid)
	}
	text, err := t.host().text("proc/" + name + "/stat")
	if err != nil {
		return task{}, err
	}
	p, err := parseStat(text)
	if err == nil && pid > 0 && p.pid != pid {
		err = fmt.Errorf("/proc/%d/stat is of process %d", pid, p.pid)
	}
	return p, err
}

// caller is the process that called this one, beyond those that only stand in between to change the user:
// sudo has one or two of them, the second for its terminal.
func (t Tuner) caller() (task, error) {
	p, err := t.task(0)
	for range 64 { // deep enough, should /proc be a forgery that goes round
		if err != nil {
			return p, err
		}
		if p.parent == 0 {
			return p, errors.New("the process that called this one is outside of this container")
		}
		if p, err = t.task(p.parent); err == nil && !among(p.name, "sudo", "doas", "su", "runuser", "run0", "pkexec") {
			return p, nil
		}
	}
	return p, errors.New("there is no end to the processes that called this one")
}

// A limitChange is the RLIMIT_NOFILE of a process that is to be higher.
type limitChange struct {
	Step
	task        task
	found, want rlimit
	needed      uint64
}

func (c *limitChange) step() Step { return c.Step }

// planLimit is for the process that is named, or else the caller.
func (t Tuner) planLimit(g Goal, pid int) change {
	needed := uint64(descriptors(g))
	step := Step{What: "RLIMIT_NOFILE of the caller", To: rlimit{needed, needed}.String(), Outcome: Failed}
	p, err := t.caller()
	if pid > 0 {
		step.What = fmt.Sprintf("RLIMIT_NOFILE of process %d", pid)
		p, err = t.task(pid)
	}
	if err != nil {
		step.Why, step.Fix = limitUnknown(err), "name the process by its number: --pid"
		return noChange(step)
	}
	step.What = fmt.Sprintf("RLIMIT_NOFILE of %s (%d)", p.name, p.pid)
	if pid == 0 && among(p.name, "systemd", "init") {
		step.Outcome, step.Why = Left, "it starts services, and what they may is for their units to say"
		step.Fix = fmt.Sprintf("LimitNOFILE=%d in the unit, or name a process: --pid", needed)
		return noChange(step)
	}
	found, err := t.sys().prlimit(p.pid, nil)
	if err != nil {
		step.Why, step.Fix = limitUnknown(err), "do it as root"
		return noChange(step)
	}
	want := rlimit{Soft: max(found.Soft, needed), Hard: max(found.Hard, needed)}
	step.From, step.To, step.Outcome = found.String(), want.String(), Would
	if want == found {
		step.Outcome = Already
		return noChange(step)
	}
	if found.Hard < needed && !t.host().capable(capSysResource) {
		step.Why = fmt.Sprintf("it will not get that far: no CAP_SYS_RESOURCE, so the hard limit of %d stays", found.Hard)
	}
	return &limitChange{Step: step, task: p, found: found, want: want, needed: needed}
}

func limitUnknown(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return "there is no such process"
	case errors.Is(err, fs.ErrPermission):
		return "it is another user's, and CAP_SYS_RESOURCE is missing"
	}
	return err.Error()
}

// fallback is what can be had without the right to raise the hard limit.
func (c *limitChange) fallback() rlimit { return rlimit{Soft: c.found.Hard, Hard: c.found.Hard} }

func (c *limitChange) save(s *state) {
	l := s.limit(c.task)
	if l == nil {
		// A number that was another process's before is this one's now.
		for i := range s.Limits {
			if s.Limits[i].PID == c.task.pid {
				s.Limits = append(s.Limits[:i], s.Limits[i+1:]...)
				break
			}
		}
		s.Limits = append(s.Limits, savedLimit{PID: c.task.pid, Start: c.task.start, Command: c.task.name, Found: c.found})
		l = &s.Limits[len(s.Limits)-1]
	}
	if len(l.Ours) > 0 && !among(c.found.String(), textsOf(l.Ours)...) {
		l.Found, l.Ours = c.found, nil // somebody else has been there since
	}
	if c.want.Hard > c.found.Hard {
		l.Ours = latest(l.Ours, c.fallback())
	}
	l.Ours = latest(l.Ours, c.want)
}

func textsOf(limits []rlimit) []string {
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.String()
	}
	return texts
}

func (c *limitChange) do(t Tuner, _ *state) Step {
	step := c.Step
	step.Why = "" // a guess
	_, err := t.sys().prlimit(c.task.pid, &c.want)
	if err == nil {
		step.Outcome = Done
		return step
	}
	step.Outcome, step.To = Failed, c.found.String()
	step.Why, step.Fix = t.whyNot(err, c)
	if errors.Is(err, fs.ErrPermission) && c.want.Hard > c.found.Hard && c.found.Soft < c.found.Hard {
		low := c.fallback()
		if _, err := t.sys().prlimit(c.task.pid, &low); err == nil {
			step.To = low.String()
			step.Why += "; the soft limit was raised to the hard one"
		}
	}
	return step
}

// whyNot says why prlimit(2) refused. EPERM has four reasons (do_prlimit and check_prlimit_permission in
// kernel/sys.c): a hard limit above fs.nr_open; one above the old without CAP_SYS_RESOURCE in the first user
// namespace, for which root of a container is not enough; a process of another user; a security module.
func (t Tuner) whyNot(err error, c *limitChange) (why, fix string) {
	h := t.host()
	most, unread := h.number(sysctlFile("fs.nr_open"))
	switch {
	case !errors.Is(err, fs.ErrPermission):
		return limitUnknown(err), ""
	case unread == nil && c.want.Hard > uint64(most):
		return fmt.Sprintf("no hard limit can be above fs.nr_open, which is %d", most), sysctlNow("fs.nr_open", strconv.FormatUint(c.want.Hard, 10))
	case c.want.Hard <= c.found.Hard:
		return limitUnknown(err), "do it as root"
	}
	why = fmt.Sprintf("no CAP_SYS_RESOURCE, so the hard limit of %d cannot be raised", c.found.Hard)
	if h.capable(capSysResource) {
		why = fmt.Sprintf("CAP_SYS_RESOURCE of a user namespace is not enough, so the hard limit of %d cannot be raised", c.found.Hard)
	}
	n := c.needed
	fix = fmt.Sprintf("whoever starts this has to give it more: LimitNOFILE=%d in the unit of a service, docker run "+
		"--ulimit nofile=%[1]d:%[1]d for a container, nofile %[1]d in /etc/security/limits.d and a new login for a user; "+
		"or root outside now: prlimit --pid PID --nofile=%[1]d:%[1]d", n)
	if os.Geteuid() != 0 && !h.container() {
		fix = "do it as root; or " + fix
	}
	return why, fix
}
