package tuning

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// next says what to do now.
func (p *printer) next(r *Report) {
	var w work
	for _, f := range r.Findings {
		if f.bad() {
			w.add(f)
		}
	}
	p.heading("Next")
	if w.settings > 0 || w.limit || w.files {
		p.WriteString("  sudo dormouse tune apply" + r.Goal.flags() + w.flags() + "\n")
		p.paragraph(w.String(), "      ", "      ")
		if r.Machine.Container {
			p.paragraph("In a container most of it may not be set: then run it on the container's host.", "      ", "      ")
		}
	}
	if len(w.byHand) > 0 {
		p.paragraph("By hand, as said above: "+list(w.byHand, 8)+".", "  ", "      ")
	}
	short := r.Prediction.Largest < r.Goal.Connections
	if short && !w.memory {
		p.paragraph(fmt.Sprintf("No setting gives the memory that is missing: it takes %s more, or --connections %d.",
			byteCount(r.Prediction.Total-r.Prediction.Available), r.Prediction.Largest), "  ", "      ")
	}
	if !short && w.none() {
		p.WriteString("  Nothing is to be changed.\n")
	}
}

// work is what there is to do, by who can do it.
type work struct {
	settings int      // that tune apply sets
	limit    bool     // the limit of descriptors, which tune apply raises for the shell
	files    bool     // what tune apply does with --persist alone
	memory   bool     // a limit of the memory is to be raised
	byHand   []string // the rest
}

func (w *work) add(f Finding) {
	w.memory = w.memory || strings.HasPrefix(f.Name, "memory.")
	switch {
	case len(f.Settings) > 0:
		w.settings++
	case f.Name == "RLIMIT_NOFILE" && isCommand(f.Now): // else nobody in this session can
		w.limit = true
	case f.Name == "DefaultLimitNOFILE":
		w.files = true
	default:
		w.byHand = append(w.byHand, f.Name)
	}
}

func (w *work) none() bool { return w.settings == 0 && !w.limit && !w.files && len(w.byHand) == 0 }

// flags are what tune apply needs beside the goal.
func (w *work) flags() string {
	if w.settings == 0 && !w.limit {
		return " --persist"
	}
	return ""
}

// String says what tune apply does.
func (w *work) String() string {
	var does []string
	if w.settings > 0 {
		does = append(does, "sets "+plural(int64(w.settings), "setting"))
	}
	if w.limit {
		does = append(does, "raises RLIMIT_NOFILE of the shell that it is called from")
	}
	if len(does) == 0 {
		return "It writes files below /etc for the next boot, and saves what was there for `dormouse tune revert`; " +
			"with --dry-run it only says what it would do."
	}
	return "It " + list(does, 2) + ", as far as it may, and saves what was there for `dormouse tune revert`. " +
		"With --persist it also writes files below /etc for the next boot; with --dry-run it only says what it would do."
}

// flags are those of dormouse tune for a goal.
func (g Goal) flags() string {
	flags := []string{"", "--connections", strconv.FormatInt(g.Connections, 10)}
	add := func(wanted bool, name, value string) {
		if wanted {
			flags = append(flags, name, value)
		}
	}
	add(g.Role != Server, "--role", g.Role.String())
	if g.TLS {
		flags = append(flags, "--tls")
	}
	add(g.MessageRate > 0, "--message-rate", strconv.FormatFloat(g.MessageRate, 'f', -1, 64))
	add(g.MessageBytes != defaultMessageBytes, "--message-size", strconv.FormatInt(g.MessageBytes, 10))
	add(g.Memory > 0, "--memory", strconv.FormatInt(g.Memory, 10))
	add(g.Sources > 1, "--sources", strconv.Itoa(g.Sources))
	add(g.Targets > 1, "--targets", strconv.Itoa(g.Targets))
	if g.HeldBy != nil {
		pids := make([]string, len(g.HeldBy))
		for i, pid := range g.HeldBy {
			pids[i] = strconv.Itoa(pid)
		}
		flags = append(flags, "--held-by", cmp.Or(strings.Join(pids, ","), "none"))
	}
	return strings.Join(flags, " ")
}
