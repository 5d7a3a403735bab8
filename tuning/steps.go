package tuning

import (
	"fmt"
	"io"
	"strings"
)

// WriteSteps writes what [Tuner.Apply] or [Tuner.Revert] did, line by line: what became of each thing, from
// which value to which, and of what was left or has failed why, and what to do. The last line counts them.
func WriteSteps(w io.Writer, steps []Step, t Terminal) error {
	p := newPrinter(w, t)
	width := 0
	for _, s := range steps {
		width = max(width, len(s.Outcome.words()))
	}
	indent := strings.Repeat(" ", width+2)
	for _, s := range steps {
		p.step(s, indent)
	}
	p.paragraph(summary(steps), "", "")
	return p.Flush()
}

func (p *printer) step(s Step, indent string) {
	word := s.Outcome.words()
	text := s.What
	switch from, to := stepValue(s.What, s.From), stepValue(s.What, s.To); {
	case from != "" && to != "" && from != to:
		text += ": " + from + " to " + to
	case to != "":
		text += ": " + to
	case from != "":
		text += ": " + from
	}
	lines := wrap(clean(text), p.width-len(indent))
	for i, line := range lines {
		first := indent
		if i == 0 {
			first = p.paint(word, outcomeColour(s.Outcome)) + indent[len(word):]
		} else {
			line = "    " + line
		}
		p.WriteString(first + line + "\n")
	}
	if s.Why != "" {
		p.paragraph(upperFirst(sentence(s.Why)), indent+"  ", indent+"  ")
	}
	if s.Fix != "" {
		p.paragraph("Fix: "+s.Fix, indent+"  ", indent+"  ")
	}
}

// stepValue is a value for people. That of a limit is soft:hard.
func stepValue(what, value string) string {
	soft, hard, ok := strings.Cut(value, ":")
	if !ok || !strings.HasPrefix(what, "RLIMIT_") {
		return shown(what, value)
	}
	return kernelNumbers(soft) + ":" + kernelNumbers(hard)
}

// words is the outcome as a line begins with it: what has failed is to be seen without colours too.
func (o Outcome) words() string {
	if o == Failed {
		return "FAILED"
	}
	return o.String()
}

func outcomeColour(o Outcome) string {
	switch o {
	case Done:
		return green
	case Would, Left:
		return yellow
	case Failed:
		return red
	}
	return ""
}

// summary is as: 6 done, 3 were so already, 1 FAILED.
func summary(steps []Step) string {
	var n [Failed + 1]int
	for _, s := range steps {
		if int(s.Outcome) < len(n) {
			n[s.Outcome]++
		}
	}
	var parts []string
	for o, words := range []string{"done", "already so", "would be done", "left as it is", "FAILED"} {
		if n[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[o], words))
		}
	}
	if len(parts) == 0 {
		return "Nothing to do."
	}
	return strings.Join(parts, ", ") + "."
}
