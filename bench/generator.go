package bench

import (
	"context"
	"time"

	"github.com/dormouse-ws/dormouse/bench/sample"
)

// A Generator simulates users. [Local] does it in this process; package agent has one elsewhere.
type Generator interface {
	// Generate carries out its part of cfg, which was checked. It calls meet.Wait at each [Stage] and
	// goes on when that returns, and calls tick each second from one goroutine. When ctx ends it stops
	// and returns what it has, without an error. An error says that it could not begin, or was lost.
	Generate(ctx context.Context, cfg Config, meet Meeting, tick func(Tick)) (*Outcome, error)
}

// A Meeting keeps generators in step.
type Meeting interface {
	// Wait says that the caller has reached a stage, and returns when all have and the conductor
	// lets them go on: nil, or ctx's error.
	Wait(ctx context.Context, s Stage) error
}

// A Stage of a run, in order. All but StageEnd may be left out by a scenario.
type Stage string

const (
	StageStart   Stage = "start"   // ready to begin; no connection yet
	StagePlateau Stage = "plateau" // Config.Plateau connections are there and quiet
	StageArrived Stage = "arrived" // all connections are there and quiet
	StageSent    Stage = "sent"    // the traffic is over, and what was on its way has come or is late
	StageEnd     Stage = "end"     // all that counts is counted; connections are closed next
)

// A Tick is what a generator has seen by the end of one second of its run. Its histograms are the receiver's.
type Tick struct {
	Second  int                   `json:"second"`  // since StageStart, from 1
	Stage   Stage                 `json:"stage"`   // the last that was passed
	Counts  Counts                `json:"counts"`  // since the start
	Latency map[string]*Histogram `json:"latency"` // of this second alone
	Self    sample.Process        `json:"self"`    // the generator's own process
	Health  Health                `json:"health"`  // of this second alone
}

// Counts are a generator's counters. All but the first three count since the start.
type Counts struct {
	Open      int64 `json:"open"`      // dialled, not closed
	Connected int64 `json:"connected"` // of Open: upgraded
	Joined    int64 `json:"joined"`    // of Connected: in their topic. Without topics all of Connected

	Users      int64 `json:"users"`      // arrived; each once, however often it comes back
	Dials      int64 `json:"dials"`      // connects begun
	Upgrades   int64 `json:"upgrades"`   // WebSocket handshakes completed
	Joins      int64 `json:"joins"`      // joins confirmed
	Leaves     int64 `json:"leaves"`     // leaves confirmed
	Closed     int64 `json:"closed"`     // connections ended, by whoever
	Lost       int64 `json:"lost"`       // of Closed: not by us
	Heartbeats int64 `json:"heartbeats"` // answered
	Sent       int64 `json:"sent"`       // messages and requests
	Answered   int64 `json:"answered"`   // replies to requests
	Delivered  int64 `json:"delivered"`  // broadcasts received, each by each
	Errors     int64 `json:"errors"`
	BytesIn    int64 `json:"bytes_in"` // payload of TCP
	BytesOut   int64 `json:"bytes_out"`
}

// Names of latencies.
const (
	LatencyConnect   = "connect"   // from when a user was due to the end of its upgrade
	LatencyJoin      = "join"      // from the upgrade to the join's reply
	LatencyHeartbeat = "heartbeat" // round trip
	LatencyEcho      = "echo"      // from when a request was due to its reply
	LatencyDeliver   = "deliver"   // from when a message was due to each of its receivers
	LatencyBaseline  = "baseline"  // the same in the slow scenario, before some stop reading
	LatencyAfter     = "after"     // the same, once they read again
	LatencyCut       = "cut off"   // from when a reader stopped reading until it saw that the target had cut it off
	LatencyHeard     = "last got"  // of those who saw it only when they read again: to when the last message they got was due
	LatencyFirst     = "first"     // from when a message was due to its first receiver
	LatencyMedian    = "median"    // to the receiver by which half of them have it
	LatencyLast      = "last"      // to the last
	LatencyRejoin    = "rejoin"    // from a connection's end to its topic joined again
)

// Health is how well the generator kept up in one second.
type Health struct {
	Due     int64         `json:"due"`      // sends and arrivals that were due
	Late    int64         `json:"late"`     // of those: begun more than LateAfter behind
	LateMax time.Duration `json:"late_max"` // the most that one was behind
	Lag     time.Duration `json:"lag"`      // the longest a goroutine waited beyond its timer
	CPU     float64       `json:"cpu"`      // processors used, of its own limit: 0 to 1
	Waited  float64       `json:"waited"`   // runnable threads that waited for a processor, on average
}

// An Outcome is what a generator knows at the end.
type Outcome struct {
	Counts  Counts                `json:"counts"`
	Latency map[string]*Histogram `json:"latency"` // of the whole run
	Errors  []ErrorCount          `json:"errors"`
	Rooms   []Room                `json:"rooms"`   // of those in which something was sent, or expected
	Unsent  int64                 `json:"unsent"`  // messages and requests that were due, and nobody was there or free to send
	Stopped bool                  `json:"stopped"` // ctx ended before it was done
	Server  string                `json:"server"`  // what the target calls itself: its Server header
	Host    Host                  `json:"host"`
	Notes   []string              `json:"notes"`   // what the scenario has to say, a sentence each
	Figures []Figure              `json:"figures"` // what only this scenario measures
}

// A Figure is a result that only one scenario has.
type Figure struct {
	Name  string  `json:"name"` // as "all joined again after"
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // s, ms, B, /s, or nothing
}

// A Room is the account of one topic as one generator has kept it.
type Room struct {
	Topic    string    `json:"topic"`
	Members  int64     `json:"members"` // its own users in it now
	Messages []Message `json:"messages"`
	Forged   int64     `json:"forged"` // deliveries of messages that nobody has sent
}

// A Message is the account of one broadcast.
type Message struct {
	Seq      uint32        `json:"seq"`
	Sender   bool          `json:"sender"`         // this generator sent it
	Expected int64         `json:"expected"`       // its own users who must get it
	Received int64         `json:"received"`       // those of them who did
	Extra    int64         `json:"extra"`          // deliveries beyond one for each
	Open     bool          `json:"open,omitempty"` // the run was stopped while it may have been on its way
	First    time.Duration `json:"first"`          // from when it was due
	Last     time.Duration `json:"last"`
	Spread   Spread        `json:"spread"` // of the times of all receivers
}

// An ErrorCount is one kind of error.
type ErrorCount struct {
	Kind    string `json:"kind"` // as connection refused
	Count   int64  `json:"count"`
	Example string `json:"example"` // what was said the first time
	Fix     string `json:"fix"`     // what to do about it
}
