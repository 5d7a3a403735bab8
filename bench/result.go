package bench

import (
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A Result is a run as it is printed, drawn and compared. Its JSON is stable within a Format.
type Result struct {
	Format  int           `json:"format"` // ResultFormat
	Config  Config        `json:"config"`
	Command []string      `json:"command"` // as it was typed
	Version string        `json:"version"` // of the program
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed"`

	Verdict Verdict  `json:"verdict"`
	Reasons []string `json:"reasons"` // of every verdict but Valid, a sentence each
	Limit   string   `json:"limit"`   // what bounded the run, in one sentence
	Stopped bool     `json:"stopped"` // it was interrupted, and is what was done so far
	Notes   []string `json:"notes"`

	Counts  Counts                `json:"counts"`
	Latency map[string]*Histogram `json:"latency"`
	Figures []Figure              `json:"figures"`
	Errors  []ErrorCount          `json:"errors"`

	Account Account `json:"account"`
	Ledger  *Ledger `json:"ledger,omitempty"`
	Points  []Point `json:"points"`

	Target     Target            `json:"target"`
	Generators []GeneratorResult `json:"generators"`
}

// ResultFormat is the Format of the Results that this version writes, and reads.
const ResultFormat = 1

// A Verdict says what a Result is worth.
type Verdict string

const (
	Valid   Verdict = "valid"
	Invalid Verdict = "INVALID" // the generator was the bottleneck: the figures say nothing of the target
	Failed  Verdict = "FAILED"  // what was sent and what came are not equal, or nothing worked
)

// A Point is one second of a run, over all generators.
type Point struct {
	Second    int                  `json:"second"`
	Stage     Stage                `json:"stage"`
	Counts    Counts               `json:"counts"`
	Latency   map[string]Quantiles `json:"latency"`   // of this second
	Health    Health               `json:"health"`    // the worst of all generators
	Generator sample.Process       `json:"generator"` // sums over all generators
	Target    *sample.Process      `json:"target,omitempty"`
	Kernel    *sample.Kernel       `json:"kernel,omitempty"` // of the target's host, or of this one
}

// An Account sets what was sent against what came.
type Account struct {
	Messages int64 `json:"messages"` // broadcasts sent
	Expected int64 `json:"expected"` // deliveries that must have come
	Received int64 `json:"received"` // those that did
	Missing  int64 `json:"missing"`
	Extra    int64 `json:"extra"`

	Requests   int64 `json:"requests"` // that wanted an answer
	Unanswered int64 `json:"unanswered"`

	Unsent int64 `json:"unsent"` // messages and requests beside these that were due, and nobody was there or free to send

	Worst []Shortfall `json:"worst,omitempty"` // the messages that miss most, at most maxShortfalls
}

// A Shortfall is a message that not everybody got, or that somebody got twice.
type Shortfall struct {
	Topic    string `json:"topic"`
	Seq      uint32 `json:"seq"`
	Expected int64  `json:"expected"`
	Received int64  `json:"received"`
	Extra    int64  `json:"extra"`
}

// A Ledger is what one connection costs, by part: the slope between two sizes, so that the base of a
// process and of a host does not count.
type Ledger struct {
	FromConns int64  `json:"from"` // connections at the two sizes
	ToConns   int64  `json:"to"`
	BothEnds  bool   `json:"both_ends"` // target and generator share a kernel: its part is halved
	Parts     []Part `json:"parts"`
	Note      string `json:"note,omitempty"`
}

// A Part of a [Ledger].
type Part struct {
	Where string  `json:"where"`         // target, kernel or generator
	Name  string  `json:"name"`          // as "resident memory", or a slab's name
	Bytes float64 `json:"bytes"`         // for each connection
	Total bool    `json:"total"`         // the sum of its Where; the others are of what it consists
	Why   string  `json:"why,omitempty"` // it has no value because
}

// A Target is what was measured.
type Target struct {
	URLs    []string `json:"urls"`
	Server  string   `json:"server,omitempty"` // its Server header
	PID     int      `json:"pid,omitempty"`    // sampled by it
	Name    string   `json:"name,omitempty"`   // of its program
	Own     bool     `json:"own"`              // started by the bench itself
	Engine  string   `json:"engine,omitempty"`
	PeakRSS int64    `json:"peak_rss,omitempty"`
}

// A GeneratorResult is one generator's part in a Result.
type GeneratorResult struct {
	Name        string         `json:"name"` // an agent's address, or local
	Host        Host           `json:"host"`
	Counts      Counts         `json:"counts"`
	Self        sample.Process `json:"self"`           // its last
	Lost        string         `json:"lost,omitempty"` // why nothing came from it any more
	ClockOffset time.Duration  `json:"clock_offset"`   // its clock minus the conductor's, as measured
	ClockError  time.Duration  `json:"clock_error"`    // at most so wrong
}

// A Host is where a generator ran.
type Host struct {
	Name        string `json:"name"`
	Kernel      string `json:"kernel"`
	CPUs        int    `json:"cpus"`        // that it may use
	CPU         string `json:"cpu"`         // model
	Memory      int64  `json:"memory"`      // bytes
	Descriptors int64  `json:"descriptors"` // limit
	Ports       string `json:"ports"`       // ip_local_port_range
	Go          string `json:"go"`
	Clock       string `json:"clock"` // clock source
}
