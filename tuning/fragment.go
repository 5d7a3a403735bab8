package tuning

import (
	"fmt"
	"strings"
)

// A Fragment is a piece of configuration for the next boot, as text.
type Fragment struct {
	Name string // sysctl, limits, systemd
	Path string // where it belongs
	Text string
}

// Fragments writes what a goal wants of a host as configuration files with their reasons: sysctl.d(5),
// limits.d of pam_limits(8), and a drop-in for dormouse.service. It looks at no host, so that the same goal
// always makes the same text. Of the Goal it takes Connections and Role alone, and pages are taken to be of
// 4 KiB. An error is one of the Goal.
func Fragments(g Goal) ([]Fragment, error) {
	if _, err := g.withDefaults(); err != nil {
		return nil, err
	}
	g, err := Goal{Connections: g.Connections, Role: g.Role}.withDefaults()
	if err != nil {
		return nil, err
	}
	return []Fragment{
		{"sysctl", sysctlConf, sysctlText(g, sections())},
		{"limits", limitsConf, limitsText(g)},
		{"systemd", dropIn, dropInText(g)},
	}, nil
}

// Beside sysctlConf.
const (
	limitsConf = "/etc/security/limits.d/90-dormouse.conf"
	dropIn     = "/etc/systemd/system/dormouse.service.d/90-limits.conf"
)

// openLimit is the RLIMIT_NOFILE that is written: the fs.nr_open of the same goal, because logins with more
// are refused, and because nothing has more by default, so that nothing is lowered.
func openLimit(g Goal) int64 { return nrOpen(descriptors(g)) }

// limitsText leaves the soft limit alone, because programs that call select(2) break on descriptors from
// 1,024, and serve, bench and every other Go program raise their soft limit themselves. Root has a line of
// its own, which goes before the wildcard's, to be the way in while fs.nr_open is too low for the others.
func limitsText(g Goal) string {
	w := made(g, "limits")
	w.gap()
	w.comment("A process holds a descriptor for each connection. pam_limits(8) gives this limit to logins, from the next one on; " +
		"services have theirs by LimitNOFILE= in their units, and containers by --ulimit.")
	w.gap()
	w.comment("The hard limit alone: serve and bench raise their soft one themselves. " +
		"Programs that call select(2) break on descriptors from 1,024 on, so the soft limit of the others stays.")
	limit := openLimit(g)
	if limit > nrOpenDefault {
		w.gap()
		w.comment(fmt.Sprintf("DANGER: %d is above %d, which is fs.nr_open where nothing sets it. While fs.nr_open is lower than a "+
			"limit in this file, pam_limits(8) refuses the login of everybody whom it is for; that of Debian goes on without the limit. "+
			"So %s first, then this file, and `sysctl fs.nr_open` before the last session ends; "+
			"to take them away, this file first.", limit, nrOpenDefault, sysctlConf))
	}
	w.line(fmt.Sprintf("* hard nofile %d", limit))
	w.gap()
	w.comment("Root's is no more than fs.nr_open is where nothing sets it, to be the way back in. The wildcard is for root too, " +
		fmt.Sprintf("but not in Debian. A root shell raises its own: `ulimit -n %d`.", limit))
	w.line(fmt.Sprintf("root hard nofile %d", min(limit, nrOpenDefault)))
	return w.String()
}

func dropInText(g Goal) string {
	w := made(g, "systemd")
	w.comment("Load it: systemctl daemon-reload && systemctl restart dormouse")
	w.gap()
	w.line("[Service]")
	w.comment("A process holds a descriptor for each connection, and systemd's default is 524,288 (DefaultLimitNOFILE=, since " +
		"version 240). limits.d does nothing for services: it is read by pam_limits(8), at logins.")
	w.gap()
	w.comment("A limit above fs.nr_open is refused by the kernel; systemd then takes the one that it has itself, and says " +
		"so in its debug log alone. `grep files /proc/$(pidof dormouse)/limits` has what became of it.")
	w.line(fmt.Sprintf("LimitNOFILE=%d", openLimit(g)))
	return w.String()
}

// A commented writes configuration whose comments begin with # and fit a terminal of 80 columns.
type commented struct{ strings.Builder }

const commentWidth = 78 // columns, with the "# "

// made begins a file with what it is and the command that writes it again.
func made(g Goal, name string) *commented {
	w := new(commented)
	w.comment(fmt.Sprintf("Dormouse: %s. Role: %v.", plural(g.Connections, "connection"), g.Role))
	w.line("# Written by: " + printCommand(g, name))
	return w
}

// printCommand writes a fragment again. It is not wrapped, so that it can be copied. Of a Goal it has what
// settings depend on.
func printCommand(g Goal, name string) string {
	goal := fmt.Sprintf("--connections %d", g.Connections)
	for _, p := range Profiles() {
		if p.Connections == g.Connections {
			goal = "--profile " + p.Name
		}
	}
	if g.Role != Server {
		goal += " --role " + g.Role.String()
	}
	return "dormouse tune print " + goal + " --only " + name
}

// comment wraps a text. No line of it can be taken for a setting, whatever the text holds.
func (w *commented) comment(text string) {
	for _, l := range wrap(clean(text), commentWidth-len("# ")) {
		w.line("# " + l)
	}
}

func (w *commented) line(s string) { w.WriteString(s + "\n") }

func (w *commented) gap() { w.WriteByte('\n') }
