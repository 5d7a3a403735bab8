package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/dormouse-ws/dormouse/bench"
)

// protocol is the version of what travels. Both sides must have the same.
const protocol = 1

const (
	// maxRequest bounds what a conductor may post: a Config with some hundred URLs and headers.
	maxRequest = 1 << 20

	// maxLine bounds one line of an agent. The longest is the Outcome: a message of a broadcast takes
	// some 200 B in it, so that this is room for a million.
	maxLine = 256 << 20

	// maxAnswer bounds an answer that is no run.
	maxAnswer = 4 << 10

	// alivePeriod is how often a conductor says that it is there, and aliveLimit how long an agent goes on
	// without that: a machine that lost its network or power closes no connection.
	alivePeriod = 5 * time.Second
	aliveLimit  = 20 * time.Second
)

// A hello begins each side's part of a run.
type hello struct {
	Protocol int           `json:"protocol"`
	Config   *bench.Config `json:"config,omitempty"` // the conductor's
	Run      string        `json:"run,omitempty"`    // the agent's: the path to post orders to
}

// errVersion says that the two sides do not understand each other.
func errVersion(theirs int) error {
	return fmt.Errorf("it speaks version %d of the agents' protocol, and this program version %d: "+
		"use the same dormouse on all machines", theirs, protocol)
}

// A line is one thing that an agent says in a run. The first is a hello, the last an outcome or an error.
type line struct {
	Hello   *hello         `json:"hello,omitempty"`
	Stage   bench.Stage    `json:"stage,omitempty"` // the generator waits at it
	Tick    *bench.Tick    `json:"tick,omitempty"`
	Outcome *bench.Outcome `json:"outcome,omitempty"`
	Error   string         `json:"error,omitempty"`
}

// An order is what a conductor says during a run. An empty one says that it is there.
type order struct {
	Go   bench.Stage `json:"go,omitempty"` // the stage is open
	Stop bool        `json:"stop,omitempty"`
}

// A reading is what an agent's clock shows.
type reading struct {
	Protocol int   `json:"protocol"`
	Now      int64 `json:"now"` // nanoseconds since 1970
}

// A refusal is the body of an answer that is not what was asked for.
type refusal struct {
	Error string `json:"error"`
}

// errGarbage says that what answers is no agent, or a broken one.
var errGarbage = errors.New("it answers what is not the agents' protocol: is this the address of a dormouse bench agent?")
