package report

import (
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/dormouse-ws/dormouse/bench"
)

//go:embed web
var web embed.FS

// WriteHTML writes the page of a run: one file, with all that it needs in it.
func WriteHTML(w io.Writer, r *bench.Result) error {
	p := page{Title: title(r) + " · " + verdict(r.Verdict), Question: limitQuestion, Tiles: tiles(r)}
	p.addRun("", "", r)
	said, missing := account(r.Account)
	if len(missing.Rows) > 0 {
		p.addText("account", "Account", said, missing)
	}
	p.addCharts(r)
	p.addTables("latency", latencyGrid(r), slowGrid(r))
	p.addTables("memory", ledgerGrid(r.Ledger))
	if len(missing.Rows) == 0 {
		p.addText("account", "Account", said, missing)
	}
	p.addText("errors", "Errors by kind", "", errorGrid(r.Errors))
	if len(r.Notes) > 0 {
		p.Sections = append(p.Sections, section{ID: "notes", Title: "Notes", Text: sentences(r.Notes)})
	}
	p.addText("generators", "Generators", "", generatorGrid(r))
	p.Sections = append(p.Sections, section{ID: "counts", Title: "Counts", Pairs: append(counts(r), scenarioFigures(r)...)})
	p.addText("made", "How it was made", "", pairGrid("Machine, versions, command", environment(r)))
	return p.write(w)
}

// WriteCompareHTML writes a page with two runs on the same charts, second by second.
func WriteCompareHTML(w io.Writer, a, b Named) error {
	p := page{Title: a.Name + " and " + b.Name + " compared", Question: limitQuestion, Compared: true}
	p.Hard, p.Soft = differences(a, b)
	p.addRun("a", a.Name, a.Result)
	p.addRun("b", b.Name, b.Result)
	p.addText("figures", "Figures", "", comparison(a, b, len(p.Hard) == 0))
	p.addCharts(a.Result, b.Result)
	p.addText("made", "How they were made", "", beside(environment(a.Result), environment(b.Result)))
	return p.write(w)
}

// A page is what report.html shows.
type page struct {
	Title      string
	Question   string
	Compared   bool
	Runs       []runHead
	Hard, Soft []string // differences of two runs
	Tiles      []tile
	Sections   []section
	Configs    []pair
	Data       pageData

	Style           template.CSS
	Library, Script template.JS
}

// A runHead is the head of the page for one run. Letter is empty where there is only one.
type runHead struct {
	Letter, Name, Title, Verdict, Class, Limit, When string
	Reasons                                          []string
}

type section struct {
	ID, Title string
	Text      []string
	Pairs     []pair
	Charts    []chart
	Grids     []grid
}

// pageData is what report.js draws.
type pageData struct {
	timeline
	Marks  []mark  `json:"marks"`
	Charts []chart `json:"charts"`
}

func (p *page) addRun(letter, name string, r *bench.Result) {
	head := runHead{
		Letter: letter, Name: name, Title: title(r), Verdict: verdict(r.Verdict),
		Class: strings.ToLower(string(r.Verdict)), Limit: sentence(r.Limit), Reasons: sentences(r.Reasons),
		When: r.Started.Format("2 January 2006, 15:04 MST") + ", " + duration(r.Elapsed) + ", " + r.Version,
	}
	if r.Stopped {
		head.Reasons = append(head.Reasons, "It was interrupted: this is what was done so far.")
	}
	p.Runs = append(p.Runs, head)
	config, err := json.MarshalIndent(r.Config, "", "  ")
	if err != nil {
		config = []byte(err.Error())
	}
	p.Configs = append(p.Configs, pair{strings.TrimSpace("Configuration as JSON " + letter), string(config)})
}

// addCharts adds the sections with charts, those of them that have any.
func (p *page) addCharts(runs ...*bench.Result) {
	t := newTimeline(runs...)
	var sparse []string
	if t.Step > 1 {
		sparse = []string{"Each point stands for " + plural(int64(t.Step), "second") +
			": the last level, the mean rate and the worst latency of them."}
	}
	for _, s := range []section{
		{ID: "load", Title: "Load", Text: sparse, Charts: loadCharts(t)},
		{ID: "latency", Title: "Latency", Charts: append(distributionChart(runs...), latencyCharts(t)...)},
		{ID: "memory", Title: "Memory", Charts: memoryCharts(t)},
		{ID: "processors", Title: "Processors and runtime", Charts: processorCharts(t)},
		{ID: "kernel", Title: "Kernel", Charts: kernelCharts(t)},
	} {
		if len(s.Charts) > 0 {
			p.Sections = append(p.Sections, s)
			p.Data.Charts = append(p.Data.Charts, s.Charts...)
		}
	}
	p.Data.timeline, p.Data.Marks = t, t.marks()
}

// addTables adds grids to a section with charts, or makes it.
func (p *page) addTables(id string, grids ...grid) {
	grids = slices.DeleteFunc(grids, func(g grid) bool { return len(g.Rows) == 0 })
	if len(grids) == 0 {
		return
	}
	i := slices.IndexFunc(p.Sections, func(s section) bool { return s.ID == id })
	if i < 0 {
		i = len(p.Sections)
		p.Sections = append(p.Sections, section{ID: id, Title: grids[0].Title})
	}
	p.Sections[i].Grids = append(p.Sections[i].Grids, grids...)
}

// addText adds a section with a text and a table, unless both are empty.
func (p *page) addText(id, title, text string, g grid) {
	s := section{ID: id, Title: title}
	if text != "" {
		s.Text = []string{text}
	}
	if len(g.Rows) > 0 {
		s.Grids = []grid{g}
	}
	if text != "" || len(g.Rows) > 0 {
		p.Sections = append(p.Sections, s)
	}
}

func (p *page) write(w io.Writer) error {
	text := func(name string) string {
		b, _ := web.ReadFile("web/" + name) // it is in the program
		return string(b)
	}
	p.Style = template.CSS(text("uPlot.min.css") + text("report.css"))
	p.Library = template.JS("/*!\n" + text("LICENSE") + "*/\n" + text("uPlot.iife.min.js"))
	p.Script = template.JS(text("report.js"))
	t, err := template.ParseFS(web, "web/report.html")
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

func sentences(list []string) []string {
	var s []string
	for _, x := range list {
		s = append(s, sentence(x))
	}
	return s
}

// Side is the class of a column.
func (g grid) Side(column int) string { return string(g.Align[column]) }

// Last is the last column.
func (g grid) Last() int { return len(g.Align) - 1 }

// Percent is the width of a bar, and 0 for none.
func (r row) Percent() int {
	if r.Bar <= 0 {
		return 0
	}
	return max(1, int(math.Round(100*r.Bar)))
}

func errorGrid(list []bench.ErrorCount) grid {
	g := grid{Title: "Errors", Head: []string{"kind", "count", "the first said", "what to do"}, Align: "lrll"}
	for _, e := range list {
		g.add(e.Kind, count(e.Count), shorten(e.Example, 400), sentence(e.Fix))
	}
	return g
}

func pairGrid(title string, list []pair) grid {
	g := grid{Title: title, Align: "ll"}
	for _, p := range list {
		g.add(p.Name, p.Value)
	}
	return g
}

// beside sets what two runs have under the same names side by side.
func beside(a, b []pair) grid {
	g := grid{Title: "Machine, versions, command", Head: []string{"", "a", "b"}, Align: "lll"}
	find := func(list []pair, name string) string {
		if i := slices.IndexFunc(list, func(p pair) bool { return p.Name == name }); i >= 0 {
			return list[i].Value
		}
		return ""
	}
	for _, p := range a {
		g.add(p.Name, p.Value, find(b, p.Name))
	}
	for _, p := range b {
		if !slices.ContainsFunc(a, func(x pair) bool { return x.Name == p.Name }) {
			g.add(p.Name, "", p.Value)
		}
	}
	return g
}
