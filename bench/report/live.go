package report

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dormouse-ws/dormouse/bench"
)

const (
	plainEvery = 10 // seconds between two lines where there is no terminal
	barSteps   = 10
	narrowest  = 20 // columns of a terminal: what says to have less is not believed

	clearLine = "\r\x1b[K" // to the first column, and erase to the end of the line (ECMA-48 EL)
)

// A Live shows how a run goes on while it does: on a terminal in one line that is written again each
// second, elsewhere in a plain line every ten seconds. Its methods may be called from any goroutine. What
// cannot be written is lost.
type Live struct {
	w        io.Writer
	terminal bool
	width    func() int

	mu       sync.Mutex // protects the following
	progress progress
	before   bench.Point
	printed  int    // second of the last plain line
	line     string // on the terminal now
	closed   bool
}

// NewLive returns the line of a run of cfg. width says how many columns the terminal has, which is asked for each
// line: a line that is wider than the window goes on in the next row, and is never taken away. It is nil where there
// is no terminal that a line can be written again on.
func NewLive(w io.Writer, width func() int, cfg bench.Config) *Live {
	return &Live{w: w, terminal: width != nil, width: width, progress: progress{cfg: cfg}}
}

// Point shows one more second.
func (l *Live) Point(p bench.Point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.parts(p)
	l.before = p
	switch {
	case l.closed:
	case l.terminal:
		// The last column stays free: a terminal may begin a new line behind it.
		l.line = fit(parts, l.progress.share, max(l.width(), narrowest)-1)
		io.WriteString(l.w, clearLine+l.line)
	case p.Second-l.printed >= plainEvery:
		l.printed = p.Second
		var said []string
		for _, x := range parts {
			said = append(said, strings.TrimSpace(x.text))
		}
		fmt.Fprintf(l.w, "%-6s  %s\n", minutes(int64(p.Second)), strings.Join(said, "  "))
	}
}

// Note prints a line of its own that stays.
func (l *Live) Note(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.terminal && !l.closed {
		io.WriteString(l.w, clearLine+clean(s)+"\n"+l.line)
		return
	}
	io.WriteString(l.w, clean(s)+"\n")
}

// Close takes the line away: what follows is the summary. A later Point shows nothing.
func (l *Live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.terminal && !l.closed && l.line != "" {
		io.WriteString(l.w, clearLine)
	}
	l.closed = true
}

// A part of the line. Where there is no room for all, those of the highest rank are left out first.
type part struct {
	text string
	rank int
}

func (l *Live) parts(p bench.Point) []part {
	now, before := p.Counts, l.before.Counts
	seconds := float64(max(p.Second-l.before.Second, 1))
	each := func(now, before int64) string { return short(float64(max(now-before, 0))/seconds) + unitRate }
	left := l.progress.left(p)

	list := []part{
		{fmt.Sprintf("%3d %%", int(100*l.progress.share)), 2},
		{l.stage(p), 4},
		{fmt.Sprintf("%s/%s", count(now.Connected), count(int64(l.progress.cfg.Connections))), 0},
	}
	if now.Users > before.Users {
		list = append(list, part{"+" + each(now.Users, before.Users), 5})
	}
	if now.Sent > before.Sent || p.Stage == bench.StageArrived && now.Sent > 0 {
		list = append(list, part{"sent " + each(now.Sent, before.Sent), 7})
	}
	if now.Delivered > before.Delivered {
		list = append(list, part{"delivered " + each(now.Delivered, before.Delivered), 6})
	}
	if name := newest(p.Latency); name != "" {
		list = append(list, part{name + " p99 " + duration(p.Latency[name].P99), 8})
	}
	if now.Errors > 0 {
		list = append(list, part{plural(now.Errors, "error"), 1})
	}
	if left > 0 {
		list = append(list, part{"ETA " + minutes(int64((left+time.Second/2)/time.Second)), 3})
	}
	return list
}

// short writes 149990 as 150k.
func short(v float64) string {
	if v >= 1e5 {
		return number(v/1e3) + "k"
	}
	return number(v)
}

// newest chooses the latency that a run comes to last, of those of which there is something in a second.
// Heartbeats go on all the time, so they count least.
func newest(latency map[string]bench.Quantiles) string {
	for _, name := range []string{
		bench.LatencyRejoin, bench.LatencyLast, bench.LatencyAfter, bench.LatencyDeliver, bench.LatencyBaseline, bench.LatencyEcho,
		bench.LatencyJoin, bench.LatencyConnect, bench.LatencyHeartbeat,
	} {
		if latency[name].Count > 0 {
			return name
		}
	}
	return ""
}

// stage says what goes on. Where memory is read between two stages, nobody arrives for some seconds.
func (l *Live) stage(p bench.Point) string {
	cfg, users := &l.progress.cfg, p.Counts.Users
	name := stageName(cfg.Scenario, p.Stage)
	if name == "arriving" && cfg.Plateau > 0 && users == l.before.Counts.Users &&
		(users == int64(cfg.Plateau) || users == int64(cfg.Connections)) {
		return "reading memory"
	}
	return name
}

func stageName(scenario string, s bench.Stage) string {
	switch s {
	case bench.StageArrived:
		switch scenario {
		case "connect":
			return "holding"
		case "storm":
			return "storm"
		}
		return "sending"
	case bench.StageSent, bench.StageEnd:
		return "finishing"
	}
	return "arriving"
}

// fit joins parts with a bar in front, in at most width characters.
func fit(parts []part, share float64, width int) string {
	for {
		var texts []string
		worst := 0
		for i, p := range parts {
			texts = append(texts, p.text)
			if p.rank > parts[worst].rank {
				worst = i
			}
		}
		line := strings.Join(texts, "  ")
		room := width - utf8.RuneCountInString(line)
		switch {
		case room < 0 && len(parts) > 1:
			parts = append(parts[:worst:worst], parts[worst+1:]...)
			continue
		case room < 0:
			return string([]rune(line)[:width])
		}
		return bar(share, room) + line
	}
}

// bar is empty if there is no room for it.
func bar(share float64, room int) string {
	done := int(share * barSteps)
	s := "[" + strings.Repeat("=", done) + strings.Repeat("-", barSteps-done) + "] "
	if len(s) > room {
		return ""
	}
	return s
}
