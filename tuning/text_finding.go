package tuning

import "strings"

// changes says of each finding that is bad why it matters, what is wanted and how to get it.
func (p *printer) changes(r *Report) {
	any := false
	for _, f := range r.Findings {
		if !f.bad() {
			continue
		}
		if !any {
			p.heading("To change, the worst first")
			any = true
		} else {
			p.WriteString("\n")
		}
		p.change(f)
	}
}

func (p *printer) change(f Finding) {
	title := f.Name + ": " + f.Verdict.String()
	if f.Value != "" && f.Needed != "" {
		title += " " + shown(f.Name, f.Value) + " to " + shown(f.Name, f.Needed)
	}
	p.paragraph(title, "  ", "      ")
	p.field("why", sentence(f.Why))
	p.field("needed", f.Because)
	p.command("now", f.Now)
	p.field("for good", f.ForGood)
}

// fieldIndent is where the text of a field begins: longer than any of their names.
const fieldIndent = "              "

// field writes a name and a text.
func (p *printer) field(name, text string) {
	if text != "" {
		p.paragraph(text, p.fieldName(name), fieldIndent)
	}
}

// command writes a name and what may be a command: on one line, so that it can be copied, unless it is too
// long for any terminal.
func (p *printer) command(name, text string) {
	const commandWidth = 200
	switch text = clean(text); {
	case text == "":
	case len(text) <= p.width-len(fieldIndent) || isCommand(text) && len(text) <= commandWidth:
		p.WriteString(p.fieldName(name) + text + "\n")
	default:
		p.paragraph(text, p.fieldName(name), fieldIndent)
	}
}

func (p *printer) fieldName(name string) string {
	return "    " + name + fieldIndent[4+len(name):]
}

// isCommand reports whether a text begins with the name of a program that a fix uses.
func isCommand(text string) bool {
	program, _, _ := strings.Cut(text, " ")
	return among(program, "sudo", "sysctl", "echo", "prlimit", "ulimit", "systemctl", "nft", "iptables", "swapoff", "printf", "sh")
}

// reasons lists the findings of a verdict that have nothing to compare.
func (p *printer) reasons(title string, findings []Finding, v Verdict) {
	g := grid{align: "ll", most: []int{36, p.width}}
	for _, f := range findings {
		if f.Verdict != v {
			continue
		}
		text := sentence(f.Reason)
		if v == Unreadable && f.Blocks {
			text += " It may stop connections: " + lowerFirst(sentence(f.Why))
		}
		g.add(f.Name, upperFirst(text))
	}
	if len(g.rows) > 0 {
		p.heading(title)
		p.grid(g, nil)
	}
}

// myths lists the advice that is wrong about what is to be changed or is not needed: what a search for the name
// of the setting finds first.
func (p *printer) myths(findings []Finding) {
	said := map[string]bool{}
	for _, f := range findings {
		if f.Myth == "" || said[f.Myth] || !f.bad() && f.Verdict != NotNeeded {
			continue
		}
		if len(said) == 0 {
			p.heading("Advice that is wrong")
		}
		said[f.Myth] = true
		p.paragraph(f.Name+": "+sentence(f.Myth), "  ", "      ")
	}
}

// upperFirst raises a first letter, unless it begins the name of a setting.
func upperFirst(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || s[0] < 'a' || s[0] > 'z' || strings.ContainsAny(first, "_./=") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// lowerFirst lowers a first letter, unless it begins a name in capitals.
func lowerFirst(s string) string {
	if len(s) < 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'a' || s[1] > 'z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
